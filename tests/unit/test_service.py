# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""The service route: patient where the service is throttled, bounded, and ended by who stops it."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest

from azext_acrimport import service
from azext_acrimport.importing import ImportRefused
from azext_acrimport.orders import Login
from azext_acrimport.registry.errors import Cancelled
from azext_acrimport.service import IN_FLIGHT, PATIENCE, Pool, Service, is_throttled
from tests.support.lab import FastClock
from tests.support.orders import order

HAP429 = ImportRefused(400, "InvalidParameters", "Invalid message 429 Too Many Requests Too Many Requests (HAP429).")
ARM_429 = ImportRefused(429, "TooManyRequests", "slower")
AT_SOURCE = ImportRefused(400, "", "TOOMANYREQUESTS: You have reached your pull rate limit")
ABSENT = ImportRefused(400, "InvalidParameters", 'Invalid message NotFound {"errors":[{"code":"MANIFEST_UNKNOWN"}]}')


class Played:
    """The service, which refuses as it is told before it imports."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *refusals: ImportRefused) -> None:
        self.refusals = list(refusals)
        self.calls = 0
        self.clock = FastClock()
        monkeypatch.setattr(service, "import_image", self._import)

    def _import(self, *_: Any, stopped: threading.Event, **__: Any) -> None:
        self.calls += 1
        if self.refusals:
            raise self.refusals.pop(0)

    def __call__(self, *, patient: bool = True) -> None:
        one = order()
        made = Service(lambda name: SimpleNamespace(), lambda order: None, patient=patient, clock=self.clock)
        made.prepare([one])
        made.import_order(one, one.images, follow=lambda states: None)


@pytest.mark.parametrize("refusal", [HAP429, ARM_429], ids=["HAP429", "429"])
def test_a_throttled_import_of_many_is_tried_again_after_growing_waits(
    monkeypatch: pytest.MonkeyPatch, refusal: ImportRefused
) -> None:
    played = Played(monkeypatch, *[refusal] * 4)

    played()

    assert played.calls == 5
    assert played.clock.waits == [3.75, 7.5, 15.0, 30.0]  # 5, 10, 20 and 40, less what chance takes


def test_patience_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    played = Played(monkeypatch, *[HAP429] * 20)

    with pytest.raises(ImportRefused):
        played()

    assert played.calls == PATIENCE.retries + 1
    assert 120 < sum(played.clock.waits) < 600  # minutes, as the throttling takes


@pytest.mark.parametrize(("refusal", "patient"), [(HAP429, False), (ABSENT, True)])
def test_other_refusals_and_those_of_a_single_image_are_the_answer(
    monkeypatch: pytest.MonkeyPatch, refusal: ImportRefused, patient: bool
) -> None:
    played = Played(monkeypatch, refusal)

    with pytest.raises(ImportRefused):
        played(patient=patient)

    assert (played.calls, played.clock.waits) == (1, [])


def test_who_stops_it_ends_a_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    played = Played(monkeypatch, *[HAP429] * 3)
    sleep = played.clock.sleep

    def stopped_meanwhile(seconds: float) -> None:
        sleep(seconds)
        played.clock.cancelled.set()

    monkeypatch.setattr(played.clock, "sleep", stopped_meanwhile)

    with pytest.raises(Cancelled):
        played()

    assert played.calls == 1


def test_a_pool_works_on_several_items_at_once_and_on_no_more_than_it_may() -> None:
    together = threading.Barrier(IN_FLIGHT)
    lock = threading.Lock()
    running = most = 0

    def task(item: int) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        together.wait(20)
        with lock:
            running -= 1

    pool = Pool(range(3 * IN_FLIGHT), task, workers=IN_FLIGHT, halted=threading.Event())
    pool.start()
    pool.wait()

    assert most == IN_FLIGHT


def test_a_pool_begins_nothing_once_it_is_halted_and_raises_what_left_a_task() -> None:
    halted, done = threading.Event(), []

    def task(item: int) -> None:
        done.append(item)
        if item == 2:
            halted.set()
        if item == 3:
            raise ValueError("a defect")

    pool = Pool(range(6), task, workers=1, halted=halted)
    pool.start()
    pool.wait()
    assert done == [0, 1, 2]

    halted.clear()
    done.clear()
    pool = Pool([3, 4, 5], task, workers=1, halted=halted)
    pool.start()
    with pytest.raises(ValueError, match="a defect"):
        pool.wait()
    assert done == [3]


def test_a_pool_is_busy_for_as_long_as_a_task_is_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, over = threading.Event(), threading.Event()

    def task(item: int) -> None:
        begun.set()
        assert over.wait(10)

    pool = Pool([1], task, workers=1, halted=threading.Event())
    assert not pool.is_busy
    pool.start()
    assert begun.wait(10)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "is_alive", lambda thread: False)  # what Ctrl-C in join() may leave behind
        assert pool.is_busy
    over.set()
    pool.wait()
    assert not pool.is_busy


def test_a_pool_without_items_has_nothing_to_wait_for() -> None:
    pool = Pool([], print, workers=3, halted=threading.Event())
    pool.start()
    pool.wait()
    assert not pool.is_busy


@pytest.mark.parametrize(("refusal", "passes"), [(HAP429, True), (ARM_429, True), (AT_SOURCE, False), (ABSENT, False)])
def test_only_the_services_own_throttling_passes(refusal: ImportRefused, passes: bool) -> None:
    assert is_throttled(refusal) is passes


def test_the_targets_subscription_is_asked_and_shown_what_the_source_is_to_see(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    asked: list[tuple[Any, Any]] = []

    def client_for(subscription: str) -> str:
        made.append(subscription)
        return f"of {subscription}"

    monkeypatch.setattr(service, "import_image", lambda client, target, body, **_: asked.append((client, body)))
    wanted = order(login=Login("me", "secret"), force=True)
    served = Service(client_for, lambda order: order.request.login.password)
    for _ in range(2):
        served.prepare([wanted])
        served.import_order(wanted, wanted.images, follow=lambda states: None)

    assert made == ["sub-1"]
    assert [client for client, _ in asked] == ["of sub-1"] * 2
    assert asked[0][1]["source"] == {
        "sourceImage": "library/app:v1",
        "registryUri": "docker.io",
        "credentials": {"username": "me", "password": "secret"},
    }
    assert asked[0][1]["mode"] == "Force"
