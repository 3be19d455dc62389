# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""The two small programs in C, and the clients that one of them starts."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.bare import ROOT
from bench.processes import LOOPBACK, Process, Unusable, bare_environment
from bench.rows import MIB, Link

_START_SECONDS = 10


@dataclass(frozen=True)
class Usage:
    """What a client cost. ``peak_rss_kib`` is None where it cannot be told."""

    wall_seconds: float
    user_seconds: float
    system_seconds: float
    peak_rss_kib: int | None
    exit_code: int
    timed_out: bool

    @property
    def cpu_seconds(self) -> float:
        """The processor time."""
        return self.user_seconds + self.system_seconds


@dataclass(frozen=True)
class Native:
    """The compiled programs; None each without a C compiler."""

    launcher: Path | None
    netproxy: Path | None


def compile_all(folder: Path) -> Native:
    """Compile them into a folder, if there is a C compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        return Native(None, None)
    return Native(_compile(compiler, "launch", folder), _compile(compiler, "netproxy", folder))


def _compile(compiler: str, name: str, folder: Path) -> Path:
    binary = folder / name
    command = [compiler, "-O2", "-o", str(binary), os.path.join(ROOT, "bench", f"{name}.c")]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unusable(f"{name}.c cannot be compiled: {done.stderr.strip()[-400:]}")
    return binary


def run_client(
    native: Native, command: Sequence[str], environment: Mapping[str, str], folder: Path, *, limit_seconds: int
) -> Usage:
    """Run a client to its end, or to the limit. What it prints is in ``out`` and ``err`` of the folder."""
    if native.launcher is None:
        return _run_without_launcher(command, environment, folder, limit_seconds)
    result = folder / "usage.json"
    result.unlink(missing_ok=True)
    launch = [str(native.launcher), str(result), str(limit_seconds), *command]
    with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
        launcher = subprocess.Popen(
            launch, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=dict(environment), cwd=folder
        )
        try:
            launcher.wait()
        except BaseException:  # Ctrl-C: the launcher ends its client
            launcher.terminate()
            launcher.wait()
            raise
    if not result.exists():
        raise Unusable(f"{command[0]} could not be started")
    return Usage(**json.loads(result.read_text(encoding="utf-8")))


def _run_without_launcher(
    command: Sequence[str], environment: Mapping[str, str], folder: Path, limit_seconds: int
) -> Usage:
    before, begin = os.times(), time.monotonic()
    timed_out = False
    with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
        client = subprocess.Popen(
            list(command), stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=dict(environment), cwd=folder
        )
        try:
            client.wait(limit_seconds)
        except BaseException as ex:
            client.kill()
            client.wait()
            timed_out = isinstance(ex, subprocess.TimeoutExpired)
            if not timed_out:
                raise
    wall, after = time.monotonic() - begin, os.times()
    user, system = after.children_user - before.children_user, after.children_system - before.children_system
    return Usage(wall, user, system, None, client.returncode, timed_out)


@dataclass(frozen=True)
class Proxy:
    """A slow network before a registry."""

    process: Process
    port: int

    @property
    def host(self) -> str:
        """The address at which the registry is far."""
        return f"{LOOPBACK}:{self.port}"

    def finish(self) -> dict[str, int]:
        """End it, and return how many ``connections`` and bytes passed, and the ``peak_connections`` at a time."""
        self.process.stop()
        lines = self.process.log.read_text(encoding="utf-8").splitlines()
        return dict(json.loads(lines[1])) if len(lines) > 1 else {}


@contextmanager
def slow_network(native: Native, port: int, link: Link, log: Path) -> Iterator[Proxy]:
    """Stand before a port of this machine for as long as the block lasts.

    :raises Unusable: it cannot be done here.
    """
    if native.netproxy is None:
        raise Unusable("there is no C compiler")
    command = [str(native.netproxy), str(port), str(round(link.round_trip_ms * 1000)), str(round(link.cap_mib * MIB))]
    with Process(command, log=log, environment=bare_environment(log.parent)) as process:
        deadline = time.monotonic() + _START_SECONDS
        while not (first := log.read_text(encoding="utf-8").partition("\n"))[1]:
            if not process.running or time.monotonic() > deadline:
                raise Unusable(f"the network proxy did not start: {process.tail()}")
            time.sleep(0.002)
        yield Proxy(process, int(first[0]))
