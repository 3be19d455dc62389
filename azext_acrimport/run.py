# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""Both routes at once, for all orders of one command: who ends how, and what a refusal of the service leads to."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from knack.log import get_logger

from azext_acrimport._progress import Display, Manner
from azext_acrimport._tally import RunTally
from azext_acrimport._verbose import log_event
from azext_acrimport.connections import Connections
from azext_acrimport.existing import missing_names
from azext_acrimport.fallback import failure_of, is_cured_here, reason_for_here, understood
from azext_acrimport.importing import ImportRefused
from azext_acrimport.local import copy_from_here, root_of, sigterm_as_ctrl_c
from azext_acrimport.oci.digest import is_digest
from azext_acrimport.orders import Effort, Order
from azext_acrimport.outcome import Status, Taken
from azext_acrimport.pinned import list_referrers, parts_of
from azext_acrimport.plan import Route, RouteRefused
from azext_acrimport.refusals import Kind
from azext_acrimport.registry.errors import Cancelled
from azext_acrimport.service import IN_FLIGHT, Pool, Service
from azext_acrimport.transfer.errors import Skipped
from azext_acrimport.transfer.events import Event, ImageFinished
from azext_acrimport.transfer.result import CopyResult

logger = get_logger(__name__)


class Ended(NamedTuple):  # pylint: disable=too-many-instance-attributes
    """How an order ended. ``failure`` is an exception of ours or of the SDK's; ``seconds`` are since the run began.

    ``digest`` and ``referrers`` are what is known of an import by the service, ``copied`` of a copy from here.
    """

    order: Order
    taken: Taken
    status: Status
    copied: CopyResult | None = None
    digest: str | None = None
    referrers: int | None = None
    failure: Exception | None = None
    seconds: float = 0.0


