# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Who is shown what: tokens with scopes, Basic, anonymous, renewal in the middle, and secrets that stay secret."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from azext_acrimport.registry.auth import Token
from azext_acrimport.registry.credentials import BearerToken, EntraIdentity, EntraToken, IdentityToken, Password
from azext_acrimport.registry.errors import RegistryError
from azext_acrimport.transfer.copier import copy_all
from azext_acrimport.transfer.errors import CopyError, Side
from azext_acrimport.transfer.result import CopyResult
from emulator import content
from emulator.auth import BasicAuth, BearerAuth, Scope, TokenService
from emulator.faults import Answer, CutResponse, Fault, SetHeader, registry_error
from emulator.http import Request, Response, Server
from emulator.registry import BlobStorageApp, RegistryApp
from tests.support.actions import DoAfter, DoBefore
from tests.support.lab import SERIAL, SOURCE, TARGET, Lab, assert_copied

SECRET = "s3cret-P@ss/word"


@pytest.fixture
def image(lab: Lab) -> content.Artifact:
    return lab.put(content.multi_arch())


class Realm:
    """A token service on a host of its own, and the authoriser of the registry that it is for."""

    def __init__(self, server: Server, clock: Any, **settings: Any) -> None:
        self.tokens = TokenService({"user": SECRET}, clock=clock.now, **settings)
        self.asked: list[Request] = []
        self.host = server.serve_plain(self._app)
        self.auth = BearerAuth(self.tokens, realm=f"http://{self.host}/token", service="registry.example")

    def _app(self, request: Request) -> Response:
        self.asked.append(request)
        return self.tokens(request)

    @property
    def scopes(self) -> list[str]:
        return [value for request in self.asked for value in request.args("scope")]


@pytest.fixture
def source_realm(lab: Lab) -> Realm:
    realm = Realm(lab.server, lab.clock)
    lab.source_app.authorise = realm.auth
    return realm


@pytest.fixture
def target_realm(lab: Lab) -> Realm:
    realm = Realm(lab.server, lab.clock)
    lab.target_app.authorise = realm.auth
    return realm


class TestTokens:
    def test_each_side_is_asked_for_what_it_needs_and_once(
        self, lab: Lab, image: content.Artifact, source_realm: Realm, target_realm: Realm
    ) -> None:
        lab.source_credentials = lab.target_credentials = Password("user", SECRET)
        lab.copy()
        assert_copied(lab.target_app, image, "v1")
        assert source_realm.scopes == [f"repository:{SOURCE}:pull"]
        assert target_realm.scopes == [f"repository:{TARGET}:pull,push"]
        (request,) = source_realm.asked
        assert request.arg("service") == "registry.example"
        assert request.headers["Authorization"] == f"Basic {base64.b64encode(f'user:{SECRET}'.encode()).decode()}"

    def test_one_token_per_repository(self, lab: Lab, image: content.Artifact, target_realm: Realm) -> None:
        lab.target_credentials = Password("user", SECRET)
        lab.copy("v1", ("a", ("v1",)), ("b", ("v1",)))
        assert {f"repository:{name}:pull,push" for name in "ab"} <= set(target_realm.scopes)
        assert all(len(request.args("scope")) <= 2 for request in target_realm.asked)

    def test_anonymous_token_for_a_public_registry(
        self, lab: Lab, image: content.Artifact, source_realm: Realm
    ) -> None:
        source_realm.tokens.grants = {"": {"*": "pull"}}
        lab.copy()
        assert_copied(lab.target_app, image, "v1")
        assert "Authorization" not in source_realm.asked[0].headers

    def test_nothing_is_shown_before_the_registry_asks(self, lab: Lab, image: content.Artifact) -> None:
        lab.source_credentials = lab.target_credentials = Password("user", SECRET)
        lab.copy()
        assert all("Authorization" not in entry.headers for entry in lab.server.log)

    def test_identity_token_is_used_by_post(self, lab: Lab, image: content.Artifact, source_realm: Realm) -> None:
        lab.source_credentials = IdentityToken(source_realm.tokens.issue_refresh_token("user"))
        lab.copy()
        assert_copied(lab.target_app, image, "v1")
        assert [request.method for request in source_realm.asked] == ["POST"]

    def test_bearer_token_is_sent_as_it_is(self, lab: Lab, image: content.Artifact, source_realm: Realm) -> None:
        token = source_realm.tokens.issue("user", [Scope.repository(SOURCE, "pull")])
        lab.source_credentials = BearerToken(token)
        lab.copy()
        assert_copied(lab.target_app, image, "v1")
        assert source_realm.asked == []

    @pytest.mark.parametrize("challenge_scope", [True, False])
    def test_challenge_without_a_scope(
        self, lab: Lab, image: content.Artifact, source_realm: Realm, challenge_scope: bool
    ) -> None:
        source_realm.auth.challenge_scope = challenge_scope
        lab.source_credentials = Password("user", SECRET)
        lab.copy()
        assert source_realm.scopes == [f"repository:{SOURCE}:pull"]

    def test_placeholder_scope_of_a_challenge_is_not_asked_for(
        self, lab: Lab, image: content.Artifact, source_realm: Realm
    ) -> None:
        challenge = f'Bearer realm="http://{source_realm.host}/token",service="s",scope="repository:user/image:pull"'
        lab.server.faults.add(Fault(SetHeader("WWW-Authenticate", challenge), host=lab.source_host))
        lab.source_credentials = Password("user", SECRET)
        lab.copy()
        assert source_realm.scopes == [f"repository:{SOURCE}:pull"]

    @pytest.mark.parametrize("field", ["token", "access_token"])
    def test_either_name_of_the_token(self, lab: Lab, image: content.Artifact, field: str) -> None:
        realm = Realm(lab.server, lab.clock, token_field=field)
        lab.source_app.authorise = realm.auth
        lab.source_credentials = Password("user", SECRET)
        lab.copy()
        assert_copied(lab.target_app, image, "v1")

    @pytest.mark.parametrize(
        "body", [b"", b"[]", b"{}", b'{"token":""}', b'{"token":5}', b'{"token":"a\\nb"}', b"<html>"]
    )
    def test_token_service_that_answers_nonsense(
        self, lab: Lab, image: content.Artifact, source_realm: Realm, body: bytes
    ) -> None:
        lab.server.faults.add(Fault(Answer(200, body=body), host=source_realm.host, times=None))
        with pytest.raises(CopyError, match="token service") as raised:
            lab.copy()
        assert raised.value.side is Side.SOURCE

    def test_busy_token_service_is_asked_again(self, lab: Lab, image: content.Artifact, source_realm: Realm) -> None:
        source_realm.tokens.grants = {"": {"*": "pull"}}
        refusal = registry_error(429, "TOOMANYREQUESTS", headers=[("Retry-After", "3")])
        lab.server.faults.add(Fault(refusal, host=source_realm.host))
        lab.copy()
        assert_copied(lab.target_app, image, "v1")
        assert 3 <= lab.clock.waits[0] < 4


