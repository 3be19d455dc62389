# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""The import operation of the emulator: what it copies, what it refuses, and in which words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from emulator import content
from emulator.azure import Emulator
from emulator.importing import THROTTLED
from emulator.resources import AzureRegistry
from tests.emulator.azure_client import ACR_SCOPE, Client, error_of, new_registry

IMAGE = content.multi_arch("app")
RESTRICTIONS = {"disabled": {"public_network_access": "Disabled"}, "deny": {"default_action": "Deny"}}


@pytest.fixture(scope="module")
def shared_azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with Emulator.start(tmp_path_factory.mktemp("azure")) as running:
        yield running


@pytest.fixture
def azure(shared_azure: Emulator) -> Iterator[Emulator]:
    yield shared_azure
    shared_azure.imports.pending_polls = 0
    shared_azure.imports.unreachable.clear()
    shared_azure.hub.limited.clear()
    shared_azure.operations.clear()


@pytest.fixture
def client(azure: Emulator) -> Iterator[Client]:
    with Client.open(azure) as opened:
        yield opened


@pytest.fixture
def target(azure: Emulator) -> AzureRegistry:
    return new_registry(azure)


def new_source(azure: Emulator, **settings: Any) -> AzureRegistry:
    registry = new_registry(azure, **settings)
    IMAGE.put(registry.store.repository("team/app"), "v1")
    return registry


def by_resource(source: AzureRegistry, image: str = "team/app:v1", *tags: str, mode: str = "NoForce") -> dict[str, Any]:
    return {
        "source": {"resourceId": source.id, "sourceImage": image},
        "targetTags": list(tags or ["app:v1"]),
        "mode": mode,
    }


def by_uri(uri: str, image: str, *tags: str, username: str = "", password: str = "") -> dict[str, Any]:
    source: dict[str, Any] = {"registryUri": uri, "sourceImage": image}
    if password:
        source["credentials"] = {"password": password, **({"username": username} if username else {})}
    return {"source": source, "targetTags": list(tags or ["app:v1"]), "mode": "NoForce"}


def assert_holds(registry: AzureRegistry, repository: str, artifact: content.Artifact, *tags: str) -> None:
    found = registry.store.repository(repository)
    assert found.tags == dict.fromkeys(tags, artifact.digest)
    assert {digest: manifest.content for digest, manifest in found.manifests.items()} == artifact.manifests
    assert {digest: found.read_blob(digest) for digest in found.blobs} == artifact.all_blobs


def assert_refused(client: Client, target: AzureRegistry, body: dict[str, Any], text: str) -> None:
    """Check that an import fails in the service's way with this text, and leaves nothing."""
    status, code, message = error_of(client.import_image(target, body))
    assert (status, code) == (400, "InvalidParameters")
    assert re.match(rf"Operation registries-[0-9a-f-]{{36}} failed\. Resource {re.escape(target.id)} ", message)
    assert text in message
    assert target.store.names() == []


# The operation.


def test_an_import_is_accepted_and_followed_to_its_end(client: Client, azure: Emulator, target: AzureRegistry) -> None:
    azure.imports.pending_polls = 2
    accepted = client.begin_import(target, by_resource(new_source(azure)))

    assert (accepted.status_code, accepted.text, accepted.headers["Retry-After"]) == (202, "null", "1")
    assert "/locations/EASTUS/operationResults/registries-" in accepted.headers["Location"]
    polls = [client.arm("GET", accepted.headers["Location"]) for _ in range(3)]
    assert [poll.status_code for poll in polls] == [202, 202, 200]
    first, second = polls[0].json(), polls[1].json()
    assert first.pop("status") == second.pop("status") == "Accepted"
    assert set(first) == {f"team/app@{digest}" for digest in IMAGE.manifests}
    assert sorted(first.values()) == ["InProgress", "Pending", "Pending", "Pending"]
    assert sorted(second.values()) == ["InProgress", "Pending", "Succeeded", "Succeeded"]


