# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""A client of the tests' own that hides nothing: one exchange, the raw answer."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPMessage
from typing import Any
from urllib.parse import urlsplit

from emulator.store import digest_of

TIMEOUT_SECONDS = 20


@dataclass(frozen=True)
class Answer:
    """Status, header fields and body of a response."""

    status: int
    headers: HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The first error code of the distribution specification."""
        return str(self.json["errors"][0]["code"])


class Client:
    """Sends requests to one address, all on one connection while that lasts."""

    def __init__(self, address: str, headers: Mapping[str, str] | None = None) -> None:
        self.headers = dict(headers or {})
        self.connection = HTTPConnection(address, timeout=TIMEOUT_SECONDS)

    def __call__(
        self,
        method: str,
        target: str,
        body: bytes | Iterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        parts = urlsplit(target)
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        chunked = body is not None and not isinstance(body, bytes)
        self.connection.request(method, target, body, {**self.headers, **(headers or {})}, encode_chunked=chunked)
        response = self.connection.getresponse()
        return Answer(response.status, response.headers, response.read())

    def close(self) -> None:
        self.connection.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def push_blob(self, name: str, content: bytes) -> str:
        digest = digest_of(content)
        location = self("POST", f"/v2/{name}/blobs/uploads/").headers["Location"]
        answer = self("PUT", f"{location}&digest={digest}", content)
        assert answer.status == 201, answer
        return digest


def raw(address: str, content: bytes) -> bytes:
    """Send bytes as they are and read until the server closes."""
    host, _, port = address.partition(":")
    with socket.create_connection((host, int(port)), timeout=TIMEOUT_SECONDS) as sock:
        sock.sendall(content)
        received = b""
        while chunk := sock.recv(65536):
            received += chunk
    return received
