# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""Making connections: directly or through a proxy, over TLS or not. And what it means when that fails."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

from azext_acrimport.registry.address import Origin
from azext_acrimport.registry.causes import detail_of, failure
from azext_acrimport.registry.connection import Connection
from azext_acrimport.registry.credentials import basic_authorization
from azext_acrimport.registry.errors import ConnectionFailed, Reason
from azext_acrimport.registry.response import HttpViolation
from azext_acrimport.registry.sockets import is_ready, set_timeout, shut

if TYPE_CHECKING:
    import ssl


class TransportSettings(NamedTuple):
    """How connections are made.

    ``ca_bundle`` is a file or directory of trusted certificates (None: the system's), ``proxies`` maps schemes to
    URLs as :func:`urllib.request.getproxies` gives them, with the exceptions under ``no``.
    """

    ca_bundle: str | None = None
    verify: bool = True
    proxies: Mapping[str, str] = MappingProxyType({})
    user_agent: str = "acrimport"
    connect_timeout_seconds: float = 20.0
    timeout_seconds: float = 60.0

    def __repr__(self) -> str:
        """Without the proxies, which may hold a password."""
        return f"TransportSettings(ca_bundle={self.ca_bundle!r}, verify={self.verify})"


class _Place(NamedTuple):
    """Where an address leads, and how long the way there took."""

    family: int
    kind: int
    protocol: int
    address: Any
    seconds: float


