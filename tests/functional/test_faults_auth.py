# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Faults of token services, and tokens that end or are taken away while a copy is under way."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from azext_acrimport.registry.credentials import EntraIdentity, EntraToken, Password
from azext_acrimport.registry.errors import RegistryError
from azext_acrimport.registry.upload import UploadHabits
from azext_acrimport.transfer.copier import copy
from azext_acrimport.transfer.errors import CopyError, Side
from emulator import content, streams
from emulator.auth import BearerAuth, TokenService
from emulator.faults import Action, Answer, CutRequest, CutResponse, Fault, LoseResponse, Reset, Stall
from emulator.http import Request, Response
from emulator.registry import RegistryApp
from tests.support.actions import DoAfter, DoBefore
from tests.support.lab import SERIAL, Lab, assert_copied, transport

SECRET = "s3cret-P@ss/word"
LAYER = 900_000
PLAIN_429 = Answer(
    429, (("Content-Type", "text/plain"), ("Retry-After", "5")), b"Too many requests, please slow down.\n"
)


class AcrLike:
    """A registry with ACR's two token endpoints at its own host, over plain http."""

    def __init__(self, lab: Lab, app: RegistryApp) -> None:
        self.tokens = TokenService({"user": SECRET}, clock=lab.clock.now)
        self.app = app
        self.exchanges = 0
        self.host = lab.server.serve_plain(self)
        realm = f"http://{self.host}/oauth2/token"
        app.authorise = BearerAuth(self.tokens, realm=realm, service=self.host)

    def __call__(self, request: Request) -> Response:
        if request.path == "/oauth2/exchange":
            self.exchanges += 1
            return Response.json(200, {"refresh_token": self.tokens.issue_refresh_token("user")})
        if request.path == "/oauth2/token":
            return self.tokens(request)
        return self.app(request)

    def forget_refresh_tokens(self) -> None:
        """Let all refresh tokens end, and all access tokens with them."""
        fresh = TokenService(self.tokens.users, clock=self.tokens.clock)
        self.tokens.__dict__.update(fresh.__dict__)


@pytest.fixture
def image(lab: Lab) -> content.Artifact:
    return lab.put(content.image(layers=(LAYER, 400_000)))


@pytest.fixture
def acr(lab: Lab) -> Iterator[AcrLike]:
    """The target, as an ACR."""
    made = AcrLike(lab, lab.target_app)
    lab.target_host = made.host
    lab.target_credentials = EntraIdentity(lambda audience: EntraToken(SECRET))
    yield made
    assert SECRET not in "".join(str(entry.headers) for entry in lab.server.log)


@pytest.fixture
def tokens(lab: Lab) -> TokenService:
    """The target's token service, at a host of its own."""
    service = TokenService({"user": SECRET}, clock=lab.clock.now)
    realm = f"http://{lab.server.serve_plain(service)}/token"
    lab.target_app.authorise = BearerAuth(service, realm=realm, service="registry.example")
    lab.target_credentials = Password("user", SECRET)
    return service


def copy_serially(lab: Lab, **habits: int) -> None:
    root = lab.root()
    root.targets[0].repository.registry.habits = UploadHabits(**habits)
    copy([root], settings=SERIAL)


