# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""The demo, run as `make demo` runs it, and stopped in the middle."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit
from xml.etree import ElementTree

import pytest

from tests.support.az import find_az

pytestmark = pytest.mark.cli

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_SECONDS = 120


def start(folder: Path) -> subprocess.Popen[str]:
    """Start the demo as the leader of a process group, as a shell does."""
    if Path(find_az()).parent != Path(sys.executable).parent:
        pytest.skip("The demo runs the az beside its Python, and there is none")
    return subprocess.Popen(
        [sys.executable, str(ROOT / "scripts" / "demo.py"), str(folder)],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def assert_stopped(folder: Path) -> None:
    """Check that nothing listens any more where the local Azure did."""
    exports = (folder / "env").read_text(encoding="utf-8")
    (proxy,) = (line.partition("=")[2] for line in exports.splitlines() if line.startswith("export HTTPS_PROXY="))
    address = urlsplit(proxy.strip("'"))
    assert address.hostname is not None
    assert address.port is not None
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((address.hostname, address.port), timeout=5)


def commands_of(recording: Path) -> list[str]:
    """The commands in the recording, whose lines may have been wrapped."""
    texts = ElementTree.parse(recording).getroot().iter("{http://www.w3.org/2000/svg}tspan")
    typed = "".join(text.text or "" for text in texts if text.get("class") == "typed")
    return [command.strip() for command in typed.split("$ ")[1:]]


def test_the_demo_imports_by_both_routes_and_leaves_nothing_running(tmp_path: Path) -> None:
    with start(tmp_path / "demo") as demo:
        output, _ = demo.communicate(timeout=TIMEOUT_SECONDS)

    assert demo.returncode == 0, output
    assert '"route": "service"' in output
    assert '"route": "local"' in output
    assert output.count("1.27\n") >= 2
    assert "planned   local    closedregistry  mirror/team/app:v1" in output
    assert "imported  service  myregistry      mirror/library/hello-world:latest" in output
    printed = [line.removeprefix("$ ") for line in output.splitlines() if line.startswith("$ ")]
    assert printed == commands_of(ROOT / "docs" / "demo.svg"), "run `make docs`"
    assert str(tmp_path / "demo") in output or "demo/" in output
    assert_stopped(tmp_path / "demo")


def test_ctrl_c_stops_all_that_the_demo_started(tmp_path: Path) -> None:
    with start(tmp_path / "demo") as demo:
        deadline = time.monotonic() + TIMEOUT_SECONDS
        assert demo.stdout is not None
        for line in demo.stdout:
            if line.startswith("$ az login") or time.monotonic() > deadline:
                break
        os.killpg(demo.pid, signal.SIGINT)
        output, _ = demo.communicate(timeout=TIMEOUT_SECONDS)

    assert demo.returncode == 1, output
    assert "Stopped" in output
    assert_stopped(tmp_path / "demo")
