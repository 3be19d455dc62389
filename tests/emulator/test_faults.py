# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Scripted faults as a client sees them."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from emulator import content, faults
from emulator.faults import Fault
from emulator.http import Request, Server
from emulator.registry import RegistryApp
from emulator.store import digest_of
from tests.emulator.registry_client import TIMEOUT_SECONDS, Client

BLOB = content.blob(300_000, "faults")
DIGEST = digest_of(BLOB)
PATH = f"/v2/app/blobs/{DIGEST}"


@pytest.fixture
def app() -> RegistryApp:
    registry = RegistryApp()
    registry.store.repository("app").add_blob(BLOB)
    return registry


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        yield running
        assert running.errors == []


@pytest.fixture
def connect(server: Server, app: RegistryApp) -> Iterator[Callable[[], Client]]:
    address = server.serve_plain(app)
    clients: list[Client] = []

    def make() -> Client:
        clients.append(Client(address))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def client(connect: Callable[[], Client]) -> Client:
    return connect()


def partial(client: Client) -> tuple[int | None, bytes, type[Exception] | None]:
    """Announced length, what came of the body, and how it ended."""
    client.connection.request("GET", PATH)
    response = client.connection.getresponse()
    length = response.length
    received = b""
    try:
        while chunk := response.read1(65536):
            received += chunk
    except (ConnectionError, http.client.HTTPException) as ex:
        return length, received, type(ex)
    return length, received, None


class TestMatching:
    @pytest.mark.parametrize(
        ("fault", "expected"),
        [
            (Fault(faults.Answer(503)), [503, 200, 200]),
            (Fault(faults.Answer(503), times=2), [503, 503, 200]),
            (Fault(faults.Answer(503), skip=1), [200, 503, 200]),
            (Fault(faults.Answer(503), times=None), [503, 503, 503]),
            (Fault(faults.Answer(503), method="PUT"), [200, 200, 200]),
            (Fault(faults.Answer(503), host="other.example"), [200, 200, 200]),
            (Fault(faults.Answer(503), host="127.0.0.1:*", path="/blobs/sha256:"), [503, 200, 200]),
            (Fault(faults.Answer(503), query="^n=1$"), [200, 503, 200]),
            (Fault(faults.Answer(503), when=lambda request: "X-Two" in request.headers), [200, 200, 503]),
        ],
    )
    def test_requests(self, server: Server, client: Client, fault: Fault, expected: list[int]) -> None:
        server.faults.add(fault)
        headers: list[dict[str, str]] = [{}, {}, {"X-Two": "2"}]
        assert [client("GET", f"{PATH}?n={n}", headers=headers[n]).status for n in range(3)] == expected
        assert server.faults.injected["Answer"] == expected.count(503)
        assert [entry.fault for entry in server.log] == ["Answer" if status == 503 else "" for status in expected]

    def test_first_fault_takes_it_then_the_next(self, server: Server, client: Client) -> None:
        server.faults.add(Fault(faults.Answer(500)), Fault(faults.Answer(429, (("Retry-After", "1"),))))
        assert [client("GET", PATH).status for _ in range(3)] == [500, 429, 200]
        assert server.faults.pending == []

    def test_clear(self, server: Server, client: Client) -> None:
        server.faults.add(Fault(faults.Answer(500), times=None))
        assert len(server.faults.pending) == 1
        server.faults.clear()
        assert client("GET", PATH).status == 200


