# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""What a command has done so far, in numbers: what its progress shows."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from azext_acrimport.transfer.events import (
    BlobAdvanced,
    BlobFinished,
    BlobsFound,
    BlobStarted,
    Event,
    Waiting,
)
from azext_acrimport.transfer.result import BlobOutcome

_RATE_SECONDS = 10.0  # the rate is over this long: steady, yet soon right after a stall
_BAR = 24
_LEAST_BAR = 4  # a shorter one tells nothing

Clock = Callable[[], float]


class Tally(Protocol):
    """What a display shows."""

    def parts(self) -> list[str]:
        """Everything in one line, in parts; where there is no room for all, the last ones are left out."""

    def blobs(self, columns: int) -> list[str]:
        """A line for each blob on its way, of so many columns at the most."""

    def share(self) -> float:
        """How much of it is done, from 0 to 1, as far as it is known by now."""


@dataclass
class _Blob:
    """A blob on its way, in bytes."""

    size: int
    arrived: int = 0


@dataclass
class _Sum:
    """So many blobs with so many bytes."""

    blobs: int = 0
    size: int = 0


class _Pace:
    """Bytes per second, of late."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._moved = 0
        self._samples: deque[tuple[float, int]] = deque([(clock(), 0)])

    def add(self, count: int) -> None:
        """So many more bytes have moved."""
        self._moved += count

    def rate(self) -> float:
        """Bytes per second."""
        now = self._clock()
        self._samples.append((now, self._moved))
        while len(self._samples) > 2 and now - self._samples[1][0] >= _RATE_SECONDS:
            self._samples.popleft()
        then, moved = self._samples[0]
        return (self._moved - moved) / (now - then) if now > then else 0.0


class CopyTally:
    """What a copy has done so far. Takes events from any thread."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._running: OrderedDict[str, _Blob] = OrderedDict()
        self._found = _Sum()
        self._done = _Sum()
        self._pace = _Pace(clock)
        self._waiting: tuple[str, float] = ("", 0.0)

    def observe(self, event: Event) -> None:
        """Take note of what happened."""
        with self._lock:
            if isinstance(event, BlobsFound):
                self._found.blobs += event.blobs
                self._found.size += event.size
            elif isinstance(event, BlobStarted):
                self._running[event.digest] = _Blob(event.size)
            elif isinstance(event, BlobAdvanced):
                self._advance(event)
            elif isinstance(event, BlobFinished):
                self._finish(event)
            elif isinstance(event, Waiting):
                self._waiting = (f"waiting for {event.host}: {event.cause}", self._clock() + event.seconds)

    def _advance(self, event: BlobAdvanced) -> None:
        self._running.setdefault(event.digest, _Blob(0)).arrived += event.size
        self._pace.add(event.size)
        self._done.size += event.size

    def _finish(self, event: BlobFinished) -> None:
        arrived = self._running.pop(event.digest, _Blob(0)).arrived
        self._done.blobs += 1
        self._done.size += event.size - arrived
        if event.outcome is BlobOutcome.COPIED:
            self._pace.add(event.size - arrived)

    def parts(self) -> list[str]:
        """That it is a copy, and how far it is."""
        begun = [] if self._found.blobs else ["reading the image"]
        first, *others = begun + self.progress()
        return [f"Copying: {first}", *others]

    def progress(self) -> list[str]:
        """Blobs, bytes, rate and time left, as far as there are any, and what is waited for."""
        with self._lock:
            rate, parts = self._pace.rate(), []
            if self._found.blobs:
                size = f"{format_bytes(self._done.size)} of {format_bytes(self._found.size)}"
                parts = [f"{self._done.blobs} of {self._found.blobs} blobs", size]
            if rate > 0:
                parts.append(f"{format_bytes(rate)}/s")
                parts.append(f"{format_seconds((self._found.size - self._done.size) / rate)} left")
            text, until = self._waiting
            if text and until > self._clock():
                parts.append(text)
            return parts

    def blobs(self, columns: int) -> list[str]:
        """A line for each blob that is on its way, the oldest first."""
        with self._lock:
            return [_blob_line(digest, blob, columns) for digest, blob in self._running.items()]

    def share(self) -> float:
        """The share of the bytes, or of the blobs while these are known to be empty."""
        with self._lock:
            done, found = self._done, self._found
            pairs = ((done.size, found.size), (done.blobs, found.blobs))
            return next((part / whole for part, whole in pairs if whole), 0.0)


