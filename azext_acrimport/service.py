# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""The service route: several imports at once, each followed to its end, patient where the service is throttled."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from azext_acrimport.importing import Follow, ImportRefused, import_image
from azext_acrimport.orders import Order
from azext_acrimport.refusals import Kind, classify
from azext_acrimport.registry.retry import Clock, RetryPolicy
from azext_acrimport.request import Images, import_body

IN_FLIGHT = (
    8  # operations at once: the service throttles mass imports, https://github.com/dotnet/docker-tools/pull/1062
)
# Throttling of the service (HAP429) ends within minutes; ARM's own 429 the SDK waits out by itself.
PATIENCE = RetryPolicy(retries=6, base_seconds=5.0, cap_seconds=120.0)

ClientFor = Callable[[str], Any]


class Service:
    """The operation importImage for the orders of one command.

    ``client_for`` gives the SDK's operations on registries of a subscription; ``password_of`` what the service is to
    show an order's source, on any thread. ``patient``: a throttled import is tried
    again after a wait; else the refusal is the answer at once.
    """

    def __init__(
        self,
        client_for: ClientFor,
        password_of: Callable[[Order], str | None],
        *,
        no_wait: bool = False,
        patient: bool = False,
        clock: Clock | None = None,
    ) -> None:
        self._client_for = client_for
        self._password_of = password_of
        self._clients: dict[str, Any] = {}
        self._no_wait = no_wait
        self._policy = PATIENCE if patient else RetryPolicy(retries=0)
        self._clock = clock or Clock()

    def prepare(self, orders: Sequence[Order]) -> None:
        """Make the clients that the orders need, on this thread: the CLI's profile is not for several."""
        for order in orders:
            subscription = order.target.subscription
            if subscription and subscription not in self._clients:
                self._clients[subscription] = self._client_for(subscription)

    def stop(self) -> None:
        """Wait for nothing any more: what the service has begun goes on there."""
        self._clock.cancelled.set()

    def import_order(self, order: Order, images: Images, *, follow: Follow) -> None:
        """Have the service import images of an order, and wait for it unless that was not asked for.

        :raises ImportRefused: the service refused or failed.
        :raises Cancelled: :meth:`stop` was called.
        """
        azure = order.target.azure
        if azure is None:
            raise ValueError("the service route needs a target that Azure Resource Manager shows")
        body = import_body(
            images,
            resource_id=order.source.resource_id,
            host=order.source.host,
            username=order.request.login.username,
            password=self._password_of(order),
        )
        client, tries = self._clients[azure.id.subscription], 0
        while True:
            self._clock.check(order.target.host)
            try:
                import_image(
                    client, azure.id, body, follow=follow, no_wait=self._no_wait, stopped=self._clock.cancelled
                )
                return
            except ImportRefused as ex:
                tries += 1
                delay = self._policy.delay(tries, None, self._clock.chance()) if is_throttled(ex) else None
                if delay is None:
                    raise
                self._clock.sleep(delay)


def is_throttled(ex: ImportRefused) -> bool:
    """Whether the service has too many imports of this registry under way, which passes."""
    if ex.status == 429:
        return True
    refusal = classify(f"{ex.code}: {ex.message}", status=ex.status, target_host="", source_host="")
    return refusal.kind is Kind.THROTTLED and refusal.side == "target"


class Pool:
    """Runs one task for each of some items on a few threads, which end with the process.

    Threads of ``concurrent.futures`` would be waited for at the exit of the process, and with them the service.
    """

    def __init__(self, items: Sequence[Any], task: Callable[[Any], None], *, workers: int, halted: threading.Event):
        self._items = deque(items)
        self._task = task
        self._halted = halted
        self._failure: BaseException | None = None
        self._lock = threading.Lock()
        self._under_way = 0
        self._threads = [
            threading.Thread(target=self._work, name=f"acrx-service-{index}", daemon=True)
            for index in range(min(workers, len(items)))
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def wait(self) -> None:
        """Wait until every task is done, or none is begun any more; raise what left a task, if anything did."""
        for thread in self._threads:
            while thread.is_alive():
                thread.join(0.5)  # with a limit, so that Ctrl-C gets through on every platform
        if self._failure:
            raise self._failure

    @property
    def is_busy(self) -> bool:
        """Whether a task is being done."""
        # Not by the threads: one that Ctrl-C was waiting for is said to have ended, https://bugs.python.org/issue45274
        return self._under_way > 0

    def _work(self) -> None:
        while not (self._failure or self._halted.is_set()):
            try:
                item = self._items.popleft()
            except IndexError:
                return
            self._count(1)
            try:
                self._task(item)
            except BaseException as ex:  # noqa: BLE001 # pylint: disable=broad-exception-caught # wait() raises it
                self._failure = self._failure or ex
            finally:
                self._count(-1)

    def _count(self, more: int) -> None:
        with self._lock:
            self._under_way += more
