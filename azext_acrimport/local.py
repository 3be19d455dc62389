# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""The local route: copy from registry to registry through this machine."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from azext_acrimport.connections import Connections
from azext_acrimport.orders import Effort, Order
from azext_acrimport.registry.retry import Clock
from azext_acrimport.registry.transport import Transport
from azext_acrimport.transfer.copier import CopySettings, Root, Target, copy_all
from azext_acrimport.transfer.errors import CopyCancelled
from azext_acrimport.transfer.events import Observer
from azext_acrimport.transfer.result import CopyResult

if TYPE_CHECKING:
    from azext_acrimport.transfer.preview import Preview

_FAREWELL_SECONDS = 0.7


def root_of(order: Order, connections: Connections) -> Root:
    """What the copier is to do for an order."""
    source, to = connections.source(order), connections.target(order.target)
    return Root(
        source=source,
        identifier=order.identifier,
        targets=tuple(Target(to.repository(name), tags) for name, tags in order.images.targets.items()),
        force=order.images.force,
        platforms=order.request.platforms,
        referrers=order.request.referrers,
    )


def copy_from_here(
    roots: Sequence[Root],
    connections: Connections,
    effort: Effort,
    *,
    observe: Observer,
    halted: threading.Event | None = None,
) -> list[CopyResult | Exception]:
    """Copy images to all their names, many at once; return for each what was done, or why it failed.

    Once ``halted`` is set, what has not been finished is given up.

    :raises CopyCancelled: Ctrl-C was pressed, or the process was told to end.
    """
    settings = CopySettings(max_connections=effort.max_connections) if effort.max_connections else None
    with _stopped_by_signals(), _time_limit(effort.timeout_seconds, connections.clock, connections.transport):
        return copy_all(roots, settings=settings, observe=observe, halted=halted)


def preview_from_here(roots: Sequence[Root], connections: Connections, effort: Effort) -> list[Preview | Exception]:
    """See what such copies would do, and change nothing anywhere; return why that cannot be told where it cannot.

    :raises CopyCancelled: Ctrl-C was pressed, or the process was told to end.
    """
    from azext_acrimport.transfer.preview import preview

    settings = CopySettings(max_connections=effort.max_connections) if effort.max_connections else None
    with _stopped_by_signals(), _time_limit(effort.timeout_seconds, connections.clock, connections.transport):
        return preview(roots, settings=settings)


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """Have SIGTERM stop a copy as Ctrl-C does, and both end in ``CopyCancelled``."""
    with sigterm_as_ctrl_c():
        try:
            yield
        except KeyboardInterrupt as ex:
            raise CopyCancelled from ex


@contextmanager
def sigterm_as_ctrl_c() -> Iterator[None]:
    """Have SIGTERM raise KeyboardInterrupt, as Ctrl-C does."""
    # Python lets the main thread alone set handlers; whoever has set one already knows what it is for.
    is_ours = threading.current_thread() is threading.main_thread() and (
        signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    )
    if is_ours:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        if is_ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextmanager
def _time_limit(seconds: float | None, clock: Clock, transport: Transport) -> Iterator[None]:
    """Let the clock run out after so many seconds from the first copy on, and wake up who waits for a registry then."""
    if seconds is None:
        yield
        return
    clock.deadline = clock.deadline or clock.now() + seconds
    left, over = clock.deadline - clock.now(), threading.Event()

    def watch() -> None:
        # The clock is asked between requests, and a request may wait long for its answer.
        if over.wait(max(0.0, left) + 0.01):
            return
        transport.interrupt()
        if not over.wait(_FAREWELL_SECONDS):  # time for workers to cancel their uploads
            transport.abort()

    threading.Thread(target=watch, name="acrx-time-limit", daemon=True).start()
    try:
        yield
    finally:
        over.set()
