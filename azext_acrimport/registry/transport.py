# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""Connections to all hosts of a run: made directly or through a proxy, over TLS or not, kept alive and used again."""

from __future__ import annotations

import base64
import os
import socket
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from urllib.parse import unquote, urlsplit
from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]

from azext_acrimport.registry.address import Origin
from azext_acrimport.registry.connection import Connection, HttpViolation, Response
from azext_acrimport.registry.errors import ConnectionFailed, ProtocolError, Reason, RegistryFailure

_SEND_BUFFER_BYTES = 1 << 20  # lets the kernel carry on while a worker hashes


@dataclass(frozen=True)
class TransportSettings:
    """How connections are made.

    ``ca_bundle`` is a file or directory of trusted certificates (None: the system's), ``proxies`` maps schemes to
    URLs as :func:`urllib.request.getproxies` gives them, with the exceptions under ``no``.
    """

    ca_bundle: str | None = None
    verify: bool = True
    proxies: Mapping[str, str] = field(default_factory=dict, repr=False)  # may hold the proxy's password
    user_agent: str = "acrimport"
    connect_timeout_seconds: float = 20.0
    timeout_seconds: float = 60.0


class Transport:
    """Sends requests. Safe for several threads; each request has a connection to itself while it lasts."""

    def __init__(self, settings: TransportSettings | None = None) -> None:
        self.settings = settings or TransportSettings()
        self._lock = threading.Lock()
        self._idle: dict[Origin, list[Connection]] = {}
        self._busy: set[Connection] = set()
        self._context: ssl.SSLContext | None = None
        self._aborted = False
        self._round_trips: dict[Origin, float] = {}

    def __enter__(self) -> Transport:
        return self

    def __exit__(self, kind: type[BaseException] | None, ex: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections that wait for a next request."""
        with self._lock:
            idle, self._idle = self._idle, {}
        for connections in idle.values():
            for connection in connections:
                connection.close()

    def abort(self) -> None:
        """Break off whatever is under way, in all threads; nothing can be sent any more."""
        with self._lock:
            self._aborted = True
            busy = list(self._busy)
        for connection in busy:
            connection.abort()

    def request(
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
                taken = time.monotonic() - began
                self._round_trips[origin] = min(taken, self._round_trips.get(origin, taken))
                return response
            except ConnectionFailed as ex:
                if not exchange.was_stale(ex):
                    raise

    def pipeline(
        self, host: str, origin: Origin, method: str, targets: Sequence[str], headers: Mapping[str, str]
    ) -> list[Response]:
        """Send several requests at once over one connection; return the answers that came, in order.

        They have no bodies (the method is HEAD). There may be fewer answers than requests: not every server takes
        requests before it has answered the last one. Source: RFC 9112, section 9.3.2.
        """
        answers: list[Response] = []
        try:
            exchange = self.open(host, origin)
            exchange.send_all(method, targets, headers)
            while len(answers) < len(targets):
                answers.append(exchange.receive(last=len(answers) == len(targets) - 1))
        except RegistryFailure:
            pass  # what is missing is asked for again, one by one
        return answers

    def round_trip_seconds(self, origin: Origin) -> float:
        """How long a request takes at least, by the quickest one so far; 0 before the first."""
        return self._round_trips.get(origin, 0.0)

    def open(self, host: str, origin: Origin) -> Exchange:
        """Take a connection to the origin, for one request at a time.

        :raises ConnectionFailed: none can be made.
        """
        while connection := self._take(origin):
            if not connection.answered():
                return Exchange(self, host, origin, connection)
            self._done(origin, connection, False)  # the peer has closed it meanwhile
        return Exchange(self, host, origin, self._connect(host, origin))

    def _take(self, origin: Origin) -> Connection | None:
        with self._lock:
            idle = self._idle.get(origin)
            if not idle:
                return None
            connection = idle.pop()
            connection.reused = True
            self._busy.add(connection)
            return connection

    def _connect(self, host: str, origin: Origin) -> Connection:
        sock: socket.socket | None = None
        try:
            sock = self._dial(host, origin)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if origin.scheme == "https":
                sock = self._tls().wrap_socket(sock, server_hostname=origin.host)
            sock.settimeout(self.settings.timeout_seconds)
        except (OSError, ValueError) as ex:  # ValueError: a host name that TLS cannot take
            if sock:
                sock.close()
            raise failure(host, origin, ex) from ex
        connection = Connection(sock, timeout_seconds=self.settings.timeout_seconds)
        with self._lock:
            self._busy.add(connection)
            aborted = self._aborted
        if aborted:
            connection.abort()
        return connection

    def _dial(self, host: str, origin: Origin) -> socket.socket:
        proxy = self._proxy_for(origin)
        timeout = self.settings.connect_timeout_seconds
        if not proxy:
            return socket.create_connection((origin.host, origin.port), timeout)
        parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        if parts.scheme != "http" or not parts.hostname:
            detail = f"a proxy of the kind {parts.scheme}:// is not supported; use http://"
            raise ConnectionFailed(host, origin.authority, Reason.PROXY, detail)
        peer = f"proxy {parts.hostname}:{parts.port or 80}"
        try:
            sock = socket.create_connection((parts.hostname, parts.port or 80), timeout)
        except OSError as ex:
            raise ConnectionFailed(host, peer, Reason.PROXY, _detail(ex)) from ex
        try:
            _tunnel(sock, origin, _proxy_authorization(parts.username, parts.password), timeout)
        except (OSError, HttpViolation) as ex:
            sock.close()
            raise ConnectionFailed(host, peer, Reason.PROXY, f"no way to {origin.authority}: {ex}") from ex
        return sock

    def _proxy_for(self, origin: Origin) -> str | None:
        if origin.is_loopback:
            return None
        proxies = self.settings.proxies
        if proxy_bypass_environment(f"{origin.host}:{origin.port}", dict(proxies)):
            return None
        return proxies.get(origin.scheme) or proxies.get("all")

    def _tls(self) -> ssl.SSLContext:
        with self._lock:
            if self._context is None:
                self._context = _tls_context(self.settings)
            return self._context

    def _done(self, origin: Origin, connection: Connection, keep: bool) -> None:
        with self._lock:
            self._busy.discard(connection)
            if keep and not self._aborted:
                self._idle.setdefault(origin, []).append(connection)
                return
        connection.close()


class Exchange:
    """One connection, taken for a request and its answer; the answer's end gives it back.

    Use it instead of :meth:`Transport.request` to stream a request's body, or to send before reading.
    """

    def __init__(self, transport: Transport, host: str, origin: Origin, connection: Connection) -> None:
        self.origin = origin
        self.incomplete = False  # set when not all of the request was sent: the connection is of no further use
        self._transport = transport
        self._host = host
        self._connection = connection
        self._method = ""

    def send(self, method: str, target: str, headers: Mapping[str, str], body: bytes | memoryview = b"") -> None:
        """Send the head, and with it the body or its first part."""
        self._method = method
        fields = self._fields(headers)
        if "Content-Length" not in fields and (body or method in ("POST", "PUT", "PATCH")):
            fields["Content-Length"] = str(len(body))
        try:
            self._connection.send(method, target, fields, body)
        except OSError as ex:
            self._give_up(ex)

    def send_all(self, method: str, targets: Sequence[str], headers: Mapping[str, str]) -> None:
        """Send several requests without bodies, all at once."""
        self._method = method
        fields = self._fields(headers)
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

    def receive(self, *, last: bool = True) -> Response:
        """Read the head of the answer; the ``last`` one that is expected gives the connection back at its end."""
        try:
            return self._connection.receive(self._method, self._end if last else self._go_on)
        except (OSError, HttpViolation) as ex:
            self.close()
            raise failure(self._host, self.origin, ex) from ex

    def was_stale(self, ex: ConnectionFailed) -> bool:
        """Whether the failure only says that a kept-alive connection had been closed by the peer meanwhile."""
        return self._connection.reused and ex.reason is Reason.BROKEN and not self._transport._aborted

    def close(self) -> None:
        """Drop the connection."""
        self._end(self._connection, False)

    def _go_on(self, connection: Connection, keep: bool) -> None:
        """An answer has ended and more are to come, unless the server says that it closes."""
        if not keep:
            connection.abort()

    def _end(self, connection: Connection, keep: bool) -> None:
        self._transport._done(self.origin, connection, keep and not self.incomplete)

    def _give_up(self, ex: OSError) -> None:
        """The peer closed while we were sending: it may have said why before it did (413, 401)."""
        if isinstance(ex, (BrokenPipeError, ConnectionResetError)) and self._connection.answered():
            self.incomplete = True
            return  # receive() tells
        self.close()
        raise failure(self._host, self.origin, ex) from ex


def failure(host: str, origin: Origin, ex: Exception) -> RegistryFailure:
    """Our error for what a socket or the HTTP parser raised."""
    peer = origin.authority
    if isinstance(ex, RegistryFailure):
        return ex
    if isinstance(ex, HttpViolation):
        return ProtocolError(host, f"{peer} sent {ex}")
    if isinstance(ex, socket.gaierror):
        return ConnectionFailed(host, peer, Reason.DNS, f"the name cannot be resolved ({_detail(ex)})")
    if isinstance(ex, ConnectionRefusedError):
        return ConnectionFailed(host, peer, Reason.REFUSED, "the connection was refused")
    if isinstance(ex, TimeoutError):
        return ConnectionFailed(host, peer, Reason.TIMEOUT, "no answer in time")
    if isinstance(ex, ssl.SSLCertVerificationError):
        return ConnectionFailed(host, peer, Reason.TLS, f"its certificate is not trusted ({ex.verify_message})")
    if isinstance(ex, ssl.SSLError) and not isinstance(ex, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
        return ConnectionFailed(host, peer, Reason.TLS, f"TLS failed ({ex.reason or ex})")
    if isinstance(ex, OSError):
        return ConnectionFailed(host, peer, Reason.BROKEN, f"the connection broke ({_detail(ex)})")
    return ConnectionFailed(host, peer, Reason.TLS, str(ex))


def _detail(ex: OSError) -> str:
    return ex.strerror or str(ex) or type(ex).__name__


def _tls_context(settings: TransportSettings) -> ssl.SSLContext:
    bundle = settings.ca_bundle
    is_directory = bundle is not None and os.path.isdir(bundle)
    context = ssl.create_default_context(
        cafile=None if is_directory else bundle, capath=bundle if is_directory else None
    )
    # HTTP/2 would cost a third of the throughput of large blobs: docs/benchmarks.md
    context.set_alpn_protocols(["http/1.1"])
    if not settings.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _proxy_authorization(username: str | None, password: str | None) -> str:
    if username is None:
        return ""
    pair = f"{unquote(username)}:{unquote(password or '')}".encode()
    return f"Basic {base64.b64encode(pair).decode()}"


def _tunnel(sock: socket.socket, origin: Origin, authorization: str, timeout_seconds: float) -> None:
    """Ask the proxy for a way through. Source: RFC 9110, section 9.3.6 (CONNECT)."""
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    headers = {"Host": f"{host}:{origin.port}"}
    if authorization:
        headers["Proxy-Authorization"] = authorization
    connection = Connection(sock, timeout_seconds=timeout_seconds)
    connection.send("CONNECT", f"{host}:{origin.port}", headers)
    # As to HEAD, there is no body to a CONNECT that went through; of one that did not, the status is enough.
    response = connection.receive("HEAD", lambda _connection, _keep: None)
    if response.status != 200:
        raise ConnectionError(f"it answered {response.status}")
