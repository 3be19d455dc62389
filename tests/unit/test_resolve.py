# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""Which registries the arguments mean, and how the service is to be told of the source."""

from __future__ import annotations

import pytest

from azext_acrimport import resolve
from azext_acrimport.arm import AzureRegistry, Directory, ResourceId
from azext_acrimport.plan import NetworkSettings
from azext_acrimport.request import InvalidRequest, TargetName
from azext_acrimport.resolve import Endpoint, RegistryMissing, Resolver, SourceArguments, find_source, find_target

SUFFIX = ".azurecr.io"
PUBLIC = NetworkSettings("Enabled", "Allow", "AzureServices", "enabled")
TRUSTING = NetworkSettings("Disabled", "Allow", "AzureServices", "enabled")


def registry(
    name: str,
    subscription: str = "sub-1",
    *,
    network: NetworkSettings = PUBLIC,
    sku: str = "Premium",
    group: str = "rg",
) -> AzureRegistry:
    text = (
        f"/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.ContainerRegistry/registries/{name}"
    )
    identity = ResourceId.parse(text)
    assert identity
    return AzureRegistry(identity, f"{name}{SUFFIX}", sku, network)


class Known(Directory):
    """A directory of the given registries."""

    def __init__(self, *registries: AzureRegistry) -> None:
        super().__init__(lambda subscription: None, "sub-1", list)
        self._registries = registries
        self.asked: list[tuple[str, bool]] = []

    def in_group(self, group: str, name: str) -> AzureRegistry | None:
        return next((each for each in self._registries if (each.id.group, each.name) == (group, name)), None)

    def by_id(self, identity: ResourceId) -> AzureRegistry | None:
        return next((each for each in self._registries if each.id.text == identity.text), None)

    def find(self, name_or_host: str, *, everywhere: bool = True) -> AzureRegistry | None:
        self.asked.append((name_or_host, everywhere))
        wanted = name_or_host.lower()
        return next((each for each in self._registries if wanted in (each.name, each.login_server)), None)


