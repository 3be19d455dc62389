# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""A program on a terminal of its own, as a person has it before them."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType

from tests.support.az import TIMEOUT_SECONDS, Az


@dataclass
class OnTerminal:
    """A command of az whose three streams are one terminal. ``shown`` is what it has written there so far."""

    az: Az
    arguments: tuple[str, ...]
    columns: int
    rows: int = 24
    shown: str = ""
    _process: subprocess.Popen[bytes] = field(init=False)
    _ours: int = field(init=False)

    def __enter__(self) -> OnTerminal:
        self._ours, theirs = pty.openpty()
        self.resize(self.columns)
        self._process = subprocess.Popen(
            [self.az.executable, *self.arguments],
            cwd=self.az.directory,
            env=dict(self.az.environment),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        os.close(self._ours)

    def resize(self, columns: int) -> None:
        """Make the terminal wider or narrower."""
        self.columns = columns
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", self.rows, columns, 0, 0))

    def read_until(self, seen: Callable[[str], bool]) -> None:
        """Read what is written until ``seen`` says of all of it that it is enough."""
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while not seen(self.shown):
            assert self._read(deadline), self.shown

    def read_to_the_end(self) -> int:
        """Read all that is written, and return the exit code."""
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while self._read(deadline):
            pass
        return self._process.wait(TIMEOUT_SECONDS)

    def _read(self, deadline: float) -> bool:
        readable, _, _ = select.select([self._ours], [], [], max(0.0, deadline - time.monotonic()))
        assert readable, f"nothing more came:\n{self.shown}"
        try:
            chunk = os.read(self._ours, 65536)
        except OSError:  # how Linux says that nobody has the terminal open any more
            return False
        self.shown += chunk.decode("utf-8", "replace")
        return bool(chunk)
