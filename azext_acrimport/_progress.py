# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""Progress on stderr: bars on a terminal, a line now and then in a log, commands in Azure Pipelines."""

from __future__ import annotations

import os
import shutil
import threading
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from functools import partial
from types import TracebackType
from typing import TextIO

from azext_acrimport._pipelines import progress
from azext_acrimport._tally import Tally

REDRAW_SECONDS = 0.1  # faster than the eye needs, and slow enough to cost nothing
LINE_SECONDS = 5.0  # a log stays readable, and shows that something moves
_MAX_BLOBS = 8


class Manner(str, Enum):
    """How progress is shown."""

    BARS = "bars"
    LINES = "lines"
    COMMANDS = "commands of Azure Pipelines"


class Display:  # pylint: disable=too-many-instance-attributes
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
        while not self._stop.wait(REDRAW_SECONDS if self._manner is Manner.BARS else LINE_SECONDS):
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
        parts = self._tally.parts()
        if not parts:
            return []
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


def _terminal_size(stream: TextIO) -> tuple[int, int]:
    """Columns and rows of the terminal that is written to: stdout may be another, or a file."""
    try:
        size = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):
        size = os.terminal_size((0, 0))
    if size.columns <= 0 or size.lines <= 0:  # some do not know
        size = shutil.get_terminal_size()
    return size.columns, size.lines
