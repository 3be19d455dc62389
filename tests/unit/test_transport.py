# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Connections: kept and used again, through proxies or not, trusted or not, and what is said when there is none."""

from __future__ import annotations

import base64
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from azext_acrimport.registry.address import Origin, origin_of
from azext_acrimport.registry.client import Client
from azext_acrimport.registry.errors import ConnectionFailed, ProtocolError, Reason, RegistryError, RegistryFailure
from azext_acrimport.registry.retry import RetryPolicy
from azext_acrimport.registry.said import clean, read_error
from azext_acrimport.registry.transport import Transport, TransportSettings
from emulator.faults import Answer, Close, CloseQuietly, CutResponse, Fault, Reset, Stall
from emulator.http import Request, Response, Server
from tests.support.lab import FastClock, transport

SECRET = "s3cret%20word"
OK = frozenset({200})


def echo(request: Request) -> Response:
    body = request.read_all()
    return Response.text(200, f"{request.method} {request.path} {len(body)}")


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        yield running
        assert running.errors == []


@pytest.fixture
def plain(server: Server) -> Origin:
    return origin_of(server.serve_plain(echo), "http")


def ask(through: Transport, origin: Origin, target: str = "/x", **headers: str) -> bytes:
    return through.request("r.io", origin, "GET", target, headers).read(1000)


def failure(through: Transport, origin: Origin) -> ConnectionFailed:
    with pytest.raises(ConnectionFailed) as raised:
        ask(through, origin)
    assert raised.value.host == "r.io"
    return raised.value


