# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""Hostile or merely odd registries: what wants to go on for ever, to be said aloud, or to be asked for too much."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from azext_acrimport.registry import download
from azext_acrimport.registry.credentials import Password
from azext_acrimport.registry.retry import Clock, RetryPolicy
from azext_acrimport.transfer.errors import CopyError, Side
from emulator import content
from emulator.auth import BasicAuth
from emulator.faults import Action, Answer, Close, Fault, Reset, SetHeader, Stall
from emulator.http import Request, Response
from tests.support.hostile import (
    ESCAPES,
    assert_harmless,
    chunked,
    fails,
    repeated,
    source_that,
    within,
)
from tests.support.lab import Lab, assert_copied, transport


@pytest.fixture
def image(lab: Lab) -> content.Artifact:
    return lab.put(content.image(layers=(60_000,)))


@pytest.fixture(autouse=True)
def _little_patience(lab: Lab) -> None:
    lab.policy = RetryPolicy(retries=0)
    lab.transport = transport(timeout_seconds=1.0)


@pytest.mark.usefixtures("image")
class TestHeadsAndBodies:
    @pytest.mark.parametrize("part", ["/manifests/", "/blobs/"])
    def test_status_that_is_no_number(self, lab: Lab, part: str) -> None:
        """A superscript two is a digit to ``str.isdigit``, and no number to ``int``."""
        with source_that(lab, part, lambda body: iter([b"HTTP/1.1 \xb2\xb2\xb2 OK\r\n\r\n"])):
            assert fails(lab).side is Side.SOURCE

    @pytest.mark.parametrize("part", ["/manifests/", "/blobs/"])
    @pytest.mark.parametrize("pause", [0.0, 0.3], ids=["at once", "slowly"])
    def test_endless_trailers(self, lab: Lab, part: str, pause: float) -> None:
        def attack(body: bytes) -> Iterator[bytes]:
            yield chunked(body) + b"0\r\n"
            yield from repeated(b"X-Trailer: 1\r\n" * (1 if pause else 1000), pause)

        with source_that(lab, part, attack), within(5):
            try:
                lab.copy()
            except CopyError as ex:
                assert_harmless(str(ex))

    def test_blob_that_only_drips(self, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
        """Each byte comes well within the time limit of a read, and all of them would take for ever."""
        monkeypatch.setattr(download, "_SLOW_SECONDS", 1.0)
        lab.clock.now = time.monotonic  # type: ignore[method-assign]

        def attack(body: bytes) -> Iterator[bytes]:
            yield b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
            for at in range(len(body)):
                yield body[at : at + 1]
                time.sleep(0.3)

        with source_that(lab, "/blobs/", attack), within(5):
            fails(lab)

    def test_least_size_of_a_chunk(self, lab: Lab, image: content.Artifact) -> None:
        lab.server.faults.add(Fault(SetHeader("OCI-Chunk-Min-Length", "\xb2"), host=lab.target_host, times=None))
        lab.copy()
        assert_copied(lab.target_app, image, "v1")


class TestTarget:
    def test_digest_of_a_stored_manifest(self, lab: Lab, image: content.Artifact) -> None:
        value = f"sha256:{ESCAPES[:12]}"
        lab.server.faults.add(
            Fault(SetHeader("Docker-Content-Digest", value), host=lab.target_host, method="PUT", times=None)
        )
        with pytest.raises(CopyError) as raised:
            lab.copy()
        assert_harmless(str(raised.value))


class TestAuthorization:
    def test_no_realm_widens_the_scope(self, lab: Lab, image: content.Artifact) -> None:
        """The realm is a URL, and may bring a query of its own."""
        asked: list[Request] = []

        def token(request: Request) -> Response:
            asked.append(request)
            return Response(200, {}, b'{"token":"t"}')

        realm = lab.server.serve_plain(token)
        challenge = f'Bearer realm="http://{realm}/token?scope=repository:other:push,delete&x=1",service="s"'
        lab.server.faults.add(
            Fault(
                Answer(401, (("WWW-Authenticate", challenge),)),
                host=lab.source_host,
                when=lambda request: "Authorization" not in request.headers,
                times=None,
            )
        )
        try:
            lab.copy()
        except CopyError as ex:
            assert_harmless(str(ex))
        assert {value for request in asked for value in request.args("scope")} <= {"repository:src/app:pull"}

    def test_secret_that_a_registry_says_back_is_not_shown(self, lab: Lab, image: content.Artifact) -> None:
        """Some servers and proxies put the request into their errors, and errors go into the logs of pipelines."""
        lab.source_app.authorise = BasicAuth({"user": "s3cret"})
        lab.source_credentials = Password("user", "s3cret")
        shown: list[str] = []

        def echo(request: Request) -> bool:
            shown.append(request.headers.get("Authorization") or "")
            return bool(shown[-1])

        basic = "Basic dXNlcjpzM2NyZXQ="
        refusal = Answer(403, body=f"refused: Authorization: {basic}".encode())
        lab.server.faults.add(Fault(refusal, host=lab.source_host, when=echo, times=None))
        error = fails(lab)
        assert basic in shown
        assert basic.partition(" ")[2] not in str(error)


class TestTimeLimits:
    def test_no_wait_goes_past_the_time_limit(self) -> None:
        clock = Clock()
        clock.deadline = clock.now() + 0.2
        with within(2):
            clock.sleep(4)


@pytest.mark.parametrize("action", [Reset(), Close(), Answer(503), Stall()], ids=lambda action: type(action).__name__)
def test_target_that_fails_at_the_manifest_is_named(lab: Lab, image: content.Artifact, action: Action) -> None:
    lab.server.faults.add(Fault(action, host=lab.target_host, method="PUT", path="/manifests/", times=None))
    assert fails(lab).side is Side.TARGET
