# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""An emulated ACR's data plane: its tokens, its network rules, and the API that `az acr repository` uses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import requests

from emulator import content
from emulator.acr_auth import NULL_USER
from emulator.azure import Emulator
from emulator.resources import AzureRegistry
from tests.emulator.azure_client import ACR_SCOPE, ARM_SCOPE, Client, claims, new_registry

IMAGE = content.image("app")
PULL = "repository:team/app:pull"


@pytest.fixture(scope="module")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with Emulator.start(tmp_path_factory.mktemp("azure")) as running:
        yield running


@pytest.fixture
def client(azure: Emulator) -> Iterator[Client]:
    with Client.open(azure) as opened:
        yield opened


@pytest.fixture
def registry(azure: Emulator) -> AzureRegistry:
    return filled(azure)


def filled(azure: Emulator, **settings: Any) -> AzureRegistry:
    registry = new_registry(azure, **settings)
    IMAGE.put(registry.store.repository("team/app"), "v1", "latest")
    return registry


def pull(client: Client, registry: AzureRegistry, **headers: str) -> requests.Response:
    return client.get(
        f"https://{registry.login_server}/v2/team/app/manifests/v1", headers={"Accept": IMAGE.media_type, **headers}
    )


def get_token(client: Client, registry: AzureRegistry, scope: str = PULL, **options: Any) -> requests.Response:
    query = {"service": registry.login_server, "scope": scope}
    return client.get(f"https://{registry.login_server}/oauth2/token", params=query, **options)


def actions(token: str) -> list[str]:
    return [action for item in claims(token)["access"] for action in item["actions"]]


# Tokens.


def test_a_challenge_names_realm_service_and_scope(client: Client, registry: AzureRegistry) -> None:
    host = registry.login_server
    challenge = f'Bearer realm="https://{host}/oauth2/token",service="{host}"'

    assert client.get(f"https://{host}/v2/").headers["WWW-Authenticate"] == challenge
    assert pull(client, registry).headers["WWW-Authenticate"] == f'{challenge},scope="{PULL}"'


@pytest.mark.parametrize("scope", [ACR_SCOPE, ARM_SCOPE])
def test_an_entra_token_is_exchanged_and_opens_a_repository(
    client: Client, azure: Emulator, registry: AzureRegistry, scope: str
) -> None:
    exchanged = client.exchange(registry, client.token("owner", scope), tenant=azure.home.id)
    refresh_token = exchanged.json()["refresh_token"]
    assert claims(refresh_token)["exp"] - claims(refresh_token)["iat"] == 3 * 3600

    form = {"grant_type": "refresh_token", "service": registry.login_server, "refresh_token": refresh_token}
    answer = client.post(f"https://{registry.login_server}/oauth2/token", data={**form, "scope": PULL})

    token = answer.json()["access_token"]
    assert claims(token)["access"] == [{"type": "repository", "name": "team/app", "actions": ["pull"]}]
    answer = pull(client, registry, Authorization=f"Bearer {token}")
    assert (answer.status_code, answer.content) == (200, IMAGE.manifest)


@pytest.mark.parametrize("case", ["tenant", "service", "other tenant's principal", "not a token", "graph"])
def test_an_exchange_is_refused(client: Client, azure: Emulator, registry: AzureRegistry, case: str) -> None:
    token = client.token("owner", ACR_SCOPE)
    answer = {
        "tenant": lambda: client.exchange(registry, token, tenant=azure.partner.id),
        "service": lambda: client.exchange(registry, token, service="other.azurecr.io"),
        "other tenant's principal": lambda: client.exchange(registry, client.token("partner-owner", ACR_SCOPE)),
        "not a token": lambda: client.exchange(registry, "not-a-token"),
        "graph": lambda: client.exchange(registry, client.token("owner", "https://graph.microsoft.com/.default")),
    }[case]()

    assert answer.status_code == (400 if case == "service" else 401)
    assert answer.json()["errors"]


def test_arms_audience_may_be_switched_off(client: Client, registry: AzureRegistry) -> None:
    registry.authentication_as_arm = "disabled"

    assert client.exchange(registry, client.token("owner", ARM_SCOPE)).status_code == 401
    assert client.exchange(registry, client.token("owner", ACR_SCOPE)).status_code == 200


@pytest.mark.parametrize(
    ("principal", "allowed"),
    [
        ("owner", ["delete", "metadata_read", "pull", "push"]),
        ("importer", ["metadata_read", "pull"]),
        ("reader", ["metadata_read", "pull"]),
        ("push-only", ["metadata_read", "pull", "push"]),
    ],
)
def test_a_token_holds_what_the_role_allows(
    client: Client, registry: AzureRegistry, principal: str, allowed: list[str]
) -> None:
    scope = "repository:team/app:pull,push,delete,metadata_read"

    assert actions(client.acr_token(registry, scope, principal=principal)) == allowed


