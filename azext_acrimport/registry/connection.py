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

import socket
import time
from collections.abc import Callable, Mapping

from azext_acrimport.registry.response import RECEIVE_BYTES, HttpViolation, Response, Truncated, parse_head
from azext_acrimport.registry.sockets import KERNEL_TIMEOUTS, is_ready, set_timeout, shut

MAX_HEAD_BYTES = 64 << 10  # bounds what a hostile server makes us keep; real heads have one or two KiB
_SSL_WANT_READ = 2  # ssl.SSL_ERROR_WANT_READ, without importing ssl for plain http
_SMALL_RECORD = 1 << 10  # a peer that fills its records is not the one that never ends
# Of a plain socket the kernel waits for a whole buffer, or the time limit.
_WHOLE_BUFFER = socket.MSG_WAITALL if KERNEL_TIMEOUTS else 0


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
        if body and len(body) <= RECEIVE_BYTES:
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
            status, headers, version = parse_head(self._read_head(deadline))
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
            data = self.sock.recv(RECEIVE_BYTES)
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
            data = self.sock.recv(RECEIVE_BYTES)
            if not data:
                raise Truncated("the connection was closed before the response")
            self._received = self._received[self._offset :] + data
            self._offset = 0
