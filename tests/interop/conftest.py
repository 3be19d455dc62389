# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Two real registries, and skopeo to read back what was copied between them."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bcrypt
import pytest

from emulator.tls import CertificateAuthority
from tests.interop.peers import DockerRegistry, program, serving

_SKOPEO_SECONDS = 120


@pytest.fixture
def source(tmp_path: Path) -> Iterator[DockerRegistry]:
    """An empty registry to copy from."""
    with serving(tmp_path / "source") as registry:
        yield registry


@pytest.fixture
def target(tmp_path: Path) -> Iterator[DockerRegistry]:
    """An empty registry to copy to."""
    with serving(tmp_path / "target") as registry:
        yield registry


@pytest.fixture
def users(tmp_path: Path) -> dict[str, Any]:
    """The settings of a registry that takes only the user ``builder`` with the password ``s3cret``."""
    path = tmp_path / "htpasswd"
    path.write_bytes(b"builder:" + bcrypt.hashpw(b"s3cret", bcrypt.gensalt(4)) + b"\n")
    return {"auth": {"htpasswd": {"realm": "private", "path": str(path)}}}


@pytest.fixture
def private_target(tmp_path: Path, users: dict[str, Any]) -> Iterator[DockerRegistry]:
    """An empty registry that takes only the user ``builder`` with the password ``s3cret``."""
    with serving(tmp_path / "private", users) as registry:
        yield registry


@pytest.fixture
def authority(tmp_path: Path) -> CertificateAuthority:
    """A certificate authority that nobody knows."""
    return CertificateAuthority(tmp_path / "authority")


def tls(authority: CertificateAuthority, address: str = "127.0.0.1") -> dict[str, Any]:
    """The settings of a registry that speaks TLS, with a certificate for an address."""
    authority.server_context(address)
    file = str(authority.ca_file.with_name(f"{address}.pem"))  # key and certificate
    return {"http": {"tls": {"certificate": file, "key": file}}}


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
    return Skopeo(program("skopeo"), directory)
