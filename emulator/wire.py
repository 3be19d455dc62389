# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""HTTP/1.1 on one connection: heads, bodies, keep-alive; nothing here knows what is served."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol
from urllib.parse import parse_qsl

from emulator.messages import READ_BYTES, ClientDisconnected, Headers, Request, Response

MAX_HEAD_BYTES = 128 * 1024  # an app with a lower limit of its own (ACR: 16 KiB) answers that itself
_NO_BODY = {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}


class BadRequest(Exception):
    """What came is not an HTTP request."""


@dataclass(frozen=True)
class Head:
    """The first line of a request and its header fields."""

    method: str
    target: str
    headers: Headers
    keep_alive: bool


def read_head(reader: io.BufferedReader) -> Head | None:
    """Read the head of the next request; None when the client has closed the connection.

    :raises BadRequest: when it is malformed or too long.
    """
    line = b"\r\n"
    while line == b"\r\n":  # RFC 9112, 2.2: a server ignores empty lines before a request
        line = reader.readline(MAX_HEAD_BYTES + 1)
    if not line.endswith(b"\n"):
        if len(line) > MAX_HEAD_BYTES:
            raise BadRequest("the request line is too long")
        return None
    parts = line.decode("latin-1").split()
    if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
        raise BadRequest("the request line is malformed")
    headers = _read_fields(reader, MAX_HEAD_BYTES - len(line))
    if headers is None:
        return None
    connection = (headers.get("Connection") or "").lower()
    keep_alive = "close" not in connection and (parts[2] != "HTTP/1.0" or "keep-alive" in connection)
    return Head(parts[0], parts[1], headers, keep_alive)


def _read_fields(reader: io.BufferedReader, budget: int) -> Headers | None:
    headers = Headers()
    while True:
        line = reader.readline(budget + 1)
        budget -= len(line)
        if budget < 0:
            raise BadRequest("the header fields are too long")
        if line in (b"\r\n", b"\n"):
            return headers
        if not line.endswith(b"\n"):
            return None
        name, colon, value = line.decode("latin-1").partition(":")
        if not colon or not name or name != name.strip():
            raise BadRequest("a header field is malformed")
        headers.add(name, value.strip())


def parse_target(target: str) -> tuple[str, list[tuple[str, str]]]:
    """Split an origin-form target into path and query."""
    path, _, query = target.partition("?")
    return path, parse_qsl(query, keep_blank_values=True)


class RequestBody(Protocol):
    """A request body on the wire."""

    received: int

    @property
    def remaining(self) -> int | None:
        """How many bytes are still to come; None where that is not known."""

    def read(self, size: int = -1, /) -> bytes:
        """As ``messages.Body.read``."""


class _Source:
    """Where bodies read from; says ``100 Continue`` first where the client waits for it."""

    def __init__(self, reader: io.BufferedReader, go_on: Callable[[], None] | None) -> None:
        self._reader = reader
        self.go_on = go_on

    def begin(self) -> None:
        if self.go_on is not None:
            go_on, self.go_on = self.go_on, None
            go_on()

    def some(self, size: int) -> bytes:
        self.begin()
        chunk = self._reader.read1(size)
        if not chunk:
            raise ClientDisconnected("The client closed the connection inside a request body.")
        return chunk

    def line(self) -> bytes:
        self.begin()
        line = self._reader.readline(MAX_HEAD_BYTES)
        if not line.endswith(b"\n"):
            raise ClientDisconnected("The client closed the connection inside a chunk.")
        return line.strip()


class _SizedBody:
    def __init__(self, source: _Source, length: int) -> None:
        self._source = source
        self._left = length
        self.received = 0

    @property
    def remaining(self) -> int | None:
        return self._left

    def read(self, size: int = -1, /) -> bytes:
        if size < 0:
            return b"".join(_rest(self))
        if not self._left or not size:
            return b""
        chunk = self._source.some(min(size, self._left))
        self._left -= len(chunk)
        self.received += len(chunk)
        return chunk


class _ChunkedBody:
    def __init__(self, source: _Source) -> None:
        self._source = source
        self._left_in_chunk = 0
        self._ended = False
        self.received = 0

    @property
    def remaining(self) -> int | None:
        return 0 if self._ended else None

    def read(self, size: int = -1, /) -> bytes:
        if size < 0:
            return b"".join(_rest(self))
        if not self._left_in_chunk and not self._ended:
            self._next_chunk()
        if self._ended or not size:
            return b""
        chunk = self._source.some(min(size, self._left_in_chunk))
        self._left_in_chunk -= len(chunk)
        self.received += len(chunk)
        if not self._left_in_chunk:
            self._source.line()
        return chunk

    def _next_chunk(self) -> None:
        digits = self._source.line().partition(b";")[0].strip()
        try:
            self._left_in_chunk = int(digits, 16)
        except ValueError:
            raise BadRequest("a chunk has no size") from None
        if not self._left_in_chunk:
            while self._source.line():
                pass  # trailer fields
            self._ended = True


def _rest(body: RequestBody) -> Iterator[bytes]:
    while chunk := body.read(READ_BYTES):
        yield chunk


def request_body(reader: io.BufferedReader, headers: Headers, go_on: Callable[[], None]) -> RequestBody:
    """The body that the header fields announce.

    ``go_on`` is called before the first byte is read where the client asked for ``100 Continue``.

    :raises BadRequest: when the length is malformed or given twice.
    """
    source = _Source(reader, go_on if (headers.get("Expect") or "").lower() == "100-continue" else None)
    lengths = set(headers.get_all("Content-Length"))
    coding = (headers.get("Transfer-Encoding") or "").lower()
    if coding:
        if lengths or coding != "chunked":
            raise BadRequest("the transfer coding is not understood")
        return _ChunkedBody(source)
    length = lengths.pop() if lengths else "0"
    if lengths or not length.isdigit():
        raise BadRequest("the content length is malformed")
    return _SizedBody(source, int(length))


def encode_head(response: Response) -> bytes:
    """Status line and header fields as they go on the wire."""
    lines = [f"HTTP/1.1 {response.status} {response.reason}"]
    lines += [f"{name}: {value}" for name, value in response.headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def frame(request: Request, response: Response) -> bool:
    """Complete the header fields that frame the body; whether the body goes in chunks."""
    headers = response.headers
    if response.status in _NO_BODY or response.status < HTTPStatus.OK:
        response.body = b""
        return False
    if "Content-Length" in headers:
        return False
    if isinstance(response.body, bytes):
        headers["Content-Length"] = str(len(response.body))
        return False
    if request.method == "HEAD":
        return False
    headers["Transfer-Encoding"] = "chunked"
    return True


def plain_text(status: int, content: str) -> bytes:
    """A whole response of plain text, the last on its connection."""
    response = Response.text(status, content + "\n", {"Connection": "close"})
    frame(Request("GET", "/"), response)
    return encode_head(response) + response.content()
