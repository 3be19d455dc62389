# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""A copy that is to end at once, while it makes a connection, waits for a busy registry or writes its tag."""

from __future__ import annotations

import signal
import threading
import time

import pytest

from emulator.faults import Action, Fault, Hold, Stall, registry_error
from emulator.injection import Line
from emulator.messages import Request, Response
from tests.cli.conftest import SignedInAz
from tests.cli.running import started
from tests.cli.test_interrupts import STORAGE, Stopped, assert_stopped
from tests.cli.world import World

pytestmark = pytest.mark.cli


class Noticed(Action):
    """A proxy that takes the connection and says nothing; ``asked`` tells that it was asked."""

    def __init__(self) -> None:
        self.asked = threading.Event()

    def on_request(self, request: Request, line: Line) -> Response | None:
        self.asked.set()
        return Stall().on_request(request, line)


@pytest.fixture
def run(world: World) -> Stopped:
    return Stopped(world)


def test_stopped_while_a_connection_is_made(run: Stopped, az: SignedInAz) -> None:
    silent = Noticed()
    run.world.azure.server.faults.add(Fault(silent, method="CONNECT", host=STORAGE, times=None))
    with started(az, *run.arguments) as command:
        assert silent.asked.wait(60)
        done = command.end(signal.SIGINT)

    assert_stopped(done, command.seconds_to_end)
    run.assert_no_tag()


def test_time_limit_while_a_connection_is_made(run: Stopped, az: SignedInAz) -> None:
    run.world.azure.server.faults.add(Fault(Stall(), method="CONNECT", host=STORAGE, times=None))

    began = time.monotonic()
    az(*run.arguments, "--timeout", "2s", fails=True)

    assert time.monotonic() - began < 10
    run.assert_no_tag()


def test_time_limit_while_a_busy_registry_is_waited_for(run: Stopped, az: SignedInAz) -> None:
    run.fault(registry_error(429, "TOOMANYREQUESTS", headers=[("Retry-After", "30")]), host="mcr.microsoft.com")

    began = time.monotonic()
    done = az(*run.arguments, "--timeout", "2s", fails=True)

    assert time.monotonic() - began < 10
    assert "--timeout" in done.stderr
    run.assert_no_tag()


def test_tag_that_was_on_its_way_is_not_sent_again(run: Stopped, az: SignedInAz) -> None:
    """A connection that we break ourselves is not one that had gone stale."""
    host = run.target.login_server
    run.world.azure.server.faults.add(Fault(Hold(threading.Event()), host=host, method="PUT", path="/manifests/v1"))
    with started(az, *run.arguments) as command:
        run.wait_for(host=host, method="PUT", path="/manifests/v1")
        done = command.end(signal.SIGINT)

    assert_stopped(done, command.seconds_to_end)
    run.assert_no_tag()
    assert run.world.azure.server.log.count("PUT", "/manifests/v1", host=host) == 1
