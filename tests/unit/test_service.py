# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""The service route by itself: how patient it is with throttling, whom it asks, and the pool of several imports."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import pytest

from azext_acrimport import service
from azext_acrimport.importing import ImportRefused
from azext_acrimport.orders import Login, Order
from azext_acrimport.registry.errors import Cancelled
from azext_acrimport.service import PATIENCE, Pool, Service, is_throttled
from tests.support.lab import FastClock
from tests.support.orders import azure_registry, order

HAP429 = ImportRefused(400, "", "Operation failed. HAP429: too many requests")
AT_SOURCE = ImportRefused(400, "", "TOOMANYREQUESTS: You have reached your pull rate limit")
BUSY = ImportRefused(429, "TooManyRequests", "slow down")


class Arm:
    """The operation, which answers from a list; None is success."""

    def __init__(self, *answers: ImportRefused | None) -> None:
        self.answers = list(answers)
        self.bodies: list[Mapping[str, Any]] = []
        self.clients: list[Any] = []

    def __call__(self, client: Any, target: Any, body: Mapping[str, Any], **_: Any) -> None:
        self.clients.append(client)
        self.bodies.append(body)
        answer = self.answers.pop(0) if self.answers else None
        if answer:
            raise answer


def serve(
    monkeypatch: pytest.MonkeyPatch, arm: Arm, clock: FastClock, *, patient: bool = True, password: str | None = None
) -> Service:
    monkeypatch.setattr(service, "import_image", arm)
    return Service(lambda subscription: f"of {subscription}", lambda order: password, patient=patient, clock=clock)


def run(served: Service, wanted: Order) -> None:
    served.prepare([wanted])
    served.import_order(wanted, wanted.images, follow=lambda states: None)


@pytest.mark.parametrize(
    ("refusal", "throttled"),
    [(HAP429, True), (BUSY, True), (AT_SOURCE, False), (ImportRefused(400, "", "manifest unknown"), False)],
)
def test_only_the_services_own_throttling_passes(refusal: ImportRefused, throttled: bool) -> None:
    assert is_throttled(refusal) is throttled


def test_a_throttled_import_is_tried_again_after_longer_and_longer_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    arm, clock = Arm(HAP429, BUSY, HAP429), FastClock()

    run(serve(monkeypatch, arm, clock), order())

    assert len(arm.bodies) == 4
    assert clock.waits == sorted(clock.waits)
    assert PATIENCE.base_seconds / 2 <= clock.waits[0] <= PATIENCE.base_seconds


@pytest.mark.parametrize(
    ("refusals", "patient", "tries"),
    [([HAP429] * 20, True, PATIENCE.retries + 1), ([HAP429], False, 1), ([AT_SOURCE], True, 1)],
)
def test_patience_has_an_end(
    monkeypatch: pytest.MonkeyPatch, refusals: list[ImportRefused], patient: bool, tries: int
) -> None:
    arm = Arm(*refusals)

    with pytest.raises(ImportRefused):
        run(serve(monkeypatch, arm, FastClock(), patient=patient), order())

    assert len(arm.bodies) == tries


def test_who_stops_is_not_kept_by_a_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stopping(FastClock):
        def sleep(self, seconds: float) -> None:
            served.stop()

    arm = Arm(HAP429)
    served = serve(monkeypatch, arm, Stopping())

    with pytest.raises(Cancelled):
        run(served, order())

    assert len(arm.bodies) == 1


def test_the_targets_subscription_is_asked_and_each_client_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    arm = Arm()
    monkeypatch.setattr(service, "import_image", arm)

    def client_for(subscription: str) -> str:
        made.append(subscription)
        return f"of {subscription}"

    served = Service(client_for, lambda order: None)
    for _ in range(2):
        run(served, order())

    assert made == [azure_registry("prodreg").id.subscription]
    assert arm.clients == ["of sub-1", "of sub-1"]


def test_the_source_is_shown_what_is_known_by_then(monkeypatch: pytest.MonkeyPatch) -> None:
    arm = Arm()

    run(serve(monkeypatch, arm, FastClock(), password="secret"), order(login=Login("me", "secret"), force=True))

    assert arm.bodies[0]["source"] == {
        "sourceImage": "library/app:v1",
        "registryUri": "docker.io",
        "credentials": {"username": "me", "password": "secret"},
    }
    assert arm.bodies[0]["mode"] == "Force"


def test_a_pool_does_all_on_a_few_threads() -> None:
    lock, done, threads = threading.Lock(), [], set()
    together = threading.Barrier(3, timeout=10)

    def task(item: int) -> None:
        if item < 3:
            together.wait()  # so many are under way at once
        with lock:
            done.append(item)
            threads.add(threading.get_ident())

    pool = Pool(range(20), task, workers=3, halted=threading.Event())
    pool.start()
    pool.wait()

    assert sorted(done) == list(range(20))
    assert len(threads) <= 3
    assert not pool.is_busy


def test_a_pool_that_is_halted_begins_nothing_further() -> None:
    halted, done = threading.Event(), []

    def task(item: int) -> None:
        done.append(item)
        halted.set()

    pool = Pool(range(20), task, workers=1, halted=halted)
    pool.start()
    pool.wait()

    assert done == [0]


def test_what_leaves_a_task_ends_the_pool() -> None:
    def task(item: int) -> None:
        raise KeyError(item)

    pool = Pool(range(20), task, workers=1, halted=threading.Event())
    pool.start()

    with pytest.raises(KeyError):
        pool.wait()


def test_a_pool_without_items_has_nothing_to_wait_for() -> None:
    pool = Pool([], print, workers=3, halted=threading.Event())
    pool.start()
    pool.wait()
    assert not pool.is_busy