class TestMounts:
    """A mount reads from one repository and writes to another, and its token is for both."""

    @pytest.fixture
    def realm(self, lab: Lab, source_realm: Realm) -> Realm:
        lab.target_host, lab.target_app = lab.source_host, lab.source_app
        lab.source_credentials = lab.target_credentials = Password("user", SECRET)
        return source_realm

    def test_token_is_for_both_repositories(self, lab: Lab, image: content.Artifact, realm: Realm) -> None:
        result = lab.copy()
        assert_copied(lab.source_app, image, "v1")
        assert result.bytes_copied == 0
        both = [f"repository:{TARGET}:pull,push", f"repository:{SOURCE}:pull"]
        assert both in [request.args("scope") for request in realm.asked]

    def test_user_who_may_not_read_the_source_by_that_token(
        self, lab: Lab, image: content.Artifact, realm: Realm
    ) -> None:
        lab.server.faults.add(
            Fault(Answer(403), host=realm.host, query=f"{SOURCE}:pull.*{TARGET}|{TARGET}.*{SOURCE}:pull", times=None)
        )
        result = lab.copy()
        assert_copied(lab.source_app, image, "v1")
        assert result.blobs.mounted == 0


class TestRenewal:
    def test_token_is_renewed_before_it_ends(
        self, lab: Lab, image: content.Artifact, source_realm: Realm, target_realm: Realm
    ) -> None:
        source_realm.tokens.lifetime_seconds = target_realm.tokens.lifetime_seconds = 60
        lab.source_credentials = lab.target_credentials = Password("user", SECRET)
        lab.server.faults.add(Fault(DoAfter(lambda: lab.clock.sleep(50)), method="GET", path="/blobs/", times=None))
        lab.copy(settings=SERIAL)
        assert_copied(lab.target_app, image, "v1")
        refused = [entry for entry in lab.server.log if entry.status == 401]
        assert len(refused) == 2
        assert len(source_realm.asked) > 2

    def test_token_that_is_revoked_in_the_middle_of_a_download(self, lab: Lab, source_realm: Realm) -> None:
        artifact = lab.put(content.image(layers=(500_000, 400_000, 300_000)))
        lab.source_credentials = Password("user", SECRET)
        lab.server.faults.add(Fault(DoBefore(source_realm.tokens.revoke_all), method="GET", path="/blobs/", skip=1))
        lab.copy(settings=SERIAL)
        assert_copied(lab.target_app, artifact, "v1")

    @pytest.mark.parametrize("method", ["POST", "PUT"])
    def test_token_that_is_revoked_in_the_middle_of_an_upload(self, lab: Lab, target_realm: Realm, method: str) -> None:
        artifact = lab.put(content.image(layers=(500_000, 400_000, 300_000)))
        lab.target_credentials = Password("user", SECRET)
        lab.server.faults.add(Fault(DoBefore(target_realm.tokens.revoke_all), method=method, path="/uploads/", skip=1))
        lab.copy(settings=SERIAL)
        assert_copied(lab.target_app, artifact, "v1")
        assert lab.clock.waits == []

    def test_token_that_is_revoked_before_the_tag(self, lab: Lab, image: content.Artifact, target_realm: Realm) -> None:
        lab.target_credentials = Password("user", SECRET)
        lab.server.faults.add(Fault(DoBefore(target_realm.tokens.revoke_all), method="PUT", path="/manifests/v1"))
        lab.copy()
        assert_copied(lab.target_app, image, "v1")

    def test_registry_that_never_takes_its_own_tokens(
        self, lab: Lab, image: content.Artifact, source_realm: Realm
    ) -> None:
        lab.source_credentials = Password("user", SECRET)
        source_realm.tokens.lifetime_seconds = -1
        with pytest.raises(CopyError, match="401"):
            lab.copy()
        assert len(source_realm.asked) < 10


