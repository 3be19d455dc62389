# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""Runs tasks by priority on a few threads, which are started as they are needed."""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Callable
from enum import IntEnum

Task = Callable[[], None]
_RECOVERY = 0.05  # threads that one task done gives back after a narrowing
_STACK_BYTES = 512 << 10  # the default of 8 MiB is address space only, but some limits count it


class Priority(IntEnum):
    """What goes first. Manifests open up further work or complete an image; blobs fill the time between."""

    PUT_MANIFEST = 0
    GET_MANIFEST = 1
    BIG_BLOB = 2
    SMALL_BLOB = 3


class Executor:  # pylint: disable=too-many-instance-attributes
    """A pool of at most ``workers`` threads, of which at most ``bulk_workers`` move big blobs at a time.

    Tasks may submit further tasks. The first exception that leaves a task stops the pool.
    :meth:`narrow` halves the number of threads that work; each task that is done lets a little more work again.
    """

    def __init__(self, *, workers: int, bulk_workers: int) -> None:
        self.workers = workers
        self._allowed = float(workers)
        self._bulk_workers = bulk_workers
        lock = threading.RLock()
        self._condition = threading.Condition(lock)  # what threads wait on for a task
        self._over = threading.Condition(lock)  # what run() waits on: of its own, so that no thread's wake-up is lost
        self._queues: dict[Priority, list[tuple[int, int, Task]]] = {priority: [] for priority in Priority}
        self._count = 0
        self._threads: list[threading.Thread] = []
        self._running = 0
        self.bulk_running = 0
        self._stopped = False
        self._failure: BaseException | None = None

    def submit(self, priority: Priority, task: Task, *, size: int = 0) -> None:
        """Queue a task. Of two with the same priority the larger goes first."""
        with self._condition:
            self._count += 1
            heapq.heappush(self._queues[priority], (-size, self._count, task))
            self._condition.notify()
            self._start_threads()

    def widen(self, workers: int, bulk_workers: int) -> None:
        """Allow so many threads, and so many of them for big blobs, if that is more than before."""
        with self._condition:
            self._bulk_workers = max(self._bulk_workers, bulk_workers)
            if workers > self.workers:
                self._allowed += workers - self.workers
                self.workers = workers
                self._start_threads()

    def narrow(self) -> None:
        """Let half as many threads work as are working now."""
        with self._condition:
            self._allowed = max(1.0, min(self._allowed, self._running) / 2)

    def run(self) -> None:
        """Wait until every task is done; raise the exception that stopped the pool, if one did."""
        with self._condition:
            while not self._is_over():
                self._over.wait(1.0)  # with a limit, so that Ctrl-C gets through on every platform
        if self._failure:
            raise self._failure

    def stop(self, seconds: float | None = None) -> None:
        """Start no further task, and wait for those under way; no longer than so many seconds, if that is given."""
        with self._condition:
            self._stopped = True
            self._condition.notify_all()
        deadline = None if seconds is None else time.monotonic() + seconds
        for thread in self._threads:
            thread.join(None if deadline is None else max(0.0, deadline - time.monotonic()))

    def _start_threads(self) -> None:
        """Have a thread for each task that waits, as far as more are allowed. Called under the lock."""
        waiting = sum(map(len, self._queues.values()))
        for _ in range(min(waiting + self._running, self.workers) - len(self._threads)):
            previous = threading.stack_size(_STACK_BYTES)
            try:
                thread = threading.Thread(target=self._work, name=f"acrx-{len(self._threads)}", daemon=True)
                thread.start()
            finally:
                threading.stack_size(previous)
            self._threads.append(thread)

    def _work(self) -> None:
        with self._condition:
            while taken := self._take():
                priority, task = taken
                failure = self._outside(task)
                self._failure = self._failure or failure
                self._stopped = self._stopped or failure is not None
                self._running -= 1
                self._allowed = min(self.workers, self._allowed + _RECOVERY)
                self.bulk_running -= priority is Priority.BIG_BLOB
                if self._is_over():
                    self._over.notify()
                else:
                    self._condition.notify()

    def _outside(self, task: Task) -> BaseException | None:
        """Run a task without the lock, and return what left it."""
        self._condition.release()
        try:
            task()
            return None
        except BaseException as ex:  # noqa: BLE001 # pylint: disable=broad-exception-caught # run() raises it
            return ex
        finally:
            self._condition.acquire()

    def _take(self) -> tuple[Priority, Task] | None:
        """The next task, waiting for one; None when there will be no more. Called under the lock."""
        while not self._stopped:
            for priority, queue in self._queues.items() if self._running < self._allowed else ():
                if not queue or (priority is Priority.BIG_BLOB and self.bulk_running >= self._bulk_workers):
                    continue
                self._running += 1
                self.bulk_running += priority is Priority.BIG_BLOB
                return priority, heapq.heappop(queue)[2]
            self._condition.wait()
        return None

    def _is_over(self) -> bool:
        return self._stopped or not (self._running or any(self._queues.values()))