@pytest.fixture(autouse=True)
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The warnings."""
    warnings: list[str] = []
    monkeypatch.setattr(resolve.logger, "warning", lambda text, *args: warnings.append(text % args))
    return warnings


def target(directory: Directory, name: str, group: str | None = None) -> Endpoint:
    return find_target(directory, TargetName.parse(name, SUFFIX), group)


def source(
    directory: Directory, image: str, registry_name: str | None = None, *, credentials: bool = False
) -> tuple[Endpoint, str]:
    return find_source(directory, SourceArguments(image, registry_name, credentials), SUFFIX)


@pytest.mark.parametrize("group", [None, "rg"])
def test_a_target_is_found_with_and_without_its_group(group: str | None) -> None:
    prodreg = registry("prodreg")

    found = target(Known(prodreg), "prodreg.azurecr.io", group)

    assert (found.host, found.azure, found.resource_id) == ("prodreg.azurecr.io", prodreg, prodreg.id.text)


def test_a_target_in_another_subscription_is_used_and_told_of(said: list[str]) -> None:
    assert target(Known(registry("prodreg", "sub-2")), "prodreg").subscription == "sub-2"
    assert said == ["Registry prodreg is in subscription sub-2, not in the current one."]


def test_a_target_in_another_group_is_not_where_the_user_says() -> None:
    with pytest.raises(RegistryMissing, match="it is in resource group rg of subscription sub-1"):
        target(Known(registry("prodreg")), "prodreg", "other")


@pytest.mark.parametrize(("name", "host"), [("prodreg", "prodreg.azurecr.io"), ("prodreg-d5.azurecr.io",) * 2])
def test_a_target_that_is_not_shown_is_known_by_its_login_server(name: str, host: str) -> None:
    found = target(Known(), name)

    assert (found.host, found.azure, found.facts.in_arm, found.subscription) == (host, None, False, None)


def test_without_a_login_server_a_target_that_is_not_shown_is_missing() -> None:
    with pytest.raises(RegistryMissing, match="Cannot find target registry prodreg"):
        find_target(Known(), TargetName.parse("prodreg", None), None)


def test_the_retired_kind_of_registry_cannot_import() -> None:
    with pytest.raises(InvalidRequest, match="SKU Classic"):
        target(Known(registry("prodreg", sku="Classic")), "prodreg")


@pytest.mark.parametrize("name", ["srcreg", "srcreg.azurecr.io", "SRCREG.azurecr.io"])
def test_a_registry_by_name_goes_by_resource_id(name: str) -> None:
    srcreg = registry("srcreg", "sub-2")

    found, image = source(Known(srcreg), "app:v1", name)

    assert (found.resource_id, found.facts.by_resource_id, image) == (srcreg.id.text, True, "app:v1")


def test_a_registry_by_resource_id_is_read_there() -> None:
    srcreg = registry("srcreg", "sub-2")

    assert source(Known(srcreg), "app:v1", srcreg.id.text)[0].azure == srcreg


def test_a_login_server_goes_by_resource_id_wherever_it_is_found() -> None:
    srcreg = registry("srcreg", "sub-2")
    directory = Known(srcreg)

    found, image = source(directory, "srcreg.azurecr.io/team/app:v1")

    assert (found.resource_id, image) == (srcreg.id.text, "team/app:v1")
    assert directory.asked == [("srcreg.azurecr.io", True)]


@pytest.mark.parametrize("image", ["srcreg.azurecr.io/app:v1", "SRCREG.azurecr.io/app:v1"])
def test_a_login_server_that_is_said_twice_is_trimmed(image: str, said: list[str]) -> None:
    assert source(Known(registry("srcreg")), image, "srcreg")[1] == "app:v1"
    assert "is left out" in said[0]


def test_credentials_go_to_the_login_server() -> None:
    for found, _ in (
        source(Known(registry("srcreg")), "srcreg.azurecr.io/app", credentials=True),
        source(Known(registry("srcreg")), "app", "srcreg", credentials=True),
    ):
        assert (found.resource_id, found.facts.by_resource_id) == (None, False)
        assert found.azure


def test_where_only_the_resource_id_opens_the_door_it_is_used_and_told_of(said: list[str]) -> None:
    closed = registry("srcreg", network=TRUSTING)

    assert source(Known(closed), "app", "srcreg", credentials=True)[0].resource_id == closed.id.text
    assert "takes no credentials" in said[0]
    assert source(Known(closed), "srcreg.azurecr.io/app", credentials=True)[0].resource_id is None


def test_a_resource_id_that_one_may_not_read_is_given_to_the_service_all_the_same() -> None:
    identity = registry("srcreg", "sub-9").id.text

    found, _ = source(Known(), "app", identity)
    assert (found.resource_id, found.host, found.azure) == (identity, "srcreg.azurecr.io", None)
    assert found.facts.by_resource_id

    assert source(Known(), "app", identity, credentials=True)[0].resource_id is None
    assert source(Known(), "srcreg.azurecr.io/app", identity)[1] == "app"


def test_a_registry_that_is_not_shown_is_tried_by_its_login_server() -> None:
    found, _ = source(Known(), "app", "srcreg")

    assert (found.host, found.facts.is_acr, found.facts.in_arm) == ("srcreg.azurecr.io", True, False)


@pytest.mark.parametrize("name", ["docker.io", "srcreg.azurecr.cn"])
def test_a_registry_outside_azure_is_no_registry_of_azure(name: str) -> None:
    with pytest.raises(RegistryMissing, match=r"no container registry of Azure"):
        source(Known(), "app", name)


@pytest.mark.parametrize("name", ["/subscriptions/s/resourceGroups/rg", "docker.io/library", "src reg"])
def test_a_malformed_registry_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequest, match="--registry"):
        source(Known(), "app", name)


def test_a_regional_endpoint_is_read_at_home(said: list[str]) -> None:
    srcreg = registry("srcreg")

    assert source(Known(srcreg), "srcreg.eastus.geo.azurecr.io/app")[0].azure == srcreg
    assert source(Known(srcreg), "app", "srcreg.eastus.geo.azurecr.io")[0].azure == srcreg
    assert (
        said
        == ["An import cannot choose a region: srcreg.eastus.geo.azurecr.io is read through srcreg.azurecr.io."] * 2
    )


def test_a_registry_outside_azure_is_known_by_its_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolve, "is_private_host", lambda host: host == "registry.corp.example")
    directory = Known()

    hub, image = source(directory, "docker.io/hello-world:latest")
    assert (hub.host, image) == ("docker.io", "hello-world:latest")
    assert (hub.facts.is_acr, hub.facts.is_private_host) == (False, False)
    assert directory.asked == []

    assert source(directory, "registry.corp.example/app")[0].facts.is_private_host


def test_where_the_cloud_has_no_suffix_any_host_may_be_in_the_directory() -> None:
    srcreg = registry("srcreg")
    directory = Known(srcreg)

    found, _ = find_source(directory, SourceArguments("srcreg.azurecr.io/app", None, False), None)

    assert found.azure == srcreg
    assert directory.asked == [("srcreg.azurecr.io", False)]


def test_what_is_missing_is_looked_for_once() -> None:
    directory = Known()
    resolver = Resolver(directory, SUFFIX)

    for _ in range(20):
        with pytest.raises(RegistryMissing):
            resolver.target(TargetName.parse("absent", None), None)
        with pytest.raises(RegistryMissing):
            resolver.source(SourceArguments("app:v1", "docker.io", False))

    assert [name for name, _ in directory.asked] == ["absent", "docker.io"]