class TestBasic:
    def test_both_sides(self, lab: Lab, image: content.Artifact) -> None:
        lab.source_app.authorise = lab.target_app.authorise = BasicAuth({"user": SECRET})
        lab.source_credentials = lab.target_credentials = Password("user", SECRET)
        lab.copy()
        assert_copied(lab.target_app, image, "v1")
        refused = [entry for entry in lab.server.log if entry.status == 401]
        assert 2 <= len(refused) <= 3  # the first question to each side; the target is asked two at once

    @pytest.mark.parametrize("token", ["to\nken", "to\r\nX-Evil: 1", "日本"])
    def test_token_that_no_header_can_hold_is_no_traceback(self, lab: Lab, image: content.Artifact, token: str) -> None:
        lab.source_app.authorise = BasicAuth({"user": SECRET})
        lab.source_credentials = BearerToken(token)
        with pytest.raises(CopyError) as raised:
            lab.copy()
        assert raised.value.side is Side.SOURCE
        assert token not in str(raised.value)

    def test_umlauts_and_colons_in_a_password(self, lab: Lab, image: content.Artifact) -> None:
        lab.source_app.authorise = BasicAuth({"üser": "pä:ss:wörd"})
        lab.source_credentials = Password("üser", "pä:ss:wörd")
        lab.copy()
        assert_copied(lab.target_app, image, "v1")

    @pytest.mark.parametrize(
        "credentials",
        [
            None,
            Password("user", "wrong"),
            IdentityToken(SECRET),
            BearerToken(SECRET),
            EntraIdentity(lambda audience: EntraToken(SECRET)),
        ],
    )
    def test_wrong_credentials_are_the_sources_401_and_not_repeated(
        self, lab: Lab, image: content.Artifact, credentials: Any
    ) -> None:
        lab.source_app.authorise = BasicAuth({"user": SECRET})
        lab.source_credentials = credentials
        with pytest.raises(CopyError) as raised:
            lab.copy()
        assert raised.value.side is Side.SOURCE
        assert isinstance(raised.value.__cause__, RegistryError)
        assert raised.value.__cause__.status == 401
        assert len(lab.asked(lab.source_host)) <= 4
        assert lab.clock.waits == []
        assert SECRET not in str(lab.server.log[0].headers)

    def test_negotiate_alone_cannot_be_answered(self, lab: Lab, image: content.Artifact) -> None:
        lab.source_credentials = Password("user", SECRET)
        lab.server.faults.add(
            Fault(Answer(401, (("WWW-Authenticate", "Negotiate"),)), host=lab.source_host, times=None)
        )
        with pytest.raises(CopyError, match="401"):
            lab.copy()
        assert all("Authorization" not in entry.headers for entry in lab.server.log)


