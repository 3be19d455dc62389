# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Running the real ``az`` as a user does: a process of its own, in a directory away from the source."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

TIMEOUT_SECONDS = 120  # a command takes one or two; more than this is a hang


def find_az() -> str:
    """Return the path of ``az``: the one named by the variable AZ, or the one beside this Python. Skips without one."""
    beside = Path(sys.executable).parent / "az"
    found = os.environ.get("AZ") or (str(beside) if beside.exists() else shutil.which("az"))
    if not found:
        pytest.skip(f"There is no az beside {sys.executable}, and AZ names none")
    return found


@dataclass(frozen=True)
class Completed:
    """What a command left: its exit code and its two streams."""

    command: str
    exit_code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """What it printed on stdout, which has to be one JSON document."""
        return json.loads(self.stdout)

    def __str__(self) -> str:
        return f"$ {self.command}\nexit code {self.exit_code}\n--- stdout\n{self.stdout}\n--- stderr\n{self.stderr}"


@dataclass(frozen=True)
class Az:
    """The az at ``executable``, run in ``directory`` with ``environment`` and nothing else of ours."""

    executable: str
    environment: Mapping[str, str]
    directory: Path

    def __call__(self, *arguments: str, fails: bool = False, timeout: float = TIMEOUT_SECONDS) -> Completed:
        """Run one command and check that it succeeded, or with ``fails`` that it failed without a traceback."""
        done = subprocess.run(
            [self.executable, *arguments],
            cwd=self.directory,
            env=dict(self.environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        result = Completed(shlex.join(["az", *arguments]), done.returncode, done.stdout, done.stderr)
        assert "Traceback (most recent call last)" not in result.stderr, str(result)
        assert bool(result.exit_code) == fails, str(result)
        return result


def bare_environment(directory: Path) -> dict[str, str]:
    """Return the variables that any program needs, with ``directory`` as the home, and none of the user's settings."""
    kept = {name: os.environ[name] for name in ("PATH", "TMPDIR", "LANG", "LC_ALL", "SYSTEMROOT") if name in os.environ}
    kept["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", os.defpath)])
    return {
        **kept,
        "HOME": str(directory),
        "AZURE_CORE_COLLECT_TELEMETRY": "false",
        "AZURE_CORE_NO_COLOR": "true",
        "AZURE_CORE_SURVEY_MESSAGE": "false",
        "PYTHONUTF8": "1",
    }