class Dialer:
    """Makes connected sockets. Safe for several threads."""

    def __init__(self, settings: TransportSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._context: ssl.SSLContext | None = None
        self._dialling: set[socket.socket] = set()
        self._places: dict[tuple[str, int], _Place] = {}

    def begin(self, origin: Origin) -> socket.socket | None:
        """Begin to connect a socket, without waiting; None where no connection was made before, or only by a proxy."""
        place = self._places.get((origin.host, origin.port))
        if place is None or self._proxy_for(origin):
            return None
        sock = socket.socket(place.family, place.kind, place.protocol)
        try:
            sock.setblocking(False)
            sock.connect(place.address)
        except BlockingIOError:
            pass  # it goes on by itself
        except OSError:
            sock.close()
            return None
        return sock

    def round_trip_seconds(self, origin: Origin) -> float:
        """How long it took to reach the origin, without TLS; 0 where that is not known."""
        place = self._places.get((origin.host, origin.port))
        return place.seconds if place else 0.0

    def connect(self, host: str, origin: Origin, begun: socket.socket | None = None) -> socket.socket:
        """A socket that is connected to the origin, ready for HTTP. ``host`` is the registry's name for errors.

        ``begun`` is one that :meth:`begin` has returned.

        :raises ConnectionFailed: there is no way there.
        """
        with ExitStack() as undo:
            try:
                sock = self._await(begun, undo) if begun else self._dial(host, origin, undo)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if origin.scheme == "https":
                    sock = self._secure(sock, origin, undo)
                set_timeout(sock, self._settings.timeout_seconds)
            except (OSError, ValueError) as ex:  # ValueError: a host name that TLS cannot take
                raise failure(host, origin, ex) from ex
            with self._lock:
                self._dialling.discard(sock)
            undo.pop_all()
        return sock

    def abort(self) -> None:
        """Break off the connections that are being made, in all threads."""
        with self._lock:
            for sock in self._dialling:
                shut(sock)

    def _open(self, address: tuple[str, int], undo: ExitStack) -> socket.socket:
        """Connect to an address; ``undo`` closes the socket again."""
        refusal: OSError | None = None
        for family, kind, protocol, _, place in socket.getaddrinfo(*address, type=socket.SOCK_STREAM):
            sock = socket.socket(family, kind, protocol)
            self._watch(sock, undo)
            began = time.monotonic()
            try:
                sock.settimeout(self._settings.connect_timeout_seconds)
                sock.connect(place)
                self._places[address] = _Place(family, kind, protocol, place, time.monotonic() - began)
                return sock
            except OSError as ex:
                self._drop(sock)
                refusal = refusal or ex
        raise refusal or OSError("the name has no address")

    def _await(self, sock: socket.socket, undo: ExitStack) -> socket.socket:
        """Wait until a socket is connected."""
        self._watch(sock, undo)
        sock.settimeout(self._settings.connect_timeout_seconds)
        if not is_ready(sock, self._settings.connect_timeout_seconds, to_write=True):
            raise TimeoutError("no answer in time")
        error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise OSError(error, os.strerror(error))
        return sock

    def _watch(self, sock: socket.socket, undo: ExitStack) -> None:
        with self._lock:
            self._dialling.add(sock)
        undo.callback(self._drop, sock)

    def _drop(self, sock: socket.socket) -> None:
        with self._lock:
            self._dialling.discard(sock)
        sock.close()

    def _secure(self, sock: socket.socket, origin: Origin, undo: ExitStack) -> socket.socket:
        with self._lock:
            self._dialling.discard(sock)
        secured = self._tls().wrap_socket(sock, server_hostname=origin.host, do_handshake_on_connect=False)
        self._watch(secured, undo)
        secured.do_handshake()
        return secured

    def _dial(self, host: str, origin: Origin, undo: ExitStack) -> socket.socket:
        proxy = self._proxy_for(origin)
        timeout = self._settings.connect_timeout_seconds
        if not proxy:
            return self._open((origin.host, origin.port), undo)
        parts = _proxy_address(host, origin, proxy)
        if parts.scheme != "http" or not parts.hostname:
            detail = f"a proxy of the kind {parts.scheme}:// is not supported; use http://"
            raise ConnectionFailed(host, origin.authority, Reason.PROXY, detail)
        peer = f"proxy {parts.hostname}:{parts.port or 80}"
        try:
            sock = self._open((parts.hostname, parts.port or 80), undo)
        except OSError as ex:
            raise ConnectionFailed(host, peer, Reason.PROXY, detail_of(ex)) from ex
        try:
            _tunnel(sock, origin, _proxy_authorization(parts.username, parts.password), timeout)
        except (OSError, HttpViolation) as ex:
            raise ConnectionFailed(host, peer, Reason.PROXY, f"no way to {origin.authority}: {ex}") from ex
        return sock

    def _proxy_for(self, origin: Origin) -> str | None:
        if origin.is_loopback:
            return None
        proxies = self._settings.proxies
        if not proxies:
            return None
        from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]  # slow to import

        if proxy_bypass_environment(f"{origin.host}:{origin.port}", dict(proxies)):
            return None
        return proxies.get(origin.scheme) or proxies.get("all")

    def _tls(self) -> ssl.SSLContext:
        with self._lock:
            if self._context is None:
                self._context = _tls_context(self._settings)
            return self._context


def _tls_context(settings: TransportSettings) -> ssl.SSLContext:
    import ssl

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


def _proxy_address(host: str, origin: Origin, proxy: str) -> SplitResult:
    try:
        parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        parts.port  # noqa: B018 # pylint: disable=pointless-statement # reading it is what checks it
        return parts
    except ValueError:  # its text may hold a part of the password
        detail = "the proxy's address cannot be read; special characters in its password are written as %XX"
        raise ConnectionFailed(host, origin.authority, Reason.PROXY, detail) from None


def _proxy_authorization(username: str | None, password: str | None) -> str:
    return "" if username is None else basic_authorization(unquote(username), unquote(password or ""))


def _tunnel(sock: socket.socket, origin: Origin, authorization: str, timeout_seconds: float) -> None:
    """Ask the proxy for a way through. Source: RFC 9110, section 9.3.6 (CONNECT)."""
    headers = {"Host": origin.host_and_port}
    if authorization:
        headers["Proxy-Authorization"] = authorization
    connection = Connection(sock, timeout_seconds=timeout_seconds)
    connection.send("CONNECT", origin.host_and_port, headers)
    # As to HEAD, there is no body to a CONNECT that went through; of one that did not, the status is enough.
    response = connection.receive("HEAD", lambda _connection, _keep: None)
    if response.status != 200:
        raise ConnectionError(f"it answered {response.status}")
