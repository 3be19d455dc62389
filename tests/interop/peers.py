# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""The programs that tests run beside the code: registries, and what stands between us and them."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from emulator.content import Artifact

_START_SECONDS = 30
_STRICT = os.environ.get("ACRX_REQUIRE_INTEROP") == "1"
_PACKAGES = {
    "docker-credential-pass": "golang-docker-credential-helpers",
    "gpg": "gnupg",
    "tinyproxy": "tinyproxy-bin",
}


def program(name: str) -> str:
    """Return the path of a program; without it the test is skipped, or fails where a skip is refused."""
    path = shutil.which(name)
    if path is None:
        message = f"{name} is not installed (Debian: apt-get install {_PACKAGES.get(name, name)})"
        if _STRICT:
            pytest.fail(f"{message}, and ACRX_REQUIRE_INTEROP=1 refuses to skip")
        pytest.skip(message)
    return path


@dataclass(frozen=True)
class DockerRegistry:
    """A running docker-registry."""

    host: str
    root: Path

    def contents(self) -> dict[str, bytes]:
        """Everything in its storage by digest, manifests included, straight from the disk."""
        blobs = self.root.glob("docker/registry/v2/blobs/sha256/*/*/data")
        return {f"sha256:{path.parent.name}": path.read_bytes() for path in blobs}

    def put(self, image: Artifact, name: str, *tags: str) -> None:
        """Push an image as any client does: blobs first, then manifests, children before parents, then the tags."""
        host, _, port = self.host.partition(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=60)
        with contextlib.closing(connection):
            for digest, content in image.all_blobs.items():
                upload = _send(connection, "POST", f"/v2/{name}/blobs/uploads/", 202)
                separator = "&" if "?" in upload else "?"
                _send(
                    connection, "PUT", f"{upload}{separator}digest={digest}", 201, content, "application/octet-stream"
                )
            for part in image.walk():
                references = [part.digest, *tags] if part is image else [part.digest]
                for reference in references:
                    _send(connection, "PUT", f"/v2/{name}/manifests/{reference}", 201, part.manifest, part.media_type)


def _send(
    connection: http.client.HTTPConnection, method: str, url: str, status: int, body: bytes = b"", kind: str = ""
) -> str:
    """Send a request, check the answer's status, and return its Location."""
    connection.request(method, url, body, {"Content-Type": kind} if kind else {})
    response = connection.getresponse()
    answer = response.read()
    assert response.status == status, f"{method} {url}: {response.status} {answer!r}"
    return response.getheader("Location", "")


@contextmanager
def serving(
    directory: Path, settings: Mapping[str, Any] | None = None, *, root: Path | None = None
) -> Iterator[DockerRegistry]:
    """Run a docker-registry with further settings, over a storage of its own or that of another.

    Source of the settings: https://distribution.github.io/distribution/about/configuration/
    """
    root = root or directory / "storage"
    root.mkdir(parents=True, exist_ok=True)
    directory.mkdir(exist_ok=True)
    config = {
        "version": "0.1",
        "log": {"level": "info", "formatter": "text"},
        "storage": {"filesystem": {"rootdirectory": str(root)}, "delete": {"enabled": True}},
        "http": {"addr": "127.0.0.1:0", "secret": "of-this-test-only"},
        "validation": {"manifests": {"urls": {"allow": ["^https://"]}}},
    }
    file = directory / "config.yml"
    file.write_text(json.dumps(_merged(config, settings or {})), encoding="utf-8")  # JSON is YAML
    with running(
        [program("docker-registry"), "serve", str(file)], directory, r"listening on (127\.0\.0\.1:\d+)"
    ) as found:
        yield DockerRegistry(found, root)


def _merged(config: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    both = {key: _merged(config[key], value) for key, value in changes.items() if isinstance(config.get(key), dict)}
    return {**config, **changes, **both}


@contextmanager
def running(command: list[str], directory: Path, ready: str) -> Iterator[str]:
    """Run a server while a test lasts, from when its output matches ``ready`` on, and give what that found."""
    log = directory / "log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command,
            stdout=stream,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env={"PATH": os.environ["PATH"], "HOME": str(directory)},
        )
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not (found := re.search(ready, log.read_text(encoding="utf-8"))):
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"{command[0]} did not start:\n{log.read_text(encoding='utf-8')}")
            time.sleep(0.02)
        yield found[1] if found.re.groups else found[0]
    finally:
        process.terminate()
        process.wait(10)


@dataclass(frozen=True)
class Proxy:
    """A running tinyproxy."""

    address: str
    directory: Path

    @property
    def tunnels(self) -> set[str]:
        """Where it was asked to connect to, and did."""
        log = (self.directory / "log").read_text(encoding="utf-8")
        return set(re.findall(r'Established connection to host "([^"]+)"', log))


@contextmanager
def proxying(directory: Path, *, user: str = "", password: str = "") -> Iterator[Proxy]:
    """Run a tinyproxy that lets everybody through, or who has the password."""
    directory.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = [f"Port {port}", "Listen 127.0.0.1", "Allow 127.0.0.1", "Timeout 60", "LogLevel Info"]
    file = directory / "tinyproxy.conf"
    file.write_text("\n".join(settings + ([f"BasicAuth {user} {password}"] if user else [])) + "\n", encoding="utf-8")
    with running([program("tinyproxy"), "-d", "-c", str(file)], directory, "Accepting connections|Setting the various"):
        yield Proxy(f"127.0.0.1:{port}", directory)