class TestStorage:
    """Blob reads that are sent on to another host, which refuses an Authorization header."""

    @pytest.fixture(autouse=True)
    def _storage(self, lab: Lab) -> None:
        self.host = lab.server.serve_plain(BlobStorageApp(lab.source_app.store))
        lab.behave(lab.source_app, redirect_blobs_to=f"http://{self.host}")

    @pytest.mark.parametrize("kind", ["basic", "bearer"])
    def test_authorization_stays_with_the_registry(self, lab: Lab, image: content.Artifact, kind: str) -> None:
        users = {"user": SECRET}
        lab.source_app.authorise = BasicAuth(users) if kind == "basic" else Realm(lab.server, lab.clock).auth
        lab.source_credentials = Password("user", SECRET)
        lab.copy()
        assert_copied(lab.target_app, image, "v1")
        reads = lab.asked(self.host)
        assert len(reads) == len(image.all_blobs)
        assert all("Authorization" not in entry.headers and entry.status == 200 for entry in reads)

    def test_broken_read_goes_on_with_a_new_signature(self, lab: Lab) -> None:
        artifact = lab.put(content.image(layers=(900_000,)))
        lab.server.faults.add(Fault(CutResponse(after=500_000, reset=False), host=self.host, method="GET"))
        lab.copy(settings=SERIAL)
        assert_copied(lab.target_app, artifact, "v1")
        assert lab.asked(self.host)[1].headers["Range"].startswith("bytes=")

    def test_storage_that_asks_for_credentials_gets_none(self, lab: Lab, image: content.Artifact) -> None:
        lab.source_credentials = Password("user", SECRET)
        challenge = (("WWW-Authenticate", 'Basic realm="storage"'),)
        lab.server.faults.add(Fault(Answer(401, challenge), host=self.host, times=None))
        with pytest.raises(CopyError, match="401") as raised:
            lab.copy()
        assert all("Authorization" not in entry.headers for entry in lab.asked(self.host))
        assert "sig=" not in str(raised.value)


class TestSecrets:
    def test_never_in_a_repr(self) -> None:
        for credentials in (
            Password("user", SECRET),
            IdentityToken(SECRET),
            BearerToken(SECRET),
            EntraToken(SECRET),
            EntraIdentity(lambda audience: EntraToken(SECRET)),
            Token(f"Bearer {SECRET}"),
        ):
            assert SECRET not in repr(credentials)
            assert SECRET not in str(credentials)
            assert SECRET not in f"{[credentials]}"

    def test_kinds_of_credentials_are_not_the_same(self) -> None:
        assert IdentityToken(SECRET) != BearerToken(SECRET)
        assert IdentityToken(SECRET) == IdentityToken(SECRET)

    @pytest.mark.parametrize("status", [400, 401, 403, 500])
    def test_never_in_an_error(self, lab: Lab, image: content.Artifact, source_realm: Realm, status: int) -> None:
        lab.source_credentials = Password("user", SECRET)
        lab.server.faults.add(Fault(Answer(status), host=source_realm.host, times=None))
        with pytest.raises(CopyError) as raised:
            lab.copy()
        shown = f"{raised.value} {raised.value!r} {raised.value.__cause__!r}"
        assert SECRET not in shown
        assert base64.b64encode(f"user:{SECRET}".encode()).decode() not in shown
        assert "scope=" not in shown

    def test_realm_over_plain_http_elsewhere_gets_nothing(self, lab: Lab, image: content.Artifact) -> None:
        lab.source_credentials = Password("user", SECRET)
        challenge = (("WWW-Authenticate", 'Bearer realm="http://evil.example/token"'),)
        lab.server.faults.add(Fault(Answer(401, challenge), host=lab.source_host, times=None))
        with pytest.raises(CopyError, match="not reached over https"):
            lab.copy()

    @pytest.mark.parametrize("realm", ["", "ftp://x/", "https://u:p@x.example/", "https://["])
    def test_realm_that_makes_no_sense(self, lab: Lab, image: content.Artifact, realm: str) -> None:
        challenge = (("WWW-Authenticate", f'Bearer realm="{realm}"'),)
        lab.server.faults.add(Fault(Answer(401, challenge), host=lab.source_host, times=None))
        with pytest.raises(CopyError, match="token service"):
            lab.copy()


def test_a_source_whose_identity_gets_no_token_fails_its_own_image_alone(lab: Lab, image: content.Artifact) -> None:
    def get_token(audience: str) -> EntraToken:
        raise RuntimeError("signed out")

    closed = RegistryApp()
    closed_host = lab.server.serve_plain(closed)
    image.put(closed.store.repository(SOURCE), "v1")
    challenge = f'Bearer realm="http://{closed_host}/oauth2/token",service="{closed_host}"'
    lab.server.faults.add(Fault(Answer(401, {"WWW-Authenticate": challenge}), host=closed_host, times=None))
    locked = lab.registry(closed_host, EntraIdentity(get_token))
    root = lab.root()
    refused = root._replace(source=locked.repository(SOURCE), targets=lab.root("v1", ("other", ("v1",))).targets)

    failed, copied = copy_all([refused, root])

    assert isinstance(failed, CopyError)
    assert (failed.side, failed.registry) == (Side.SOURCE, closed_host)
    assert "signed out" in str(failed)
    assert isinstance(copied, CopyResult)
    assert_copied(lab.target_app, image, "v1")
