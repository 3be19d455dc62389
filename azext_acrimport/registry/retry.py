# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""When a request is sent again, and how long that waits."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Mapping
from typing import NamedTuple

from azext_acrimport.registry.errors import Cancelled, OutOfTime

MAX_WAIT_SECONDS = 120.0  # a registry that asks for more is told that we give up

# How far a transfer must get for its failures before that to be forgotten: a byte at a time is no progress.
PROGRESS_BYTES = 16 << 10


class RetryPolicy(NamedTuple):
    """How often and how patiently: ``retries`` further tries, the n-th after ``base_seconds * 2**n`` with jitter."""

    retries: int = 5
    base_seconds: float = 0.5
    cap_seconds: float = 30.0

    def delay(self, tries: int, asked: float | None, chance: float) -> float | None:
        """Seconds to wait before the next try, after ``tries`` failed ones; None when that was the last.

        ``asked`` is what the registry asked for; ``chance`` a random number from 0 to 1 for the jitter.
        """
        if tries > self.retries:
            return None
        if asked is not None:
            return asked + chance * self.base_seconds if asked <= MAX_WAIT_SECONDS else None
        return min(self.cap_seconds, self.base_seconds * 2.0 ** (tries - 1)) * (0.5 + chance / 2)


class Clock:
    """Time as the retries see it, and the one place where a run is told to stop or runs out of time."""

    def __init__(self, deadline: float | None = None) -> None:
        self.deadline = deadline
        self.cancelled = threading.Event()

    def now(self) -> float:
        """Seconds on a clock that only goes forward."""
        return time.monotonic()

    def today(self) -> float:
        """Seconds since 1970."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Wait, unless the run is cancelled or out of time meanwhile."""
        left = seconds if self.deadline is None else max(0.0, self.deadline - self.now())
        self.cancelled.wait(min(seconds, left))

    def check(self, host: str) -> None:
        """Let the run go on, or not.

        :raises Cancelled: somebody stopped it.
        :raises OutOfTime: its time limit is reached; ``host`` is being waited for.
        """
        if self.cancelled.is_set():
            raise Cancelled
        if self.deadline is not None and self.now() > self.deadline:
            raise OutOfTime(host)

    def chance(self) -> float:
        """A random number from 0 to 1."""
        return random.random()


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds that a ``Retry-After`` header asks for, given as seconds or as a date; None without one.

    ``now`` in seconds since 1970. Source: RFC 9110, section 10.2.3.
    """
    value = headers.get("retry-after", "").strip()
    if not value:
        return None
    if value.isascii() and value.isdigit():
        return float(value[:9])
    from email.utils import parsedate_to_datetime  # only here, for it is slow to import

    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now)
    except (ValueError, TypeError, OverflowError):
        return None
