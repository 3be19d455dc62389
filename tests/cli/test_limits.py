# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""How long the command goes on where it does not get through: ``--retries`` and ``--timeout``."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from emulator import content
from emulator.faults import Answer, Fault, Hold, HoldResponse
from emulator.public import MicrosoftRegistry
from emulator.resources import AzureRegistry
from tests.cli.conftest import SignedInAz
from tests.cli.world import World
from tests.support.images import assert_holds

pytestmark = pytest.mark.cli

IMAGE = content.image("limits", layers=(300_000, 100_000))
STORAGE = MicrosoftRegistry.BLOB_HOST
SOURCE = ("--source", "mcr.microsoft.com/app:v1")
# A command of az takes one or two seconds by itself, and more on a machine that is busy with other tests.
SLACK_SECONDS = 8


@pytest.fixture
def target(world: World) -> AzureRegistry:
    world.put(IMAGE, world.azure.mcr.store, "app", "v1")
    return world.registry()


def fault(world: World, action: Any, times: int | None = None, **where: Any) -> None:
    world.azure.server.faults.add(Fault(action, times=times, **where))


def is_read(request: Any) -> bool:
    return str(request.method) == "GET"


def assert_no_tag(target: AzureRegistry) -> None:
    held = target.store.get("app")
    assert held is None or held.tags == {}


@pytest.mark.parametrize("retries", [0, 1, 2])
def test_a_request_is_sent_again_as_often_as_asked(
    world: World, az: SignedInAz, target: AzureRegistry, retries: int
) -> None:
    fault(world, Answer(503), host=target.login_server, method="PUT", path="/manifests/")

    arguments = ("--name", target.name, *SOURCE, "--via", "local", "--retries", str(retries))
    done = az("acrx", "import", *arguments, fails=True)

    assert done.exit_code == 1
    assert f"target {target.login_server}/app" in done.stderr
    assert "503" in done.stderr
    assert world.azure.server.log.count("PUT", "/manifests/", host=target.login_server) == 1 + retries
    assert_no_tag(target)


def test_a_failure_that_passes_is_survived_without_being_asked(
    world: World, az: SignedInAz, target: AzureRegistry
) -> None:
    fault(world, Answer(503), times=1, host=target.login_server, method="PUT", path="/manifests/")

    az("acrx", "import", "--name", target.name, *SOURCE, "--via", "local")

    assert_holds(target.store, "app", IMAGE, tags=["v1"])


@pytest.mark.parametrize("limit", ["2s", "0.03m"])
def test_a_silent_registry_is_left_when_the_time_is_up(
    world: World, az: SignedInAz, target: AzureRegistry, limit: str
) -> None:
    fault(world, HoldResponse(threading.Event(), after=1000), host=STORAGE, when=is_read)
    arguments = ("acrx", "import", "--name", target.name, *SOURCE, "--via", "local")

    began = time.monotonic()
    done = az(*arguments, "--timeout", limit, fails=True)
    taken = time.monotonic() - began

    assert done.exit_code == 1
    assert 1.8 < taken < 2 + SLACK_SECONDS
    assert "The time limit (--timeout) was reached in the middle of the copy" in done.stderr
    assert "Run the command again to go on from here" in done.stderr
    assert_no_tag(target)
    world.azure.server.faults.clear()
    assert az(*arguments).json["blobs"]["copied"] <= len(IMAGE.all_blobs)
    assert_holds(target.store, "app", IMAGE, tags=["v1"])


def test_the_time_is_up_at_the_target_too(world: World, az: SignedInAz, target: AzureRegistry) -> None:
    fault(world, Hold(threading.Event()), host=target.login_server, method="PUT", path="/manifests/")

    done = az("acrx", "import", "--name", target.name, *SOURCE, "--via", "local", "--timeout", "2", fails=True)

    assert f"while waiting for target {target.login_server}/app:v1" in done.stderr
    assert_no_tag(target)


def test_a_limit_that_is_not_reached_is_not_noticed(world: World, az: SignedInAz, target: AzureRegistry) -> None:
    az("acrx", "import", "--name", target.name, *SOURCE, "--via", "local", "--timeout", "10m", "--retries", "0")

    assert_holds(target.store, "app", IMAGE, tags=["v1"])


def test_neither_means_anything_to_the_service(world: World, az: SignedInAz, target: AzureRegistry) -> None:
    done = az("acrx", "import", "--name", target.name, *SOURCE, "--timeout", "0.1", "--retries", "0")

    assert done.json["route"] == "service"
    assert_holds(target.store, "app", IMAGE, tags=["v1"])


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("--timeout", "soon", "such as 90, 90s, 15m or 2h"),
        ("--timeout", "0", "more than 0"),
        ("--retries", "-1", "from 0 to 100"),
        ("--retries", "many", "invalid int value: 'many'"),
    ],
)
def test_values_that_make_no_sense(
    world: World, az: SignedInAz, target: AzureRegistry, option: str, value: str, says: str
) -> None:
    done = az("acrx", "import", "--name", target.name, *SOURCE, f"{option}={value}", fails=True)

    assert option in done.stderr
    assert says in done.stderr
    assert world.azure.server.log.matching(client="inside", host="*.azurecr.io") == []
