# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Hostile registries, and what holds for whatever comes of them."""

from __future__ import annotations

import socket
import threading
import time
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from azext_acrimport.transfer.errors import CopyError
from emulator.faults import Action, Fault
from emulator.http import Request, Response
from tests.support.lab import TARGET, Lab

ESCAPES = "\x1b[2J\x1b]0;owned\x07\x9b31m\x00\x08\r\u202ereversed\u2066\u200f\ufeff\u2028"


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Check that what is done inside takes no longer: an upper bound, far above what it should take."""
    began = time.monotonic()
    yield
    assert time.monotonic() - began < seconds


def endless(piece: bytes = b"x" * 65536, *, seconds: float = 20) -> Iterator[bytes]:
    """A body without an end, but for that of a test that has failed."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        yield piece


class Body(Action):
    """Answer with a body that is made anew for each request."""

    def __init__(self, make: Callable[[], Iterator[bytes]], status: int = 200, **headers: str) -> None:
        self.make = make
        self.status = status
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}

    def on_request(self, request: Request, line: Any) -> Response:
        return Response(self.status, self.headers, b"" if request.method == "HEAD" else self.make())


def attack(lab: Lab, action: Action, *, path: str = "", host: str = "", **where: Any) -> None:
    lab.server.faults.add(Fault(action, host=host or lab.source_host, path=path, times=None, **where))


def fails(lab: Lab, *arguments: Any) -> CopyError:
    """Copy; it fails with an error that a terminal can be shown, and leaves no tag."""
    with within(15), pytest.raises(CopyError) as raised:
        lab.copy(*arguments)
    held = lab.target_app.store.get(TARGET)
    assert held is None or held.tags == {}
    assert_harmless(str(raised.value))
    return raised.value


def assert_harmless(text: str) -> None:
    """No control characters, nor such as turn the direction of what follows; and not too long."""
    assert not [c for c in text if unicodedata.category(c) in {"Cc", "Cf", "Zl", "Zp", "Cs"}]
    assert len(text) < 2000


def sent_bytes(lab: Lab) -> int:
    return sum(entry.sent_bytes for entry in lab.server.log)


Script = Callable[[str, str], Iterator[bytes]]
"""What is sent in answer to a method and a path, piece by piece."""

ATTACK_SECONDS = 8  # how long an attack goes on: what waits for its end has failed


class Peer:
    """A server that sends what a script says, whatever HTTP says."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._socks: list[socket.socket] = []
        self.host = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._start(self._accept)

    def close(self) -> None:
        self._stopping.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in self._socks:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it has ended before
        for thread in self._threads:
            thread.join(5)

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self._socks.append(sock)
            self._start(self._serve, sock)

    def _serve(self, sock: socket.socket) -> None:
        sock.settimeout(5)
        until = time.monotonic() + ATTACK_SECONDS
        try:
            with sock, sock.makefile("rb") as reader:
                while b" HTTP/1.1" in (head := reader.readline()):  # what else comes is TLS, to find out about us
                    line = head.decode()
                    while reader.readline().strip():
                        pass
                    for piece in self._script(*line.split()[:2]):
                        if self._stopping.is_set() or time.monotonic() > until:
                            return
                        sock.sendall(piece)
        except OSError:
            pass  # the client has had enough


def repeated(piece: bytes, pause: float = 0.0) -> Iterator[bytes]:
    while True:
        yield piece
        time.sleep(pause)


def chunked(body: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + (b"%x\r\n%s\r\n" % (len(body), body) if body else b"")


@contextmanager
def source_that(lab: Lab, part: str, attack: Callable[[bytes], Iterator[bytes]]) -> Iterator[None]:
    """Play a source that answers as it should, but for reads of paths with ``part`` in them.

    ``attack`` gets the body that belongs there, and returns all that is sent, head and body.
    """

    def script(method: str, path: str) -> Iterator[bytes]:
        response = lab.source_app(Request(method, path, host="source"))
        body = response.content()
        if part in path and method == "GET":
            yield from attack(body)
            return
        response.headers["Content-Length"] = str(len(body))
        lines = "".join(f"{name}: {value}\r\n" for name, value in response.headers.items())
        yield f"HTTP/1.1 {response.status} X\r\n{lines}\r\n".encode() + (b"" if method == "HEAD" else body)

    peer = Peer(script)
    lab.source_host = peer.host
    try:
        yield
    finally:
        peer.close()
