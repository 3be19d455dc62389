# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""The server: an HTTP proxy that plays hosts by their real names, and listeners for single apps.

A client that is pointed at a proxy (``HTTPS_PROXY``) asks for ``CONNECT registry.example:443``; for a host that is
played here the server answers 200 and then speaks TLS itself, with a certificate for that name. Everything listens on
loopback.
"""

from __future__ import annotations

import socket
import tempfile
import threading
import time
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from emulator.connection import Connection, Mode
from emulator.injection import Faults
from emulator.log import LogEntry, RequestLog
from emulator.messages import App, Body, Client, ClientDisconnected, Headers, Request, Response

if TYPE_CHECKING:
    from emulator.tls import CertificateAuthority

__all__ = [
    "App",
    "Body",
    "Client",
    "ClientDisconnected",
    "Headers",
    "LogEntry",
    "Request",
    "RequestLog",
    "Resolver",
    "Response",
    "Server",
]

Resolver = Callable[[str], "App | None"]

_LOOPBACK = "127.0.0.1"
_BACKLOG = 512
_STOP_SECONDS = 5.0  # an upper bound: a connection that is told to end does so within milliseconds


class Server:
    """Plays hosts behind two proxies and serves single apps on listeners of their own.

    ``log`` holds the requests, ``faults`` what is done to chosen ones, ``errors`` the tracebacks of apps that failed
    (a defect of the emulator: the client gets a 500). Use it as a context manager, or call ``start`` and ``stop``.
    Files of the certificate authority go to ``directory``, by default a temporary one that ``stop`` removes.
    """

    def __init__(self, directory: Path | None = None, *, inside_port: int = 0, outside_port: int = 0) -> None:
        self.log = RequestLog()
        self.faults = Faults()
        self.errors: list[str] = []
        self.inside_proxy = ""
        self.outside_proxy = ""
        self._ports: tuple[tuple[Client, int], ...] = (("inside", inside_port), ("outside", outside_port))
        self._directory = directory
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._authority: CertificateAuthority | None = None
        self._hosts: dict[str, App] = {}
        self._resolvers: list[Resolver] = []
        self._lock = threading.Lock()
        self._stopping = False
        self._listeners: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._connections: dict[Connection, threading.Thread] = {}

    def start(self) -> Server:
        """Open the two proxies; their addresses are ``inside_proxy`` and ``outside_proxy`` (``http://127.0.0.1:PORT``)."""
        addresses = [self._listen("proxy", None, client, port) for client, port in self._ports]
        self.inside_proxy, self.outside_proxy = (f"http://{address}" for address in addresses)
        return self

    def stop(self) -> None:
        """Close everything; open connections end where they are."""
        with self._lock:
            self._stopping = True
            listeners, self._listeners = self._listeners, []
            connections = dict(self._connections)
        for listener in listeners:
            _wake_and_close(listener)
        for connection in connections:
            connection.abort()
        deadline = time.monotonic() + _STOP_SECONDS
        for thread in [*self._threads, *connections.values()]:
            thread.join(max(0.0, deadline - time.monotonic()))
        if self._temporary is not None:
            self._temporary.cleanup()
            self._temporary = None

    def __enter__(self) -> Server:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def authority(self) -> CertificateAuthority:
        """The certificate authority; made when it is first needed, for plain http does without."""
        with self._lock:
            if self._authority is None:
                from emulator.tls import CertificateAuthority

                if self._directory is None:
                    self._temporary = tempfile.TemporaryDirectory(prefix="acrimport-emulator-")
                    self._directory = Path(self._temporary.name)
                self._authority = CertificateAuthority(self._directory)
            return self._authority

    @property
    def ca_file(self) -> Path:
        """The certificate that a client has to trust."""
        return self.authority.ca_file

    def add_host(self, name: str, app: App) -> None:
        """Play a host behind the proxies. The name may hold a wildcard (``*.azurecr.io``); exact names go before."""
        self._hosts[name.lower()] = app

    def add_resolver(self, resolver: Resolver) -> None:
        """Ask ``resolver`` for the app of a host that no ``add_host`` names; it answers None where it has none."""
        self._resolvers.append(resolver)

    def app_for(self, host: str) -> App | None:
        """The app that plays a host."""
        host = host.lower()
        if host in self._hosts:
            return self._hosts[host]
        found = (app for pattern, app in list(self._hosts.items()) if "*" in pattern and fnmatchcase(host, pattern))
        resolved = (app for resolver in self._resolvers if (app := resolver(host)) is not None)
        return next(found, None) or next(resolved, None)

    def serve_plain(self, app: App, port: int = 0) -> str:
        """Serve one app over plain http; its address, ``127.0.0.1:PORT``."""
        return self._listen("plain", app, "direct", port)

    def serve_tls(self, app: App, port: int = 0) -> str:
        """Serve one app over https with a certificate for 127.0.0.1 and localhost; its address, ``127.0.0.1:PORT``."""
        return self._listen("tls", app, "direct", port)

    def forget(self, connection: Connection) -> None:
        """Called by a connection that has ended."""
        with self._lock:
            self._connections.pop(connection, None)

    def _listen(self, mode: Mode, app: App | None, client: Client, port: int) -> str:
        listener = socket.create_server((_LOOPBACK, port), backlog=_BACKLOG)
        address = f"{_LOOPBACK}:{listener.getsockname()[1]}"
        thread = threading.Thread(
            target=self._accept, args=(listener, mode, app, client, address), name=f"emulator-{mode}", daemon=True
        )
        with self._lock:
            self._stopping = False
            self._listeners.append(listener)
            self._threads.append(thread)
        thread.start()
        return address

    def _accept(self, listener: socket.socket, mode: Mode, app: App | None, client: Client, address: str) -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return  # the listener was closed
            connection = Connection(self, sock, mode=mode, client=client, address=address, app=app)
            thread = threading.Thread(target=connection.run, name="emulator-connection", daemon=True)
            with self._lock:
                if self._stopping:
                    sock.close()
                    return
                self._connections[connection] = thread
                thread.start()


def _wake_and_close(listener: socket.socket) -> None:
    """Close a listener under a thread that waits in ``accept``: close alone would leave it waiting."""
    try:
        listener.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # not every system shuts a listening socket down; the close does it there
    listener.close()