def test_an_operation_may_hang(client: Client, azure: Emulator, target: AzureRegistry) -> None:
    azure.imports.hang_next(3)
    location = client.begin_import(target, by_resource(new_source(azure))).headers["Location"]

    assert [client.arm("GET", location).status_code for _ in range(4)] == [202, 202, 202, 200]


def test_what_was_asked_is_kept(client: Client, azure: Emulator, target: AzureRegistry) -> None:
    body = by_resource(new_source(azure))

    client.import_image(target, body, principal="importer")

    (operation,) = azure.operations
    assert (operation.status, operation.target, operation.body) == ("Succeeded", target, body)
    assert operation.principal == azure.principals["importer"]


def test_the_service_may_fail_by_itself(client: Client, azure: Emulator, target: AzureRegistry) -> None:
    azure.imports.fail_next(THROTTLED)

    assert_refused(client, target, by_resource(new_source(azure)), "429 Too Many Requests Too Many Requests (HAP429).")
    assert azure.operations[-1].status == "Failed"


# What it copies.


def test_all_platforms_arrive_unchanged_and_referrers_stay(
    client: Client, azure: Emulator, target: AzureRegistry
) -> None:
    source = new_source(azure)
    content.artifact("signature", subject=IMAGE).put(source.store.repository("team/app"))

    assert client.import_image(target, by_resource(source)).status_code == 200

    assert_holds(target, "app", IMAGE, "v1")


def test_several_targets_get_tags_or_none(client: Client, azure: Emulator, target: AzureRegistry) -> None:
    body = by_resource(new_source(azure), "team/app:v1", "one:x", "one:y", "two")
    body["untaggedTargetRepositories"] = ["three"]

    client.import_image(target, body)

    assert_holds(target, "one", IMAGE, "x", "y")
    assert_holds(target, "two", IMAGE, "v1")
    assert_holds(target, "three", IMAGE)


@pytest.mark.parametrize("image", ["team/app", f"team/app@{IMAGE.digest}"])
def test_latest_is_what_is_meant_by_nothing(client: Client, azure: Emulator, target: AzureRegistry, image: str) -> None:
    source = new_source(azure)
    source.store.repository("team/app").tag("latest", IMAGE.digest)

    client.import_image(target, by_resource(source, image, "app"))

    assert_holds(target, "app", IMAGE, "latest")


def test_layers_kept_elsewhere_stay_there(client: Client, azure: Emulator, target: AzureRegistry) -> None:
    client.import_image(target, by_uri("mcr.microsoft.com", "windows/servercore:ltsc2022"))

    assert_holds(target, "app", content.windows_image("servercore"), "v1")


@pytest.mark.parametrize("uri", ["docker.io", "index.docker.io", "registry-1.docker.io"])
def test_docker_hub_goes_by_its_names(client: Client, target: AzureRegistry, uri: str) -> None:
    client.import_image(target, by_uri(uri, "hello-world:latest"))

    assert_holds(target, "app", content.multi_arch("hello-world", docker=True), "v1")


def test_credentials_open_private_repositories(client: Client, azure: Emulator, target: AzureRegistry) -> None:
    hub = by_uri("docker.io", "contoso/private-app:v1", "a:1", username="contoso", password="hub-password")
    own = by_uri("registry.contoso.example", "team/app:v1", "b:1", username="builder", password="private-password")

    assert client.import_image(target, hub).status_code == 200
    assert client.import_image(target, own).status_code == 200
    assert azure.server.log.matching(host="auth.docker.io", client="service")


def test_another_tenants_registry_opens_to_its_own_credentials(
    client: Client, azure: Emulator, target: AzureRegistry
) -> None:
    source = new_source(azure, subscription="partner")
    source.scoped_tokens.add("puller", "secret", {"team/app": ["content/read"]})
    who = azure.principals["partner-puller"]
    credentials = {
        "token": ("puller", "secret"),
        "principal": (who.client_id, who.secret),
        "entra": ("", client.token("partner-puller", ACR_SCOPE)),
        "refresh": ("", client.exchange(source, client.token("partner-puller", ACR_SCOPE)).json()["refresh_token"]),
    }

    for tag, (username, password) in credentials.items():
        body = by_uri(source.login_server, "team/app:v1", f"app:{tag}", username=username, password=password)
        assert client.import_image(target, body).status_code == 200, tag

    assert_holds(target, "app", IMAGE, *credentials)


