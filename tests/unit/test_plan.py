# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""The choice of the route: every row of its table, and every combination of what a registry may be."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from azext_acrimport.plan import (
    NetworkFacts,
    NetworkSettings,
    Obstacle,
    Plan,
    Route,
    RouteRefused,
    Via,
    choose_route,
    goes_by_resource_id,
)

PUBLIC = NetworkSettings("Enabled", "Allow", "AzureServices")
TRUSTING = NetworkSettings("Disabled", "Allow", "AzureServices")
CLOSED = NetworkSettings("Disabled", "Deny", "None")
SETTINGS = {"public": PUBLIC, "trusting": TRUSTING, "closed": CLOSED}

TARGET = NetworkFacts("prodreg", PUBLIC)
SOURCE = NetworkFacts("srcreg", PUBLIC, by_resource_id=True)
HUB = NetworkFacts("docker.io", is_acr=False, in_arm=False)


def source_of(settings: str, named: str) -> NetworkFacts:
    """A source as the command sees it, by how the user names it."""
    if named == "anonymous":  # a login server of another tenant: Azure Resource Manager shows nothing of it
        return NetworkFacts("srcreg.azurecr.io", in_arm=False)
    facts = NetworkFacts("srcreg", SETTINGS[settings])
    by_id = goes_by_resource_id(facts, named_by_registry=named == "resource ID", has_credentials=named == "credentials")
    return NetworkFacts("srcreg", SETTINGS[settings], by_resource_id=by_id)


# Of a source alone, with a target that the service reaches.
BY_SOURCE = {
    ("public", "resource ID"): "service",
    ("public", "login server"): "service",
    ("public", "credentials"): "service",
    ("public", "anonymous"): "service",
    ("trusting", "resource ID"): "service",
    ("trusting", "login server"): "service",
    ("trusting", "credentials"): "local",
    ("trusting", "anonymous"): "service",
    ("closed", "resource ID"): "local",
    ("closed", "login server"): "local",
    ("closed", "credentials"): "local",
    ("closed", "anonymous"): "service",
}


@pytest.mark.parametrize(
    ("target", "source", "named"),
    list(itertools.product(SETTINGS, SETTINGS, ["resource ID", "login server", "credentials", "anonymous"])),
)
def test_every_combination_has_its_route(target: str, source: str, named: str) -> None:
    plan = choose_route(NetworkFacts("prodreg", SETTINGS[target]), source_of(source, named))

    expected = "local" if target == "closed" else BY_SOURCE[source, named]
    assert plan.route.value == expected
    assert plan.may_fall_back is (expected == "service")
    assert plan.reason


def test_a_restricted_target_that_trusts_nobody_is_named_with_its_settings() -> None:
    plan = choose_route(NetworkFacts("prodreg", CLOSED), SOURCE)

    assert plan == Plan(
        Route.LOCAL,
        "target prodreg: publicNetworkAccess is Disabled and networkRuleBypassOptions is None, "
        "so the service cannot reach it",
    )


def test_a_default_action_of_deny_restricts_as_well() -> None:
    source = NetworkFacts("srcreg", NetworkSettings("Enabled", "Deny", "None"))

    assert choose_route(TARGET, source).reason == (
        "source srcreg: networkRuleSet.defaultAction is Deny and networkRuleBypassOptions is None, "
        "so the service cannot reach it"
    )


def test_credentials_do_not_get_past_a_restriction_that_a_resource_id_would() -> None:
    plan = choose_route(TARGET, source_of("trusting", "credentials"))

    assert plan.route is Route.LOCAL
    assert "by resource ID only, not with credentials" in plan.reason


def test_the_setting_that_lets_the_service_by_is_named() -> None:
    reason = choose_route(NetworkFacts("prodreg", TRUSTING), source_of("trusting", "resource ID")).reason

    assert reason.startswith("networkRuleBypassOptions is AzureServices for target prodreg and source srcreg")


def test_settings_that_are_unknown_do_not_restrict() -> None:
    assert choose_route(NetworkFacts("prodreg"), NetworkFacts("srcreg")).route is Route.SERVICE


def test_an_option_that_only_a_copy_has_leads_to_the_copy() -> None:
    plan = choose_route(TARGET, SOURCE, local_options=["--platform"])

    assert plan == Plan(Route.LOCAL, "only a copy from here has --platform")


