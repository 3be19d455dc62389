# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""The answer to a request: its head, and its body as a stream.

Source: RFC 9112 (HTTP/1.1).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from azext_acrimport.registry.connection import Connection

RECEIVE_BYTES = 16 << 10  # holds a head and a small manifest in one go
_MAX_TRAILERS = 100
_WORTH_DRAINING_BYTES = 64 << 10
_NO_BODY = frozenset({204, 304})
_NAMES: dict[str, str] = {}  # of headers, as they came, in lower case
_MOST_NAMES, _LONGEST_NAME = 200, 64


class HttpViolation(Exception):
    """The peer sent something that is not HTTP/1.1, or more of it than we take."""


class TooLong(HttpViolation):
    """A body is longer than we take."""


class Truncated(ConnectionError):
    """The peer closed the connection before its message was complete."""


class Response:  # pylint: disable=too-many-instance-attributes
    """An answer: its status, its headers (names in lower case), and its body as a stream."""

    def __init__(
        self,
        connection: Connection,
        status: int,
        headers: dict[str, str],
        *,
        method: str,
        version: bytes,
        on_end: Callable[[Connection, bool], None],
        deadline: float,
    ) -> None:
        self.status = status
        self.headers = headers
        self._connection = connection
        self._on_end: Callable[[Connection, bool], None] | None = on_end
        self._deadline = deadline
        self._chunked, self._left = _framing(method, status, headers)
        self._keep_alive = version == b"HTTP/1.1" and "close" not in headers.get("connection", "").lower()
        if self._left == 0 and not self._chunked:
            self._end()

    @property
    def length(self) -> int | None:
        """How many bytes of the body are to come; None when only its end will tell."""
        return None if self._chunked else self._left

    def readinto(self, view: memoryview) -> int:
        """Fill a part of the view; 0 at the end of the body.

        :raises Truncated: the connection ended before the body.
        """
        if self._on_end is None:
            return 0
        if self._chunked and not self._left and not self._next_chunk():
            return 0
        if self._left is not None and len(view) > self._left:
            view = view[: self._left]
        count = self._connection.readinto(view)
        if self._left is None:
            if not count:
                self._end()  # without a length, the end of the stream is the end of the body
            return count
        if not count:
            self.close()
            raise Truncated("the connection was closed in the middle of a body")
        self._left -= count
        if not self._left:
            if self._chunked:
                self._skip_line()
            else:
                self._end()
        return count

    def fill(self, view: memoryview) -> int:
        """Fill the view, or as much of it as there is in one go; 0 at the end of the body.

        :raises Truncated: the connection ended before the body.
        """
        if self._on_end is None or self._chunked or self._left is None:
            return self.readinto(view)
        count = self._connection.fill(view[: self._left])
        if not count:
            self.close()
            raise Truncated("the connection was closed in the middle of a body")
        self._left -= count
        if not self._left:
            self._end()
        return count

    def read(self, limit: int) -> bytes:
        """Read the whole body.

        :raises TooLong: it has more than ``limit`` bytes.
        """
        if self._left is not None and not self._chunked and self._left > limit:
            self.close()
            raise TooLong(f"a body of {self._left} bytes, over the limit of {limit}")
        parts = []
        room = limit
        view = memoryview(bytearray(min(limit + 1, (self._left or RECEIVE_BYTES) if not self._chunked else 4096)))
        while count := self.readinto(view):
            parts.append(bytes(view[:count]))
            room -= count
            if room < 0:
                self.close()
                raise TooLong(f"a body of more than {limit} bytes")
            if time.monotonic() > self._deadline:
                self.close()
                raise TimeoutError("the response took too long")
        return b"".join(parts)

    def drain(self) -> None:
        """Read a small body away, so that the connection can be used again; a large one is not worth it."""
        try:
            self.read(_WORTH_DRAINING_BYTES)
        except (OSError, HttpViolation):
            self.close()

    def abort(self) -> None:
        """Wake up whichever thread reads this."""
        self._connection.abort()

    def close(self) -> None:
        """Stop reading; unless the body is over, the connection goes too."""
        on_end, self._on_end = self._on_end, None
        if on_end:
            on_end(self._connection, False)

    def _end(self) -> None:
        on_end, self._on_end = self._on_end, None
        if on_end:
            on_end(self._connection, self._keep_alive and self._left is not None)

    def _next_chunk(self) -> bool:
        line = self._connection.read_line(self._connection.deadline()).partition(b";")[0].strip()
        try:
            size = int(line, 16) if line.isalnum() else -1
        except ValueError:
            size = -1
        if not 0 <= size < 1 << 63:
            self.close()
            raise HttpViolation("a malformed chunk")
        if size:
            self._left = size
            return True
        deadline = self._connection.deadline()
        for _ in range(_MAX_TRAILERS):
            if not self._connection.read_line(deadline):
                break
        else:
            self.close()
            raise HttpViolation("trailers without end")
        self._end()
        return False

    def _skip_line(self) -> None:
        if self._connection.read_line(self._connection.deadline()):
            self.close()
            raise HttpViolation("a malformed chunk")


def parse_head(head: bytes) -> tuple[int, dict[str, str], bytes]:
    """The status, the headers (names in lower case) and the version of a response head.

    :raises HttpViolation: it is not HTTP/1.1.
    """
    lines = head.decode("latin-1").split("\r\n")
    version, _, rest = lines[0].partition(" ")
    status = rest[:3]
    if not version.startswith("HTTP/1.") or not _is_number(status) or rest[3:4] not in ("", " "):
        raise HttpViolation("the answer is not HTTP")
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        known = _NAMES.get(name)
        if known is None or not colon:
            known = _header_name(name, colon)
        value = value.strip()
        if known in headers:
            if known == "content-length" and headers[known] != value:
                raise HttpViolation("two lengths for one body")
            value = value if known == "content-length" else f"{headers[known]}, {value}"
        headers[known] = value
    return int(status), headers, version.encode("latin-1")


def _header_name(name: str, colon: str) -> str:
    """A header's name in lower case; remembered, for registries send the same ones again and again."""
    if not colon or not name or name[0] in " \t" or name[-1] in " \t":
        raise HttpViolation("a malformed response header")
    lower = name.lower()
    if len(_NAMES) < _MOST_NAMES and len(name) <= _LONGEST_NAME:
        _NAMES[name] = lower
    return lower


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _framing(method: str, status: int, headers: Mapping[str, str]) -> tuple[bool, int | None]:
    """Whether the body is chunked, and its length where that is known. Source: RFC 9112, section 6.3."""
    if method == "HEAD" or status in _NO_BODY:
        return False, 0
    if "transfer-encoding" in headers:
        if headers["transfer-encoding"].lower() != "chunked":
            raise HttpViolation("an unknown transfer encoding")
        return True, 0
    if "content-length" in headers:
        length = headers["content-length"]
        if not _is_number(length) or len(length) > 18:
            raise HttpViolation("a malformed length")
        return False, int(length)
    return False, None
