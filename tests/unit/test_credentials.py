# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""What is shown to which registry."""

from __future__ import annotations

import base64
import json
from types import SimpleNamespace
from typing import Any

import pytest
from azure.cli.core.azclierror import AuthenticationError

from azext_acrimport import credentials
from azext_acrimport.credentials import audiences_of, given_credentials, signed_in_identity
from azext_acrimport.registry.credentials import (
    ACR_AUDIENCE,
    BearerToken,
    EntraIdentity,
    EntraToken,
    IdentityToken,
    Password,
)

ARM_AUDIENCE = "https://management.core.windows.net/"
NULL_GUID = "00000000-0000-0000-0000-000000000000"


def jwt(**claims: object) -> str:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    return f"{part({'alg': 'RS256'})}.{part(claims)}.signature"


class Config:
    def __init__(self, audience: str | None) -> None:
        self.audience = audience

    def get(self, section: str, option: str, fallback: str | None = None) -> str | None:
        return self.audience if (section, option) == ("acr", "audience_resource") and self.audience else fallback


def cli_ctx(audience: str | None = None) -> Any:
    endpoints = SimpleNamespace(active_directory_resource_id=ARM_AUDIENCE)
    return SimpleNamespace(config=Config(audience), cloud=SimpleNamespace(endpoints=endpoints))


@pytest.mark.parametrize("is_acr", [True, False])
def test_a_user_and_a_password_are_just_that(is_acr: bool) -> None:
    assert given_credentials("me", "secret", is_acr=is_acr) == Password("me", "secret")


def test_a_password_alone_is_a_token_of_the_registry_outside_azure() -> None:
    token = jwt(iss="https://sts.windows.net/t/", tid="t")

    # It may well be an Entra token, and then it is not exchanged at a stranger's.
    assert given_credentials(None, token, is_acr=False) == BearerToken(token)


def test_a_password_alone_is_an_entra_token_for_acr() -> None:
    token = jwt(iss="https://sts.windows.net/t/", tid="t")

    found = given_credentials(None, token, is_acr=True)

    assert isinstance(found, EntraIdentity)
    assert found.get_token(ACR_AUDIENCE) == EntraToken(token, "t")
    assert len(found.audiences) == 1


@pytest.mark.parametrize("token", ["opaque", "a.b.c", "a.!!.c", f"a.{base64.b64encode(b'[]').decode()}.c"])
def test_a_token_that_cannot_be_read_is_tried_as_an_entra_token(token: str) -> None:
    found = given_credentials(None, token, is_acr=True)

    assert isinstance(found, EntraIdentity)
    assert found.get_token(ACR_AUDIENCE) == EntraToken(token, None)


def test_acrs_own_tokens_are_known_by_their_issuer() -> None:
    refresh = jwt(iss="Azure Container Registry", grant_type="refresh_token")
    access = jwt(iss="Azure Container Registry", access=[])

    assert given_credentials(None, refresh, is_acr=True) == IdentityToken(refresh)
    assert given_credentials(None, access, is_acr=True) == BearerToken(access)


def test_the_user_of_docker_login_means_a_refresh_token() -> None:
    assert given_credentials(NULL_GUID, "token", is_acr=True) == IdentityToken("token")
    assert given_credentials(NULL_GUID, "token", is_acr=False) == Password(NULL_GUID, "token")


@pytest.mark.parametrize(
    ("configured", "first"),
    [
        (None, ACR_AUDIENCE),
        ("myacr", "https://myacr.azure.net"),
        ("https://acr.local.example", "https://acr.local.example"),
    ],
)
def test_the_audiences_are_acrs_then_resource_managers(configured: str | None, first: str) -> None:
    assert audiences_of(cli_ctx(configured)) == (first, ARM_AUDIENCE)


def profile_of(answers: dict[str, str], asked: list[tuple[str, str | None]]) -> type:
    class Profile:
        def __init__(self, cli_ctx: Any) -> None:
            pass

        def get_raw_token(self, resource: str, subscription: str | None) -> Any:
            asked.append((resource, subscription))
            if resource not in answers:
                raise AuthenticationError(f"{resource} was not found in the tenant")
            return ("Bearer", answers[resource], {}), subscription, "tenant"

    return Profile


def test_the_signed_in_identity_is_that_of_the_registrys_subscription(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str | None]] = []
    monkeypatch.setattr("azure.cli.core._profile.Profile", profile_of({ACR_AUDIENCE: "token"}, asked))

    identity = signed_in_identity(cli_ctx(), "sub-shared")

    assert identity.get_token(ACR_AUDIENCE) == EntraToken("token", "tenant")
    assert asked == [(ACR_AUDIENCE, "sub-shared")]


def test_where_entra_does_not_know_acr_resource_managers_audience_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("azure.cli.core._profile.Profile", profile_of({ARM_AUDIENCE: "arm-token"}, []))

    assert signed_in_identity(cli_ctx()).get_token(ACR_AUDIENCE).token == "arm-token"


def test_an_identity_that_gets_no_token_at_all_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("azure.cli.core._profile.Profile", profile_of({}, []))

    with pytest.raises(AuthenticationError):
        signed_in_identity(cli_ctx()).get_token(ACR_AUDIENCE)


def test_saved_credentials_come_from_this_machines_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    auth = base64.b64encode(b"me:secret").decode()
    (tmp_path / "config.json").write_text(json.dumps({"auths": {"registry.example": {"auth": auth}}}))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))

    assert credentials.saved_credentials("registry.example", "app") == Password("me", "secret")


def test_secrets_are_in_no_repr() -> None:
    token = jwt(tid="t")
    shown = repr([given_credentials("me", "secret", is_acr=True), given_credentials(None, token, is_acr=True)])

    assert "secret" not in shown
    assert token not in shown