class TestAcrEndpoints:
    @pytest.mark.parametrize("path", ["/oauth2/exchange", "/oauth2/token"])
    @pytest.mark.parametrize(
        "action",
        [
            PLAIN_429,
            Answer(429),
            Answer(500),
            Answer(503, body=b"<html>"),
            Reset(),
            LoseResponse(),
            CutResponse(after=9),
        ],
        ids=["429 in plain text", "429", "500", "503", "reset", "lost", "cut"],
    )
    def test_fault_that_passes(
        self, lab: Lab, image: content.Artifact, acr: AcrLike, path: str, action: Action
    ) -> None:
        lab.server.faults.add(Fault(action, host=acr.host, path=path))
        lab.copy()
        assert_copied(lab.target_app, image, "v1")
        assert lab.server.faults.pending == []

    @pytest.mark.parametrize("path", ["/oauth2/exchange", "/oauth2/token"])
    def test_429_waits_as_long_as_asked(self, lab: Lab, image: content.Artifact, acr: AcrLike, path: str) -> None:
        lab.server.faults.add(Fault(PLAIN_429, host=acr.host, path=path, times=2))
        lab.copy()
        assert_copied(lab.target_app, image, "v1")
        assert len(lab.clock.waits) == 2
        assert all(5 <= wait < 6 for wait in lab.clock.waits)

    @pytest.mark.parametrize("path", ["/oauth2/exchange", "/oauth2/token"])
    def test_429_that_stays_is_told_with_its_words(
        self, lab: Lab, image: content.Artifact, acr: AcrLike, path: str
    ) -> None:
        lab.server.faults.add(Fault(PLAIN_429, host=acr.host, path=path, times=None))
        with pytest.raises(CopyError, match="429") as raised:
            lab.copy()
        assert raised.value.side is Side.TARGET
        assert isinstance(raised.value.__cause__, RegistryError)
        assert "slow down" in str(raised.value)
        assert len(lab.asked(acr.host, "POST", path)) == lab.policy.retries + 1

    def test_stalled_exchange_is_given_up_in_time(self, lab: Lab, image: content.Artifact, acr: AcrLike) -> None:
        lab.transport = transport(timeout_seconds=0.1)
        lab.server.faults.add(Fault(Stall(), host=acr.host, path="/oauth2/exchange"))
        lab.copy()
        assert_copied(lab.target_app, image, "v1")

    def test_refresh_token_that_ends_is_exchanged_again(self, lab: Lab, image: content.Artifact, acr: AcrLike) -> None:
        lab.server.faults.add(Fault(DoBefore(acr.forget_refresh_tokens), host=acr.host, method="PUT", path="/uploads/"))
        copy_serially(lab)
        assert_copied(lab.target_app, image, "v1")
        assert acr.exchanges == 2

    def test_exchange_is_made_once_for_all_who_wait(self, lab: Lab, acr: AcrLike) -> None:
        artifact = lab.put(content.many_manifests(8))
        lab.copy()
        assert_copied(lab.target_app, artifact, "v1")
        assert acr.exchanges == 1
        assert len(lab.asked(acr.host, "POST", "/oauth2/token")) == 1


