# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""The HTTP layer: framing, connections, the proxies with TLS, the log."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from collections.abc import Iterator

import pytest

from emulator.http import Request, Response, Server
from tests.emulator.registry_client import TIMEOUT_SECONDS, Client, raw


def echo(request: Request) -> Response:
    body = request.read_all()
    return Response.json(200, {"path": request.path, "query": request.query, "size": len(body), "as": request.client})


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        yield running
        assert running.errors == []


def through(proxy: str, host: str, ca_file: object) -> http.client.HTTPSConnection:
    context = ssl.create_default_context(cafile=str(ca_file))
    connection = http.client.HTTPSConnection(proxy.removeprefix("http://"), timeout=TIMEOUT_SECONDS, context=context)
    connection.set_tunnel(host, 443)
    return connection


def test_keep_alive_serves_many_requests_on_one_connection(server: Server) -> None:
    address = server.serve_plain(echo)
    with Client(address) as client:
        for number in range(3):
            assert client("POST", f"/x?n={number}", b"ab").json["query"] == [["n", str(number)]]
    assert server.log.count("POST") == 3
    assert server.log.connections(address) == 1


def test_chunked_request_body_is_decoded(server: Server) -> None:
    with Client(server.serve_plain(echo)) as client:
        assert client("PUT", "/x", iter([b"abc", b"d" * 70000])).json["size"] == 70003
        assert client("GET", "/y").json["path"] == "/y"


def test_path_stays_encoded_and_query_is_decoded(server: Server) -> None:
    with Client(server.serve_plain(echo)) as client:
        assert client("GET", "/a%2Fb?x=1%202&y=").json == {
            "path": "/a%2Fb",
            "query": [["x", "1 2"], ["y", ""]],
            "size": 0,
            "as": "direct",
        }


def test_expect_continue_is_answered_only_when_the_body_is_wanted(server: Server) -> None:
    head = b"PUT /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    assert raw(server.serve_plain(echo), head + b"ab").startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200")
    refusing = server.serve_plain(lambda request: Response.text(403, "no"))
    assert raw(refusing, head).startswith(b"HTTP/1.1 403")


def test_unread_large_body_still_lets_the_answer_through(server: Server) -> None:
    address = server.serve_plain(lambda request: Response.text(413, "too large"))
    with Client(address) as client:
        answer = client("PUT", "/x", b"x" * 4_000_000)
    assert (answer.status, answer.body) == (413, b"too large")
    assert answer.headers["Connection"] == "close"


def test_unread_small_body_keeps_the_connection(server: Server) -> None:
    address = server.serve_plain(lambda request: Response.text(401, "who"))
    with Client(address) as client:
        assert client("PUT", "/x", b"x" * 1000).status == 401
        assert client("PUT", "/x", b"x" * 1000).status == 401
    assert server.log.connections(address) == 1


def test_iterable_body_without_a_length_goes_in_chunks(server: Server) -> None:
    with Client(server.serve_plain(lambda request: Response(200, {}, iter([b"ab", b"", b"cd"])))) as client:
        answer = client("GET", "/")
    assert answer.headers["Transfer-Encoding"] == "chunked"
    assert answer.body == b"abcd"


def test_head_has_the_length_and_no_body(server: Server) -> None:
    with Client(server.serve_plain(lambda request: Response.text(200, "four"))) as client:
        answer = client("HEAD", "/")
        assert (answer.headers["Content-Length"], answer.body) == ("4", b"")
        assert client("GET", "/").body == b"four"


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"PUT / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"PUT / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"PUT / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n",
        b"GET / HTTP/1.1\r\nx: " + b"y" * 200_000 + b"\r\n\r\n",
    ],
)
def test_malformed_request_gets_400(server: Server, request_bytes: bytes) -> None:
    assert raw(server.serve_plain(echo), request_bytes).startswith(b"HTTP/1.1 400 ")


def test_failing_app_answers_500_and_is_reported() -> None:
    def broken(request: Request) -> Response:
        raise KeyError("defect")

    with Server() as server:
        with Client(server.serve_plain(broken)) as client:
            assert client("GET", "/").status == 500
        assert "KeyError: 'defect'" in server.errors[0]


