# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Entra ID and the resource manager of the emulator, asked over HTTPS as a client asks the real ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from emulator.azure import Emulator
from tests.emulator.azure_client import ACR_SCOPE, ARM, ARM_SCOPE, VERSION, Client, claims, error_of, new_registry

KIND = "Microsoft.ContainerRegistry/registries"


@pytest.fixture(scope="module")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with Emulator.start(tmp_path_factory.mktemp("azure")) as running:
        yield running


@pytest.fixture
def client(azure: Emulator) -> Iterator[Client]:
    with Client.open(azure) as opened:
        yield opened


# Entra ID.


@pytest.mark.parametrize("tenant", ["id", "domain", "common", "organizations"])
def test_a_tenant_is_discovered_by_id_and_domain(client: Client, azure: Emulator, tenant: str) -> None:
    name = {"id": azure.home.id, "domain": azure.home.domain}.get(tenant, tenant)

    found = client.get(f"https://login.microsoftonline.com/{name}/v2.0/.well-known/openid-configuration").json()

    assert found["token_endpoint"].startswith("https://login.microsoftonline.com/")
    assert (azure.home.id in found["token_endpoint"]) == (tenant in ("id", "domain"))


def test_an_unknown_tenant_is_refused(client: Client) -> None:
    answer = client.get("https://login.microsoftonline.com/nobody.example/v2.0/.well-known/openid-configuration")

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_tenant")


@pytest.mark.parametrize(
    ("scope", "audience"),
    [
        (ARM_SCOPE, "https://management.core.windows.net/"),
        ("https://management.azure.com/.default", "https://management.azure.com"),
        (ACR_SCOPE, "https://containerregistry.azure.net"),
    ],
)
def test_a_token_names_audience_tenant_and_application(
    client: Client, azure: Emulator, scope: str, audience: str
) -> None:
    who = azure.principals["importer"]

    answer = client.log_in("importer", scope)

    token = claims(answer.json()["access_token"])
    assert token["aud"] == audience
    assert (token["tid"], token["appid"], token["oid"]) == (azure.home.id, who.client_id, who.object_id)
    assert token["exp"] - token["iat"] == answer.json()["expires_in"]


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"client_secret": "wrong"}, 401, "AADSTS7000215"),
        ({"client_id": "00000000-0000-0000-0000-000000000001"}, 400, "AADSTS700016"),
        ({"tenant": "fabrikam.onmicrosoft.example"}, 400, "AADSTS700016"),
        ({"scope": "https://vault.azure.net/.default"}, 400, "AADSTS500011"),
        ({"grant_type": "device_code"}, 400, "AADSTS70003"),
        ({"grant_type": "password", "username": "nobody@contoso.onmicrosoft.example"}, 400, "AADSTS50126"),
        ({"grant_type": "refresh_token", "refresh_token": "a.b.c"}, 400, "AADSTS70000"),
    ],
)
def test_a_wrong_login_is_refused(client: Client, changes: dict[str, str], status: int, code: str) -> None:
    answer = client.log_in("owner", **changes)

    assert answer.status_code == status
    assert answer.json()["error_description"].startswith(code)


# The resource manager.


def test_a_principal_sees_the_subscriptions_of_its_tenant(client: Client) -> None:
    def names(principal: str) -> list[str]:
        return [
            item["displayName"] for item in client.arm("GET", "/subscriptions", principal=principal).json()["value"]
        ]

    assert names("owner") == names("push-only") == ["prod", "shared"]
    assert names("partner-owner") == ["partner"]


def test_registries_are_found_by_every_list(client: Client, azure: Emulator) -> None:
    registry = new_registry(azure, group="rg-team")
    subscription = registry.subscription.scope
    paths = [
        f"{subscription}/resources?$filter=resourceType eq '{KIND}'",
        f"{subscription}/providers/Microsoft.ContainerRegistry/registries",
        f"{subscription}/resourcegroups/RG-TEAM/providers/Microsoft.ContainerRegistry/registries",
    ]

    for path in paths:
        assert registry.id in [item["id"] for item in client.arm("GET", path).json()["value"]], path


def test_a_registry_shows_its_settings(client: Client, azure: Emulator) -> None:
    registry = new_registry(azure, public_network_access="Disabled", bypass="None", export_policy="disabled")

    body = client.arm("GET", registry.id).json()

    properties = body["properties"]
    assert (body["name"], body["sku"]["name"]) == (registry.name, "Premium")
    assert properties["loginServer"] == registry.login_server
    assert properties["publicNetworkAccess"] == "Disabled"
    assert properties["networkRuleBypassOptions"] == "None"
    assert properties["policies"]["exportPolicy"] == {"status": "disabled"}


def test_an_update_changes_what_it_names(client: Client, azure: Emulator) -> None:
    registry = new_registry(azure)
    change = {"properties": {"networkRuleSet": {"defaultAction": "Deny", "ipRules": [{"value": "192.0.2.1"}]}}}

    client.arm("PATCH", registry.id, body=change)

    properties = client.arm("GET", registry.id).json()["properties"]
    assert properties["networkRuleSet"]["defaultAction"] == "Deny"
    assert properties["networkRuleSet"]["ipRules"] == [{"action": "Allow", "value": "192.0.2.1"}]
    assert properties["publicNetworkAccess"] == "Enabled"
    assert registry.restricted


