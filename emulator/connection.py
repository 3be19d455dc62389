# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""One accepted connection: plain, TLS, or a proxy's tunnel to a host that is played here."""

from __future__ import annotations

import io
import select
import socket
import ssl
import struct
import threading
import time
import traceback
from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal, NoReturn

from emulator import wire
from emulator.injection import Action, Disconnect
from emulator.log import LogEntry
from emulator.messages import READ_BYTES, App, Client, Request, Response

if TYPE_CHECKING:
    from emulator.http import Server

Mode = Literal["plain", "tls", "proxy"]

_DRAIN_BYTES = 256 * 1024  # a body left unread up to this size is read to keep the connection, as Go's server does
_LINGER_SECONDS = 2.0  # how long a closed connection still takes what the client is sending, so that it sees the answer
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER on, 0 s: close() sends a TCP reset
_PEER_GONE = select.POLLHUP | select.POLLERR | getattr(select, "POLLRDHUP", 0)
_HOLD_POLL_SECONDS = 0.02


class Connection:
    """Serves one connection in a thread of its own. It is also the ``Line`` of the faults."""

    def __init__(
        self, server: Server, sock: socket.socket, *, mode: Mode, client: Client, address: str, app: App | None
    ) -> None:
        self._server = server
        self._sock = sock
        self._mode = mode
        self._client = client
        self._address = address
        self._app = app
        self._scheme = "http"
        self._reader: io.BufferedReader
        self._closing = False

    def run(self) -> None:
        """Serve requests until either side ends the connection."""
        reset = False
        try:
            self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._open()
            while not self._closing and self._serve_one():
                pass
        except Disconnect as end:
            reset = end.reset
        except (OSError, ValueError):
            pass  # the client went away, distrusts our certificate, or the server is stopping
        finally:
            self._close(reset=reset)
            self._server.forget(self)

    def abort(self) -> None:
        """Wake the thread from whatever it waits for and let it end; called from another thread."""
        self._closing = True
        try:
            # Not SSLSocket.shutdown: that would take the TLS state away under the reading thread.
            socket.socket.shutdown(self._sock, socket.SHUT_RDWR)
        except OSError:
            pass

    def stall(self) -> NoReturn:
        """Say nothing more until the client goes away or the server stops."""
        self._peer_gone(None)
        raise Disconnect(reset=True)

    def wait(self, event: threading.Event) -> None:
        """Wait for the event; end the connection when the client goes away or the server stops before."""
        while not event.wait(_HOLD_POLL_SECONDS):
            if self._closing or self._peer_gone(0):
                raise Disconnect(reset=True)

    def _peer_gone(self, timeout_ms: int | None) -> bool:
        poll = select.poll()
        poll.register(self._sock, _PEER_GONE)
        return bool(poll.poll(timeout_ms))

    def _open(self) -> None:
        opened = Request("ACCEPT", self._address, host=self._address, client=self._client)
        action = self._server.faults.take(opened)
        if action:
            action.on_request(opened, self)
        if self._mode != "proxy":
            self._server.log.add_connection(self._address)
        if self._mode == "tls":
            self._start_tls(self._address.rpartition(":")[0])
        self._reader = self._make_reader()

    def _make_reader(self) -> io.BufferedReader:
        return io.BufferedReader(socket.SocketIO(self._sock, "r"), READ_BYTES // 4)

    def _start_tls(self, host: str) -> None:
        context = self._server.authority.server_context(host)
        self._sock = context.wrap_socket(self._sock, server_side=True, do_handshake_on_connect=False)
        if self._closing:
            raise Disconnect(reset=False)
        self._sock.do_handshake()
        self._scheme = "https"

    def _serve_one(self) -> bool:
        """Serve one request; whether another may follow."""
        try:
            head = wire.read_head(self._reader)
            if head is None:
                return False
            if head.method == "CONNECT" and self._mode == "proxy" and self._app is None:
                return self._open_tunnel(head.target)
            request, body = self._read_request(head)
        except wire.BadRequest as ex:
            return self._refuse(wire.plain_text(400, f"Bad request: {ex}."))
        app = self._app or self._server.app_for(_without_port(request.host))
        if app is None:
            self._server.log.add_refused(request.host)
            return self._refuse(_unknown_host(request.host))
        return self._exchange(app, request, body, keep_alive=head.keep_alive)

    def _open_tunnel(self, target: str) -> bool:
        host = _without_port(target.lower())
        request = Request("CONNECT", target, host=host, client=self._client)
        action = self._server.faults.take(request)
        refusal = action.on_request(request, self) if action else None
        if refusal is not None:
            wire.frame(request, refusal)
            return self._refuse(wire.encode_head(refusal) + refusal.content())
        self._app = self._server.app_for(host)
        if self._app is None:
            self._server.log.add_refused(host)
            return self._refuse(_unknown_host(host))
        self._server.log.add_connection(host)
        self._sock.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        self._reader.close()
        self._start_tls(host)
        self._reader = self._make_reader()
        return True

    def _refuse(self, answer: bytes) -> bool:
        self._sock.sendall(answer)
        self._linger()
        return False

    def _read_request(self, head: wire.Head) -> tuple[Request, wire.RequestBody]:
        target = head.target
        host = (head.headers.get("Host") or self._address).lower()
        if target.startswith("http://"):  # absolute form: a proxy's plain http, or a client that may send it (RFC 9112)
            host, _, rest = target[len("http://") :].partition("/")
            target = f"/{rest}"
        path, query = wire.parse_target(target)
        body = wire.request_body(self._reader, head.headers, self._go_on)
        host = host[: -len(":443")] if host.endswith(":443") else host
        request = Request(head.method, path, query, head.headers, host, body, self._client, self._scheme)
        return request, body

    def _go_on(self) -> None:
        self._sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _exchange(self, app: App, request: Request, body: wire.RequestBody, *, keep_alive: bool) -> bool:
        entry = LogEntry(request.host, request.method, request.path, request.query, request.headers, self._client)
        action = self._server.faults.take(request)
        entry.fault = action.kind if action else ""
        self._server.log.add(entry)
        try:
            response = self._answer(app, request, action)
            keep_alive = self._settle(body, request) and keep_alive
            entry.received_bytes = body.received  # before the answer: a client that has it may look at the log
            keep_alive = self._send(request, response, entry, keep_alive=keep_alive) and keep_alive
        except wire.BadRequest as ex:
            return self._refuse(wire.plain_text(400, f"Bad request: {ex}."))
        finally:
            entry.received_bytes = body.received
        if not keep_alive and body.remaining != 0:
            self._linger()
        return keep_alive

    def _answer(self, app: App, request: Request, action: Action | None) -> Response:
        if action is None:
            return self._call(app, request)
        response = action.on_request(request, self)
        if response is None:
            response = self._call(app, request)
        return action.on_response(response, self)

    def _call(self, app: App, request: Request) -> Response:
        try:
            return app(request)
        except (Disconnect, OSError, wire.BadRequest):
            raise
        # The boundary to the apps: the server survives a defect of one of them, and tests find it in ``errors``.
        except Exception as ex:  # noqa: BLE001
            self._server.errors.append("".join(traceback.format_exception(ex)))
            return Response.text(500, f"The emulator failed: {ex!r}\n")

    def _settle(self, body: wire.RequestBody, request: Request) -> bool:
        """Read a short rest of the request body; whether the connection can take another request."""
        remaining = body.remaining
        if remaining == 0:
            return True
        if remaining is None or remaining > _DRAIN_BYTES or "Expect" in request.headers:
            return False
        while body.read(READ_BYTES):
            pass
        return True

    def _send(self, request: Request, response: Response, entry: LogEntry, *, keep_alive: bool) -> bool:
        """Send the response; whether it is complete as announced."""
        chunked = wire.frame(request, response)
        if not keep_alive:
            response.headers["Connection"] = "close"
        head = wire.encode_head(response)
        entry.status = response.status
        content = response.body
        if request.method == "HEAD":
            self._sock.sendall(head)
            if entry.fault and not isinstance(content, bytes):
                for _ in content:
                    pass  # a fault that ends the connection behind the header fields hides in the stream
        elif isinstance(content, bytes):
            entry.sent_bytes = len(content)
            self._send_all(head, content)
        else:
            self._sock.sendall(head)
            self._stream(content, entry, chunked=chunked)
            return chunked or response.headers.get("Content-Length") == str(entry.sent_bytes)
        return True

    def _send_all(self, head: bytes, content: bytes) -> None:
        if len(content) < READ_BYTES:
            self._sock.sendall(head + content)
        else:
            self._sock.sendall(head)
            self._sock.sendall(content)

    def _stream(self, content: Iterable[bytes], entry: LogEntry, *, chunked: bool) -> None:
        for chunk in content:
            if not chunk:
                continue
            entry.sent_bytes += len(chunk)
            if chunked:
                self._sock.sendall(b"%x\r\n" % len(chunk))
            self._sock.sendall(chunk)
            if chunked:
                self._sock.sendall(b"\r\n")
        if chunked:
            self._sock.sendall(b"0\r\n\r\n")

    def _linger(self) -> None:
        """Take what the client still sends: closing over unread bytes would reset the answer out of its hands."""
        self._end_tls()
        self._sock.shutdown(socket.SHUT_WR)
        self._sock.settimeout(_LINGER_SECONDS)
        deadline = time.monotonic() + _LINGER_SECONDS
        while time.monotonic() < deadline and self._sock.recv(READ_BYTES):
            pass

    def _end_tls(self) -> None:
        if isinstance(self._sock, ssl.SSLSocket):
            try:
                self._sock.settimeout(0)  # send our close_notify, do not wait for the client's
                self._sock.unwrap()
            except (OSError, ValueError):
                pass

    def _close(self, *, reset: bool) -> None:
        try:
            if reset:
                self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            else:
                self._end_tls()
        except OSError:
            pass
        if hasattr(self, "_reader"):
            self._reader.close()  # the socket stays open as long as its reader is
        self._sock.close()


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() else host


def _unknown_host(host: str) -> bytes:
    return wire.plain_text(502, f"The emulator does not play the host {host}.")
