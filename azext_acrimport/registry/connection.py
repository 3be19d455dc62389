# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""One HTTP/1.1 connection: requests out, responses in, no policy.

A copy of many small images is bound by requests, and http.client spends 110 us of CPU on each where this spends 25.
It also lets a request be sent before the answer to the last one has been read, which saves whole round trips.
Source: RFC 9112 (HTTP/1.1), RFC 9110 (HTTP semantics).
"""

from __future__ import annotations

import select
import socket
import struct
import sys
import time
from collections.abc import Callable, Mapping

MAX_HEAD_BYTES = 64 << 10  # bounds what a hostile server makes us keep; real heads have one or two KiB
_RECEIVE_BYTES = 16 << 10  # holds a head and a small manifest in one go
_MAX_TRAILERS = 100
_SSL_WANT_READ = 2  # ssl.SSL_ERROR_WANT_READ, without importing ssl for plain http
_SMALL_RECORD = 1 << 10  # a peer that fills its records is not the one that never ends
KERNEL_TIMEOUTS = sys.platform == "linux"
# Of a plain socket the kernel waits for a whole buffer, or the time limit.
_WHOLE_BUFFER = socket.MSG_WAITALL if KERNEL_TIMEOUTS else 0
_NO_BODY = frozenset({204, 304})


def set_timeout(sock: socket.socket, seconds: float) -> None:
    """Limit how long a single read or write of the socket may take.

    Where the kernel keeps the time, reads and writes need one system call each instead of two.
    """
    if not KERNEL_TIMEOUTS:
        sock.settimeout(seconds)
        return
    sock.settimeout(None)
    limit = struct.pack("ll", int(seconds), int(seconds % 1 * 1_000_000))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)


def shut(sock: socket.socket) -> None:
    """Wake up whichever thread waits for the socket."""
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # it was closed by the peer or by its own thread


def is_ready(sock: socket.socket, seconds: float = 0.0, *, to_write: bool = False) -> bool:
    """Whether there is something to read, or room to write, within so many seconds."""
    if not hasattr(select, "poll"):  # Windows
        ready = select.select([] if to_write else [sock], [sock] if to_write else [], [], seconds)
        return bool(ready[0] or ready[1])
    poll = select.poll()  # unlike select, it takes descriptors above 1023
    poll.register(sock, select.POLLOUT if to_write else select.POLLIN)
    return bool(poll.poll(seconds * 1000))


class HttpViolation(Exception):
    """The peer sent something that is not HTTP/1.1, or more of it than we take."""


class TooLong(HttpViolation):
    """A body is longer than we take."""


class Truncated(ConnectionError):
    """The peer closed the connection before its message was complete."""


class Connection:  # pylint: disable=too-many-instance-attributes
    """A socket that speaks HTTP/1.1. Not safe for several threads at once."""

    def __init__(self, sock: socket.socket, *, timeout_seconds: float) -> None:
        self.sock = sock
        self.reused = False
        self.aborted = False
        self._timeout_seconds = timeout_seconds
        self._is_tls = hasattr(sock, "pending")
        # What SSLSocket.recv_into() calls after some checks that cost as much as the read itself.
        self._read: Callable[[int, memoryview], int] = getattr(sock, "read", lambda size, view: 0)
        self._received = b""
        self._offset = 0
        self._ended = False

    def send(self, method: str, target: str, headers: Mapping[str, str], body: bytes | memoryview = b"") -> None:
        """Send a request head, and with it the body or its first part."""
        data = self.head(method, target, headers)
        if body and len(body) <= _RECEIVE_BYTES:
            self.sock.sendall(data + bytes(body))
            return
        self.sock.sendall(data)
        if body:
            self.sock.sendall(body)

    @staticmethod
    def head(method: str, target: str, headers: Mapping[str, str]) -> bytes:
        """A request head as it goes over the wire."""
        lines = [f"{method} {target} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        head = "\r\n".join(lines)
        if head.count("\n") != len(lines) - 1 or head.count("\r") != len(lines) - 1:
            raise ValueError("a line break in a request head")  # a header of ours made from somebody else's text
        return head.encode("latin-1") + b"\r\n\r\n"

    def write(self, data: memoryview | bytes) -> None:
        """Send a further part of the body."""
        self.sock.sendall(data)

    def answered(self) -> bool:
        """Whether the peer has begun to answer, or has gone away, while we are still sending."""
        if self._offset < len(self._received) or self._ended:
            return True
        if not getattr(self.sock, "pending", int)() and not is_ready(self.sock):
            return False
        return self._receive_at_once()

    def receive(self, method: str, on_end: Callable[[Connection, bool], None]) -> Response:
        """Read the head of the answer to ``method``; ``on_end`` is told when its body is over.

        :raises HttpViolation: it is not HTTP/1.1.
        :raises Truncated: the connection ended before it.
        """
        deadline = self.deadline()
        while True:
            status, headers, version = _parse_head(self._read_head(deadline))
            if status >= 200:
                break  # 100 Continue and 103 Early Hints come before the answer proper
        return Response(self, status, headers, method=method, version=version, on_end=on_end, deadline=deadline)

    def close(self) -> None:
        """Close the socket; what had not been sent or read is lost."""
        self.sock.close()

    def abort(self) -> None:
        """Wake up whichever thread waits for this socket."""
        self.aborted = True
        shut(self.sock)

    # What follows is for Response.

    def deadline(self) -> float:
        """Until when a piece of the answer may take that begins now, in seconds on a clock that only goes forward."""
        return time.monotonic() + self._timeout_seconds

    def readinto(self, view: memoryview) -> int:
        """Fill a part of the view; 0 at the end of the stream."""
        if self._offset < len(self._received):
            count = min(len(view), len(self._received) - self._offset)
            view[:count] = self._received[self._offset : self._offset + count]
            self._offset += count
            return count
        return self.sock.recv_into(view)

    def fill(self, view: memoryview) -> int:
        """Fill the view; less where the stream ends, breaks or is slow, and nothing only where it has ended."""
        if self._offset < len(self._received):
            return self.readinto(view)
        return self._fill_from_tls(view) if self._is_tls else self.sock.recv_into(view, 0, _WHOLE_BUFFER)

    def _fill_from_tls(self, view: memoryview) -> int:
        """TLS gives a record of 16 KiB at a time: this loop runs 65,000 times for a GiB."""
        read, size, filled = self._read, len(view), 0
        deadline = self.deadline()
        try:
            while filled < size:
                count = read(size - filled, view[filled:])
                if not count:
                    break
                filled += count
                if count < _SMALL_RECORD and time.monotonic() > deadline:
                    break
        except OSError:
            if not filled:
                raise  # else the next call meets it again
        return filled

    def read_line(self, deadline: float) -> bytes:
        """Read a line, without its end."""
        end = self._find(b"\n", deadline, limit=4096)
        line = self._received[self._offset : end]
        self._offset = end + 1
        return line.rstrip(b"\r")

    def _receive_at_once(self) -> bool:
        """Take what is there to read, without waiting. Over TLS that may be no data: session tickets come any time."""
        self.sock.setblocking(False)
        try:
            data = self.sock.recv(_RECEIVE_BYTES)
        except OSError as ex:
            if isinstance(ex, BlockingIOError) or ex.errno == _SSL_WANT_READ:
                return False
            data = b""
        finally:
            set_timeout(self.sock, self._timeout_seconds)
        self._ended = not data
        self._received, self._offset = data, 0
        return True

    def _read_head(self, deadline: float) -> bytes:
        end = self._find(b"\r\n\r\n", deadline, limit=MAX_HEAD_BYTES)
        head = self._received[self._offset : end]
        self._offset = end + 4
        return head

    def _find(self, mark: bytes, deadline: float, *, limit: int) -> int:
        while True:
            end = self._received.find(mark, self._offset)
            if end >= 0:
                return end
            if len(self._received) - self._offset > limit:
                raise HttpViolation("an endless response head")
            if time.monotonic() > deadline:
                raise TimeoutError("the response took too long")
            data = self.sock.recv(_RECEIVE_BYTES)
            if not data:
                raise Truncated("the connection was closed before the response")
            self._received = self._received[self._offset :] + data
            self._offset = 0


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
        view = memoryview(bytearray(min(limit + 1, (self._left or _RECEIVE_BYTES) if not self._chunked else 4096)))
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


def _parse_head(head: bytes) -> tuple[int, dict[str, str], bytes]:
    lines = head.decode("latin-1").split("\r\n")
    version, _, rest = lines[0].partition(" ")
    status = rest[:3]
    if not version.startswith("HTTP/1.") or not _is_number(status) or rest[3:4] not in ("", " "):
        raise HttpViolation("the answer is not HTTP")
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon or not name or name[0] in " \t" or name[-1] in " \t":
            raise HttpViolation("a malformed response header")
        name = name.lower()
        value = value.strip()
        if name in headers:
            if name == "content-length" and headers[name] != value:
                raise HttpViolation("two lengths for one body")
            value = value if name == "content-length" else f"{headers[name]}, {value}"
        headers[name] = value
    return int(status), headers, version.encode("latin-1")


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