def test_a_token_for_less_is_told_what_is_missing(client: Client, registry: AzureRegistry) -> None:
    token = client.acr_token(registry, "repository:team/app:pull,push", principal="importer")

    answer = client.post(
        f"https://{registry.login_server}/v2/team/app/blobs/uploads/", headers={"Authorization": f"Bearer {token}"}
    )

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].endswith(
        ',scope="repository:team/app:pull,push",error="insufficient_scope"'
    )


def test_a_token_of_one_registry_is_nothing_to_another(
    client: Client, azure: Emulator, registry: AzureRegistry
) -> None:
    token = client.acr_token(filled(azure), PULL)

    assert pull(client, registry, Authorization=f"Bearer {token}").status_code == 401


def test_tokens_expire(client: Client, azure: Emulator, registry: AzureRegistry) -> None:
    azure.tokens[registry.name].access_lifetime_seconds = 60
    token = client.acr_token(registry, PULL)
    assert pull(client, registry, Authorization=f"Bearer {token}").status_code == 200

    azure.clock.advance(61)

    answer = pull(client, registry, Authorization=f"Bearer {token}")
    assert (answer.status_code, 'error="invalid_token"' in answer.headers["WWW-Authenticate"]) == (401, True)


def test_basic_credentials_of_every_kind_get_a_token(client: Client, azure: Emulator, registry: AzureRegistry) -> None:
    registry.admin_user = True
    registry.scoped_tokens.add("ci", "secret", {"team/app": ["content/read", "metadata/read"]})
    who = azure.principals["reader"]
    refresh_token = client.exchange(registry, client.token("reader", ACR_SCOPE)).json()["refresh_token"]
    everyone = [
        (registry.name, registry.admin_passwords[0]),
        ("ci", "secret"),
        (who.client_id, who.secret),
        (NULL_USER, refresh_token),
    ]

    for user in everyone:
        assert actions(get_token(client, registry, auth=user).json()["access_token"]) == ["pull"], user[0]
    assert get_token(client, registry, auth=("ci", "wrong")).status_code == 401


def test_a_scoped_token_opens_its_repositories_only(client: Client, registry: AzureRegistry) -> None:
    registry.scoped_tokens.add("ci", "secret", {"team/app": ["content/read", "content/write"]})
    form = {"grant_type": "password", "service": registry.login_server, "username": "ci", "password": "secret"}
    scopes = ["repository:team/app:pull,push,delete", "repository:other:pull", "registry:catalog:*"]

    answer = client.post(f"https://{registry.login_server}/oauth2/token", data={**form, "scope": scopes})

    granted = [item["actions"] for item in claims(answer.json()["access_token"])["access"]]
    assert granted == [["pull", "push"], [], []]


def test_anonymous_pull_has_to_be_switched_on(client: Client, registry: AzureRegistry) -> None:
    assert get_token(client, registry).status_code == 401

    registry.anonymous_pull = True

    token = get_token(client, registry, "repository:team/app:pull,push").json()["access_token"]
    assert actions(token) == ["pull"]
    assert pull(client, registry, Authorization=f"Bearer {token}").status_code == 200


def test_only_the_admin_user_needs_no_token(client: Client, registry: AzureRegistry) -> None:
    registry.scoped_tokens.add("ci", "secret", {"team/app": ["content/read"]})
    url = f"https://{registry.login_server}/v2/"
    admin = (registry.name, registry.admin_passwords[1])

    assert client.get(url, auth=admin).status_code == 401
    registry.admin_user = True
    assert client.get(url, auth=admin).status_code == 200
    assert client.get(url, auth=("ci", "secret")).status_code == 401


def test_a_token_with_too_many_scopes_does_not_fit_into_a_header(client: Client, registry: AzureRegistry) -> None:
    token = client.acr_token(registry, *(f"repository:team/app-{number:04}:pull,push" for number in range(200)))

    answer = client.get(f"https://{registry.login_server}/v2/", headers={"Authorization": f"Bearer {token}"})

    assert answer.status_code == 400
    assert "Request Header Or Cookie Too Large" in answer.text


# Network rules.


@pytest.mark.parametrize("settings", [{"public_network_access": "Disabled"}, {"default_action": "Deny"}])
def test_a_restricted_registry_answers_inside_only(client: Client, azure: Emulator, settings: dict[str, str]) -> None:
    registry = filled(azure, **settings)
    base = f"https://{registry.login_server}"

    refused = [client.get(f"{base}/v2/"), client.exchange(registry, "x"), client.get(f"{base}/acr/v1/_catalog")]

    assert [answer.status_code for answer in refused] == [403, 403, 403]
    text = "client with IP '203.0.113.7' is not allowed access. Refer https://aka.ms/acr/firewall to grant access."
    assert refused[0].json()["errors"] == [{"code": "DENIED", "message": text}]
    with Client.open(azure, "inside") as inside:
        token = inside.acr_token(registry, PULL)
        assert pull(inside, registry, Authorization=f"Bearer {token}").status_code == 200