class Run:  # pylint: disable=too-many-instance-attributes,too-few-public-methods
    """One run over the orders of a command.

    ``fail_fast``: after the first failure nothing further is begun, and copies under way are given up. ``tell`` is told
    of each end as it comes, on whichever thread.
    """

    def __init__(
        self,
        service: Service,
        connections: Connections,
        effort: Effort,
        *,
        no_wait: bool = False,
        fail_fast: bool = False,
        shows_progress: bool = True,
        manner: Manner | None = None,
        tell: Callable[[Ended], None] | None = None,
    ) -> None:
        self._service = service
        self._connections = connections
        self._effort = effort
        self._no_wait = no_wait
        self._fail_fast = fail_fast
        self._shows_progress = shows_progress
        self._manner = manner
        self._tell = tell
        self._halted = threading.Event()
        self._lock = threading.Lock()
        self._ended: dict[int, Ended] = {}
        self._fallen: list[tuple[Order, Taken]] = []
        self._said_that_it_waits = False
        self._started = time.monotonic()
        self._tally = RunTally(0)
        self._display = Display(self._tally, sys.stderr, enabled=False)

    def __call__(self, orders: Sequence[Order]) -> list[Ended]:
        """Carry them out; return how each ended, in their order.

        :raises CopyCancelled: Ctrl-C was pressed, or the process was told to end, while images were copied.
        :raises KeyboardInterrupt: the same, while the service was waited for.
        """
        by_service = [each for each in orders if each.plan.route is Route.SERVICE]
        by_copy = [(each, _as_planned(each)) for each in orders if each.plan.route is Route.LOCAL]
        self._service.prepare(by_service)
        self._tally = RunTally(len(orders), by_service=len(by_service))
        shows = self._shows_progress and not self._no_wait
        self._display = Display(self._tally, sys.stderr, enabled=shows, manner=self._manner)
        pool = Pool(by_service, self._import, workers=IN_FLIGHT, halted=self._halted)
        with sigterm_as_ctrl_c(), self._display:
            try:
                pool.start()
                self._copy(by_copy)
                pool.wait()
                self._copy(self._fallen)
            except BaseException:
                self._leave(pool, len(by_service))
                raise
        return [self._ended.get(id(each)) or skipped(each) for each in orders]

    def _leave(self, pool: Pool, imports: int) -> None:
        goes_on = pool.is_busy
        self._service.stop()
        if goes_on:
            more = "" if imports == 1 else "s that it has begun"
            with self._display.aside():
                logger.warning("The service goes on with the import%s; see `az acr repository show-tags`.", more)

    # By the service

    def _import(self, order: Order) -> None:
        """Have the service import an image, with what refers to it, as far as that is not there yet."""
        parts: list[Order] = []
        wrote = False
        try:
            for part in parts_of(order, self._connections):
                parts.append(part)
                wrote = self._import_missing(part) or wrote
            if len(parts) > 1 and not self._no_wait:
                list_referrers(order, self._connections, [part.identifier for part in parts[1:]])
        except Cancelled:
            return
        except ImportRefused as ex:
            self._refused(order, parts, ex)
        except RouteRefused as ex:
            if order.plan.may_fall_back:
                self._fall_back(order, ex.reason)
            else:
                self._end(order, _as_planned(order), Status.FAILED, failure=ex)
        except Exception as ex:  # pylint: disable=broad-exception-caught # whatever it is, the other images go on
            logger.debug("The import of %s failed.", order.source_name, exc_info=True)
            self._end(order, _as_planned(order), Status.FAILED, failure=ex)
        else:
            status = Status.EXISTING if not wrote else Status.STARTED if self._no_wait else Status.IMPORTED
            referrers = len(parts) - 1 if order.request.referrers is not None else None
            self._end(order, _as_planned(order), status, digest=known_digest(parts[0]), referrers=referrers)
        finally:
            self._tally.import_ended()

    def _import_missing(self, part: Order) -> bool:
        """Import an image under those of its names that the target does not have yet; False where it has all."""
        try:
            self._service.import_order(part, part.images, follow=self._tally.follow)
            return True
        except ImportRefused as ex:
            if understood(part, ex).kind is not Kind.TAG_EXISTS:
                raise
            missing = missing_names(part, self._connections)
            if missing == part.images:
                raise
        if missing:
            self._service.import_order(part, missing, follow=self._tally.follow)
        return bool(missing)

    def _refused(self, order: Order, parts: Sequence[Order], ex: ImportRefused) -> None:
        """The service has refused the last of the parts."""
        refusal = understood(parts[-1], ex)
        if is_cured_here(order, refusal, self._connections.saved):
            logger.info("The service's own words: %s", ex)
            self._fall_back(order, reason_for_here(order, refusal))
            return
        failure = failure_of(parts[-1], refusal, is_referrer=len(parts) > 1)
        failure.__cause__ = ex
        self._end(order, _as_planned(order), Status.FAILED, failure=failure)

    def _fall_back(self, order: Order, reason: str) -> None:
        if self._halted.is_set():
            return
        where = f"Line {order.request.line}: " if order.request.line else ""
        with self._display.aside():
            logger.warning("%sThe service could not import it, copying from here instead: %s.", where, reason)
        with self._lock:
            self._fallen.append((order, Taken(Route.LOCAL, reason, fallback=True)))

    # By a copy from here

    def _copy(self, orders: Sequence[tuple[Order, Taken]]) -> None:
        if not orders or self._halted.is_set():
            return
        self._say_that_it_waits()
        roots = [root_of(order, self._connections) for order, _ in orders]
        by_root = {id(root): one for root, one in zip(roots, orders, strict=True)}
        complete: dict[int, float] = {}

        def observe(event: Event) -> None:
            self._tally.observe(event)
            log_event(event)
            if not isinstance(event, ImageFinished):
                return
            order, taken = by_root[id(event.root)]
            if event.failure:
                self._end(order, taken, Status.FAILED, failure=event.failure)
            else:  # what was done for it, the copier tells in the end
                complete[id(order)] = self._elapsed()
                self._tally.ended(order)

        with self._tally.copying():
            outcomes = copy_from_here(roots, self._connections, self._effort, observe=observe, halted=self._halted)
        for (order, taken), outcome in zip(orders, outcomes, strict=True):
            if isinstance(outcome, CopyResult):
                status = Status.EXISTING if outcome.unchanged else Status.IMPORTED
                self._end(order, taken, status, copied=outcome, seconds=complete.get(id(order)))
            elif not isinstance(outcome, Skipped):
                self._end(order, taken, Status.FAILED, failure=outcome)

    def _say_that_it_waits(self) -> None:
        if self._no_wait and not self._said_that_it_waits:
            self._said_that_it_waits = True
            logger.warning("--no-wait does not apply to a copy from here: it ends with the command.")

    # Ends

    def _end(self, order: Order, taken: Taken, status: Status, *, seconds: float | None = None, **how: Any) -> None:
        ended = Ended(order, taken, status, seconds=self._elapsed() if seconds is None else seconds, **how)
        with self._lock:
            is_news = id(order) not in self._ended
            self._ended.setdefault(id(order), ended)
        if not is_news:
            return
        if ended.failure and self._fail_fast:
            self._halted.set()
        self._tally.ended(order)
        if self._tell:
            with self._display.aside():
                self._tell(ended)

    def _elapsed(self) -> float:
        return time.monotonic() - self._started


def known_digest(order: Order) -> str | None:
    """The digest of the image, where the order itself says it."""
    return order.identifier if is_digest(order.identifier) else None


def skipped(order: Order) -> Ended:
    """An order that was not begun, or was given up."""
    return Ended(order, _as_planned(order), Status.SKIPPED)


def _as_planned(order: Order) -> Taken:
    return Taken(order.plan.route, order.plan.reason)
