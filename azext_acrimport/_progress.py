# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""Progress on stderr: bars on a terminal, a line now and then in a log, commands in Azure Pipelines."""

from __future__ import annotations

import os
import shutil
import threading
import time
import unicodedata
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import partial
from types import TracebackType
from typing import Protocol, TextIO

from azext_acrimport._pipelines import progress
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
_LEAST_BAR = 4  # a shorter one tells nothing
_MAX_BLOBS = 8

Clock = Callable[[], float]


class Manner(str, Enum):
    """How progress is shown."""

    BARS = "bars"
    LINES = "lines"
    COMMANDS = "commands of Azure Pipelines"


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


class CopyTally:  # pylint: disable=too-many-instance-attributes
    """What a copy has done so far. Takes events from any thread.

    ``entries`` tells, where many images are copied, how many of them are done: it comes first.
    """

    def __init__(self, clock: Clock = time.monotonic, *, entries: Callable[[], str] | None = None) -> None:
        self._clock = clock
        self._entries = entries
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

    def parts(self) -> list[str]:
        """Blobs, bytes, rate and time left."""
        entries = self._entries() if self._entries else ""
        with self._lock:
            rate = self._pace.rate()
            parts = ["reading the image"]
            if self._found.blobs:
                size = f"{format_bytes(self._done.size)} of {format_bytes(self._found.size)}"
                parts = [f"{self._done.blobs} of {self._found.blobs} blobs", size]
            if entries:
                parts = [entries, *(parts if self._found.blobs else [])]
            if rate > 0:
                parts.append(f"{format_bytes(rate)}/s")
                parts.append(f"{format_seconds((self._found.size - self._done.size) / rate)} left")
            text, until = self._waiting
            if text and until > self._clock():
                parts.append(text)
            return [f"Copying: {parts[0]}", *parts[1:]]

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
        self._states: Mapping[str, str] = {}

    def follow(self, states: Mapping[str, str]) -> None:
        """Take note of the states in the service's answer."""
        if states:
            self._states = dict(states)

    def parts(self) -> list[str]:
        """The manifests that are done."""
        count = len(self._states)
        if not count:
            return ["Importing: the service is at work"]
        return [f"Importing: {self._done()} of {count} manifest{'s' if count > 1 else ''}"]

    def blobs(self, columns: int) -> list[str]:  # pylint: disable=unused-argument
        """The service tells nothing of blobs."""
        return []

    def share(self) -> float:
        """The share of the manifests."""
        return self._done() / len(self._states) if self._states else 0.0

    def _done(self) -> int:
        return sum(1 for state in self._states.values() if state.lower() == "succeeded")


class Display:
    """Shows a tally until it is left: redrawn on a terminal, else a line or a command every few seconds.

    Drawing is done by one thread, so that the workers of a copy never wait for a terminal.
    """

    def __init__(
        self,
        tally: Tally,
        stream: TextIO,
        *,
        enabled: bool = True,
        manner: Manner | None = None,
        size: Callable[[], tuple[int, int]] | None = None,
    ) -> None:
        self._tally = tally
        self._stream = stream
        self._manner = manner or (Manner.BARS if stream.isatty() else Manner.LINES)
        self._size = size or partial(_terminal_size, stream)
        self._shown: list[str] = []
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
        while not self._stop.wait(REDRAW_SECONDS if self._manner is Manner.BARS else LINE_SECONDS):
            self.draw()

    def draw(self) -> None:
        """Show the tally as it is now."""
        lines = self._lines()
        if lines == self._shown:
            return
        # One write: what a terminal gets in pieces flickers.
        self._write(self._erasure() + "".join(f"{line}\n" for line in lines))
        self._shown = lines

    def clear(self) -> None:
        """Take the bars off the terminal again: what remains is the result."""
        self._write(self._erasure())
        self._shown = []

    def _lines(self) -> list[str]:
        parts = self._tally.parts()
        if self._manner is Manner.COMMANDS:
            percent = min(max(int(self._tally.share() * 100), 0), 100)
            return [progress(percent, ", ".join(parts))]
        if self._manner is Manner.LINES:
            return [", ".join(parts)]  # a log has no width
        columns, rows = self._size()
        room = max(0, min(_MAX_BLOBS, rows - 2))
        width = max(columns - 1, 1)  # a line that fills the last column may wrap
        return [cut(line, width) for line in (*self._tally.blobs(width)[:room], fitted(parts, width))]

    def _erasure(self) -> str:
        if self._manner is not Manner.BARS or not self._shown:
            return ""
        columns = max(self._size()[0], 1)  # made narrower since, a terminal has wrapped what was on it
        rows = sum(-(-max(cells(line), 1) // columns) for line in self._shown)
        return f"\x1b[{rows}A\x1b[J"

    def _write(self, text: str) -> None:
        try:
            encoding = getattr(self._stream, "encoding", None) or "utf-8"
            self._stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
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


def cells(text: str) -> int:
    """How many columns a terminal needs for the text."""
    return sum(map(_cells, text))


def _cells(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def cut(text: str, columns: int) -> str:
    """As much of the beginning of the text as fits into so many columns."""
    used = 0
    for index, character in enumerate(text):
        used += _cells(character)
        if used > columns:
            return text[:index]
    return text


def fitted(parts: list[str], columns: int) -> str:
    """As many of the parts as fit into so many columns, and at least the first."""
    for count in range(len(parts), 1, -1):
        text = ", ".join(parts[:count])
        if cells(text) <= columns:
            return text
    return parts[0]


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


def _terminal_size(stream: TextIO) -> tuple[int, int]:
    """Columns and rows of the terminal that is written to: stdout may be another, or a file."""
    try:
        size = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):
        size = os.terminal_size((0, 0))
    if size.columns <= 0 or size.lines <= 0:  # some do not know
        size = shutil.get_terminal_size()
    return size.columns, size.lines
