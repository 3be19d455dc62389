# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""What is left when a copy is stopped in the middle, and that the next run goes on from there."""

from __future__ import annotations

import signal
import threading
from typing import Any

import pytest

from emulator import content
from emulator.content import Artifact
from emulator.faults import Action, Fault, Hold, HoldResponse, registry_error
from emulator.public import MicrosoftRegistry
from emulator.resources import AzureRegistry
from tests.cli.conftest import SignedInAz
from tests.cli.running import started
from tests.cli.world import World
from tests.support.az import Completed
from tests.support.images import assert_holds

pytestmark = pytest.mark.cli

IMAGE = content.image("interrupted", layers=(300_000, 200_000, 100_000))
STORAGE = MicrosoftRegistry.BLOB_HOST
SOURCE = ("--source", "mcr.microsoft.com/app:v1", "--via", "local")
STOPPED = "The copy was stopped. Run the command again to go on where it ended."
# Workers stop within a second; the rest is az's own way out, on a machine that is busy with other tests.
SECONDS_TO_END = 6


class Stopped:
    """One import that a test stops at a chosen point."""

    def __init__(self, world: World, image: Artifact = IMAGE) -> None:
        self.world = world
        self.image = world.put(image, world.azure.mcr.store, "app", "v1")
        self.target: AzureRegistry = world.registry()
        self.arguments = ("acrx", "import", "--name", self.target.name, *SOURCE)

    def fault(self, action: Action, **where: Any) -> None:
        self.world.azure.server.faults.add(Fault(action, times=None, **where))

    def wait_for(self, **where: Any) -> None:
        self.world.azure.server.log.wait_for(timeout_seconds=60, **where)

    @property
    def blobs_there(self) -> int:
        held = self.target.store.get("app")
        return len(held.blobs) if held else 0

    def assert_no_tag(self) -> None:
        held = self.target.store.get("app")
        assert held is None or held.tags == {}

    def assert_the_next_run_goes_on(self, az: SignedInAz) -> None:
        """Everything arrives, and what was there already is not sent again."""
        self.world.azure.server.faults.clear()
        there = self.blobs_there
        result = az(*self.arguments).json
        blobs = result["blobs"]
        assert blobs["copied"] == len(self.image.all_blobs) - there
        assert blobs["copied"] + blobs["existing"] + blobs["mounted"] == len(self.image.all_blobs)
        assert_holds(self.target.store, "app", self.image, tags=["v1"])


@pytest.fixture
def run(world: World) -> Stopped:
    return Stopped(world)


def errors_of(done: Completed) -> list[str]:
    """What is on stderr beside the warnings that every run prints, and the progress that a slow one does."""
    usual = ("WARNING: ", "Copying: ", "Importing: ")
    return [line for line in done.stderr.splitlines() if not line.startswith(usual)]


def assert_stopped(done: Completed, seconds: float) -> None:
    assert done.exit_code == 1, str(done)
    assert errors_of(done) == [f"ERROR: {STOPPED}"], str(done)
    assert done.stdout == ""
    assert seconds < SECONDS_TO_END, str(done)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_stopped_while_the_source_is_silent(run: Stopped, az: SignedInAz, number: signal.Signals) -> None:
    run.fault(HoldResponse(threading.Event(), after=1000), host=STORAGE, when=lambda request: request.method == "GET")
    with started(az, *run.arguments) as command:
        run.wait_for(host=STORAGE, method="GET")
        done = command.end(number)

    assert_stopped(done, command.seconds_to_end)
    run.assert_no_tag()
    run.assert_the_next_run_goes_on(az)


def test_stopped_while_the_target_is_silent(run: Stopped, az: SignedInAz) -> None:
    run.fault(Hold(threading.Event()), host=run.target.login_server, method="PUT", path="/blobs/uploads/")
    with started(az, *run.arguments) as command:
        run.wait_for(host=run.target.login_server, method="PUT", path="/blobs/uploads/")
        done = command.end(signal.SIGINT)

    assert_stopped(done, command.seconds_to_end)
    run.assert_no_tag()
    run.assert_the_next_run_goes_on(az)


def test_stopped_before_the_tag_with_all_else_there(run: Stopped, az: SignedInAz) -> None:
    run.fault(Hold(threading.Event()), host=run.target.login_server, method="PUT", path="/manifests/v1")
    with started(az, *run.arguments) as command:
        run.wait_for(host=run.target.login_server, method="PUT", path="/manifests/v1")
        done = command.end(signal.SIGTERM)

    assert_stopped(done, command.seconds_to_end)
    run.assert_no_tag()
    assert run.blobs_there == len(IMAGE.all_blobs)
    run.assert_the_next_run_goes_on(az)


def test_stopped_while_it_waits_for_a_busy_registry(run: Stopped, az: SignedInAz) -> None:
    run.fault(registry_error(429, "TOOMANYREQUESTS", headers=[("Retry-After", "100")]), host="mcr.microsoft.com")
    with started(az, *run.arguments) as command:
        run.wait_for(host="mcr.microsoft.com")
        done = command.end(signal.SIGINT)

    assert_stopped(done, command.seconds_to_end)
    run.assert_the_next_run_goes_on(az)


def test_the_service_goes_on_without_the_command(world: World, az: SignedInAz) -> None:
    world.put(IMAGE, world.azure.mcr.store, "app", "v1")
    target = world.registry()
    before, world.azure.imports.pending_polls = world.azure.imports.pending_polls, 1000
    try:
        with started(az, "acrx", "import", "--name", target.name, *SOURCE[:2], "--via", "service") as command:
            world.azure.server.log.wait_for(path="/operationResults/", timeout_seconds=60)
            done = command.end(signal.SIGINT)
    finally:
        world.azure.imports.pending_polls = before

    assert done.exit_code == 1
    assert "The service goes on with the import" in done.stderr
    assert errors_of(done) == []


@pytest.mark.parametrize(
    ("method", "path", "skip"),
    [
        ("GET", "/manifests/", 0),
        ("POST", "/blobs/uploads/", 1),
        ("PUT", "/blobs/uploads/", 1),
        ("PUT", "/manifests/", 0),
    ],
    ids=["manifest", "first blobs", "later blobs", "tag"],
)
def test_killed_at_any_point(run: Stopped, az: SignedInAz, method: str, path: str, skip: int) -> None:
    host = "mcr.microsoft.com" if method == "GET" else run.target.login_server
    run.fault(Hold(threading.Event()), host=host, method=method, path=path, skip=skip)
    with started(az, *run.arguments) as command:
        run.wait_for(host=host, method=method, path=path, count=skip + 1)
        done = command.end(signal.SIGKILL)

    assert done.exit_code == -signal.SIGKILL
    run.assert_no_tag()
    run.assert_the_next_run_goes_on(az)


def test_two_runs_at_once_both_succeed(run: Stopped, az: SignedInAz) -> None:
    both = threading.Event()
    run.fault(HoldResponse(both, after=100), host=STORAGE, when=lambda request: request.method == "GET")
    with started(az, *run.arguments) as one, started(az, *run.arguments) as other:
        run.wait_for(host=STORAGE, method="GET", count=2 * len(IMAGE.all_blobs))
        both.set()
        results = [one.wait(), other.wait()]

    assert [result.exit_code for result in results] == [0, 0], "\n".join(map(str, results))
    assert {result.json["digest"] for result in results} == {IMAGE.digest}
    assert_holds(run.target.store, "app", IMAGE, tags=["v1"])