@pytest.mark.parametrize("side", ["inside", "outside"])
def test_proxy_plays_a_host_by_its_real_name(server: Server, side: str) -> None:
    server.add_host("*.azurecr.io", echo)
    proxy = server.inside_proxy if side == "inside" else server.outside_proxy
    connection = through(proxy, "myregistry.azurecr.io", server.ca_file)
    for _ in range(2):
        connection.request("POST", "/v2/", b"x" * 100_000)
        answer = connection.getresponse().read()
    connection.close()
    assert b'"size": 100000' in answer
    assert f'"as": "{side}"'.encode() in answer
    assert [str(entry) for entry in server.log] == ["200 POST myregistry.azurecr.io/v2/"] * 2
    assert server.log.connections("myregistry.azurecr.io") == 1


def test_proxy_refuses_a_host_that_it_does_not_play(server: Server) -> None:
    answer = raw(server.inside_proxy.removeprefix("http://"), b"CONNECT example.com:443 HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 502 ")
    assert b"example.com" in answer
    assert server.log.refused == ["example.com"]


def test_proxy_serves_plain_http_in_absolute_form(server: Server) -> None:
    server.add_host("played.example", echo)
    answer = raw(
        server.inside_proxy.removeprefix("http://"),
        b"GET http://played.example/x?y=1 HTTP/1.1\r\nHost: played.example\r\nConnection: close\r\n\r\n",
    )
    assert b'"path": "/x"' in answer


def test_certificate_is_for_the_host_and_for_no_other(server: Server) -> None:
    server.add_host("a.azurecr.io", echo)
    connection = through(server.inside_proxy, "a.azurecr.io", server.ca_file)
    connection.connect()
    assert isinstance(connection.sock, ssl.SSLSocket)
    assert connection.sock.getpeercert()["subjectAltName"] == (("DNS", "a.azurecr.io"),)  # type: ignore[index]
    connection.close()
    distrustful = through(server.inside_proxy, "a.azurecr.io", server.ca_file)
    distrustful._context = ssl.create_default_context()  # type: ignore[attr-defined]
    with pytest.raises(ssl.SSLCertVerificationError):
        distrustful.connect()
    distrustful.close()


def test_exact_host_goes_before_wildcard_and_resolver(server: Server) -> None:
    apps = {name: (lambda request: Response()) for name in ("exact", "wildcard", "resolver")}
    server.add_resolver(lambda host: apps["resolver"])
    server.add_host("*.azurecr.io", apps["wildcard"])
    server.add_host("a.azurecr.io", apps["exact"])
    assert server.app_for("A.azurecr.io") is apps["exact"]
    assert server.app_for("b.azurecr.io") is apps["wildcard"]
    assert server.app_for("elsewhere.example") is apps["resolver"]


def test_serve_tls_is_trusted_with_the_ca(server: Server) -> None:
    address = server.serve_tls(echo)
    context = ssl.create_default_context(cafile=str(server.ca_file))
    connection = http.client.HTTPSConnection(address, timeout=TIMEOUT_SECONDS, context=context)
    connection.request("GET", "/x")
    assert connection.getresponse().status == 200
    connection.close()


def test_stop_ends_waiting_connections_and_frees_the_port() -> None:
    server = Server()
    address = server.serve_plain(echo)
    host, _, port = address.partition(":")
    idle = socket.create_connection((host, int(port)), timeout=TIMEOUT_SECONDS)
    with Client(address) as client:
        client("GET", "/")
        server.stop()
        assert idle.recv(1) == b""
    idle.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)), timeout=TIMEOUT_SECONDS)


def test_log_counts_bodies_and_waits_for_requests(server: Server) -> None:
    address = server.serve_plain(echo)

    def ask() -> None:
        with Client(address) as client:
            client("PUT", "/a/b", b"12345")

    thread = threading.Thread(target=ask)
    thread.start()
    (entry,) = server.log.wait_for(method="PUT", path="^/a/")
    thread.join()
    assert entry.status == 200
    assert entry.received_bytes == 5
    assert server.log.matching(method="PUT", host=address, path="/b$", status=200, client="direct") == [entry]
    server.log.clear()
    assert len(server.log) == 0
    with pytest.raises(TimeoutError):
        server.log.wait_for(count=1, timeout_seconds=0.01)


def test_many_connections_at_once(server: Server) -> None:
    address = server.serve_plain(echo)
    sizes: list[int] = []

    def ask() -> None:
        with Client(address) as client:
            sizes.extend(client("PUT", "/", b"x" * 50_000).json["size"] for _ in range(5))

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sizes == [50_000] * 100