def test_an_allowed_address_is_let_in(client: Client, azure: Emulator) -> None:
    registry = filled(azure, default_action="Deny")
    registry.ip_rules.append("203.0.113.7")

    assert client.get(f"https://{registry.login_server}/v2/").status_code == 401


# Blobs.


def test_blobs_are_read_from_a_storage_that_wants_no_token(client: Client, registry: AzureRegistry) -> None:
    digest, expected = next(iter(IMAGE.all_blobs.items()))
    authorization = {"Authorization": f"Bearer {client.acr_token(registry, PULL)}"}

    redirect = client.get(f"https://{registry.login_server}/v2/team/app/blobs/{digest}", headers=authorization)

    location = redirect.headers["Location"]
    assert redirect.status_code == 307
    assert location.startswith(f"https://{registry.name}store.blob.core.windows.net/")
    assert client.get(location, headers=authorization).status_code >= 400
    assert client.get(location).content == expected


# ACR's own API.


@pytest.fixture
def metadata(client: Client, registry: AzureRegistry) -> dict[str, str]:
    scopes = ("repository:team/app:metadata_read,metadata_write,delete", "registry:catalog:*")
    return {"Authorization": f"Bearer {client.acr_token(registry, *scopes)}"}


def test_tags_are_listed_in_pages(client: Client, registry: AzureRegistry, metadata: dict[str, str]) -> None:
    url = f"https://{registry.login_server}/acr/v1/team/app/_tags"

    first = client.get(url, headers=metadata, params={"n": 1})

    assert [(tag["name"], tag["digest"]) for tag in first.json()["tags"]] == [("latest", IMAGE.digest)]
    link = first.headers["Link"]
    assert link == '</acr/v1/team/app/_tags?last=latest&n=1&orderby=>; rel="next"'
    second = client.get(f"https://{registry.login_server}{link[1 : link.index('>')]}", headers=metadata)
    assert [tag["name"] for tag in second.json()["tags"]] == ["v1"]
    assert "Link" not in second.headers


def test_manifests_are_described(client: Client, registry: AzureRegistry, metadata: dict[str, str]) -> None:
    base = f"https://{registry.login_server}/acr/v1/team/app/_manifests"

    (listed,) = client.get(base, headers=metadata).json()["manifests"]

    assert (listed["digest"], listed["mediaType"]) == (IMAGE.digest, IMAGE.media_type)
    assert (listed["tags"], listed["architecture"], listed["os"]) == (["latest", "v1"], "amd64", "linux")
    assert listed["imageSize"] > 5000
    assert client.get(f"{base}/{IMAGE.digest}", headers=metadata).json()["manifest"] == listed


def test_repositories_are_listed_and_counted(client: Client, registry: AzureRegistry, metadata: dict[str, str]) -> None:
    base = f"https://{registry.login_server}"

    assert client.get(f"{base}/acr/v1/_catalog", headers=metadata).json() == {"repositories": ["team/app"]}
    assert client.get(f"{base}/v2/_catalog", headers=metadata).json() == {"repositories": ["team/app"]}
    shown = client.get(f"{base}/acr/v1/team/app", headers=metadata).json()
    assert (shown["imageName"], shown["tagCount"], shown["manifestCount"]) == ("team/app", 2, 1)


def test_a_tag_is_locked_and_unlocked(client: Client, registry: AzureRegistry, metadata: dict[str, str]) -> None:
    url = f"https://{registry.login_server}/acr/v1/team/app/_tags/v1"

    for enabled in (False, True):
        body = json.dumps({"writeEnabled": enabled})
        answer = client.session.patch(url, headers=metadata, data=body, timeout=30)
        assert answer.json()["tag"]["changeableAttributes"]["writeEnabled"] is enabled
        assert ("v1" in registry.behaviour.locked_tags) is not enabled


def test_a_tag_is_removed(client: Client, registry: AzureRegistry, metadata: dict[str, str]) -> None:
    url = f"https://{registry.login_server}/acr/v1/team/app/_tags/v1"

    assert client.session.delete(url, headers=metadata, timeout=30).status_code == 202

    assert registry.store.repository("team/app").tags == {"latest": IMAGE.digest}
    assert client.get(url, headers=metadata).status_code == 404


def test_behaviour_may_be_set_per_registry(client: Client, registry: AzureRegistry) -> None:
    registry.behaviour = replace(registry.behaviour, redirect_blobs_to=None)
    digest, expected = next(iter(IMAGE.all_blobs.items()))
    headers = {"Authorization": f"Bearer {client.acr_token(registry, PULL)}"}

    answer = client.get(f"https://{registry.login_server}/v2/team/app/blobs/{digest}", headers=headers)

    assert (answer.status_code, answer.content) == (200, expected)
