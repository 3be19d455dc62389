# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Whether the machine had something else to do during a run."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from bench.processes import Process

_TICKS = os.sysconf("SC_CLK_TCK")
_RESOLUTION_SECONDS = 0.03  # the kernel counts whole ticks of each processor
_NAMES = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")


class Meter:
    """Compares what the machine did with what its known processes did."""

    def __init__(self, processes: Sequence[Process]) -> None:
        self._processes = processes
        self._known = self._known_seconds()
        self._busy = busy_seconds(Path("/proc/stat").read_text(encoding="utf-8"))

    def foreign_share(self, wall_seconds: float, client_cpu_seconds: float) -> float:
        """The part of all processors that something else used since the beginning, 0 to 1."""
        busy = busy_seconds(Path("/proc/stat").read_text(encoding="utf-8")) - self._busy
        known = self._known_seconds() - self._known + client_cpu_seconds
        return share(busy - known, wall_seconds, os.cpu_count() or 1)

    def _known_seconds(self) -> float:
        own = os.times()
        return own.user + own.system + sum(process.cpu_seconds() for process in self._processes)


def busy_seconds(stat: str) -> float:
    """The seconds that all processors have worked, by the text of ``/proc/stat``.

    Interrupts are left out: they are nobody's, and loopback traffic causes them. What the host of a virtual machine
    took away (steal) is in.
    """
    fields = dict(zip(_NAMES, map(int, stat.partition("\n")[0].split()[1:]), strict=False))
    return sum(fields.get(name, 0) for name in ("user", "nice", "system", "steal")) / _TICKS


def share(foreign_seconds: float, wall_seconds: float, cores: int) -> float:
    """The part of the processors that so many seconds are, less what may be rounding."""
    return max(0.0, foreign_seconds - _RESOLUTION_SECONDS) / (wall_seconds * cores)
