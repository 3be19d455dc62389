# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Programs in the background, and what they use of the processor. Each is ended by its own id."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

LOOPBACK = "127.0.0.1"
_STOP_SECONDS = 10
_TICKS = os.sysconf("SC_CLK_TCK")


class Unusable(Exception):
    """Something that a measurement needs is not there, or does not work."""


class Process:
    """A program that runs until the block ends. What it prints goes to the file ``log``."""

    def __init__(self, command: Sequence[str], *, log: Path, environment: Mapping[str, str]) -> None:
        self.log = log
        self._name = command[0]
        with log.open("wb") as stream:
            self._process = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                start_new_session=True,  # Ctrl-C is for us: we end it
            )

    def __enter__(self) -> Process:
        return self

    def __exit__(self, kind: type[BaseException] | None, ex: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()

    @property
    def running(self) -> bool:
        """Whether it has not ended by itself."""
        return self._process.poll() is None

    def stop(self) -> None:
        """End it, and wait until it has ended."""
        if not self.running:
            return
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def cpu_seconds(self) -> float:
        """The processor time that it has used, in all its threads."""
        try:
            fields = Path(f"/proc/{self._process.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def wait_for_port(self, port: int, *, seconds: float = 20) -> None:
        """Wait until it takes connections.

        :raises Unusable: it does not.
        """
        deadline = time.monotonic() + seconds
        while True:
            try:
                socket.create_connection((LOOPBACK, port), timeout=1).close()
                return
            except OSError as ex:
                if not self.running or time.monotonic() > deadline:
                    raise Unusable(f"{self._name} did not start: {self.tail()}") from ex
            time.sleep(0.005)

    def tail(self) -> str:
        """The last of what it printed."""
        return tail(self.log)


def tail(path: Path, size: int = 600) -> str:
    """The last of what was written to a file, on one line."""
    return " ".join(path.read_text(encoding="utf-8", errors="replace")[-size:].split()) if path.exists() else ""


def free_port() -> int:
    """A port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def bare_environment(home: Path) -> dict[str, str]:
    """What any program needs, with ``home`` for its files, and neither proxies nor the user's settings."""
    return {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(home), "TMPDIR": str(home), "LC_ALL": "C.UTF-8"}
