# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""The examples of the documentation of `az acr import`, and what it says about closed registries and rights.

Each runs with `az acr import` itself, by the service route and by the local route, and the target is then read back.
Source: https://learn.microsoft.com/azure/container-registry/container-registry-import-images
"""

from __future__ import annotations

import pytest

from emulator import content
from tests.cli.conftest import SignedInAz
from tests.cli.importer import Importer
from tests.cli.world import World
from tests.support.images import assert_empty, assert_holds

pytestmark = pytest.mark.cli

MULTI_ARCH = content.multi_arch("scenario", docker=True)
WINDOWS = content.windows_image("scenario")


def test_docker_hub_public_multi_arch(world: World, importer: Importer) -> None:
    image = world.put(MULTI_ARCH, world.azure.hub.store, "library/hello-world", "latest")
    target = world.registry()

    source = "docker.io/library/hello-world:latest"
    importer("--name", target.name, "--source", source, "--image", "hello-world:latest")

    assert_holds(target.store, "hello-world", image, tags=["latest"])


def test_docker_hub_official_image_by_its_short_name(world: World, importer: Importer) -> None:
    image = world.put(MULTI_ARCH, world.azure.hub.store, "library/hello-world", "latest")
    target = world.registry()

    importer("--name", target.name, "--source", "docker.io/hello-world")

    assert_holds(target.store, "hello-world", image, tags=["latest"])


def test_docker_hub_with_credentials(world: World, importer: Importer) -> None:
    image = world.put(MULTI_ARCH, world.azure.hub.store, "contoso/sourceimage", "v3")
    ((user, password),) = world.azure.hub.users.items()
    target = world.registry()

    importer(
        *("--name", target.name, "--source", "docker.io/contoso/sourceimage:v3", "--image", "sourceimage:v3"),
        *("--username", user, "--password", password),
    )

    assert_holds(target.store, "sourceimage", image, tags=["v3"])


def test_mcr_windows_image_leaves_its_foreign_layers(world: World, importer: Importer) -> None:
    image = world.put(WINDOWS, world.azure.mcr.store, "windows/servercore", "ltsc2022")
    target = world.registry()

    source = "mcr.microsoft.com/windows/servercore:ltsc2022"
    importer("--name", target.name, "--source", source, "--image", "servercore:ltsc2022")

    assert_holds(target.store, "servercore", image, tags=["ltsc2022"])


def test_registry_in_the_same_subscription_by_login_server(world: World, importer: Importer) -> None:
    origin, target = world.registry(), world.registry()
    image = world.put(MULTI_ARCH, origin.store, "aci-helloworld", "latest")

    source = f"{origin.login_server}/aci-helloworld:latest"
    importer("--name", target.name, "--source", source, "--image", "aci-helloworld:latest")

    assert_holds(target.store, "aci-helloworld", image, tags=["latest"])


def test_registry_with_its_public_endpoint_disabled_by_resource_id(world: World, importer: Importer) -> None:
    origin, target = world.registry(public_network_access="Disabled"), world.registry()
    image = world.put(MULTI_ARCH, origin.store, "aci-helloworld", "latest")

    names = ("--source", "aci-helloworld:latest", "--image", "aci-helloworld:latest")
    importer("--name", target.name, *names, "--registry", origin.id)

    assert_holds(target.store, "aci-helloworld", image, tags=["latest"])


def test_by_digest_without_an_image(world: World, importer: Importer) -> None:
    origin, target = world.registry(), world.registry()
    image = world.put(MULTI_ARCH, origin.store, "aci-helloworld", "latest")

    importer("--name", target.name, "--source", f"{origin.login_server}/aci-helloworld@{image.digest}")

    assert_holds(target.store, "aci-helloworld", image, tags=["latest"])


def test_by_digest_into_a_repository_without_a_tag(world: World, importer: Importer) -> None:
    image = world.put(MULTI_ARCH, world.azure.hub.store, "library/hello-world", "latest")
    target = world.registry()

    source = f"docker.io/library/hello-world@{image.digest}"
    importer("--name", target.name, "--source", source, "--repository", "hello-world")

    assert_holds(target.store, "hello-world", image, tags=[])


def test_under_several_names_at_once(world: World, importer: Importer) -> None:
    image = world.put(MULTI_ARCH, world.azure.hub.store, "library/hello-world", "latest")
    target = world.registry()

    importer(
        *("--name", target.name, "--source", "docker.io/library/hello-world:latest"),
        *("-t", "app:v1", "-t", "app:stable", "-t", "mirror/hello-world", "--repository", "untagged"),
    )

    for name, tags in {"app": ["v1", "stable"], "mirror/hello-world": ["latest"], "untagged": []}.items():
        assert_holds(target.store, name, image, tags=tags)


def test_registry_in_another_subscription_by_resource_id(world: World, importer: Importer) -> None:
    origin, target = world.registry(subscription="shared"), world.registry()
    image = world.put(MULTI_ARCH, origin.store, "sourcerepo", "v1")

    importer("--name", target.name, "--source", "sourcerepo:v1", "--image", "targetimage:v1", "--registry", origin.id)

    assert_holds(target.store, "targetimage", image, tags=["v1"])


def test_registry_with_the_credentials_of_a_service_principal(world: World, importer: Importer) -> None:
    origin, target = world.registry(), world.registry()
    image = world.put(MULTI_ARCH, origin.store, "sourcerepo", "v1")
    reader = world.azure.principals["pusher"]

    importer(
        *("--name", target.name, "--source", f"{origin.login_server}/sourcerepo:v1", "--image", "targetimage:v1"),
        *("--username", reader.client_id, "--password", reader.secret),
    )

    assert_holds(target.store, "targetimage", image, tags=["v1"])


def test_registry_in_another_tenant_with_a_repository_scoped_token(world: World, importer: Importer) -> None:
    origin, target = world.registry(subscription="partner"), world.registry()
    image = world.put(MULTI_ARCH, origin.store, "sourcerepo", "v1")
    token = origin.scoped_tokens.add("import-token", "s3cret-of-the-token", {"sourcerepo": ["content/read"]})

    importer(
        *("--name", target.name, "--source", f"{origin.login_server}/sourcerepo:v1", "--image", "targetimage:v1"),
        *("--username", token.name, "--password", token.password),
    )

    assert_holds(target.store, "targetimage", image, tags=["v1"])


def test_registry_in_another_tenant_with_a_service_principal(world: World, importer: Importer) -> None:
    origin, target = world.registry(subscription="partner"), world.registry()
    image = world.put(MULTI_ARCH, origin.store, "sourcerepo", "v1")
    reader = world.azure.principals["partner-puller"]

    importer(
        *("--name", target.name, "--source", f"{origin.login_server}/sourcerepo:v1", "--image", "targetimage:v1"),
        *("--username", reader.client_id, "--password", reader.secret),
    )

    assert_holds(target.store, "targetimage", image, tags=["v1"])


def test_registry_in_another_tenant_with_an_access_token(world: World, importer: Importer) -> None:
    origin, target = world.registry(subscription="partner"), world.registry()
    image = world.put(MULTI_ARCH, origin.store, "sourcerepo", "v1")
    token = world.azure.access_token(world.azure.principals["partner-puller"])

    importer(
        *("--name", target.name, "--source", f"{origin.login_server}/sourcerepo:v1", "--image", "targetimage:v1"),
        *("--password", token),
    )

    assert_holds(target.store, "targetimage", image, tags=["v1"])


def test_private_registry_outside_azure(world: World, importer: Importer) -> None:
    image = world.put(MULTI_ARCH, world.azure.private.store, "sourcerepo", "v1")
    ((user, password),) = world.azure.private.users.items()
    target = world.registry()

    importer(
        *("--name", target.name, "--source", "registry.contoso.example/sourcerepo:v1", "--image", "targetimage:v1"),
        *("--username", user, "--password", password),
    )

    assert_holds(target.store, "targetimage", image, tags=["v1"])


def test_restricted_target_that_trusts_services(world: World, importer: Importer) -> None:
    image = world.put(MULTI_ARCH, world.azure.hub.store, "library/hello-world", "latest")
    target = world.registry(public_network_access="Disabled", bypass="AzureServices")

    importer("--name", target.name, "--source", "docker.io/library/hello-world:latest")

    assert_holds(target.store, "library/hello-world", image, tags=["latest"])


def test_restricted_target_that_trusts_no_services(world: World, az: SignedInAz) -> None:
    image = world.put(MULTI_ARCH, world.azure.hub.store, "library/hello-world", "latest")
    target = world.registry(public_network_access="Disabled", bypass="None")
    arguments = ("--name", target.name, "--source", "docker.io/library/hello-world:latest")

    az("acr", "import", *arguments, fails=True)
    assert_empty(target.store)
    done = az("acrx", "import", *arguments)

    reason = f"target {target.name}: publicNetworkAccess is Disabled and networkRuleBypassOptions is None"
    assert reason in done.stderr
    assert (done.json["route"], done.json["fallback"]) == ("local", False)
    assert reason in done.json["reason"]
    assert_holds(target.store, "library/hello-world", image, tags=["latest"])


def test_restricted_source_that_trusts_services(world: World, importer: Importer) -> None:
    origin, target = world.registry(default_action="Deny", bypass="AzureServices"), world.registry()
    image = world.put(MULTI_ARCH, origin.store, "sourcerepo", "v1")

    importer("--name", target.name, "--source", "sourcerepo:v1", "--registry", origin.id)

    assert_holds(target.store, "sourcerepo", image, tags=["v1"])


def test_restricted_source_in_another_subscription_by_login_server(world: World, az: SignedInAz) -> None:
    origin = world.registry(subscription="shared", public_network_access="Disabled")
    target = world.registry()
    image = world.put(MULTI_ARCH, origin.store, "sourcerepo", "v1")
    arguments = ("--name", target.name, "--source", f"{origin.login_server}/sourcerepo:v1")

    az("acr", "import", *arguments, fails=True)
    done = az("acrx", "import", *arguments)

    assert (done.json["route"], done.json["fallback"]) == ("service", False)
    assert_holds(target.store, "sourcerepo", image, tags=["v1"])


@pytest.mark.parametrize("settings", [{"public_network_access": "Disabled"}, {"default_action": "Deny"}])
def test_restricted_source_that_trusts_no_services(world: World, az: SignedInAz, settings: dict[str, str]) -> None:
    origin, target = world.registry(bypass="None", **settings), world.registry()
    image = world.put(MULTI_ARCH, origin.store, "sourcerepo", "v1")
    arguments = ("--name", target.name, "--source", "sourcerepo:v1", "--registry", origin.id)

    az("acr", "import", *arguments, fails=True)
    done = az("acrx", "import", *arguments)

    assert (done.json["route"], done.json["fallback"]) == ("local", False)
    assert f"source {origin.name}" in done.json["reason"]
    assert_holds(target.store, "sourcerepo", image, tags=["v1"])


def test_an_identity_that_may_only_import(world: World, az: SignedInAz) -> None:
    origin, target = world.registry(), world.registry()
    image = world.put(MULTI_ARCH, origin.store, "sourcerepo", "v1")
    arguments = ("--name", target.name, "--source", "sourcerepo:v1", "--registry", origin.name)

    done = az("acrx", "import", *arguments, principal="importer", network="outside")

    assert (done.json["route"], done.json["fallback"]) == ("service", False)
    assert_holds(target.store, "sourcerepo", image, tags=["v1"])


def test_an_identity_that_may_only_import_cannot_push(world: World, az: SignedInAz) -> None:
    world.put(MULTI_ARCH, world.azure.hub.store, "library/hello-world", "latest")
    target = world.registry()

    arguments = ("--name", target.name, "--source", "docker.io/library/hello-world:latest", "--via", "local")
    done = az("acrx", "import", *arguments, principal="importer", fails=True)

    assert f"target {target.login_server}" in done.stderr
    assert "AcrPush" in done.stderr
    assert_empty(target.store)


def test_an_identity_that_may_read_and_push_but_not_import(world: World, az: SignedInAz) -> None:
    image = world.put(MULTI_ARCH, world.azure.hub.store, "library/hello-world", "latest")
    target = world.registry()
    arguments = ("--name", target.name, "--source", "docker.io/library/hello-world:latest")

    az("acr", "import", *arguments, principal="pusher", fails=True)
    done = az("acrx", "import", *arguments, principal="pusher")

    assert (done.json["route"], done.json["fallback"]) == ("local", True)
    assert "importImage" in done.stderr
    assert_holds(target.store, "library/hello-world", image, tags=["latest"])


def test_an_identity_that_may_only_push(world: World, az: SignedInAz) -> None:
    image = world.put(MULTI_ARCH, world.azure.hub.store, "library/hello-world", "latest")
    target = world.registry()
    arguments = ("--name", target.login_server, "--source", "docker.io/library/hello-world:latest")

    az("acr", "import", *arguments, principal="push-only", fails=True)
    done = az("acrx", "import", *arguments, principal="push-only")

    assert (done.json["route"], done.json["fallback"]) == ("local", False)
    assert_holds(target.store, "library/hello-world", image, tags=["latest"])


@pytest.mark.parametrize("via", ["service", "local"])
def test_az_acr_shows_what_was_imported(world: World, az: SignedInAz, via: str) -> None:
    image = world.put(MULTI_ARCH, world.azure.hub.store, "library/hello-world", "latest")
    target = world.registry()
    source = "docker.io/library/hello-world:latest"

    az("acrx", "import", "-n", target.name, "--source", source, "-t", "hello:v1", "-t", "hello:v2", "--via", via)

    tags = az("acr", "repository", "show-tags", "--name", target.name, "--repository", "hello").json
    assert tags == ["v1", "v2"]
    listed = az("acr", "manifest", "list-metadata", "--registry", target.name, "--name", "hello").json
    assert {entry["digest"] for entry in listed} == set(image.manifests)
    (tagged,) = (entry for entry in listed if entry.get("tags"))
    assert (tagged["digest"], sorted(tagged["tags"])) == (image.digest, ["v1", "v2"])
