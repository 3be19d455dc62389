# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""Lists at work: what goes on at once and what is shared, who falls back, and how a run ends before its time."""

from __future__ import annotations

import signal
import threading
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

from emulator import content
from emulator.faults import Answer, Fault, Hold, HoldResponse
from emulator.public import MicrosoftRegistry
from emulator.resources import AzureRegistry
from tests.cli.conftest import SignedInAz
from tests.cli.running import started
from tests.cli.test_interrupts import SECONDS_TO_END, STOPPED, assert_stopped, errors_of
from tests.cli.world import World
from tests.support.images import assert_holds

pytestmark = pytest.mark.cli

IN_FLIGHT = 8  # as the service route says
CLOSED = {"public_network_access": "Disabled", "bypass": "None"}
ARM = "management.azure.com"
IMAGE = content.image("bulk")


def sources(world: World, count: int) -> tuple[AzureRegistry, list[str]]:
    """A registry with so many repositories of the same image, and their names."""
    origin = world.registry()
    repositories = [f"team/app{number}" for number in range(count)]
    for name in repositories:
        world.put(IMAGE, origin.store, name, "v1")
    return origin, repositories


def listed(folder: Path, *lines: str) -> tuple[str, str]:
    path = folder / "images.txt"
    path.write_text("".join(f"{line}\n" for line in lines))
    return "--from-file", str(path)


def images(origin: AzureRegistry, repositories: Iterable[str]) -> list[str]:
    return [f"{origin.login_server}/{name}:v1" for name in repositories]


def most_at_once(world: World) -> int:
    """How many operations of the service were open at the same time, by what was asked of it."""
    count = most = 0
    for entry in world.azure.server.log:
        if entry.path.endswith("/importImage"):
            count += entry.status == 202
        elif "/operationResults/" in entry.path:
            count -= entry.status not in (202, 429)
        most = max(most, count)
    return most


