# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""How a copy from this machine is ended from outside: by signals, and by its time limit."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from azext_acrimport import local
from azext_acrimport.connections import Connections
from azext_acrimport.orders import Effort, Order, Request
from azext_acrimport.plan import NetworkFacts, Plan, Route
from azext_acrimport.registry.errors import OutOfTime
from azext_acrimport.registry.retry import Clock
from azext_acrimport.registry.transport import Transport
from azext_acrimport.request import Images, TargetName
from azext_acrimport.resolve import Endpoint
from azext_acrimport.transfer.errors import CopyCancelled
from azext_acrimport.transfer.events import ignore
from azext_acrimport.transfer.result import CopyResult, Count

COPIED = CopyResult("sha256:" + "0" * 64, "application/x", Count(), Count(), 0)


class Ended:
    """A transport that is told when to break off."""

    def __init__(self) -> None:
        self.interrupted = threading.Event()
        self.aborted = threading.Event()

    def interrupt(self) -> None:
        self.interrupted.set()

    def abort(self) -> None:
        assert self.interrupted.is_set()
        self.aborted.set()


@pytest.fixture
def terminate() -> Iterator[None]:
    """SIGTERM as a fresh process has it."""
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("terminate")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_copy(number: signal.Signals) -> None:
    def copy() -> None:
        with local._stopped_by_signals():
            os.kill(os.getpid(), number)
            time.sleep(10)

    with pytest.raises(CopyCancelled) as raised:
        copy()

    assert isinstance(raised.value.__cause__, KeyboardInterrupt)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_somebody_elses_handler_is_left_alone() -> None:
    got: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: got.append(number))
    try:
        with local._stopped_by_signals():
            os.kill(os.getpid(), signal.SIGTERM)
        assert got == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)


def test_another_thread_sets_no_handler() -> None:
    handlers: list[Any] = []

    def run() -> None:
        with local._stopped_by_signals():
            handlers.append(signal.getsignal(signal.SIGTERM))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()

    assert handlers == [before]


def test_the_time_limit_wakes_who_waits() -> None:
    clock, transport = Clock(), Ended()
    with local._time_limit(0.05, clock, cast(Transport, transport)):
        assert transport.interrupted.wait(10)
        with pytest.raises(OutOfTime):
            clock.check("r.io")

        assert transport.aborted.wait(10)


def test_who_ends_in_time_may_say_farewell() -> None:
    clock, transport = Clock(), Ended()
    with local._time_limit(0.05, clock, cast(Transport, transport)):
        assert transport.interrupted.wait(10)

    assert not transport.aborted.wait(1)


def test_a_time_limit_that_is_not_reached_does_nothing() -> None:
    clock, transport = Clock(), Ended()
    with local._time_limit(0.05, clock, cast(Transport, transport)):
        pass

    assert not transport.interrupted.wait(0.2)


def test_without_a_time_limit_there_is_none() -> None:
    clock = Clock()
    with local._time_limit(None, clock, cast(Transport, Ended())):
        assert clock.deadline is None


@pytest.mark.parametrize("seconds", [None, 90.0])
def test_both_registries_get_the_same_effort(monkeypatch: pytest.MonkeyPatch, seconds: float | None) -> None:
    asked: list[Any] = []

    def copy(roots: Any, *, settings: Any, observe: Any, halted: Any) -> list[Any]:
        asked.append(settings)
        return [COPIED]

    monkeypatch.setattr(local, "copy_all", copy)
    monkeypatch.setattr("azext_acrimport.connections.saved_credentials", lambda *_: None)
    cli_ctx = SimpleNamespace(
        config=SimpleNamespace(get=lambda *_, **__: None),
        cloud=SimpleNamespace(endpoints=SimpleNamespace(active_directory_resource_id="https://arm.example/")),
    )
    target = NetworkFacts("target", is_acr=True, in_arm=False)
    order = Order(
        Request(TargetName("target", "target.azurecr.io"), "source.example/app:v1"),
        Endpoint("target.azurecr.io", None, target),
        Endpoint("source.example", None, NetworkFacts("source.example", is_acr=False, in_arm=False)),
        Images.of("app:v1", [], []),
        Plan(Route.LOCAL, "so it is"),
    )

    effort = Effort(7, seconds, 3)
    with Connections(cli_ctx, effort) as connections:
        root = local.root_of(order, connections)
        local.copy_from_here([root], connections, effort, observe=ignore)

    assert [settings.max_connections for settings in asked] == [3]
    clients = [root.source.registry.client, root.targets[0].repository.registry.client]
    assert [client.policy.retries for client in clients] == [7, 7]
    assert clients[0].clock is clients[1].clock
    assert (clients[0].clock.deadline is None) == (seconds is None)
