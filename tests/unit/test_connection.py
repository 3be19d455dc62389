# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""HTTP/1.1 on one socket: framing as servers really send it, and what is no HTTP."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azext_acrimport.registry import connection as module
from azext_acrimport.registry.connection import MAX_HEAD_BYTES, Connection
from azext_acrimport.registry.response import HttpViolation, Response, Truncated

TIMEOUT_SECONDS = 5


class Peer:
    """Both ends of a connection: ours, and the server's raw socket."""

    def __init__(self) -> None:
        ours, self.server = socket.socketpair()
        ours.settimeout(TIMEOUT_SECONDS)
        self.server.settimeout(TIMEOUT_SECONDS)
        self.connection = Connection(ours, timeout_seconds=TIMEOUT_SECONDS)
        self.kept: list[bool] = []

    def answer(self, data: bytes, method: str = "GET", *, close: bool = False) -> Response:
        # A thread writes, for more than a socket's buffer holds.
        threading.Thread(target=self._write, args=(data, close), daemon=True).start()
        return self.connection.receive(method, lambda connection, keep: self.kept.append(keep))

    def _write(self, data: bytes, close: bool) -> None:
        try:
            self.server.sendall(data)
            if close:
                self.server.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # our end has given up

    def end(self) -> None:
        self.connection.close()
        self.server.close()


@pytest.fixture
def peer() -> Iterator[Peer]:
    pair = Peer()
    yield pair
    pair.end()


class TestSending:
    def test_head_and_small_body(self, peer: Peer) -> None:
        peer.connection.send("PUT", "/v2/a?b=c", {"Host": "r.io", "Content-Length": "2"}, b"ab")
        assert peer.server.recv(1000) == b"PUT /v2/a?b=c HTTP/1.1\r\nHost: r.io\r\nContent-Length: 2\r\n\r\nab"

    def test_large_body_arrives_whole(self, peer: Peer) -> None:
        body = bytes(range(256)) * 1000
        sender = threading.Thread(target=peer.connection.send, args=("PUT", "/", {}, body))
        sender.start()
        received = b""
        while len(received) < len(body) + len(b"PUT / HTTP/1.1\r\n\r\n"):
            received += peer.server.recv(1 << 20)
        sender.join()
        assert received.partition(b"\r\n\r\n")[2] == body

    @pytest.mark.parametrize(
        ("target", "headers"),
        [
            ("/x\r\nX: y", {}),
            ("/x", {"A": "b\r\nX: y"}),
            ("/x", {"A": "b\nX: y"}),
            ("/x", {"A\r\nB": "c"}),
            ("/x\r", {}),
        ],
    )
    def test_no_line_of_somebody_elses_gets_into_a_head(self, peer: Peer, target: str, headers: dict[str, str]) -> None:
        with pytest.raises(ValueError, match="line break"):
            peer.connection.send("GET", target, headers)
        peer.server.setblocking(False)
        with pytest.raises(BlockingIOError):
            peer.server.recv(1)

    def test_answered_tells_of_an_early_answer_and_of_a_closed_connection(self, peer: Peer) -> None:
        assert not peer.connection.answered()
        peer.server.sendall(b"H")
        assert peer.connection.answered()

    def test_closed_peer_counts_as_an_answer(self, peer: Peer) -> None:
        peer.server.close()
        assert peer.connection.answered()


