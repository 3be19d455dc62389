# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""What happens when the service refuses: copied from here where that helps, and the plain answer where it does not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from emulator import content
from tests.cli.conftest import SignedInAz
from tests.cli.world import World
from tests.support.images import assert_empty, assert_holds

pytestmark = pytest.mark.cli

IMAGE = content.multi_arch("fallback")
MANY = content.many_manifests(50, "fallback")  # 51 with the index itself, one more than the service takes

Arguments = tuple[str, ...]


def rate_limit_at_docker_hub(world: World) -> Arguments:
    world.azure.hub.limited.add("service")
    world.put(IMAGE, world.azure.hub.store, "library/fallback", "v1")
    return ("--source", "docker.io/library/fallback:v1")


def host_that_azure_cannot_reach(world: World) -> Arguments:
    world.azure.imports.unreachable.add("registry.contoso.example")
    world.put(IMAGE, world.azure.private.store, "fallback", "v1")
    ((user, password),) = world.azure.private.users.items()
    return ("--source", "registry.contoso.example/fallback:v1", "--username", user, "--password", password)


def source_without_ranges(world: World) -> Arguments:
    world.azure.imports.fail_next("The remote server may not be RFC 7233 compliant")
    return _public_source(world)


def throttled_service(world: World) -> Arguments:
    world.azure.imports.fail_next("Invalid message 429 Too Many Requests Too Many Requests (HAP429).")
    return _public_source(world)


def blobs_that_the_service_cannot_copy(world: World) -> Arguments:
    world.azure.imports.fail_next("Error copying blobs")
    return _public_source(world)


def firewall_of_a_registry_in_another_tenant(world: World) -> Arguments:
    return _partner_source(world, default_action="Deny")


def closed_registry_in_another_tenant(world: World) -> Arguments:
    return _partner_source(world, public_network_access="Disabled")


def _public_source(world: World) -> Arguments:
    world.put(IMAGE, world.azure.mcr.store, "fallback", "v1")
    return ("--source", "mcr.microsoft.com/fallback:v1")


def _partner_source(world: World, **settings: str) -> Arguments:
    origin = world.registry(subscription="partner", **settings)
    world.put(IMAGE, origin.store, "fallback", "v1")
    reader = world.azure.principals["partner-puller"]
    credentials = ("--username", reader.client_id, "--password", reader.secret)
    return ("--source", f"{origin.login_server}/fallback:v1", *credentials)


@pytest.mark.parametrize(
    "arrange",
    [
        rate_limit_at_docker_hub,
        host_that_azure_cannot_reach,
        source_without_ranges,
        throttled_service,
        blobs_that_the_service_cannot_copy,
        firewall_of_a_registry_in_another_tenant,
        closed_registry_in_another_tenant,
    ],
    ids=lambda arrange: arrange.__name__,
)
def test_copied_from_here_what_the_service_cannot(
    world: World, az: SignedInAz, arrange: Callable[[World], Arguments]
) -> None:
    arguments = arrange(world)
    target = world.registry()

    done = az("acrx", "import", "--name", target.name, *arguments, "--image", "app:v1")

    assert (done.json["route"], done.json["fallback"]) == ("local", True)
    assert [operation.status for operation in world.azure.operations] == ["Failed"]
    assert done.stderr.count("copying from here instead") == 1
    assert_holds(target.store, "app", IMAGE, tags=["v1"])


def test_more_manifests_than_the_service_takes(world: World, az: SignedInAz) -> None:
    origin, target = world.registry(), world.registry()
    world.put(MANY, origin.store, "many", "v1")

    done = az("acrx", "import", "--name", target.name, "--source", f"{origin.login_server}/many:v1")

    assert (done.json["route"], done.json["fallback"]) == ("local", True)
    assert done.json["manifests"]["copied"] == 51
    assert_holds(target.store, "many", MANY, tags=["v1"])


def test_source_that_the_identity_may_pull_from_but_not_read_in_arm(world: World, az: SignedInAz) -> None:
    origin, target = world.registry(), world.registry()
    world.put(IMAGE, origin.store, "fallback", "v1")
    who = f"owner of {target.name}"
    world.azure.add_principal(who, {target.id: "owner", origin.id: "puller"})
    arguments = ("--name", target.name, "--source", "fallback:v1", "--registry", origin.id)

    az("acr", "import", *arguments, principal=who, fails=True)
    done = az("acrx", "import", *arguments, principal=who)

    assert (done.json["route"], done.json["fallback"]) == ("local", True)
    assert_holds(target.store, "fallback", IMAGE, tags=["v1"])


@pytest.mark.parametrize("via", ["service", "auto"])
@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--username", "builder", "--password", "wrong"), "credentials"),
        (("--image", "app:taken", "--username", "builder", "--password", "private-password"), "--force"),
        (("--username", "builder", "--password", "private-password", "--image", "app:v2"), "no such image or tag"),
    ],
    ids=["wrong-credentials", "existing-tag", "missing-image"],
)
def test_answers_that_are_not_worked_around(
    world: World, az: SignedInAz, via: str, options: Arguments, says: str
) -> None:
    image = world.put(IMAGE, world.azure.private.store, "fallback", "v1")
    target = world.registry()
    other = world.put(content.image("other"), target.store, "app", "taken")
    source = "fallback:missing" if "app:v2" in options else "fallback:v1"

    names = ("--name", target.name, "--source", f"registry.contoso.example/{source}")
    done = az("acrx", "import", *names, *options, "--via", via, fails=True)

    assert says in done.stderr
    assert "copying from here" not in done.stderr
    assert world.azure.server.log.matching(host=target.login_server, method="PUT") == []
    assert world.azure.server.log.matching(host=target.login_server, path="/blobs/") == []
    assert_holds(target.store, "app", other, tags=["taken"])
    assert image.digest not in target.store.repository("fallback").manifests


def test_via_service_does_not_fall_back(world: World, az: SignedInAz) -> None:
    arguments = rate_limit_at_docker_hub(world)
    target = world.registry()

    done = az("acrx", "import", "--name", target.name, *arguments, "--via", "service", fails=True)

    assert "source docker.io" in done.stderr
    assert "--via local" in done.stderr
    assert_empty(target.store)


def test_an_export_policy_is_not_worked_around(world: World, az: SignedInAz) -> None:
    origin = world.registry(public_network_access="Disabled", export_policy="disabled")
    target = world.registry()
    world.put(IMAGE, origin.store, "fallback", "v1")
    arguments = ("--name", target.name, "--source", "fallback:v1", "--registry", origin.id)

    refused = az("acrx", "import", *arguments, fails=True)
    assert "exportPolicy" in refused.stderr
    assert world.azure.operations == []
    assert_empty(target.store)

    az("acrx", "import", *arguments, "--via", "local")
    assert_holds(target.store, "fallback", IMAGE, tags=["v1"])
