# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""Progress on stderr: bars where it is a terminal, a line now and then elsewhere."""

from __future__ import annotations

import shutil
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import TextIO

from azext_acrimport.transfer.events import (
    BlobAdvanced,
    BlobFinished,
    BlobsFound,
    BlobStarted,
    Event,
    Waiting,
)
from azext_acrimport.transfer.result import BlobOutcome

REDRAW_SECONDS = 0.1  # faster than the eye needs, and slow enough to cost nothing
LINE_SECONDS = 5.0  # a log stays readable, and shows that something moves
_RATE_SECONDS = 10.0  # the rate is over this long: steady, yet soon right after a stall
_BAR = 24
_MAX_BLOBS = 8

Clock = Callable[[], float]


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
        self._running.setdefault(event.digest, _Blob(0)).arrived += event.count
        self._pace.add(event.count)
        self._done.size += event.count

    def _finish(self, event: BlobFinished) -> None:
        arrived = self._running.pop(event.digest, _Blob(0)).arrived
        self._done.blobs += 1
        self._done.size += event.size - arrived
        if event.outcome is BlobOutcome.COPIED:
            self._pace.add(event.size - arrived)

    def summary(self) -> str:
        """Everything in one line: blobs, bytes, rate and time left."""
        with self._lock:
            rate = self._pace.rate()
            parts = ["reading the image"]
            if self._found.blobs:
                size = f"{format_bytes(self._done.size)} of {format_bytes(self._found.size)}"
                parts = [f"{self._done.blobs} of {self._found.blobs} blobs", size]
            if rate > 0:
                parts.append(f"{format_bytes(rate)}/s")
                parts.append(f"{format_seconds((self._found.size - self._done.size) / rate)} left")
            text, until = self._waiting
            if text and until > self._clock():
                parts.append(text)
            return "Copying: " + ", ".join(parts)

    def blobs(self) -> list[str]:
        """A line for each blob that is on its way, the oldest first."""
        with self._lock:
            return [_blob_line(digest, blob) for digest, blob in self._running.items()]


class ImportTally:
    """How far the service has got, by what its answers say of the single manifests."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._states: dict[str, str] = {}

    def follow(self, states: Mapping[str, str]) -> None:
        """Take note of the states in the service's answer."""
        with self._lock:
            self._states.update(states)

    def summary(self) -> str:
        """Everything in one line."""
        with self._lock:
            states = list(self._states.values())
        if not states:
            return "Importing: the service is at work"
        done = sum(1 for state in states if state.lower() == "succeeded")
        return f"Importing: {done} of {len(states)} manifest{'s' if len(states) > 1 else ''}"

    def blobs(self) -> list[str]:
        """The service tells nothing of blobs."""
        return []


class RunTally:
    """How far a command has got with all its images, of which each goes by one of two routes. For any thread."""

    def __init__(self, images: int) -> None:
        self._images = images
        self._lock = threading.Lock()
        self._ended = 0
        self._copies: CopyTally | None = None
        self._imports: ImportTally | None = None

    def copying(self) -> None:
        """Images are copied from here, from now on."""
        self._copies = self._copies or CopyTally()

    def importing(self) -> None:
        """Images are imported by the service, from now on."""
        self._imports = ImportTally()

    def observe(self, event: Event) -> None:
        """Take note of what happened in a copy."""
        if self._copies:
            self._copies.observe(event)

    def follow(self, states: Mapping[str, str]) -> None:
        """Take note of the states in an answer of the service."""
        if self._imports:
            self._imports.follow(states)

    def ended(self) -> None:
        """One image more is done, or has failed."""
        with self._lock:
            self._ended += 1

    def summary(self) -> str:
        """Everything in one line."""
        parts = [f"{self._ended} of {self._images} images"] if self._images > 1 else []
        parts += [each.summary() for each in (self._copies, self._imports) if each]
        return ". ".join(parts)

    def blobs(self) -> list[str]:
        """A line for each blob that is on its way."""
        return self._copies.blobs() if self._copies else []


class Display:  # pylint: disable=too-many-instance-attributes
    """Shows a tally until it is left: redrawn on a terminal, else a line every few seconds.

    Drawing is done by one thread, so that the workers of a copy never wait for a terminal.
    """

    def __init__(
        self,
        tally: CopyTally | ImportTally | RunTally,
        stream: TextIO,
        *,
        enabled: bool = True,
        interactive: bool | None = None,
        size: Callable[[], tuple[int, int]] | None = None,
    ) -> None:
        self._tally = tally
        self._stream = stream
        self._interactive = stream.isatty() if interactive is None else interactive
        self._size = size or _terminal_size
        self._shown: list[str] = []
        self._drawing = threading.RLock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="acrx-progress", daemon=True) if enabled else None

    def __enter__(self) -> Display:
        if self._thread:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._thread:
            self._thread.join()
            self.clear()

    def _run(self) -> None:
        while not self._stop.wait(REDRAW_SECONDS if self._interactive else LINE_SECONDS):
            self.draw()

    def draw(self) -> None:
        """Show the tally as it is now."""
        with self._drawing:
            lines = self._lines()
            if lines == self._shown:
                return
            # One write: what a terminal gets in pieces flickers.
            self._write(self._erasure() + "".join(f"{line}\n" for line in lines))
            self._shown = lines

    def clear(self) -> None:
        """Take the bars off the terminal again: what remains is the result."""
        with self._drawing:
            self._write(self._erasure())
            self._shown = []

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Take the bars off the terminal for as long as something else is said there."""
        with self._drawing:
            self.clear()
            yield

    def _lines(self) -> list[str]:
        columns, rows = self._size()
        room = max(0, min(_MAX_BLOBS, rows - 2))
        blobs = self._tally.blobs() if self._interactive else []
        return [line[: max(columns - 1, 1)] for line in (*blobs[:room], self._tally.summary())]

    def _erasure(self) -> str:
        return f"\x1b[{len(self._shown)}A\x1b[J" if self._interactive and self._shown else ""

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):  # a reader that went away, or a stream closed at exit: no reason to end a copy
            self._stop.set()


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


def _blob_line(digest: str, blob: _Blob) -> str:
    share = min(max(blob.arrived / blob.size, 0.0), 1.0) if blob.size else 1.0
    filled = int(share * _BAR)
    short = digest.partition(":")[2][:12]
    return f"{short} [{'#' * filled}{'.' * (_BAR - filled)}] {share:4.0%} of {format_bytes(blob.size)}"


def _terminal_size() -> tuple[int, int]:
    size = shutil.get_terminal_size()
    return size.columns, size.lines
