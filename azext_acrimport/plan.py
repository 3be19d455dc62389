# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""The choice of the route: who moves the bytes, and why. A pure function over what is known of both registries.

Sources: https://learn.microsoft.com/azure/container-registry/container-registry-import-images,
https://learn.microsoft.com/azure/container-registry/allow-access-trusted-services and
https://learn.microsoft.com/azure/container-registry/data-loss-prevention
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, Union


class Route(str, Enum):
    """Who moves the bytes."""

    SERVICE = "service"
    LOCAL = "local"


class Via(str, Enum):
    """What the user asked for."""

    AUTO = "auto"
    SERVICE = "service"
    LOCAL = "local"


@dataclass(frozen=True)
class NetworkSettings:
    """The settings that decide whom a registry lets by, in the words of Azure Resource Manager; None is unknown."""

    public_network_access: str | None = None
    default_action: str | None = None
    bypass: str | None = None
    export_policy: str | None = None


@dataclass(frozen=True)
class NetworkFacts:
    """What is known of one registry.

    ``name`` is what the user calls it. ``in_arm`` says whether Azure Resource Manager shows it to the signed-in
    identity; ``by_resource_id`` whether the service gets a resource ID for it, which only a source without credentials
    can have. ``is_private_host`` is for registries outside Azure: the address leads nowhere but from inside a network.
    """

    name: str
    settings: NetworkSettings = NetworkSettings()
    is_acr: bool = True
    in_arm: bool = True
    by_resource_id: bool = False
    is_private_host: bool = False

    @property
    def restricted(self) -> bool:
        """Whether the registry turns away callers from the public network."""
        return _is(self.settings.public_network_access, "Disabled") or _is(self.settings.default_action, "Deny")

    @property
    def trusting(self) -> bool:
        """Whether trusted services of Azure get past the restriction. They do unless that was turned off."""
        return not _is(self.settings.bypass, "None")

    @property
    def exportable(self) -> bool:
        """Whether images may leave the registry."""
        return not _is(self.settings.export_policy, "disabled")

    @property
    def restriction(self) -> str:
        """The setting that restricts the registry."""
        if _is(self.settings.public_network_access, "Disabled"):
            return "publicNetworkAccess is Disabled"
        return "networkRuleSet.defaultAction is Deny"


class Plan(NamedTuple):
    """The route, and why in words for the user. ``may_fall_back``: a refusal of the service may lead to the other."""

    route: Route
    reason: str
    may_fall_back: bool = False


class Obstacle(str, Enum):
    """Why no route is taken."""

    EXPORT_POLICY = "export policy"
    TARGET_NOT_IN_ARM = "target not in Azure Resource Manager"
    LOCAL_OPTION = "option of the local route"


@dataclass(eq=False)
class RouteRefused(Exception):
    """No route may be taken, or the one asked for cannot be."""

    obstacle: Obstacle
    reason: str

    def __str__(self) -> str:
        return self.reason


def goes_by_resource_id(source: NetworkFacts, *, named_by_registry: bool, has_credentials: bool) -> bool:
    """Whether the service is to be given the source's resource ID instead of its login server.

    Credentials go with a login server only. ``az acr import --registry`` drops them; here they count, except where
    the resource ID is the one way in: trusted services pass a restriction by it alone.
    """
    if not (source.is_acr and source.in_arm):
        return False
    return not has_credentials or (named_by_registry and source.restricted and source.trusting)


class Case(NamedTuple):
    """What the choice of a route rests on.

    ``via_origin`` says where ``via`` was set; ``local_options`` are the given options that only the local route has.
    """

    target: NetworkFacts
    source: NetworkFacts
    via: Via = Via.AUTO
    via_origin: str = "--via"
    same_registry: bool = False
    local_options: Sequence[str] = ()


class Rule(NamedTuple):
    """One rule: what it leads to, a route or the obstacle to any.

    ``when`` says in words what ``reason`` decides: that one gives the reason in words for the user, and nothing where
    the rule does not apply. ``may_fall_back``: a refusal of the service may lead to the other route.
    """

    when: str
    then: Union[Route, Obstacle]
    reason: Callable[[Case], str]
    may_fall_back: bool = False


def choose_route(
    target: NetworkFacts,
    source: NetworkFacts,
    *,
    via: Via = Via.AUTO,
    via_origin: str = "--via",
    same_registry: bool = False,
    local_options: Sequence[str] = (),
) -> Plan:
    """Choose who moves the bytes. The first of the ``RULES`` that applies decides.

    The arguments are the fields of :class:`Case`.

    :raises RouteRefused: the source's images must not leave it, or the route asked for is impossible.
    """
    case = Case(target, source, via, via_origin, same_registry, local_options)
    rule, reason = next((rule, reason) for rule in RULES if (reason := rule.reason(case)))
    if isinstance(rule.then, Obstacle):
        raise RouteRefused(rule.then, reason)
    return Plan(rule.then, reason, rule.may_fall_back)