class TestAnswers:
    def test_instead_of_the_app_keeps_the_connection(self, server: Server, client: Client, app: RegistryApp) -> None:
        error = faults.registry_error(429, "TOOMANYREQUESTS", "slow down", headers=[("Retry-After", "2")])
        server.faults.add(Fault(error, method="POST"))
        answer = client("POST", f"/v2/app/blobs/uploads/?digest={digest_of(b'x' * 500_000)}", b"x" * 500_000)
        assert (answer.status, answer.code, answer.headers["Retry-After"]) == (429, "TOOMANYREQUESTS", "2")
        assert len(app.store.repository("app").blobs) == 1
        assert client("GET", PATH).status == 200
        assert server.log.connections() == 1

    def test_early_answer_closes(self, server: Server, client: Client) -> None:
        server.faults.add(Fault(faults.Answer(503, body=b"busy", early="close")))
        answer = client("PUT", "/v2/app/manifests/x", b"x" * 3_000_000)
        assert (answer.status, answer.body, answer.headers["Connection"]) == (503, b"busy", "close")

    def test_early_answer_then_reset(self, server: Server, client: Client) -> None:
        server.faults.add(Fault(faults.Answer(503, body=b"busy", early="reset")))
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            client("PUT", "/v2/app/manifests/x", b"x" * 30_000_000)

    def test_redirect_to_nobody(self, server: Server, client: Client) -> None:
        server.faults.add(Fault(faults.redirect()))
        answer = client("GET", PATH)
        assert (answer.status, answer.headers["Location"]) == (307, "http://127.0.0.1:1/dead")

    def test_headers(self, server: Server, client: Client) -> None:
        server.faults.add(
            Fault(faults.DropHeader("docker-content-digest")), Fault(faults.SetHeader("Docker-Content-Digest", "x"))
        )
        assert client("HEAD", PATH).headers["Docker-Content-Digest"] is None
        assert client("HEAD", PATH).headers["Docker-Content-Digest"] == "x"
        assert client("HEAD", PATH).headers["Docker-Content-Digest"] == DIGEST


class TestBrokenConnections:
    def test_reset_before_the_answer(self, server: Server, client: Client) -> None:
        server.faults.add(Fault(faults.Reset()))
        with pytest.raises(ConnectionResetError):
            client("GET", PATH)
        assert server.log[-1].status == 0

    def test_close_before_the_answer(self, server: Server, client: Client) -> None:
        server.faults.add(Fault(faults.Close()))
        with pytest.raises(http.client.RemoteDisconnected):
            client("GET", PATH)

    def test_reset_of_a_new_connection(self, server: Server, connect: Callable[[], Client]) -> None:
        server.faults.add(Fault(faults.Reset(), method="ACCEPT"))
        with pytest.raises(ConnectionError):
            connect()("GET", PATH)
        assert connect()("GET", PATH).status == 200
        assert server.log.count() <= 1

    @pytest.mark.parametrize("after", [0, 1, 100_000, 299_999])
    def test_reset_inside_the_body(self, server: Server, client: Client, after: int) -> None:
        server.faults.add(Fault(faults.CutResponse(after)))
        length, received, ended = partial(client)
        assert length == len(BLOB)
        assert received == BLOB[: len(received)]
        assert len(received) <= after
        assert ended is ConnectionResetError

    def test_close_inside_the_body(self, server: Server, client: Client) -> None:
        server.faults.add(Fault(faults.CutResponse(100_000, reset=False)))
        length, received, _ = partial(client)
        assert (length, received) == (len(BLOB), BLOB[:100_000])

    def test_short_body_that_looks_complete(self, server: Server, client: Client) -> None:
        server.faults.add(Fault(faults.CutResponse(100_000, reset=False, content_length=100_000)))
        assert client("GET", PATH).body == BLOB[:100_000]

    def test_flipped_bit(self, server: Server, client: Client) -> None:
        server.faults.add(Fault(faults.FlipBit(200_000)))
        body = client("GET", PATH).body
        assert [place for place in range(len(BLOB)) if body[place] != BLOB[place]] == [200_000]
        assert body[200_000] ^ BLOB[200_000] == 1
        assert client("GET", PATH).body == BLOB

    def test_upload_keeps_what_arrived_before_the_reset(
        self, server: Server, connect: Callable[[], Client], app: RegistryApp
    ) -> None:
        data = content.blob(1_000_000, "upload")
        location = connect()("POST", "/v2/app/blobs/uploads/").headers["Location"]
        server.faults.add(Fault(faults.CutRequest(after=400_000), method="PATCH"))
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            connect()("PATCH", location, data)
        client = connect()
        status = client("GET", location)
        assert status.headers["Range"] == "0-399999"
        rest = client("PATCH", location, data[400_000:], {"Content-Range": "400000-999999"})
        assert client("PUT", f"{rest.headers['Location']}&digest={digest_of(data)}", b"").status == 201

    def test_answer_is_lost_after_the_work_was_done(
        self, server: Server, connect: Callable[[], Client], app: RegistryApp
    ) -> None:
        server.faults.add(Fault(faults.LoseResponse(), method="POST"))
        with pytest.raises(ConnectionResetError):
            connect()("POST", f"/v2/app/blobs/uploads/?digest={digest_of(b'abc')}", b"abc")
        assert app.store.repository("app").read_blob(digest_of(b"abc")) == b"abc"

    def test_quiet_close_between_requests(self, server: Server, client: Client) -> None:
        server.faults.add(Fault(faults.CloseQuietly()))
        answer = client("GET", PATH)
        assert (answer.status, answer.headers["Connection"]) == (200, None)
        sock = client.connection.sock
        assert isinstance(sock, socket.socket)
        assert sock.recv(1) == b""