class TestEndings:
    """Of tokens, in the middle of what takes long."""

    def test_one_patch_that_outlives_its_token(self, lab: Lab, image: content.Artifact, tokens: TokenService) -> None:
        later = DoAfter(lambda: lab.clock.sleep(1000))
        lab.server.faults.add(Fault(later, method="PATCH", host=lab.target_host, times=None))
        copy_serially(lab, put_limit=1000)
        assert_copied(lab.target_app, image, "v1")
        assert [entry for entry in lab.asked(lab.target_host, path="/uploads/") if entry.status == 401] == []

    def test_chunks_that_outlive_many_tokens(self, lab: Lab, image: content.Artifact, tokens: TokenService) -> None:
        tokens.lifetime_seconds = 60
        later = DoAfter(lambda: lab.clock.sleep(50))
        lab.server.faults.add(Fault(later, method="PATCH", host=lab.target_host, times=None))
        copy_serially(lab, put_limit=1000, patch_limit=1000, chunk_bytes=100_000)
        assert_copied(lab.target_app, image, "v1")
        assert [entry for entry in lab.asked(lab.target_host, path="/uploads/") if entry.status == 401] == []

    @pytest.mark.parametrize("after", [1, 500_000])
    def test_token_and_connection_end_in_the_middle_of_a_patch(
        self, lab: Lab, image: content.Artifact, tokens: TokenService, after: int
    ) -> None:
        lab.server.faults.add(
            Fault(_RevokeAndCut(tokens, after), host=lab.target_host, method="PATCH", when=_is_large),
        )
        copy_serially(lab, put_limit=1000)
        assert_copied(lab.target_app, image, "v1")

    @pytest.mark.parametrize(
        "form", [{}, {"put_limit": 1000}, {"put_limit": 1, "patch_limit": 1, "chunk_bytes": 200_000}]
    )
    def test_token_is_refused_once_for_a_write(
        self, lab: Lab, image: content.Artifact, tokens: TokenService, form: dict[str, int]
    ) -> None:
        lab.server.faults.add(Fault(DoBefore(tokens.revoke_all), host=lab.target_host, when=_is_large))
        copy_serially(lab, **form)
        assert_copied(lab.target_app, image, "v1")
        assert lab.clock.waits == []

    def test_token_is_refused_after_a_break_that_brought_nothing(
        self, lab: Lab, image: content.Artifact, tokens: TokenService
    ) -> None:
        """First the connection breaks behind no byte, then the token has ended: two failures without progress."""
        lab.server.faults.add(
            Fault(CutRequest(after=0), host=lab.target_host, method="PATCH", when=_is_large),
            Fault(DoBefore(tokens.revoke_all), host=lab.target_host, method="PATCH", when=_is_large),
        )
        copy_serially(lab, put_limit=1000)
        assert_copied(lab.target_app, image, "v1")

    def test_all_wait_for_one_renewal(self, lab: Lab, tokens: TokenService) -> None:
        artifact = lab.put(content.many_manifests(8))
        lab.server.faults.add(Fault(DoBefore(tokens.revoke_all), host=lab.target_host, method="POST", skip=3))
        lab.copy()
        assert_copied(lab.target_app, artifact, "v1")
        assert len([entry for entry in lab.server.log if entry.path == "/token"]) == 2

    def test_all_who_wait_share_one_failure(self, lab: Lab, tokens: TokenService) -> None:
        """Else each one in turn is as patient as the policy says, and the run ends an hour later."""
        lab.put(content.many_manifests(12))
        lab.server.faults.add(
            Fault(DoBefore(tokens.revoke_all), host=lab.target_host, method="POST", skip=8),
            Fault(Answer(503), path="^/token$", skip=1, times=None),
        )
        with pytest.raises(CopyError, match="503"):
            lab.copy()
        assert len(lab.asked("*", path="^/token$")) <= 2 * (lab.policy.retries + 1)

    def test_token_ends_before_a_failed_upload_is_cancelled(
        self, lab: Lab, image: content.Artifact, tokens: TokenService
    ) -> None:
        layer = content.digest_of(image.blobs[1])
        lab.server.faults.add(
            Fault(Answer(404), host=lab.source_host, path=layer, times=None),
            Fault(DoBefore(tokens.revoke_all), host=lab.target_host, method="DELETE"),
        )
        with pytest.raises(CopyError):
            lab.copy()
        assert lab.target_app.store.repository("dst/app").uploads == {}


class TestConnectionsOfFailures:
    """What fails gives its connection back: a run of many images would else run out of sockets."""

    @pytest.mark.parametrize("status", [403, 429, 500])
    def test_token_service_that_refuses(
        self, lab: Lab, image: content.Artifact, tokens: TokenService, status: int
    ) -> None:
        before = _connections()
        lab.server.faults.add(Fault(Answer(status), path="^/token$", times=None))
        with pytest.raises(CopyError):
            lab.copy()
        lab.close()
        lab.server.stop()
        assert _connections() <= before


def _connections() -> set[threading.Thread]:
    """The emulator's threads that still hold a client's connection, of whichever test."""
    return {thread for thread in threading.enumerate() if thread.name == "emulator-connection"}


class _RevokeAndCut(Action):
    """Break a write off that was allowed to begin, and make its token invalid meanwhile."""

    def __init__(self, tokens: TokenService, after: int) -> None:
        self._tokens = tokens
        self._after = after

    def on_request(self, request: Any, line: Any) -> None:
        request.body = _Telling(streams.CutBody(request.body, self._after, reset=True), self._tokens.revoke_all)


class _Telling:
    """A request body that tells of its being read."""

    def __init__(self, body: Any, tell: Any) -> None:
        self._body = body
        self._tell = tell

    def read(self, size: int = -1, /) -> bytes:
        self._tell()
        return bytes(self._body.read(size))


def _is_large(request: Any) -> bool:
    return int(request.headers.get("Content-Length") or 0) > 100_000
