# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Answering a registry's challenges: which credential goes where, and how long a token is good for."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azext_acrimport.registry.address import Origin
from azext_acrimport.registry.auth import Authenticator
from azext_acrimport.registry.credentials import (
    ACR_AUDIENCE,
    BearerToken,
    Credentials,
    EntraIdentity,
    EntraToken,
    IdentityToken,
    Password,
)
from azext_acrimport.registry.errors import NoToken, ProtocolError, RegistryError, RegistryFailure
from tests.support.lab import FastClock

HOST = "my.azurecr.io"
ORIGIN = Origin("https", HOST, 443)
PULL = ("repository:team/app:pull",)
PUSH = ("repository:team/app:pull,push",)
ACR = f'Bearer realm="https://{HOST}/oauth2/token",service="{HOST}",scope="repository:team/app:pull"'
HUB = 'Bearer realm="https://auth.example/token?a=b",service="hub"'
FIREWALL = "client with IP '1.2.3.4' is not allowed access. Refer https://aka.ms/acr/firewall to grant access."


@dataclass(frozen=True)
class Asked:
    """One request to a realm."""

    origin: Origin
    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def form(self) -> dict[str, list[str]]:
        return parse_qs(self.body.decode())

    @property
    def query(self) -> dict[str, list[str]]:
        return parse_qs(self.target.partition("?")[2])


