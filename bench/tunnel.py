# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""A proxy for az: what is for one host goes to a port of this machine, everything else to another proxy."""

from __future__ import annotations

import fcntl
import os
import socket
import threading
from types import TracebackType

from bench.processes import LOOPBACK

_PIPE_BYTES = 1 << 20
_MAX_HEAD_BYTES = 16 << 10
_F_SETPIPE_SZ = 1031  # fcntl has a name for it from Python 3.10 on, but not on every system


class Tunnel:
    """Takes CONNECT requests. ``port`` may be set at any time: it is where ``host`` is from then on.

    The bytes do not pass through Python: the kernel moves them from socket to socket.
    """

    def __init__(self, host: str, next_proxy_port: int) -> None:
        self.port = 0
        self._host = host
        self._next_proxy_port = next_proxy_port
        self._listener = socket.create_server((LOOPBACK, 0), backlog=64)
        self._thread = threading.Thread(target=self._accept, name="bench-tunnel", daemon=True)

    def __enter__(self) -> Tunnel:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, ex: BaseException | None, tb: TracebackType | None) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # close alone would leave the thread waiting
        self._thread.join()
        self._listener.close()

    @property
    def url(self) -> str:
        """What to set as proxy."""
        return f"http://{LOOPBACK}:{self._listener.getsockname()[1]}"

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), name="bench-tunnel-connection", daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client:
            head = _read_head(client)
            ours = head.startswith(f"CONNECT {self._host}:443 ".encode())
            try:
                server = socket.create_connection((LOOPBACK, self.port if ours else self._next_proxy_port))
            except OSError:
                return
            with server:
                if ours:
                    client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                else:
                    server.sendall(head)
                back = threading.Thread(target=_pump, args=(server, client), daemon=True)
                back.start()
                _pump(client, server)
                back.join()


def _read_head(client: socket.socket) -> bytes:
    """The request's head. A client sends nothing after it before it has the answer."""
    head = b""
    while not head.endswith(b"\r\n\r\n") and len(head) < _MAX_HEAD_BYTES:
        part = client.recv(4096)
        if not part:
            break
        head += part
    return head


def _pump(source: socket.socket, target: socket.socket) -> None:
    """Move bytes until the source ends, and pass its end on."""
    out, into = os.pipe()
    try:
        fcntl.fcntl(into, _F_SETPIPE_SZ, _PIPE_BYTES)
        while count := os.splice(source.fileno(), into, _PIPE_BYTES):
            while count:
                count -= os.splice(out, target.fileno(), count)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # one of the two has gone: both are closed by the caller
    finally:
        os.close(out)
        os.close(into)
