# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Two real registries, and skopeo to read back what was copied between them."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import bcrypt
import pytest

from emulator.content import Artifact

_START_SECONDS = 30
_SKOPEO_SECONDS = 120
_STRICT = os.environ.get("ACRX_REQUIRE_INTEROP") == "1"

_CONFIG = """\
version: 0.1
log: {{level: info, formatter: text}}
storage: {{filesystem: {{rootdirectory: {root}}}, delete: {{enabled: true}}}}
http: {{addr: "127.0.0.1:0", secret: of-this-test-only}}
validation: {{manifests: {{urls: {{allow: ["^https://"]}}}}}}
"""
_AUTH = 'auth: {{htpasswd: {{realm: private, path: "{path}"}}}}\n'


def _program(name: str) -> str:
    """Return the path of a program; without it the test is skipped, or fails where a skip is refused."""
    path = shutil.which(name)
    if path is None:
        message = f"{name} is not installed (Debian: apt-get install docker-registry skopeo)"
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


def _start(program: str, directory: Path, extra: str = "") -> tuple[subprocess.Popen[bytes], DockerRegistry]:
    root = directory / "storage"
    root.mkdir(parents=True)
    (directory / "config.yml").write_text(_CONFIG.format(root=root) + extra, encoding="utf-8")
    log = directory / "log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [program, "serve", str(directory / "config.yml")],
            stdout=stream,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env={"PATH": os.environ["PATH"], "HOME": str(directory)},
        )
    deadline = time.monotonic() + _START_SECONDS
    while not (found := re.search(r"listening on (127\.0\.0\.1:\d+)", log.read_text(encoding="utf-8"))):
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            process.wait()
            pytest.fail(f"docker-registry did not start:\n{log.read_text(encoding='utf-8')}")
        time.sleep(0.02)
    return process, DockerRegistry(found[1], root)


def _running(program: str, directory: Path, extra: str = "") -> Iterator[DockerRegistry]:
    process, registry = _start(program, directory, extra)
    try:
        yield registry
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture
def source(tmp_path: Path) -> Iterator[DockerRegistry]:
    """An empty registry to copy from."""
    yield from _running(_program("docker-registry"), tmp_path / "source")


@pytest.fixture
def target(tmp_path: Path) -> Iterator[DockerRegistry]:
    """An empty registry to copy to."""
    yield from _running(_program("docker-registry"), tmp_path / "target")


@pytest.fixture
def private_target(tmp_path: Path) -> Iterator[DockerRegistry]:
    """An empty registry that takes only the user ``builder`` with the password ``s3cret``."""
    program = _program("docker-registry")
    users = tmp_path / "htpasswd"
    users.write_bytes(b"builder:" + bcrypt.hashpw(b"s3cret", bcrypt.gensalt(4)) + b"\n")
    yield from _running(program, tmp_path / "private", _AUTH.format(path=users))


@dataclass(frozen=True)
class Skopeo:
    """The skopeo program."""

    program: str
    directory: Path

    def run(self, *arguments: str) -> bytes:
        """Run it and return what it prints."""
        done = subprocess.run(
            [self.program, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SKOPEO_SECONDS,
            env={"PATH": os.environ["PATH"], "HOME": str(self.directory)},
            check=False,
        )
        assert done.returncode == 0, f"skopeo {' '.join(arguments)}\n{done.stderr.decode()}"
        return done.stdout

    def raw_manifest(self, image: str, *options: str) -> bytes:
        """Return the bytes of an image's manifest."""
        return self.run("inspect", "--raw", "--tls-verify=false", *options, f"docker://{image}")

    def tags(self, repository: str) -> list[str]:
        """Return the tags of a repository."""
        listing = json.loads(self.run("list-tags", "--tls-verify=false", f"docker://{repository}"))
        return sorted(listing["Tags"])

    def pull(self, image: str) -> dict[str, bytes]:
        """Copy an image with all its platforms into a directory and return what it put there, blobs by digest.

        The image's own manifest is there as ``manifest.json``, those below it under their digests.
        """
        directory = self.directory / "pulled"
        source = f"docker://{image}"
        self.run("--insecure-policy", "copy", "--all", "--src-tls-verify=false", source, f"dir:{directory}")
        pulled = {}
        for path in directory.iterdir():
            name = path.name.removesuffix(".manifest.json")
            pulled[f"sha256:{name}" if re.fullmatch("[0-9a-f]{64}", name) else name] = path.read_bytes()
        return pulled


@pytest.fixture
def skopeo(tmp_path: Path) -> Skopeo:
    """The skopeo program, with a home of its own."""
    directory = tmp_path / "skopeo"
    directory.mkdir()
    return Skopeo(_program("skopeo"), directory)
