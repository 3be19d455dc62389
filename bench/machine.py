# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""The circumstances of a run: when, on what, with which versions."""

from __future__ import annotations

import datetime
import os
import platform
import re
import shutil
import ssl
from collections.abc import Sequence
from pathlib import Path

from bench.bare import ROOT
from bench.clients import Peer
from bench.processes import Unusable
from bench.registries import RegistryProgram
from bench.rows import Workload
from bench.versions import output

_MEMORY_FOLDER = Path("/dev/shm")
_SPARE_BYTES = 1 << 30


def circumstances(program: RegistryProgram, peers: Sequence[Peer], how: str) -> dict[str, str]:
    """What to write above a table, by name."""
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d"),
        "machine": f"{_processor()}, {os.cpu_count()} cores, {_memory_bytes('MemTotal') >> 30} GiB",
        "kernel": f"{platform.system()} {platform.release()}, TCP {_congestion_control()}",
        "acrimport": _own_version(),
        "Python": f"{platform.python_version()}, {ssl.OPENSSL_VERSION}",
        "registries": program.version,
        **{peer.name: peer.version for peer in peers},
        "runs": how,
    }


def _processor() -> str:
    found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    return found[1] if found else platform.machine()


def _memory_bytes(name: str) -> int:
    found = re.search(rf"^{name}:\s*(\d+) kB$", Path("/proc/meminfo").read_text(encoding="utf-8"), re.MULTILINE)
    return int(found[1]) << 10 if found else 0


def _congestion_control() -> str:
    path = Path("/proc/sys/net/ipv4/tcp_congestion_control")
    return path.read_text(encoding="utf-8").strip() if path.exists() else "unknown"


def _own_version() -> str:
    found = re.search(r'^VERSION = "(.+)"$', (Path(ROOT) / "setup.py").read_text(encoding="utf-8"), re.MULTILINE)
    version = found[1] if found else "unknown"
    if not shutil.which("git"):
        return version
    commit = output(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"]).strip()
    changed = output(["git", "-C", ROOT, "status", "--porcelain", "--", "azext_acrimport"]).strip()
    return f"{version}, commit {commit}{' with changes' if changed else ''}" if commit else version


def memory_folder() -> Path | None:
    """A folder in memory; None where there is none."""
    return _MEMORY_FOLDER if _MEMORY_FOLDER.is_dir() and os.access(_MEMORY_FOLDER, os.W_OK) else None


def check_memory(folder: Path, workloads: Sequence[Workload]) -> None:
    """See that the workloads fit in, with the copy of the largest.

    :raises Unusable: they do not.
    """
    needed = sum(workload.size_bytes for workload in workloads) + _SPARE_BYTES
    needed += max((workload.size_bytes for workload in workloads), default=0)
    room = os.statvfs(folder)
    free = min(room.f_bavail * room.f_frsize, _memory_bytes("MemAvailable"))
    if free < needed:
        message = f"{folder} has room for {free / 2**30:.1f} GiB, of {needed / 2**30:.1f} needed"
        raise Unusable(f"{message}: choose fewer rows with --rows, or --quick")