def _via_local(case: Case) -> str:
    return f"{case.via_origin} is local" if case.via is Via.LOCAL else ""


def _via_service_with_local_options(case: Case) -> str:
    if case.via is not Via.SERVICE or not case.local_options:
        return ""
    return f"{', '.join(case.local_options)} cannot go with {case.via_origin} service: only a copy has it"


def _via_service_into_the_unknown(case: Case) -> str:
    if case.via is not Via.SERVICE or case.target.in_arm:
        return ""
    return f"{_not_in_arm(case.target)}, which {case.via_origin} service needs"


def _via_service(case: Case) -> str:
    return f"{case.via_origin} is service" if case.via is Via.SERVICE else ""


def _must_not_leave(case: Case) -> str:
    if case.source.exportable or case.same_registry:
        return ""
    return f"source {case.source.name}: exportPolicy is disabled, its images are not to leave it"


def _local_options(case: Case) -> str:
    return f"only a copy from here has {', '.join(case.local_options)}" if case.local_options else ""


def _target_unknown(case: Case) -> str:
    if case.target.in_arm:
        return ""
    return f"{_not_in_arm(case.target)}, so the service cannot be asked to import"


def _target_closed(case: Case) -> str:
    target = case.target
    return _closed("target", target) if target.restricted and not target.trusting else ""


def _source_closed(case: Case) -> str:
    source = case.source
    return _closed("source", source) if source.is_acr and source.restricted and not source.trusting else ""


def _source_by_login_server(case: Case) -> str:
    source = case.source
    if not (source.is_acr and source.restricted) or source.by_resource_id:
        return ""
    return (
        f"source {source.name}: {source.restriction}, and trusted services get past that by resource ID only, "
        "not with credentials, so the service cannot reach it"
    )


def _source_private(case: Case) -> str:
    source = case.source
    if source.is_acr or not source.is_private_host:
        return ""
    return f"source {source.name}: its address is private, so the service cannot reach it"


def _service_gets_through(case: Case) -> str:
    target, source = case.target, case.source
    if not target.restricted and not source.restricted:
        known = source.is_acr and source.in_arm
        return f"the network settings of {'both registries' if known else f'target {target.name}'} let the service by"
    passed = " and ".join(
        f"{side} {facts.name}" for side, facts in (("target", target), ("source", source)) if facts.restricted
    )
    return f"networkRuleBypassOptions is AzureServices for {passed}, so the service gets past the network restriction"


def _closed(side: str, facts: NetworkFacts) -> str:
    return (
        f"{side} {facts.name}: {facts.restriction} and networkRuleBypassOptions is None, so the service cannot reach it"
    )


def _not_in_arm(target: NetworkFacts) -> str:
    return (
        f"target {target.name}: Azure Resource Manager does not show it to the signed-in identity "
        "(AcrPush alone cannot read it there)"
    )


# The documentation's tables and its diagram are made of these (scripts/draw_route.py). The last one always applies.
RULES: tuple[Rule, ...] = (
    Rule("`--via local` is asked for", Route.LOCAL, _via_local),
    Rule(
        "`--via service` is asked for, with an option that only a copy from here has",
        Obstacle.LOCAL_OPTION,
        _via_service_with_local_options,
    ),
    Rule(
        "`--via service` is asked for, and Azure Resource Manager does not show you the target",
        Obstacle.TARGET_NOT_IN_ARM,
        _via_service_into_the_unknown,
    ),
    Rule("`--via service` is asked for", Route.SERVICE, _via_service),
    # Before what makes the copy necessary: where the service cannot reach the source, a copy would get round the
    # policy unseen.
    Rule(
        "the source's `exportPolicy` is disabled, and it is not the target itself",
        Obstacle.EXPORT_POLICY,
        _must_not_leave,
    ),
    Rule("an option is given that only a copy from here has", Route.LOCAL, _local_options),
    Rule("Azure Resource Manager does not show you the target", Route.LOCAL, _target_unknown),
    Rule("the target is restricted and not trusting", Route.LOCAL, _target_closed),
    Rule("the source is an ACR that is restricted and not trusting", Route.LOCAL, _source_closed),
    Rule(
        "the source is a restricted ACR, given by login server with credentials: only a resource ID gets past that",
        Route.LOCAL,
        _source_by_login_server,
    ),
    Rule("the source is not an ACR, and its address is private", Route.LOCAL, _source_private),
    Rule("otherwise", Route.SERVICE, _service_gets_through, may_fall_back=True),
)


def _is(value: str | None, expected: str) -> bool:
    return value is not None and value.lower() == expected.lower()
