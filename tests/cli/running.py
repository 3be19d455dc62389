# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""An az that is started and not waited for, so that a test can stop it in the middle."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from tests.cli.conftest import SignedInAz
from tests.support.az import TIMEOUT_SECONDS, Completed


class Running:
    """One command of az on its way, in a process group of its own."""

    def __init__(
        self, az: SignedInAz, *arguments: str, env: Mapping[str, str] | None = None, principal: str = "owner"
    ) -> None:
        prepared = az._az(az.config(principal), "inside", env or {})
        self._command = shlex.join(["az", *arguments])
        self._may_trace = "--debug" in arguments
        self.process = subprocess.Popen(
            [prepared.executable, *arguments],
            cwd=prepared.directory,
            env=dict(prepared.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.seconds_to_end = 0.0

    def end(self, number: signal.Signals) -> Completed:
        """Send a signal as a terminal sends Ctrl-C, and wait for the end, which comes after ``seconds_to_end``."""
        began = time.monotonic()
        os.killpg(self.process.pid, number)
        done = self.wait()
        self.seconds_to_end = time.monotonic() - began
        return done

    def wait(self) -> Completed:
        """Wait for the end."""
        stdout, stderr = self.process.communicate(timeout=TIMEOUT_SECONDS)
        done = Completed(self._command, self.process.returncode, stdout, stderr)
        assert self._may_trace or "Traceback (most recent call last)" not in stderr, str(done)
        return done


@contextmanager
def started(
    az: SignedInAz, *arguments: str, env: Mapping[str, str] | None = None, principal: str = "owner"
) -> Iterator[Running]:
    """Run az for the time of a test and no longer."""
    running = Running(az, *arguments, env=env, principal=principal)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.process.kill()
            running.process.communicate()