class TestWaiting:
    @pytest.mark.parametrize("after", [None, 0, 1000])
    def test_stall_lasts_until_the_client_goes_away(self, server: Server, client: Client, after: int | None) -> None:
        server.faults.add(Fault(faults.Stall(after)))
        client.connection.timeout = 0.1
        with pytest.raises(TimeoutError):
            client("GET", PATH)
        assert server.log[-1].status == (0 if after is None else 200)

    def test_stop_ends_a_stall_at_once(self, app: RegistryApp) -> None:
        server = Server()
        server.faults.add(Fault(faults.Stall()))
        ended: list[str] = []

        def ask() -> None:
            with Client(address) as client:
                try:
                    client("GET", PATH)
                except (OSError, http.client.HTTPException) as ex:
                    ended.append(type(ex).__name__)

        address = server.serve_plain(app)
        thread = threading.Thread(target=ask)
        thread.start()
        server.log.wait_for(method="GET")
        began = time.monotonic()
        server.stop()
        thread.join()
        assert len(ended) == 1
        assert time.monotonic() - began < 4

    @pytest.mark.parametrize("kind", [faults.Hold, faults.HoldResponse])
    def test_hold_until_released(
        self, server: Server, connect: Callable[[], Client], kind: Callable[[threading.Event], faults.Action]
    ) -> None:
        release = threading.Event()
        server.faults.add(Fault(kind(release)))
        bodies: list[bytes] = []
        held = connect()
        thread = threading.Thread(target=lambda: bodies.append(held("GET", PATH).body))
        thread.start()
        server.log.wait_for(method="GET")
        assert connect()("GET", PATH).body == BLOB
        assert bodies == []
        release.set()
        thread.join()
        assert bodies == [BLOB]


class TestTunnels:
    @pytest.fixture
    def tunnel(self, server: Server, app: RegistryApp) -> Iterator[http.client.HTTPSConnection]:
        server.add_host("a.azurecr.io", app)
        context = ssl.create_default_context(cafile=str(server.ca_file))
        proxy = server.inside_proxy.removeprefix("http://")
        connection = http.client.HTTPSConnection(proxy, timeout=TIMEOUT_SECONDS, context=context)
        connection.set_tunnel("a.azurecr.io", 443)
        yield connection
        connection.close()

    def test_proxy_refuses_a_tunnel(self, server: Server, tunnel: http.client.HTTPSConnection) -> None:
        server.faults.add(Fault(faults.Answer(407), method="CONNECT", host="a.azurecr.io"))
        with pytest.raises(OSError, match="407"):
            tunnel.request("GET", PATH)
        assert server.log.count() == 0

    def test_body_is_cut_inside_tls(self, server: Server, tunnel: http.client.HTTPSConnection) -> None:
        server.faults.add(Fault(faults.CutResponse(50_000), host="*.azurecr.io"))
        tunnel.request("GET", PATH)
        with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
            tunnel.getresponse().read()
        assert server.log[-1].sent_bytes == 50_000

    def test_fault_without_a_method_leaves_tunnels_alone(
        self, server: Server, tunnel: http.client.HTTPSConnection
    ) -> None:
        seen: list[Request] = []
        server.faults.add(Fault(faults.Answer(503), when=lambda request: not seen.append(request)))  # type: ignore[func-returns-value]
        tunnel.request("GET", PATH)
        assert tunnel.getresponse().status == 503
        assert [request.method for request in seen] == ["GET"]