class Realm:
    """Answers in turn what a test gave it: dicts, or errors to raise. The last one is for all further requests."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[Asked] = []

    def __call__(
        self, origin: Origin, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> dict[str, object]:
        self.asked.append(Asked(origin, method, target, headers, body))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return dict(answer)


def token(number: int = 1, **extra: Any) -> dict[str, Any]:
    return {"access_token": f"token-{number}", **extra}


def refusal(status: int, message: str = "") -> RegistryError:
    return RegistryError(HOST, "POST", status, message=message)


def authenticator(credentials: Credentials | None, realm: Realm, clock: FastClock | None = None) -> Authenticator:
    return Authenticator(HOST, credentials, realm, clock or FastClock())


def jwt(**claims: Any) -> str:
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{payload}.sig"


class TestPlain:
    def test_nothing_before_a_challenge(self) -> None:
        for credentials in (None, Password("u", "p"), BearerToken("t"), IdentityToken("t")):
            assert authenticator(credentials, Realm(token())).header(PULL) is None

    def test_basic(self) -> None:
        auth = authenticator(Password("u", "p:ä"), Realm())
        header = auth.answer(ORIGIN, 'Basic realm="r"', PULL, None)
        assert header == f"Basic {base64.b64encode('u:p:ä'.encode()).decode()}"
        assert auth.header(PUSH) == header

    @pytest.mark.parametrize("credentials", [None, BearerToken("t"), IdentityToken("t"), EntraIdentity(EntraToken)])
    def test_basic_is_answered_by_a_password_alone(self, credentials: Credentials | None) -> None:
        answer = authenticator(credentials, Realm()).answer(ORIGIN, 'Basic realm="r"', PULL, None)
        assert answer is None or isinstance(credentials, BearerToken)

    def test_refused_basic_is_not_shown_again(self) -> None:
        auth = authenticator(Password("u", "p"), Realm())
        header = auth.answer(ORIGIN, "Basic", PULL, None)
        assert auth.answer(ORIGIN, "Basic", PULL, header) is None

    def test_bearer_goes_before_basic(self) -> None:
        realm = Realm(token())
        header = authenticator(Password("u", "p"), realm).answer(ORIGIN, f"Basic realm=r, {HUB}", PULL, None)
        assert header == "Bearer token-1"

    def test_given_token_is_shown_once(self) -> None:
        realm = Realm(token())
        auth = authenticator(BearerToken("given"), realm)
        assert auth.answer(ORIGIN, HUB, PULL, None) == "Bearer given"
        assert auth.header(PUSH) == "Bearer given"
        assert auth.answer(ORIGIN, HUB, PULL, "Bearer given") is None
        assert realm.asked == []

    @pytest.mark.parametrize("challenge", ["", "Negotiate", "nonsense,,", 'Digest realm="x"'])
    def test_what_cannot_be_answered(self, challenge: str) -> None:
        assert authenticator(Password("u", "p"), Realm(token())).answer(ORIGIN, challenge, PULL, None) is None


class TestRealm:
    def test_password_goes_by_get_with_what_the_job_needs(self) -> None:
        realm = Realm(token())
        authenticator(Password("u", "p"), realm).answer(ORIGIN, HUB, PUSH, None)
        (asked,) = realm.asked
        assert (asked.method, asked.origin) == ("GET", Origin("https", "auth.example", 443))
        assert asked.target.startswith("/token?a=b&")
        assert asked.query == {"a": ["b"], "service": ["hub"], "scope": list(PUSH)}
        assert asked.headers == {"Authorization": f"Basic {base64.b64encode(b'u:p').decode()}"}

    def test_nobody_asks_without_credentials(self) -> None:
        realm = Realm({"token": "anonymous"})
        assert authenticator(None, realm).answer(ORIGIN, HUB, PULL, None) == "Bearer anonymous"
        assert realm.asked[0].headers == {}

    def test_scopes_are_separate_arguments(self) -> None:
        realm = Realm(token())
        both = (*PUSH, "repository:other:pull")
        authenticator(None, realm).answer(ORIGIN, HUB, both, None)
        assert realm.asked[0].query["scope"] == list(both)

    def test_identity_token_goes_by_post_in_one_field(self) -> None:
        realm = Realm(token())
        both = (*PUSH, "repository:other:pull")
        authenticator(IdentityToken("refresh"), realm).answer(ORIGIN, HUB, both, None)
        (asked,) = realm.asked
        assert (asked.method, asked.target) == ("POST", "/token?a=b")
        assert asked.form["grant_type"] == ["refresh_token"]
        assert asked.form["refresh_token"] == ["refresh"]
        assert asked.form["service"] == ["hub"]
        assert asked.form["scope"] == [" ".join(both)]
        assert asked.headers["Content-Type"] == "application/x-www-form-urlencoded"

    def test_acr_takes_scopes_one_by_one(self) -> None:
        realm = Realm(token())
        both = (*PUSH, "repository:other:pull")
        authenticator(IdentityToken("refresh"), realm).answer(ORIGIN, ACR, both, None)
        assert [value for name, value in parse_qsl(realm.asked[0].body.decode()) if name == "scope"] == list(both)

    @pytest.mark.parametrize(
        "realm",
        ["http://auth.example/token", "", "ftp://x/", "https://user:secret@x/", "http://127.0.0.1/token", "/token\x01"],
    )
    def test_realm_that_is_not_trusted(self, realm: str) -> None:
        asked = Realm(token())
        with pytest.raises(ProtocolError) as raised:
            authenticator(Password("u", "p"), asked).answer(ORIGIN, f'Bearer realm="{realm}"', PULL, None)
        assert asked.asked == []
        assert "secret" not in str(raised.value)

    def test_bearer_without_a_realm(self) -> None:
        with pytest.raises(ProtocolError):
            authenticator(None, Realm(token())).answer(ORIGIN, 'Bearer service="x"', PULL, None)

    def test_relative_realm_is_the_registrys_own(self) -> None:
        realm = Realm(token())
        authenticator(None, realm).answer(ORIGIN, 'Bearer realm="/token"', PULL, None)
        assert realm.asked[0].origin == ORIGIN

    def test_plain_http_realm_of_a_registry_on_this_machine(self) -> None:
        local = Origin("http", "localhost", 5000)
        realm = Realm(token())
        authenticator(None, realm).answer(local, 'Bearer realm="http://127.0.0.1:5001/token"', PULL, None)
        assert realm.asked[0].origin == Origin("http", "127.0.0.1", 5001)

    @pytest.mark.parametrize(
        "answer",
        [{}, {"token": ""}, {"token": None}, {"token": 1}, {"token": ["x"]}, {"token": "a\r\nb"}, {"token": "ä"}],
    )
    def test_answer_without_a_usable_token(self, answer: dict[str, Any]) -> None:
        with pytest.raises(ProtocolError, match="without a token"):
            authenticator(None, Realm(answer)).answer(ORIGIN, HUB, PULL, None)

    def test_access_token_goes_before_token(self) -> None:
        realm = Realm({"token": "", "access_token": "b"})
        assert authenticator(None, realm).answer(ORIGIN, HUB, PULL, None) == "Bearer b"


class TestLifetime:
    @pytest.mark.parametrize(
        ("answer", "good", "over"),
        [
            (token(expires_in=300), 270, 290),
            (token(expires_in=20), 14, 16),
            (token(), 44, 46),
            (token(expires_in=0), 44, 46),
            (token(expires_in="300"), 44, 46),
            (token(expires_in=True), 44, 46),
            ({"token": jwt(exp=1_700_000_000 + 1000 + 4500)}, 4470, 4490),
            ({"token": jwt(exp="soon")}, 44, 46),
            ({"token": "a.b.c"}, 44, 46),
        ],
    )
    def test_token_is_used_until_shortly_before_its_end(self, answer: dict[str, Any], good: int, over: int) -> None:
        clock, realm = FastClock(), Realm(answer)
        auth = authenticator(None, realm, clock)
        auth.answer(ORIGIN, HUB, PULL, None)
        clock.seconds += good
        auth.header(PULL)
        assert len(realm.asked) == 1
        clock.seconds += over - good
        auth.header(PULL)
        assert len(realm.asked) == 2

    def test_each_scope_has_a_token_of_its_own(self) -> None:
        realm = Realm(token(1), token(2))
        auth = authenticator(None, realm)
        assert auth.answer(ORIGIN, HUB, PULL, None) == "Bearer token-1"
        assert auth.header(PUSH) == "Bearer token-2"
        assert auth.header(PULL) == "Bearer token-1"

    def test_refused_token_is_replaced_once(self) -> None:
        realm = Realm(token(1), token(2))
        auth = authenticator(None, realm)
        first = auth.answer(ORIGIN, HUB, PULL, None)
        assert auth.answer(ORIGIN, HUB, PULL, first) == "Bearer token-2"
        assert auth.answer(ORIGIN, HUB, PULL, first) == "Bearer token-2"
        assert len(realm.asked) == 2

    def test_same_token_again_is_no_answer(self) -> None:
        auth = authenticator(None, Realm(token(1)))
        first = auth.answer(ORIGIN, HUB, PULL, None)
        assert auth.answer(ORIGIN, HUB, PULL, first) is None

    def test_threads_that_ask_at_once_fetch_one_token(self) -> None:
        entered, release = threading.Event(), threading.Event()

        class Slow(Realm):
            def __call__(self, *arguments: Any) -> dict[str, object]:
                entered.set()
                release.wait(10)
                return super().__call__(*arguments)

        realm = Slow(token())
        auth = authenticator(None, realm)
        headers: list[str | None] = []
        threads = [
            threading.Thread(target=lambda: headers.append(auth.answer(ORIGIN, HUB, PULL, None))) for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        entered.wait(10)
        release.set()
        for thread in threads:
            thread.join()
        assert headers == ["Bearer token-1"] * 8
        assert len(realm.asked) == 1


class TestEntra:
    def identity(self, *audiences: str) -> EntraIdentity:
        return EntraIdentity(
            lambda audience: EntraToken(f"entra for {audience}", "tenant"), audiences or (ACR_AUDIENCE,)
        )

    def test_exchange_then_token(self) -> None:
        realm = Realm({"refresh_token": "refresh"}, token())
        auth = authenticator(self.identity(), realm)
        assert auth.answer(ORIGIN, ACR, PUSH, None) == "Bearer token-1"
        exchange, access = realm.asked
        assert (exchange.method, exchange.target, exchange.origin) == ("POST", "/oauth2/exchange", ORIGIN)
        assert exchange.form == {
            "grant_type": ["access_token"],
            "service": [HOST],
            "tenant": ["tenant"],
            "access_token": [f"entra for {ACR_AUDIENCE}"],
        }
        assert access.target == "/oauth2/token"
        assert access.form["refresh_token"] == ["refresh"]
        assert access.form["scope"] == list(PUSH)

    @pytest.mark.parametrize("problem", [RuntimeError("a broken cache"), OSError("no way")])
    def test_an_identity_without_a_token_is_a_failure_of_its_registry_alone(self, problem: Exception) -> None:
        asked: list[str] = []

        def get_token(audience: str) -> EntraToken:
            asked.append(audience)
            raise problem

        auth = authenticator(EntraIdentity(get_token), Realm())
        for _ in range(2):  # the second time it is remembered
            with pytest.raises(NoToken, match=str(problem)) as raised:
                auth.answer(ORIGIN, ACR, PUSH, None)
            assert (raised.value.host, raised.value.__cause__) == (HOST, problem)
        assert asked == [ACR_AUDIENCE]

    def test_one_exchange_serves_all_repositories(self) -> None:
        realm = Realm({"refresh_token": "refresh"}, token(1), token(2))
        auth = authenticator(self.identity(), realm)
        auth.answer(ORIGIN, ACR, PUSH, None)
        assert auth.header(PULL) == "Bearer token-2"
        assert [asked.target for asked in realm.asked] == ["/oauth2/exchange", "/oauth2/token", "/oauth2/token"]

    @pytest.mark.parametrize("status", [400, 401])
    def test_second_audience_where_the_first_is_refused(self, status: int) -> None:
        realm = Realm(refusal(status), {"refresh_token": "refresh"}, token())
        auth = authenticator(self.identity(ACR_AUDIENCE, "https://management.azure.com/"), realm)
        assert auth.answer(ORIGIN, ACR, PUSH, None) == "Bearer token-1"
        assert realm.asked[1].form["access_token"] == ["entra for https://management.azure.com/"]

    @pytest.mark.parametrize("status", [400, 401])
    def test_expired_refresh_token_is_exchanged_anew(self, status: int) -> None:
        realm = Realm({"refresh_token": "old"}, token(1), refusal(status), {"refresh_token": "new"}, token(2))
        auth = authenticator(self.identity(), realm)
        auth.answer(ORIGIN, ACR, PUSH, None)
        assert auth.header(PULL) == "Bearer token-2"
        assert realm.asked[-1].form["refresh_token"] == ["new"]

    def test_fresh_refresh_token_that_is_refused_is_not_tried_for_ever(self) -> None:
        realm = Realm({"refresh_token": "r"}, refusal(401))
        with pytest.raises(RegistryError):
            authenticator(self.identity(), realm).answer(ORIGIN, ACR, PUSH, None)
        assert len(realm.asked) == 2

    def test_refused_identity_may_still_pull_anonymously(self) -> None:
        realm = Realm(refusal(401), {"access_token": "anonymous"})
        assert authenticator(self.identity(), realm).answer(ORIGIN, ACR, PULL, None) == "Bearer anonymous"
        assert realm.asked[1].headers == {}

    def test_refused_identity_does_not_push_anonymously(self) -> None:
        realm = Realm(refusal(401))
        with pytest.raises(RegistryError):
            authenticator(self.identity(), realm).answer(ORIGIN, ACR, PUSH, None)
        assert len(realm.asked) == 1

    def test_firewall_is_told_of_in_its_own_words(self) -> None:
        realm = Realm(refusal(403, FIREWALL))
        with pytest.raises(RegistryError, match=r"client with IP '1\.2\.3\.4'"):
            authenticator(self.identity(), realm).answer(ORIGIN, ACR, PULL, None)
        assert len(realm.asked) == 1

    def test_first_refusal_is_told_when_anonymous_fails_too(self) -> None:
        realm = Realm(refusal(401, "the identity is unknown"), refusal(403, "no anonymous pull"))
        with pytest.raises(RegistryError, match="the identity is unknown"):
            authenticator(self.identity(), realm).answer(ORIGIN, ACR, PULL, None)

    @pytest.mark.parametrize(
        "challenge",
        [
            HUB,
            'Bearer realm="https://evil.example/oauth2/token",service="x"',
            f"{ACR.replace(HOST, HOST + ':8443', 1)}",
        ],
    )
    def test_identity_is_never_sent_to_another_host(self, challenge: str) -> None:
        realm = Realm(token())
        with pytest.raises(ProtocolError):
            authenticator(self.identity(), realm).answer(ORIGIN, challenge, PULL, None)
        assert realm.asked == []

    @pytest.mark.parametrize("answer", [{}, {"refresh_token": None}, {"refresh_token": ""}, {"refresh_token": 5}])
    def test_exchange_without_a_token_in_it(self, answer: dict[str, Any]) -> None:
        with pytest.raises(ProtocolError):
            authenticator(self.identity(), Realm(answer)).answer(ORIGIN, ACR, PULL, None)

    def test_identity_without_a_tenant(self) -> None:
        realm = Realm({"refresh_token": "r"}, token())
        identity = EntraIdentity(lambda audience: EntraToken("entra"))
        authenticator(identity, realm).answer(ORIGIN, ACR, PULL, None)
        assert "tenant" not in realm.asked[0].form


@pytest.mark.parametrize("order", [("a-token-of-some-length", "short"), ("short", "a-token-of-some-length")])
def test_what_a_registry_says_back_is_without_any_token(order: tuple[str, str]) -> None:
    auth = authenticator(Password("u", "p"), Realm(*({"token": each} for each in order)))
    for scope in (PULL, PUSH):
        auth.answer(ORIGIN, HUB, scope, None)

    assert auth.redacted("not with a-token-of-some-length") == "not with ***"
    assert auth.redacted("short") == "***"
    assert auth.redacted("no") == "no"


@given(
    st.text(max_size=40) | st.sampled_from([ACR, HUB, "Basic realm=x"]),
    st.sampled_from([None, Password("u", "p"), IdentityToken("i"), BearerToken("b")]),
    st.dictionaries(
        st.sampled_from(["token", "access_token", "expires_in", "refresh_token"]),
        st.none() | st.text(max_size=5) | st.integers() | st.floats() | st.booleans(),
    ),
)
def test_no_answer_raises_anything_but_our_error(
    challenge: str, credentials: Credentials | None, answer: dict[str, Any]
) -> None:
    auth = authenticator(credentials, Realm(answer))
    try:
        header = auth.answer(ORIGIN, challenge, PULL, None)
    except RegistryFailure:
        return
    assert header is None or (header.isascii() and header.isprintable())
