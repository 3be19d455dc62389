# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""The pool of threads: order, bounds, and how it ends."""

from __future__ import annotations

import threading
from functools import partial

import pytest

from azext_acrimport.transfer.executor import Executor, Priority

WAIT_SECONDS = 10  # an upper bound, never waited for


def test_runs_everything_also_what_tasks_submit() -> None:
    executor = Executor(workers=4, bulk_workers=2)
    done: list[int] = []

    def task(depth: int) -> None:
        done.append(depth)
        if depth < 5:
            for _ in range(2):
                executor.submit(Priority.SMALL_BLOB, partial(task, depth + 1))

    executor.submit(Priority.GET_MANIFEST, partial(task, 0))
    executor.run()
    executor.stop()
    assert sorted(done) == [depth for depth in range(6) for _ in range(2**depth)]


def test_nothing_to_do_ends_at_once() -> None:
    executor = Executor(workers=4, bulk_workers=2)
    executor.run()
    executor.stop()


def hold(executor: Executor) -> threading.Event:
    """Keep the only thread busy until the event is set, so that what is submitted meanwhile queues up."""
    began, gate = threading.Event(), threading.Event()

    def task() -> None:
        began.set()
        gate.wait(WAIT_SECONDS)

    executor.submit(Priority.SMALL_BLOB, task)
    began.wait(WAIT_SECONDS)
    return gate


def test_order_is_by_priority_then_size_then_age() -> None:
    executor = Executor(workers=1, bulk_workers=1)
    order: list[str] = []
    gate = hold(executor)
    for name, priority, size in [
        ("small 1", Priority.SMALL_BLOB, 1),
        ("small 9", Priority.SMALL_BLOB, 9),
        ("small 9 again", Priority.SMALL_BLOB, 9),
        ("big 1", Priority.BIG_BLOB, 100),
        ("big 2", Priority.BIG_BLOB, 200),
        ("get", Priority.GET_MANIFEST, 0),
        ("put", Priority.PUT_MANIFEST, 0),
    ]:
        executor.submit(priority, partial(order.append, name), size=size)
    gate.set()
    executor.run()
    executor.stop()
    assert order == ["put", "get", "big 2", "big 1", "small 9", "small 9 again", "small 1"]


@pytest.mark.parametrize(("priority", "most"), [(Priority.BIG_BLOB, 2), (Priority.SMALL_BLOB, 5)])
def test_threads_are_bounded(priority: Priority, most: int) -> None:
    executor = Executor(workers=5, bulk_workers=2)
    lock = threading.Lock()
    full = threading.Event()
    running = peak = 0

    def task() -> None:
        nonlocal running, peak
        with lock:
            running += 1
            peak = max(peak, running)
            if running == most:
                full.set()
        full.wait(WAIT_SECONDS)
        with lock:
            running -= 1

    for _ in range(20):
        executor.submit(priority, task)
    executor.run()
    executor.stop()
    assert peak == most


def test_big_blobs_do_not_hold_up_small_ones() -> None:
    executor = Executor(workers=3, bulk_workers=1)
    small_done = threading.Event()
    seen: list[bool] = []
    for _ in range(3):
        executor.submit(Priority.BIG_BLOB, lambda: seen.append(small_done.wait(WAIT_SECONDS)))
    executor.submit(Priority.SMALL_BLOB, small_done.set)
    executor.run()
    executor.stop()
    assert seen == [True] * 3


def test_no_more_threads_than_work() -> None:
    before = threading.active_count()
    executor = Executor(workers=50, bulk_workers=4)
    alive: list[int] = []
    executor.submit(Priority.GET_MANIFEST, lambda: alive.append(threading.active_count()))
    executor.run()
    executor.stop()
    assert alive[0] <= before + 1
    assert threading.active_count() <= before


def test_first_exception_stops_the_pool_and_comes_out() -> None:
    executor = Executor(workers=1, bulk_workers=1)
    done: list[str] = []

    def fail() -> None:
        raise LookupError("first")

    gate = hold(executor)
    executor.submit(Priority.GET_MANIFEST, fail)
    executor.submit(Priority.SMALL_BLOB, partial(done.append, "later"))
    gate.set()
    with pytest.raises(LookupError, match="first"):
        executor.run()
    executor.stop()
    assert done == []