class TestBodies:
    def test_with_a_length(self, peer: Peer) -> None:
        response = peer.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: b\r\n\r\nhelloNEXT")
        assert (response.status, response.length, response.headers["x-a"]) == (200, 5, "b")
        assert response.read(100) == b"hello"
        assert peer.kept == [True]

    def test_next_answer_begins_where_the_last_ended(self, peer: Peer) -> None:
        both = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na" + b"HTTP/1.1 404 No\r\nContent-Length: 1\r\n\r\nb"
        assert peer.answer(both).read(10) == b"a"
        second = peer.answer(b"")
        assert (second.status, second.read(10)) == (404, b"b")

    @pytest.mark.parametrize("method", ["GET", "PUT"])
    def test_in_chunks(self, peer: Peer, method: str) -> None:
        response = peer.answer(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"5\r\nhello\r\n1;extension=1\r\n \r\n0A\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n",
            method,
        )
        assert response.length is None
        assert response.read(100) == b"hello 0123456789"
        assert peer.kept == [True]

    def test_until_the_end_of_the_stream(self, peer: Peer) -> None:
        response = peer.answer(b"HTTP/1.1 200 OK\r\n\r\nhello", close=True)
        assert response.read(100) == b"hello"
        assert peer.kept == [False]

    @pytest.mark.parametrize("method", ["HEAD"])
    def test_head_has_none_whatever_it_announces(self, peer: Peer, method: str) -> None:
        response = peer.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", method)
        assert response.read(100) == b""
        assert response.headers["content-length"] == "5"
        assert peer.kept == [True]

    @pytest.mark.parametrize("status", [204, 304])
    def test_some_statuses_have_none(self, peer: Peer, status: int) -> None:
        assert peer.answer(f"HTTP/1.1 {status} X\r\n\r\n".encode()).read(10) == b""
        assert peer.kept == [True]

    def test_interim_answers_are_passed_over(self, peer: Peer) -> None:
        response = peer.answer(
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
            b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"
        )
        assert response.status == 201
        assert "link" not in response.headers

    @pytest.mark.parametrize(
        "head",
        [b"HTTP/1.1 200 OK\r\nConnection: close", b"HTTP/1.0 200 OK", b"HTTP/1.1 200 OK\r\nConnection: Close, x"],
    )
    def test_connection_is_not_kept_where_the_server_will_close_it(self, peer: Peer, head: bytes) -> None:
        peer.answer(head + b"\r\nContent-Length: 1\r\n\r\na").read(10)
        assert peer.kept == [False]

    def test_repeated_fields_are_joined(self, peer: Peer) -> None:
        head = b"HTTP/1.1 401 X\r\nWWW-Authenticate: Basic realm=a\r\nwww-authenticate: Bearer realm=b\r\n"
        response = peer.answer(head + b"Content-Length: 0\r\n\r\n")
        assert response.headers["www-authenticate"] == "Basic realm=a, Bearer realm=b"

    def test_reading_into_a_view_stops_at_the_end(self, peer: Peer) -> None:
        response = peer.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloNEXT")
        view = memoryview(bytearray(10))
        assert response.fill(view) == 5
        assert bytes(view[:5]) == b"hello"
        assert response.readinto(view) == 0

    def test_closing_before_the_end_gives_the_connection_up(self, peer: Peer) -> None:
        response = peer.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe")
        response.close()
        response.close()
        assert peer.kept == [False]


class TestBroken:
    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"HTTP/1.1 200 OK\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
        ],
    )
    def test_end_in_the_middle_is_noticed(self, peer: Peer, data: bytes) -> None:
        with pytest.raises(Truncated):
            peer.answer(data, close=True).read(100)
        assert True not in peer.kept

    @pytest.mark.parametrize(
        "data",
        [
            b"SSH-2.0-OpenSSH\r\n\r\n",
            b"HTTP/2 200\r\n\r\n",
            b"HTTP/1.1 abc\r\n\r\n",
            b"HTTP/1.1 2000 OK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n : x\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 0x5\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 30 + b"\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloworld\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"f" * 40 + b"\r\n",
            b"HTTP/1.1 200 OK\r\nX: " + b"y" * (2 * MAX_HEAD_BYTES) + b"\r\n\r\n",
        ],
    )
    def test_what_is_no_http_is_refused(self, peer: Peer, data: bytes) -> None:
        with pytest.raises(HttpViolation):
            peer.answer(data, close=True).read(100)

    @pytest.mark.parametrize(
        "data",
        [
            b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nhello \r\n5\r\nworld\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n\r\nhello world",
        ],
    )
    def test_more_than_the_limit_is_not_taken(self, peer: Peer, data: bytes) -> None:
        with pytest.raises(HttpViolation, match="10"):
            peer.answer(data, close=True).read(10)
        assert peer.kept == [False]

    def test_silent_peer_is_not_waited_for_for_ever(self) -> None:
        ours, server = socket.socketpair()
        ours.settimeout(0.02)
        connection = Connection(ours, timeout_seconds=0.02)
        with pytest.raises(TimeoutError):
            connection.receive("GET", lambda connection, keep: None)
        connection.close()
        server.close()

    def test_peer_that_sends_a_byte_now_and_then_neither(self, peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
        now = iter(range(0, 10_000, 2))
        monkeypatch.setattr(module.time, "monotonic", lambda: float(next(now)))

        def drip() -> None:
            try:
                while True:
                    peer.server.sendall(b"X")
            except OSError:
                pass  # our end has given up

        dripping = threading.Thread(target=drip)
        dripping.start()
        with pytest.raises((TimeoutError, HttpViolation)):
            peer.connection.receive("GET", lambda connection, keep: None)
        peer.connection.close()
        dripping.join()

    def test_abort_wakes_the_reader(self, peer: Peer) -> None:
        threading.Timer(0.01, peer.connection.abort).start()
        with pytest.raises(Truncated):
            peer.connection.receive("GET", lambda connection, keep: None)


@given(st.binary(max_size=300), st.sampled_from([b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\n\r\n"]))
def test_no_bytes_raise_anything_but_our_errors(data: bytes, start: bytes) -> None:
    pair = Peer()
    try:
        pair.answer(start + data, close=True).read(1000)
    except (HttpViolation, Truncated):
        pass
    finally:
        pair.end()
