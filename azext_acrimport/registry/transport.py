# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""Connections to all hosts of a run: kept alive and used again, each for one request at a time."""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from types import TracebackType

from azext_acrimport.registry.address import Origin
from azext_acrimport.registry.causes import failure
from azext_acrimport.registry.connection import Connection
from azext_acrimport.registry.dial import Dialer, TransportSettings
from azext_acrimport.registry.errors import ConnectionFailed, Reason
from azext_acrimport.registry.response import HttpViolation, Response

__all__ = ["Exchange", "Transport", "TransportSettings"]


class Transport:  # pylint: disable=too-many-instance-attributes
    """Sends requests. Safe for several threads; each request has a connection to itself while it lasts."""

    def __init__(self, settings: TransportSettings | None = None) -> None:
        self.settings = settings or TransportSettings()
        self._lock = threading.Lock()
        self._idle: dict[Origin, list[Connection]] = {}
        self._busy: set[Connection] = set()
        self._ahead: dict[Origin, list[socket.socket]] = {}
        self._made: Counter[Origin] = Counter()  # connections that there are, in whatever state, or that are being made
        self._dialer = Dialer(self.settings)
        self.aborted = False
        self._round_trips: dict[Origin, float] = {}

    def __enter__(self) -> Transport:
        return self

    def __exit__(self, kind: type[BaseException] | None, ex: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections that wait for a next request."""
        with self._lock:
            idle, self._idle = self._idle, {}
            ahead, self._ahead = self._ahead, {}
            for origin in {*idle, *ahead}:
                self._made[origin] -= len(idle.get(origin, ())) + len(ahead.get(origin, ()))
        for socks in ahead.values():
            for sock in socks:
                sock.close()
        for connections in idle.values():
            for connection in connections:
                connection.close()

    def abort(self) -> None:
        """Break off whatever is under way, in all threads; nothing can be sent any more."""
        self.aborted = True
        self.interrupt()

    def interrupt(self) -> None:
        """Break off whatever is under way, in all threads."""
        with self._lock:
            busy = list(self._busy)
        for connection in busy:
            connection.abort()
        self._dialer.abort()

    def request(  # pylint: disable=too-many-positional-arguments
        self, host: str, origin: Origin, method: str, target: str, headers: Mapping[str, str], body: bytes = b""
    ) -> Response:
        """Send a request and read the head of the answer.

        ``host`` is the registry's name for errors. A kept-alive connection that turns out to be stale is replaced.

        :raises ConnectionFailed: there was no answer.
        :raises ProtocolError: the answer was not HTTP.
        """
        while True:
            exchange = self.open(host, origin)
            try:
                began = time.monotonic()
                exchange.send(method, target, headers, body)
                response = exchange.receive()
                exchange.note_round_trip(time.monotonic() - began)
                return response
            except ConnectionFailed as ex:
                if not exchange.was_stale(ex):
                    raise

    def round_trip_seconds(self, origin: Origin) -> float:
        """How long a request takes at least, by the quickest one so far, or else the way there; 0 before the first."""
        return self._round_trips.get(origin) or self._dialer.round_trip_seconds(origin)

    def connect_ahead(self, host: str, origin: Origin, count: int) -> None:
        """Have so many connections for further requests, at least begun. Waits for the very first one only.

        :raises ConnectionFailed: that one cannot be made.
        """
        if not self._dialer.round_trip_seconds(origin) and self._made[origin] < count:
            self.give_back(origin, self._connect_anew(host, origin), True)
        with self._lock:
            missing = count - self._made[origin]
        socks = [sock for sock in (self._dialer.begin(origin) for _ in range(missing)) if sock]
        with self._lock:
            self._ahead.setdefault(origin, []).extend(socks)
            self._made[origin] += len(socks)

    def note_round_trip(self, origin: Origin, seconds: float) -> None:
        """A request was answered after so long."""
        self._round_trips[origin] = min(seconds, self._round_trips.get(origin, seconds))

    def open(self, host: str, origin: Origin) -> Exchange:
        """Take a connection to the origin, for one request at a time.

        :raises ConnectionFailed: none can be made.
        """
        while connection := self._take(origin) or self._take_begun(host, origin):
            if not connection.answered():
                return Exchange(self, host, origin, connection)
            self.give_back(origin, connection, False)  # the peer has closed it meanwhile
        return Exchange(self, host, origin, self._connect_anew(host, origin))

    def _take(self, origin: Origin) -> Connection | None:
        with self._lock:
            idle = self._idle.get(origin)
            if not idle:
                return None
            connection = idle.pop()
            connection.reused = True
            self._busy.add(connection)
            return connection

    def _take_begun(self, host: str, origin: Origin) -> Connection | None:
        """A connection that was begun ahead; None when there is none, or it came to nothing."""
        with self._lock:
            ahead = self._ahead.get(origin)
            begun = ahead.pop(0) if ahead else None
        if begun is None:
            return None
        try:
            connection = self._connect(host, origin, begun)
        except ConnectionFailed:
            with self._lock:
                self._made[origin] -= 1
            return None
        connection.reused = True  # it may have been closed meanwhile for having waited too long
        return connection

    def _connect_anew(self, host: str, origin: Origin) -> Connection:
        with self._lock:
            self._made[origin] += 1
        try:
            return self._connect(host, origin)
        except BaseException:
            with self._lock:
                self._made[origin] -= 1
            raise

    def _connect(self, host: str, origin: Origin, begun: socket.socket | None = None) -> Connection:
        sock = self._dialer.connect(host, origin, begun)
        connection = Connection(sock, timeout_seconds=self.settings.timeout_seconds)
        with self._lock:
            self._busy.add(connection)
            aborted = self.aborted
        if aborted:
            connection.abort()
        return connection

    def give_back(self, origin: Origin, connection: Connection, keep: bool) -> None:
        """Take a connection back: to be used again, or to be closed."""
        with self._lock:
            self._busy.discard(connection)
            if keep and not self.aborted:
                self._idle.setdefault(origin, []).append(connection)
                return
            self._made[origin] -= 1
        connection.close()


class Exchange:
    """One connection, taken for a request and its answer; the answer's end gives it back.

    Use it instead of :meth:`Transport.request` to stream a request's body, or to send before reading. Further requests
    may be sent before the first is answered; then the end of the last answer gives it back.
    """

    def __init__(self, transport: Transport, host: str, origin: Origin, connection: Connection) -> None:
        self.origin = origin
        self.incomplete = False  # set when not all of the request was sent: the connection is of no further use
        self._transport = transport
        self._host = host
        self._connection = connection
        self._is_over = False
        self._methods: deque[str] = deque()  # of the requests that have not been answered

    def send(self, method: str, target: str, headers: Mapping[str, str], body: bytes | memoryview = b"") -> None:
        """Send the head, and with it the body or its first part."""
        fields = self._fields(headers)
        self._methods.append(method)
        if "Content-Length" not in fields and (body or method in ("POST", "PUT", "PATCH")):
            fields["Content-Length"] = str(len(body))
        try:
            self._connection.send(method, target, fields, body)
        except OSError as ex:
            self._give_up(ex)

    def send_all(self, method: str, targets: Sequence[str], headers: Mapping[str, str]) -> None:
        """Send several requests without bodies, all at once."""
        fields = self._fields(headers)
        self._methods.extend(method for _ in targets)
        if method == "POST":
            fields["Content-Length"] = "0"
        try:
            self._connection.write(b"".join(self._connection.head(method, target, fields) for target in targets))
        except OSError as ex:
            self._give_up(ex)

    def _fields(self, headers: Mapping[str, str]) -> dict[str, str]:
        # A registry's content is stored compressed; a second compression on the wire would break its digest.
        settings = self._transport.settings
        fields = {"Host": self.origin.authority, "User-Agent": settings.user_agent, "Accept-Encoding": "identity"}
        fields.update(headers)
        return fields

    def write(self, data: memoryview | bytes) -> bool:
        """Send a further part of the body; False when the peer closed, but had answered before: receive() tells."""
        try:
            self._connection.write(data)
        except OSError as ex:
            self._give_up(ex)
            return False
        return True

    def answered(self) -> bool:
        """Whether the peer has answered, or gone, while the body is still being sent."""
        return self._connection.answered()

    @property
    def awaited(self) -> int:
        """How many answers are still to come."""
        return len(self._methods)

    def receive(self) -> Response:
        """Read the head of the next answer, whose predecessors have been read to their ends."""
        if not self._methods:  # it broke while something else was being sent
            raise ConnectionFailed(self._host, self.origin.authority, Reason.BROKEN, "the connection broke")
        method = self._methods.popleft()
        try:
            return self._connection.receive(method, self._go_on if self._methods else self._end)
        except (OSError, HttpViolation) as ex:
            self.close()
            raise failure(self._host, self.origin, ex) from ex

    def note_round_trip(self, seconds: float) -> None:
        """A request was answered after so long."""
        self._transport.note_round_trip(self.origin, seconds)

    def was_stale(self, ex: ConnectionFailed) -> bool:
        """Whether the failure only says that a kept-alive connection had been closed by the peer meanwhile."""
        return self._connection.reused and ex.reason is Reason.BROKEN and not self._connection.aborted

    def close(self) -> None:
        """Drop the connection, unless it has been given back."""
        self._methods.clear()
        if not self._is_over:
            self._end(self._connection, False)

    def _go_on(self, connection: Connection, keep: bool) -> None:
        """An answer has ended and more are to come, unless the server says that it closes."""
        if not keep:
            connection.abort()

    def _end(self, connection: Connection, keep: bool) -> None:
        self._is_over = True
        self._transport.give_back(self.origin, connection, keep and not self.incomplete)

    def _give_up(self, ex: OSError) -> None:
        """The peer closed while we were sending: it may have said why before it did (413, 401)."""
        if isinstance(ex, (BrokenPipeError, ConnectionResetError)) and self._connection.answered():
            self.incomplete = True
            return  # receive() tells
        self.close()
        raise failure(self._host, self.origin, ex) from ex
