# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""What holds for every test: no settings of the user's machine, and no network beyond loopback."""

from __future__ import annotations

import errno
import ipaddress
import os
import signal
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from scripts.package import build
from tests.support.shared import once_per_run

# Examples run beside other processes on few cores, so their time says nothing.
settings.register_profile("acrimport", deadline=None)
settings.load_profile("acrimport")

# What would let the user's proxies, authorities, logins or credentials into a test.
_PERSONAL = {
    "ALL_PROXY",
    "AWS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "DOCKER_CONFIG",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "PYTHONPATH",
    "REGISTRY_AUTH_FILE",
    "REQUESTS_CA_BUNDLE",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "XDG_CONFIG_HOME",
    "XDG_RUNTIME_DIR",
}

_home = pytest.StashKey[tempfile.TemporaryDirectory[str]]()


def pytest_configure(config: pytest.Config) -> None:
    """Forget the user's settings before anything is imported that could read them."""
    # What a shell starts in the background ignores Ctrl-C, and so would what the tests start and interrupt.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for name in list(os.environ):
        if name.upper() in _PERSONAL or name.upper().startswith(("AZURE_", "ARM_")):
            del os.environ[name]
    home = tempfile.TemporaryDirectory(prefix="acrx-home-")
    config.stash[_home] = home
    os.environ["HOME"] = os.environ["USERPROFILE"] = home.name
    os.environ["AZURE_CORE_COLLECT_TELEMETRY"] = "false"


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the home directory of this run."""
    if _home in config.stash:
        config.stash[_home].cleanup()


def _is_local(host: str | bytes | None) -> bool:
    if host is None:
        return True
    name = host.decode() if isinstance(host, bytes) else host
    if name in {"", "localhost"}:
        return True
    try:
        address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


@pytest.fixture(scope="session", autouse=True)
def _loopback_only() -> Iterator[None]:
    """Refuse names and addresses outside this machine, so that no test depends on what a network answers."""
    connect, look_up = socket.socket.connect, socket.getaddrinfo

    def guarded_connect(self: socket.socket, address: Any) -> None:
        if self.family in {socket.AF_INET, socket.AF_INET6} and not _is_local(address[0]):
            raise OSError(errno.ENETUNREACH, f"Tests stay on this machine: connecting to {address[0]} is refused")
        connect(self, address)

    def guarded_look_up(host: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            numeric = bool(ipaddress.ip_address(host))
        except ValueError:
            numeric = False
        if not numeric and not _is_local(host):
            raise socket.gaierror(socket.EAI_NONAME, f"Tests stay on this machine: {host} is not looked up")
        return look_up(host, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded_connect)
        patch.setattr(socket, "getaddrinfo", guarded_look_up)
        yield


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The extension's wheel, built once in a run."""
    (path,) = once_per_run(tmp_path_factory, "wheel", build).glob("*.whl")
    return path