def test_the_service_has_several_operations_in_flight_and_no_more(
    world: World, az: SignedInAz, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (origin, repositories), target = sources(world, 20), world.registry()
    monkeypatch.setattr(world.azure.imports, "pending_polls", 1)
    busy = Answer(429, (("Retry-After", "1"),), b'{"error": {"code": "TooManyRequests", "message": "slower"}}')
    for path in ("/importImage", "/operationResults/"):
        world.azure.server.faults.add(Fault(busy, host=ARM, path=path, times=3))

    done = az("acrx", "import", *listed(tmp_path, *images(origin, repositories)), "--name", target.name)

    assert Counter(each["status"] for each in done.json) == {"imported": 20}
    assert {each["route"] for each in done.json} == {"service"}
    assert most_at_once(world) == IN_FLIGHT
    assert len(world.azure.operations) == 20
    assert world.azure.server.log.count(status=429, host=ARM) == 6


def test_what_images_share_is_moved_once_over_one_set_of_connections_and_tokens(
    world: World, az: SignedInAz, tmp_path: Path
) -> None:
    (origin, repositories), target = sources(world, 12), world.registry(**CLOSED)

    done = az("acrx", "import", *listed(tmp_path, *images(origin, repositories)), "--name", target.name)

    blobs = len(IMAGE.all_blobs)
    assert sum(each["blobs"]["copied"] for each in done.json) == blobs
    assert sum(each["blobs"]["mounted"] for each in done.json) == 11 * blobs
    log = world.azure.server.log
    assert log.count("GET", "/blobs/", host=origin.login_server) == blobs
    for name in repositories:
        assert_holds(target.store, name, IMAGE, tags=["v1"])
    for registry in (origin, target):
        asked = log.matching(host=registry.login_server, path="^/oauth2/")
        assert [entry.path for entry in asked].count("/oauth2/exchange") == 1
    assert log.count("POST", "/oauth2/token", host=origin.login_server) == 12
    assert log.count("GET", "/registries$", host=ARM) == 1
    # A registry so near gets as many as there are threads.
    assert log.connections(origin.login_server) <= 40
    assert log.connections(target.login_server) <= 40


def test_what_the_service_cannot_is_copied_in_the_same_run(world: World, az: SignedInAz, tmp_path: Path) -> None:
    (origin, repositories), target = sources(world, 7), world.registry()
    world.azure.hub.limited.add("service")
    hub = [f"library/hub{number}" for number in range(3)]
    for name in hub:
        world.put(IMAGE, world.azure.hub.store, name, "v1")
    lines = [f"docker.io/{name}:v1" for name in hub] + images(origin, repositories)

    done = az("acrx", "import", *listed(tmp_path, *lines), "--name", target.name)

    assert [each["fallback"] for each in done.json] == [True] * 3 + [False] * 7
    assert [each["route"] for each in done.json] == ["local"] * 3 + ["service"] * 7
    assert {each["status"] for each in done.json} == {"imported"}
    for name in (*hub, *repositories):
        assert_holds(target.store, name, IMAGE, tags=["v1"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_list_that_is_stopped_goes_on_where_it_ended(
    world: World, az: SignedInAz, tmp_path: Path, number: signal.Signals
) -> None:
    (origin, repositories), target = sources(world, 12), world.registry(**CLOSED)
    arguments = ("acrx", "import", *listed(tmp_path, *images(origin, repositories)), "--name", target.name)
    tags = {"host": target.login_server, "method": "PUT", "path": "/manifests/v1"}
    world.azure.server.faults.add(Fault(Hold(threading.Event()), times=None, skip=4, **tags))

    with started(az, *arguments) as command:
        world.azure.server.log.wait_for(count=5, timeout_seconds=60, **tags)
        done = command.end(number)

    assert_stopped(done, command.seconds_to_end)
    tagged = [name for name in repositories if (held := target.store.get(name)) and held.tags]
    assert len(tagged) == 4
    for name in tagged:
        assert_holds(target.store, name, IMAGE, tags=["v1"])
    world.azure.server.faults.clear()
    again = az(*arguments)
    assert {each["images"][0].partition(":")[0] for each in again.json if each["status"] == "existing"} == set(tagged)
    assert Counter(each["status"] for each in again.json) == {"existing": 4, "imported": 8}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
@pytest.mark.parametrize("copies", [False, True], ids=["service", "both routes"])
def test_the_service_is_left_to_itself_when_a_list_is_stopped(
    world: World, az: SignedInAz, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, copies: bool, number: signal.Signals
) -> None:
    (origin, repositories), target = sources(world, 10), world.registry()
    world.put(IMAGE, world.azure.mcr.store, "app", "v1")
    monkeypatch.setattr(world.azure.imports, "pending_polls", 1000)
    world.azure.server.faults.add(Fault(Hold(threading.Event()), host=MicrosoftRegistry.BLOB_HOST, times=None))
    path = tmp_path / "images.yaml"
    copied = "- {source: 'mcr.microsoft.com/app:v1', via: local}\n" if copies else ""
    path.write_text(copied + "".join(f"- {image}\n" for image in images(origin, repositories)))

    with started(az, "acrx", "import", "--from-file", str(path), "--name", target.name) as command:
        world.azure.server.log.wait_for(count=IN_FLIGHT, path="/importImage$", timeout_seconds=60)
        world.azure.server.log.wait_for(path="/operationResults/", timeout_seconds=60)
        if copies:
            world.azure.server.log.wait_for(host=MicrosoftRegistry.BLOB_HOST, timeout_seconds=60)
        done = command.end(number)

    assert done.exit_code == 1, str(done)
    assert done.stderr.count("The service goes on with the import") == 1
    assert errors_of(done) == ([f"ERROR: {STOPPED}"] if copies else [])
    assert command.seconds_to_end < SECONDS_TO_END
    assert len(world.azure.operations) == IN_FLIGHT


def test_a_time_limit_is_for_the_copies_of_a_list(world: World, az: SignedInAz, tmp_path: Path) -> None:
    (origin, repositories), target, closed = sources(world, 3), world.registry(), world.registry(**CLOSED)
    world.azure.server.faults.add(
        Fault(Hold(threading.Event()), host=closed.login_server, method="PUT", path="/manifests/", times=None)
    )
    path = tmp_path / "images.yaml"
    lines = [f"- {image}\n- {{source: '{image}', name: {closed.name}}}\n" for image in images(origin, repositories)]
    path.write_text("".join(lines))

    began = time.monotonic()
    done = az(
        "acrx",
        "import",
        "--from-file",
        str(path),
        "--name",
        target.name,
        "--timeout",
        "2s",
        "--retries",
        "0",
        fails=True,
    )

    assert time.monotonic() - began < 12
    assert [each["status"] for each in done.json] == ["imported", "failed"] * 3
    assert all("--timeout" in each["error"]["message"] for each in done.json[1::2])
    assert all(not held.tags for name in repositories if (held := closed.store.get(name)))


def test_the_first_failure_of_a_copy_keeps_the_service_from_further_imports(
    world: World, az: SignedInAz, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (origin, repositories), target = sources(world, 30), world.registry()
    monkeypatch.setattr(world.azure.imports, "pending_polls", 1)
    path = tmp_path / "images.yaml"
    path.write_text(
        f"- {{source: '{origin.login_server}/absent:v1', via: local}}\n"
        + "".join(f"- {image}\n" for image in images(origin, repositories))
    )

    done = az("acrx", "import", "--from-file", str(path), "--name", target.name, "--fail-fast", fails=True)

    statuses = Counter(each["status"] for each in done.json)
    assert statuses["failed"] == 1
    assert statuses["imported"] == len(world.azure.operations)  # what had begun is waited for
    assert statuses["skipped"] >= 30 - 2 * IN_FLIGHT


def test_the_first_failure_of_the_service_gives_copies_up(world: World, az: SignedInAz, tmp_path: Path) -> None:
    (origin, repositories), target, closed = sources(world, 30), world.registry(), world.registry(**CLOSED)
    release = threading.Event()
    world.azure.server.faults.add(Fault(HoldResponse(release), host=origin.storage_host, times=None))
    path = tmp_path / "images.yaml"
    copies = "".join(f"- {{source: '{image}', name: {closed.name}}}\n" for image in images(origin, repositories))
    path.write_text(f"- {origin.login_server}/absent:v1\n{copies}")

    with started(
        az, "acrx", "import", "--from-file", str(path), "--name", target.name, "--fail-fast", "-o", "json"
    ) as command:
        world.azure.server.log.wait_for(path="/operationResults/", timeout_seconds=60)
        done = command.wait()
        release.set()

    assert done.exit_code == 1
    assert Counter(each["status"] for each in done.json) == {"failed": 1, "skipped": 30}
    assert all(not held.tags for name in repositories if (held := closed.store.get(name)))