def test_a_tag_may_be_moved_within_one_registry(client: Client, azure: Emulator) -> None:
    registry = new_source(azure)
    registry.store.repository("team/app").tag("stable", content.image("old").put(registry.store.repository("team/app")))

    client.import_image(registry, by_resource(registry, "team/app:v1", "team/app:stable", mode="Force"))

    assert registry.store.repository("team/app").tags["stable"] == IMAGE.digest


# What it refuses.


def test_an_existing_tag_is_a_conflict_before_anything_is_copied(
    client: Client, azure: Emulator, target: AzureRegistry
) -> None:
    old = content.image("old")
    old.put(target.store.repository("app"), "v1")

    status, code, message = error_of(client.import_image(target, by_resource(new_source(azure), "team/app:v1")))

    assert (status, code) == (409, "Conflict")
    assert message.endswith("app:v1 Tag app:v1 already exists in target registry.")
    assert_holds(target, "app", old, "v1")


@pytest.mark.parametrize("restriction", RESTRICTIONS.values(), ids=RESTRICTIONS)
def test_a_closed_target_takes_trusted_services_only(
    client: Client, azure: Emulator, restriction: dict[str, str]
) -> None:
    source = new_source(azure)
    closed, trusting = new_registry(azure, bypass="None", **restriction), new_registry(azure, **restriction)

    assert_refused(client, closed, by_resource(source), f"Access to {closed.login_server} denied.")
    assert client.import_image(trusting, by_resource(source)).status_code == 200


@pytest.mark.parametrize(
    ("restriction", "text"),
    [
        ("disabled", '{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}'),
        ("deny", "is not allowed access. Refer https://aka.ms/acr/firewall to grant access."),
    ],
)
def test_a_closed_source_is_read_by_resource_id_and_trust(
    client: Client, azure: Emulator, target: AzureRegistry, restriction: str, text: str
) -> None:
    settings = RESTRICTIONS[restriction]
    trusting, closed = new_source(azure, **settings), new_source(azure, bypass="None", **settings)
    who = azure.principals["owner"]
    by_address = by_uri(trusting.login_server, "team/app:v1", username=who.client_id, password=who.secret)

    assert_refused(client, target, by_address, "Invalid message Forbidden Forbidden {")
    assert_refused(client, target, by_resource(closed), text)
    assert client.import_image(target, by_resource(trusting)).status_code == 200


def test_an_export_policy_holds_but_within_the_registry(client: Client, azure: Emulator, target: AzureRegistry) -> None:
    source = new_source(azure, public_network_access="Disabled", export_policy="disabled")

    assert_refused(client, target, by_resource(source), "The export policy of registry")
    assert client.import_image(source, by_resource(source)).status_code == 200


@pytest.mark.parametrize(
    ("image", "credentials", "text"),
    [
        ("contoso/private-app:v1", {}, '{"code":"UNAUTHORIZED","message":"authentication required"'),
        ("contoso/private-app:v1", {"username": "contoso", "password": "wrong"}, "Unauthorized Unauthorized"),
        ("library/hello-world:v9", {}, "NotFound Not Found"),
    ],
)
def test_what_the_source_refuses_is_quoted(
    client: Client, target: AzureRegistry, image: str, credentials: dict[str, str], text: str
) -> None:
    assert_refused(client, target, by_uri("docker.io", image, **credentials), text)


def test_a_missing_image_of_a_registry_is_not_found(client: Client, azure: Emulator, target: AzureRegistry) -> None:
    source = new_source(azure)

    assert_refused(client, target, by_resource(source, "team/app:v9"), "MANIFEST_UNKNOWN")
    assert_refused(client, target, by_resource(source, "team/other:v1"), "NAME_UNKNOWN")