def test_an_option_that_only_a_copy_has_is_refused_with_the_service() -> None:
    with pytest.raises(RouteRefused, match="--platform cannot go with --via service") as refused:
        choose_route(TARGET, SOURCE, via=Via.SERVICE, local_options=["--platform"])
    assert refused.value.obstacle is Obstacle.LOCAL_OPTION


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("target", SETTINGS)
def test_images_that_must_not_leave_a_registry_do_not(settings: str, target: str) -> None:
    source = NetworkFacts("srcreg", replace(SETTINGS[settings], export_policy="disabled"), by_resource_id=True)

    with pytest.raises(RouteRefused, match="source srcreg: exportPolicy is disabled") as refused:
        choose_route(NetworkFacts("prodreg", SETTINGS[target]), source)
    assert refused.value.obstacle is Obstacle.EXPORT_POLICY


def test_within_one_registry_the_export_policy_does_not_count() -> None:
    both = NetworkFacts("prodreg", replace(TRUSTING, export_policy="disabled"), by_resource_id=True)

    assert choose_route(both, both, same_registry=True).route is Route.SERVICE


def test_via_local_says_that_one_may() -> None:
    source = NetworkFacts("srcreg", replace(CLOSED, export_policy="disabled"))

    assert choose_route(TARGET, source, via=Via.LOCAL) == Plan(Route.LOCAL, "--via is local")


def test_via_service_asks_the_service_and_takes_its_answer() -> None:
    plan = choose_route(NetworkFacts("prodreg", CLOSED), SOURCE, via=Via.SERVICE, via_origin="acrimport.via")

    assert plan == Plan(Route.SERVICE, "acrimport.via is service", may_fall_back=False)


def test_a_target_that_resource_manager_does_not_show_is_copied_to() -> None:
    plan = choose_route(NetworkFacts("prodreg", in_arm=False), HUB)

    assert plan.route is Route.LOCAL
    assert "AcrPush alone cannot read it" in plan.reason


def test_the_service_cannot_be_asked_for_a_target_that_resource_manager_does_not_show() -> None:
    with pytest.raises(RouteRefused, match="which --via service needs") as refused:
        choose_route(NetworkFacts("prodreg", in_arm=False), HUB, via=Via.SERVICE)
    assert refused.value.obstacle is Obstacle.TARGET_NOT_IN_ARM


def test_a_private_host_outside_azure_is_copied_from() -> None:
    source = NetworkFacts("registry.corp", is_acr=False, in_arm=False, is_private_host=True)

    plan = choose_route(TARGET, source)

    assert plan == Plan(Route.LOCAL, "source registry.corp: its address is private, so the service cannot reach it")


def test_a_public_host_outside_azure_is_the_services() -> None:
    plan = choose_route(TARGET, HUB)

    assert plan == Plan(Route.SERVICE, "the network settings of target prodreg let the service by", may_fall_back=True)


def test_the_address_of_an_azure_registry_is_no_reason() -> None:
    # Inside a network with its private endpoint, an ACR's name resolves to a private address.
    source = NetworkFacts("srcreg", PUBLIC, by_resource_id=True, is_private_host=True)

    assert choose_route(TARGET, source).route is Route.SERVICE


def test_the_first_rule_that_applies_gives_the_reason() -> None:
    target, source = NetworkFacts("prodreg", CLOSED), NetworkFacts("srcreg", CLOSED)

    assert choose_route(target, source, local_options=["--platform"]).reason.startswith("only a copy")
    assert choose_route(target, source).reason.startswith("target prodreg")
    assert choose_route(TARGET, source).reason.startswith("source srcreg")


@pytest.mark.parametrize(
    ("settings", "by_registry", "credentials", "expected"),
    [
        ("public", False, False, True),
        ("public", True, True, False),  # given beside --registry they count
        ("trusting", True, True, True),  # unless only the resource ID opens the door
        ("trusting", False, True, False),
        ("closed", True, True, False),
    ],
)
def test_credentials_go_with_a_login_server(
    settings: str, by_registry: bool, credentials: bool, expected: bool
) -> None:
    facts = NetworkFacts("srcreg", SETTINGS[settings])

    found = goes_by_resource_id(facts, named_by_registry=by_registry, has_credentials=credentials)
    assert found is expected


def test_there_is_no_resource_id_of_what_resource_manager_does_not_show() -> None:
    assert not goes_by_resource_id(HUB, named_by_registry=False, has_credentials=False)