class TestKeptAlive:
    def test_one_connection_serves_many_requests(self, server: Server, plain: Origin) -> None:
        with transport() as through:
            for number in range(5):
                assert ask(through, plain, f"/{number}") == f"GET /{number} 0".encode()
        assert server.log.connections() == 1

    def test_body_left_unread_costs_the_connection_and_not_the_next_answer(self, server: Server, plain: Origin) -> None:
        with transport() as through:
            through.request("r.io", plain, "GET", "/first", {}).close()
            assert ask(through, plain, "/second") == b"GET /second 0"
        assert server.log.connections() == 2

    def test_connection_that_the_server_closed_is_replaced_unseen(self, server: Server, plain: Origin) -> None:
        server.faults.add(Fault(CloseQuietly(), times=None))
        with transport() as through:
            for _ in range(5):
                assert ask(through, plain) == b"GET /x 0"

    @pytest.mark.parametrize("action", [Reset(), Close()])
    def test_kept_connection_that_breaks_is_replaced_once(self, server: Server, plain: Origin, action: Any) -> None:
        server.faults.add(Fault(action, skip=1))
        with transport() as through:
            ask(through, plain)
            assert ask(through, plain) == b"GET /x 0"
        assert server.log.connections() == 2

    @pytest.mark.parametrize("action", [Reset(), Close()])
    def test_fresh_connection_that_breaks_is_told_of(self, server: Server, plain: Origin, action: Any) -> None:
        server.faults.add(Fault(action))
        with transport() as through:
            assert failure(through, plain).reason is Reason.BROKEN

    def test_threads_never_share_a_connection(self, server: Server, plain: Origin) -> None:
        results: list[bytes] = []
        with transport() as through:
            threads = [
                threading.Thread(target=lambda n=n: results.append(ask(through, plain, f"/{n}")))  # type: ignore[misc]
                for n in range(20)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert sorted(results) == sorted(f"GET /{n} 0".encode() for n in range(20))

    def test_closing_ends_idle_connections(self, server: Server, plain: Origin) -> None:
        through = transport()
        ask(through, plain)
        through.close()
        ask(through, plain)
        assert server.log.connections() == 2
        through.close()

    def test_connections_ahead_are_fewer_by_those_in_use(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener, transport() as through:
            origin = origin_of(f"127.0.0.1:{listener.getsockname()[1]}", "http")
            exchange = through.open("r.io", origin)
            through.connect_ahead("r.io", origin, 3)
            listener.setblocking(False)
            for _ in range(3):
                listener.accept()[0].close()
            with pytest.raises(BlockingIOError):
                listener.accept()
            exchange.close()

    def test_abort_wakes_who_waits(self, server: Server, plain: Origin) -> None:
        server.faults.add(Fault(Stall()))
        through = transport()

        def abort() -> None:
            server.log.wait_for()
            through.abort()

        aborting = threading.Thread(target=abort)
        aborting.start()
        assert failure(through, plain).reason is Reason.BROKEN
        aborting.join()
        with pytest.raises(ConnectionFailed):
            ask(through, plain)


class TestRequests:
    def test_fields_that_every_request_has(self, server: Server, plain: Origin) -> None:
        with transport(user_agent="acrimport test") as through:
            through.request("r.io", plain, "POST", "/x", {"X-A": "b"}, b"").read(100)
            through.request("r.io", plain, "GET", "/x", {}).read(100)
        post, get = server.log
        assert post.headers["User-Agent"] == "acrimport test"
        assert post.headers["Accept-Encoding"] == "identity"
        assert post.headers["Host"] == plain.authority
        assert post.headers["Content-Length"] == "0"
        assert post.headers["X-A"] == "b"
        assert "Content-Length" not in get.headers

    def test_large_body(self, server: Server, plain: Origin) -> None:
        with transport() as through:
            response = through.request("r.io", plain, "PUT", "/x", {}, bytes(3_000_000))
            assert response.read(100) == b"PUT /x 3000000"


class TestNoAnswer:
    def test_refused(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        with transport() as through:
            error = failure(through, Origin("http", "127.0.0.1", port))
        assert error.reason is Reason.REFUSED
        assert error.peer == f"127.0.0.1:{port}"
        assert "refused" in str(error)

    def test_unknown_name(self) -> None:
        with transport() as through:
            error = failure(through, Origin("https", "registry.invalid", 443))
        assert error.reason is Reason.DNS
        assert "registry.invalid" in str(error)

    def test_no_answer_in_time(self, server: Server, plain: Origin) -> None:
        server.faults.add(Fault(Stall()))
        with transport(timeout_seconds=0.05) as through:
            assert failure(through, plain).reason is Reason.TIMEOUT

    def test_answer_that_ends_early(self, server: Server, plain: Origin) -> None:
        server.faults.add(Fault(CutResponse(after=2)))
        with transport() as through:
            response = through.request("r.io", plain, "GET", "/x", {})
            with pytest.raises(OSError):
                response.read(1000)
            response.close()

    def test_something_else_than_http(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:

            def greet() -> None:
                peer, _ = listener.accept()
                peer.recv(1000)
                peer.sendall(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")
                peer.close()

            greeting = threading.Thread(target=greet)
            greeting.start()
            origin = Origin("http", "127.0.0.1", listener.getsockname()[1])
            with transport() as through, pytest.raises(ProtocolError, match="not HTTP"):
                ask(through, origin)
            greeting.join()


class TestTls:
    @pytest.fixture
    def secure(self, server: Server) -> Origin:
        return origin_of(server.serve_tls(echo), "https")

    def test_trusted_with_the_bundle(self, server: Server, secure: Origin) -> None:
        with transport(ca_bundle=str(server.ca_file)) as through:
            assert ask(through, secure) == b"GET /x 0"
            assert ask(through, secure) == b"GET /x 0"
        assert server.log.connections() == 1

    def test_not_trusted_without_it(self, server: Server, secure: Origin) -> None:
        with transport() as through:
            error = failure(through, secure)
        assert error.reason is Reason.TLS
        assert not error.retryable
        assert "certificate is not trusted" in str(error)
        assert len(server.log) == 0

    def test_certificate_for_another_name(self, server: Server) -> None:
        server.add_host("*.azurecr.io", echo)
        settings = {"ca_bundle": str(server.ca_file), "proxies": {"https": server.inside_proxy}}
        with transport(**settings) as through:
            assert ask(through, Origin("https", "a.azurecr.io", 443)) == b"GET /x 0"
        server.authority._contexts["b.azurecr.io"] = server.authority.server_context("a.azurecr.io")
        with transport(**settings) as through:
            assert failure(through, Origin("https", "b.azurecr.io", 443)).reason is Reason.TLS

    def test_verification_turned_off(self, secure: Origin) -> None:
        with transport(verify=False) as through:
            assert ask(through, secure) == b"GET /x 0"

    def test_plain_server_on_a_tls_port(self, plain: Origin) -> None:
        with transport() as through:
            error = failure(through, Origin("https", plain.host, plain.port))
        assert error.reason in (Reason.TLS, Reason.BROKEN)

    def test_missing_bundle_is_told_of(self, secure: Origin, tmp_path: Any) -> None:
        with transport(ca_bundle=str(tmp_path / "absent.pem")) as through:
            failure(through, secure)


class TestProxy:
    REGISTRY = Origin("https", "my.azurecr.io", 443)

    @pytest.fixture(autouse=True)
    def _hosts(self, server: Server) -> None:
        server.add_host("my.azurecr.io", echo)

    def through(self, server: Server, proxy: str | None = None, **proxies: str) -> Transport:
        return transport(ca_bundle=str(server.ca_file), proxies={"https": proxy or server.inside_proxy, **proxies})

    def test_https_goes_by_connect(self, server: Server) -> None:
        with self.through(server) as through:
            assert ask(through, self.REGISTRY) == b"GET /x 0"
            assert ask(through, self.REGISTRY) == b"GET /x 0"
        assert [entry.client for entry in server.log] == ["inside", "inside"]
        assert server.log.connections("my.azurecr.io") == 1

    def test_address_without_a_scheme(self, server: Server) -> None:
        with self.through(server, server.inside_proxy.removeprefix("http://")) as through:
            assert ask(through, self.REGISTRY) == b"GET /x 0"

    def test_one_for_all_schemes(self, server: Server) -> None:
        with transport(ca_bundle=str(server.ca_file), proxies={"all": server.inside_proxy}) as through:
            assert ask(through, self.REGISTRY) == b"GET /x 0"

    def test_credentials_are_shown_to_the_proxy_and_to_nobody_else(self, server: Server) -> None:
        shown: list[str] = []

        def note(request: Request) -> bool:
            shown.append(request.headers.get("Proxy-Authorization") or "")
            return False

        with _Proxy() as proxy, transport(proxies={"https": f"http://us%40er:{SECRET}@{proxy.address}"}) as through:
            error = failure(through, self.REGISTRY)
        assert error.reason is Reason.PROXY
        head = proxy.received.decode()
        assert head.startswith("CONNECT my.azurecr.io:443 HTTP/1.1\r\n")
        expected = base64.b64encode(b"us@er:s3cret word").decode()
        assert f"Proxy-Authorization: Basic {expected}\r\n" in head
        server.faults.add(Fault(Answer(200), when=note, times=None))
        inside = server.inside_proxy.replace("http://", f"http://user:{SECRET}@")
        with self.through(server, inside) as through:
            ask(through, self.REGISTRY)
        assert shown == [""]

    @pytest.mark.parametrize("status", [403, 407, 502])
    def test_refusal_names_the_proxy_and_what_was_asked_for(self, status: int) -> None:
        with _Proxy(status) as proxy, transport(proxies={"https": f"http://u:{SECRET}@{proxy.address}"}) as through:
            error = failure(through, self.REGISTRY)
        assert error.reason is Reason.PROXY
        assert proxy.address in str(error)
        assert str(status) in str(error)
        assert "my.azurecr.io" in str(error)
        assert SECRET not in f"{error} {error!r}"

    def test_proxy_that_is_not_there(self) -> None:
        with transport(proxies={"https": f"http://u:{SECRET}@127.0.0.1:1"}) as through:
            error = failure(through, self.REGISTRY)
        assert error.reason is Reason.PROXY
        assert "127.0.0.1:1" in str(error)
        assert SECRET not in f"{error} {error!r}"

    @pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1080", "https://127.0.0.1:3128"])
    def test_kinds_that_are_not_supported(self, proxy: str) -> None:
        with transport(proxies={"https": proxy}) as through:
            error = failure(through, self.REGISTRY)
        assert error.reason is Reason.PROXY
        assert "not supported" in str(error)

    @pytest.mark.parametrize("proxy", ["http://user:s3cret/word@127.0.0.1:1", "http://user:s3cret#word@127.0.0.1:1"])
    def test_address_that_cannot_be_read_shows_no_part_of_its_password(self, proxy: str) -> None:
        with transport(proxies={"https": proxy}) as through:
            error = failure(through, self.REGISTRY)
        assert "s3cret" not in f"{error} {error!r}"
        assert error.reason is Reason.PROXY

    @pytest.mark.parametrize(
        "exception", ["my.azurecr.io", ".azurecr.io", "azurecr.io", "x.example, my.azurecr.io", "*"]
    )
    def test_no_proxy(self, server: Server, exception: str) -> None:
        with self.through(server, no=exception) as through:
            assert failure(through, self.REGISTRY).reason is Reason.DNS
        assert server.log.connections() == 0

    @pytest.mark.parametrize("exception", ["other.azurecr.io", "azurecr", "io.example"])
    def test_no_proxy_for_others(self, server: Server, exception: str) -> None:
        with self.through(server, no=exception) as through:
            assert ask(through, self.REGISTRY) == b"GET /x 0"

    def test_loopback_never_goes_through_a_proxy(self, server: Server, plain: Origin) -> None:
        with transport(proxies={"http": "http://127.0.0.1:1", "https": "http://127.0.0.1:1"}) as through:
            assert ask(through, plain) == b"GET /x 0"

    def test_password_is_not_in_the_settings_repr(self) -> None:
        assert SECRET not in repr(TransportSettings(proxies={"https": f"http://user:{SECRET}@proxy:3128"}))


class TestClient:
    def client(self, host: str, through: Transport, **settings: Any) -> Client:
        return Client(host, through, policy=RetryPolicy(retries=2), clock=FastClock(), **settings)

    def test_registries_elsewhere_are_spoken_to_over_https_alone(self) -> None:
        with transport() as through:
            for host in ("my.azurecr.io", "10.0.0.1:5000", "registry:5000", "my.azurecr.io:80"):
                assert self.client(host, through).origin.scheme == "https"

    def test_docker_hub_has_another_host_for_its_api(self) -> None:
        with transport() as through:
            client = self.client("docker.io", through)
        assert client.origin == Origin("https", "registry-1.docker.io", 443)
        assert client.host == "docker.io"

    def test_https_on_loopback_is_found_out(self, server: Server) -> None:
        address = server.serve_tls(echo)
        with transport(ca_bundle=str(server.ca_file)) as through:
            client = self.client(address, through)
            for _ in range(2):
                assert client.call("GET", "/x", scope=(), expect=OK).content == b"GET /x 0"
        assert client.origin.scheme == "https"
        assert len(server.log) == 2

    def test_connection_that_breaks_first_is_not_taken_for_tls(self, server: Server) -> None:
        address = server.serve_plain(echo)
        server.faults.add(Fault(Reset()))
        with transport() as through:
            assert self.client(address, through).call("GET", "/x", scope=(), expect=OK).content == b"GET /x 0"

    def test_400_of_a_plain_http_registry_is_its_own_answer(self, server: Server) -> None:
        refusal = {"errors": [{"code": "NAME_INVALID", "message": "invalid repository name"}]}
        address = server.serve_plain(lambda request: Response.json(400, refusal))
        with transport() as through, pytest.raises(RegistryError, match="NAME_INVALID"):
            self.client(address, through).call("GET", "/x", scope=(), expect=OK)

    def test_go_server_that_answers_400_to_plain_http(self, server: Server) -> None:
        """Go's TLS servers answer in plain http that they were spoken to in plain http."""
        address = server.serve_plain(
            lambda request: Response.text(400, "Client sent an HTTP request to an HTTPS server.")
        )
        with transport() as through, pytest.raises(RegistryFailure):
            self.client(address, through).call("GET", "/x", scope=(), expect=OK)

    def test_error_names_the_request_without_its_query(self, server: Server) -> None:
        address = server.serve_plain(lambda request: Response.text(403, "no"))
        with transport() as through, pytest.raises(RegistryError) as raised:
            self.client(address, through).call("GET", "/v2/x?sig=secret", scope=(), expect=OK)
        assert raised.value.request == f"GET http://{address}/v2/x"
        assert "secret" not in f"{raised.value} {raised.value!r}"

    def test_body_over_the_limit_is_not_taken(self, server: Server) -> None:
        address = server.serve_plain(lambda request: Response(200, {}, b"x" * 1001))
        with transport() as through, pytest.raises(ProtocolError, match="1000"):
            self.client(address, through).call("GET", "/", scope=(), expect=OK, limit=1000)

    @pytest.mark.parametrize(
        "location",
        [
            "http://evil.example/u",
            "https://10.0.0.1/u",
            "https://169.254.169.254/u",
            "https://localhost/u",
            "ftp://my.azurecr.io/u",
            "https://u:p@my.azurecr.io/u",
            "",
            None,
        ],
    )
    def test_upload_location_that_is_not_followed(self, location: str | None) -> None:
        with transport() as through, pytest.raises(ProtocolError):
            self.client("my.azurecr.io", through).locate(location, "/v2/app/blobs/uploads/")

    @pytest.mark.parametrize(
        ("location", "origin", "target"),
        [
            ("/v2/u?_state=1", "https://my.azurecr.io", "/v2/u?_state=1"),
            ("https://my.azurecr.io/v2/u", "https://my.azurecr.io", "/v2/u"),
            ("https://my.azurecr.io:443/v2/u", "https://my.azurecr.io", "/v2/u"),
            ("http://my.azurecr.io/v2/u", "https://my.azurecr.io", "/v2/u"),
            ("https://upload.example/v2/u", "https://upload.example", "/v2/u"),
            ("u", "https://my.azurecr.io", "/v2/app/blobs/uploads/u"),
        ],
    )
    def test_upload_location_that_is_followed(self, location: str, origin: str, target: str) -> None:
        with transport() as through:
            found = self.client("my.azurecr.io", through).locate(location, "/v2/app/blobs/uploads/")
        assert (str(found[0]), found[1]) == (origin, target)


class TestErrorBodies:
    @pytest.mark.parametrize(
        ("body", "codes", "message"),
        [
            (b'{"errors":[{"code":"DENIED","message":"no"}]}', ("DENIED",), "no"),
            (b'{"errors":[{"code":"A","message":"x"},{"code":"B","message":"y"}]}', ("A", "B"), "x; y"),
            (b'{"errors":[{"code":"A"}]}', ("A",), ""),
            (b'{"errors":[]}', (), ""),
            (b'{"errors":[null,5]}', (), ""),
            (b'{"error":"invalid_grant","error_description":"expired"}', (), "invalid_grant: expired"),
            (b'{"details":"incorrect username or password"}', (), "incorrect username or password"),
            (b"Ref A: 123 Ref B: 456", (), "Ref A: 123 Ref B: 456"),
            (b"<!DOCTYPE html><HTML>403</html>", (), ""),
            (b"", (), ""),
            (b"[1]", (), ""),
            (b"\xff\xfe\x00", (), "\ufffd\ufffd"),
            (b"[" * 100_000, (), None),
        ],
    )
    def test_whatever_comes_is_read(self, body: bytes, codes: tuple[str, ...], message: str | None) -> None:
        found = read_error(body)
        assert found[0] == codes
        assert message is None or found[1] == message

    def test_text_becomes_one_short_harmless_line(self) -> None:
        text = clean("a\r\nb\x1b[31m\u202e" + "x" * 10_000)
        assert text.isprintable()
        assert len(text) <= 500


class _Proxy:
    """A proxy that answers every CONNECT with one status, and keeps what it was sent."""

    def __init__(self, status: int = 407) -> None:
        self.status = status
        self.received = b""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)

    def _serve(self) -> None:
        peer, _ = self._listener.accept()
        with peer:
            while b"\r\n\r\n" not in self.received:
                self.received += peer.recv(10_000)
            peer.sendall(f"HTTP/1.1 {self.status} No\r\nContent-Length: 5\r\n\r\nsorry".encode())

    def __enter__(self) -> _Proxy:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join()
        self._listener.close()
