# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Looks at what a client has left at the target, with Python's own HTTP client: not with the one that is measured."""

from __future__ import annotations

import hashlib
import http.client
import ssl
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from bench.processes import LOOPBACK
from bench.workloads import Content

_BUFFER_BYTES = 1 << 20
_TIMEOUT_SECONDS = 60
_ACCEPT = ", ".join(
    f"application/vnd.oci.image.{kind}.v1+json" for kind in ("index", "manifest")
)  # all that the workloads are made of


def differences(content: Content, port: int, repository: str, *, ca: Path | None, deep: bool) -> list[str]:
    """What is not as it should be in a repository of the registry at a port.

    Tags and manifests are read; blobs are asked for, and with ``deep`` read and hashed.
    """
    found = []
    with closing(_connect(port, ca)) as connection:
        for tag, digest in content.tags.items():
            if _read(connection, f"/v2/{repository}/manifests/{tag}") != content.manifests[digest]:
                found.append(f"the tag {tag} does not name {digest}")
        for digest, document in content.manifests.items():
            if _read(connection, f"/v2/{repository}/manifests/{digest}") != document:
                found.append(f"the manifest {digest} is not there")
        for digest, size in content.blobs.items():
            path = f"/v2/{repository}/blobs/{digest}"
            expected, there = (digest, _hash(connection, path)) if deep else (str(size), _size(connection, path))
            if there != expected:
                found.append(f"the blob {digest} of {size} bytes: {there}")
    return found


def _connect(port: int, ca: Path | None) -> http.client.HTTPConnection:
    if ca is None:
        return http.client.HTTPConnection(LOOPBACK, port, timeout=_TIMEOUT_SECONDS)
    context = ssl.create_default_context(cafile=str(ca))
    return http.client.HTTPSConnection(LOOPBACK, port, timeout=_TIMEOUT_SECONDS, context=context)


@contextmanager
def _asked(
    connection: http.client.HTTPConnection, method: str, path: str, headers: Mapping[str, str] | None = None
) -> Iterator[http.client.HTTPResponse]:
    connection.request(method, path, headers=dict(headers or {}))
    with connection.getresponse() as response:
        yield response
        response.read()  # so that the connection can be used again


def _read(connection: http.client.HTTPConnection, path: str) -> bytes | None:
    with _asked(connection, "GET", path, {"Accept": _ACCEPT}) as response:
        return response.read() if response.status == 200 else None


def _size(connection: http.client.HTTPConnection, path: str) -> str:
    with _asked(connection, "HEAD", path) as response:
        return response.headers.get("Content-Length", "") if response.status == 200 else f"status {response.status}"


def _hash(connection: http.client.HTTPConnection, path: str) -> str:
    with _asked(connection, "GET", path) as response:
        if response.status != 200:
            return f"status {response.status}"
        digester, buffer = hashlib.sha256(), memoryview(bytearray(_BUFFER_BYTES))
        while count := response.readinto(buffer):
            digester.update(buffer[:count])
        return f"sha256:{digester.hexdigest()}"