def test_docker_hubs_limit_is_told(client: Client, azure: Emulator, target: AzureRegistry) -> None:
    azure.hub.limited = {"service"}
    text = (
        "An error occurred when getting manifest. StatusCode: 429, Reason: Too Many Requests, Details: "
        '{"errors":[{"code":"TOOMANYREQUESTS","message":"You have reached your unauthenticated pull rate limit.'
    )

    assert_refused(client, target, by_uri("docker.io", "library/hello-world:latest"), text)


def test_a_source_has_to_serve_ranges(client: Client, azure: Emulator, target: AzureRegistry) -> None:
    behaviour = azure.private.registry.behaviour
    azure.private.registry.behaviour = replace(behaviour, ranges=False)
    body = by_uri("registry.contoso.example", "team/app:v1", username="builder", password="private-password")
    try:
        assert_refused(client, target, body, "The remote server may not be RFC 7233 compliant")
    finally:
        azure.private.registry.behaviour = behaviour


def test_a_host_that_azure_cannot_reach_is_told(client: Client, azure: Emulator, target: AzureRegistry) -> None:
    azure.imports.unreachable.add("registry.contoso.example")

    assert_refused(client, target, by_uri("registry.contoso.example", "team/app:v1"), "connection attempt failed")
    assert_refused(client, target, by_uri("nowhere.example", "team/app:v1"), "No such host is known.")


def test_more_than_50_manifests_are_too_many(client: Client, azure: Emulator, target: AzureRegistry) -> None:
    source = new_registry(azure)
    content.many_manifests(49).put(source.store.repository("team/app"), "fits")
    content.many_manifests(50).put(source.store.repository("team/app"), "large")

    assert_refused(client, target, by_resource(source, "team/app:large"), "maximum number of manifests")
    assert client.import_image(target, by_resource(source, "team/app:fits")).status_code == 200


def test_a_locked_tag_is_refused(client: Client, azure: Emulator, target: AzureRegistry) -> None:
    target.behaviour = replace(target.behaviour, locked_tags=frozenset({"v1"}))

    assert_refused(client, target, by_resource(new_source(azure)), "REGISTRY_DISALLOWED_OPERATION")


# Rights.


def test_the_right_to_push_is_not_the_right_to_import(client: Client, azure: Emulator, target: AzureRegistry) -> None:
    answer = client.begin_import(target, by_resource(new_source(azure)), principal="pusher")

    status, code, message = error_of(answer)
    assert (status, code) == (403, "AuthorizationFailed")
    assert "'Microsoft.ContainerRegistry/registries/importImage/action' over scope" in message
    assert azure.operations == []


def test_a_source_that_the_caller_may_not_read_is_a_linked_scope(
    client: Client, azure: Emulator, target: AzureRegistry
) -> None:
    source = new_source(azure)
    azure.add_principal(f"importer-into-{target.name}", {target.id: "importer"})

    answer = client.begin_import(target, by_resource(source), principal=f"importer-into-{target.name}")

    status, code, message = error_of(answer)
    assert (status, code) == (403, "LinkedAuthorizationFailed")
    expected = f"it does not have permission to perform action 'read' on the linked scope(s) '{source.id}'."
    assert message.endswith(expected)


def test_a_resource_of_another_tenant_is_a_linked_subscription(
    client: Client, azure: Emulator, target: AzureRegistry
) -> None:
    source = new_source(azure, subscription="partner")

    status, code, message = error_of(client.begin_import(target, by_resource(source)))

    assert (status, code) == (403, "LinkedAuthorizationFailed")
    assert f"is not authorized to access linked subscription '{source.subscription.id}'" in message


@pytest.mark.parametrize("body", [None, {}, {"source": {"sourceImage": "a:1"}}, {"source": {"resourceId": "/x"}}])
def test_a_malformed_request_is_refused_at_once(client: Client, target: AzureRegistry, body: Any) -> None:
    assert error_of(client.begin_import(target, body))[:2] == (400, "InvalidParameters")