class ImportTally:
    """How far the service has got, by what its answers say of the single manifests."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._states: dict[str, str] = {}

    def follow(self, states: Mapping[str, str]) -> None:
        """Take note of the states in the service's answer."""
        with self._lock:
            self._states.update(states)

    def parts(self) -> list[str]:
        """The manifests that are done."""
        done, count = self._counts()
        if not count:
            return ["Importing: the service is at work"]
        return [f"Importing: {done} of {count} manifest{'s' if count > 1 else ''}"]

    def blobs(self, columns: int) -> list[str]:  # pylint: disable=unused-argument
        """The service tells nothing of blobs."""
        return []

    def share(self) -> float:
        """The share of the manifests."""
        done, count = self._counts()
        return done / count if count else 0.0

    def _counts(self) -> tuple[int, int]:
        with self._lock:
            states = list(self._states.values())
        return sum(1 for state in states if state.lower() == "succeeded"), len(states)


class RunTally:
    """How far a command has got with all its images, of which each goes by one of two routes. For any thread.

    A route is told of for as long as images are on it.
    """

    def __init__(self, images: int, *, by_service: int = 0) -> None:
        self._images = images
        self._lock = threading.Lock()
        self._ended: set[int] = set()
        self._by_service = by_service
        self._copies: CopyTally | None = None
        self._imports = ImportTally()

    @contextmanager
    def copying(self) -> Iterator[None]:
        """Images are copied from here for as long as the context is not left."""
        self._copies = CopyTally()
        try:
            yield
        finally:
            self._copies = None

    def observe(self, event: Event) -> None:
        """Take note of what happened in a copy."""
        copies = self._copies
        if copies:
            copies.observe(event)

    def follow(self, states: Mapping[str, str]) -> None:
        """Take note of the states in an answer of the service."""
        self._imports.follow(states)

    def import_ended(self) -> None:
        """The service is done with one image more, for better or worse."""
        with self._lock:
            self._by_service -= 1

    def ended(self, image: object) -> None:
        """One image more is done, or has failed. That may be told of it several times."""
        with self._lock:
            self._ended.add(id(image))

    def parts(self) -> list[str]:
        """Of one image what its route tells; of many the images first, and how many the service still has to see to."""
        if self._images <= 1:
            return [part for each in self._under_way() for part in each.parts()]
        copies, by_service = self._copies, self._by_service
        parts = [f"{len(self._ended)} of {self._images} images"]
        parts += [f"{by_service} with the service"] if by_service > 0 else []
        return parts + (copies.progress() if copies else [])

    def blobs(self, columns: int) -> list[str]:
        """A line for each blob that is on its way."""
        copies = self._copies
        return copies.blobs(columns) if copies else []

    def share(self) -> float:
        """The share of the images, or of the one image."""
        if self._images > 1:
            return len(self._ended) / self._images
        return next((each.share() for each in self._under_way()), 0.0)

    def _under_way(self) -> list[Tally]:
        copies = self._copies
        return [*([copies] if copies else []), *([self._imports] if self._by_service > 0 else [])]


def format_bytes(count: float) -> str:
    """A number of bytes for people: ``999 B``, ``1.0 KiB``, ``12.3 MiB``."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(count) < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def format_seconds(seconds: float) -> str:
    """A duration for people: ``42 s``, ``3 min 05 s``, ``2 h 10 min``."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def _blob_line(digest: str, blob: _Blob, columns: int) -> str:
    share = min(max(blob.arrived / blob.size, 0.0), 1.0) if blob.size else 1.0
    short = digest.partition(":")[2][:12]
    end = f"{share:4.0%} of {format_bytes(blob.size)}"
    room = min(_BAR, columns - len(f"{short} [] {end}"))
    if room < _LEAST_BAR:
        whole = f"{short} {end}"
        return whole if len(whole) <= columns else f"{short} {share:4.0%}"
    filled = int(share * room)
    return f"{short} [{'#' * filled}{'.' * (room - filled)}] {end}"