def test_a_registry_is_created_by_put(client: Client, azure: Emulator) -> None:
    path = new_registry(azure).id + "made"
    body = {"location": "eastus", "sku": {"name": "Basic"}, "properties": {"adminUserEnabled": True}}

    created = client.arm("PUT", path, body=body).json()

    assert created["sku"]["name"] == "Basic"
    assert client.arm("POST", f"{path}/listCredentials").json()["username"] == created["name"]


def test_rights_are_checked_by_action_and_scope(client: Client, azure: Emulator) -> None:
    registry = new_registry(azure)
    who = azure.principals["reader"]

    status, code, message = error_of(client.arm("PATCH", registry.id, principal="reader", body={}))

    assert (status, code) == (403, "AuthorizationFailed")
    assert who.client_id in message
    assert who.object_id in message
    assert "'Microsoft.ContainerRegistry/registries/write' over scope" in message
    assert registry.id in message


def test_a_registry_is_not_seen_without_the_right_to_read_it(client: Client, azure: Emulator) -> None:
    registry = new_registry(azure)

    listed = client.arm(
        "GET", f"{registry.subscription.scope}/resources?$filter=resourceType eq '{KIND}'", principal="push-only"
    )

    assert listed.json() == {"value": []}
    assert error_of(client.arm("GET", registry.id, principal="push-only"))[1] == "AuthorizationFailed"


def test_a_role_holds_for_its_scope_only(client: Client, azure: Emulator) -> None:
    mine, other = new_registry(azure), new_registry(azure)
    azure.add_principal("one-registry", {mine.id: "reader"})

    assert client.arm("GET", mine.id, principal="one-registry").status_code == 200
    assert client.arm("GET", other.id, principal="one-registry").status_code == 403


def test_another_tenants_subscription_refuses_the_token(client: Client, azure: Emulator) -> None:
    path = azure.subscriptions["partner"].scope

    assert error_of(client.arm("GET", path))[:2] == (401, "InvalidAuthenticationTokenTenant")


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "AuthenticationFailed"),
        ({"Authorization": "Bearer not-a-token"}, "InvalidAuthenticationToken"),
    ],
)
def test_a_call_needs_a_token(client: Client, headers: dict[str, str], code: str) -> None:
    answer = client.get(f"{ARM}/subscriptions?api-version={VERSION}", headers=headers)

    assert error_of(answer)[:2] == (401, code)


def test_a_token_for_another_audience_is_refused(client: Client) -> None:
    headers = {"Authorization": f"Bearer {client.token('owner', ACR_SCOPE)}"}

    answer = client.get(f"{ARM}/subscriptions?api-version={VERSION}", headers=headers)

    assert error_of(answer)[:2] == (401, "InvalidAuthenticationTokenAudience")


def test_a_token_expires(tmp_path: Path) -> None:
    with Emulator.start(tmp_path) as azure, Client.open(azure) as client:
        headers = {"Authorization": f"Bearer {client.token()}"}
        azure.clock.advance(3601)

        answer = client.get(f"{ARM}/subscriptions?api-version={VERSION}", headers=headers)

    assert error_of(answer)[:2] == (401, "ExpiredAuthenticationToken")


def test_what_is_not_there_is_not_found(client: Client, azure: Emulator) -> None:
    registry = new_registry(azure)
    missing = "/subscriptions/00000000-0000-0000-0000-000000000001"

    assert error_of(client.arm("GET", f"{registry.id}x"))[:2] == (404, "ResourceNotFound")
    assert error_of(client.arm("GET", missing))[:2] == (404, "SubscriptionNotFound")


def test_the_resource_graph_finds_a_login_server_in_every_subscription(client: Client, azure: Emulator) -> None:
    registry = new_registry(azure, subscription="shared")
    query = f"resources | where type =~ '{KIND}' and properties.loginServer =~ '{registry.login_server}'"

    found = client.arm("POST", "/providers/Microsoft.ResourceGraph/resources", body={"query": query}).json()

    assert [row["id"] for row in found["data"]] == [registry.id]


def test_a_registry_that_is_encrypted_with_a_key_of_ones_own_lists_no_referrers(azure: Emulator) -> None:
    registry = new_registry(azure)
    registry.encrypt()

    assert registry.arm()["properties"]["encryption"] == {"status": "enabled"}
    assert not registry.behaviour.referrers


@pytest.mark.parametrize(
    ("principal", "actions"),
    [("owner", [["*"]]), ("importer", [[f"{KIND}/read", f"{KIND}/importImage/action", f"{KIND}/pull/read"]])],
)
def test_callers_are_told_what_they_may_do(
    client: Client, azure: Emulator, principal: str, actions: list[list[str]]
) -> None:
    path = f"{new_registry(azure).id}/providers/Microsoft.Authorization/permissions"

    held = client.arm("GET", path, principal=principal).json()["value"]

    assert [each["actions"] for each in held] == actions
    assert all(each["notActions"] == [] for each in held)
