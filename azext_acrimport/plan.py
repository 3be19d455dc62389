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

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum


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


@dataclass(frozen=True)
class Plan:
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


def choose_route(
    target: NetworkFacts,
    source: NetworkFacts,
    *,
    via: Via = Via.AUTO,
    via_origin: str = "--via",
    same_registry: bool = False,
    local_options: Sequence[str] = (),
) -> Plan:
    """Choose who moves the bytes. The first rule that applies decides.

    ``via_origin`` says where ``via`` was set; ``local_options`` are the given options that only the local route has.

    :raises RouteRefused: the source's images must not leave it, or the route asked for is impossible.
    """
    if via is Via.LOCAL:
        return Plan(Route.LOCAL, f"{via_origin} is local")
    if via is Via.SERVICE:
        return _service_as_asked(target, via_origin, local_options)
    # This one goes first: where the service cannot reach the source, a local copy would get round the policy unseen.
    if not source.exportable and not same_registry:
        raise RouteRefused(
            Obstacle.EXPORT_POLICY,
            f"source {source.name}: exportPolicy is disabled, its images are not to leave it",
        )
    local = _only_local(target, source, local_options)
    if local:
        return Plan(Route.LOCAL, local)
    return Plan(Route.SERVICE, _service_reason(target, source), may_fall_back=True)


def _service_as_asked(target: NetworkFacts, via_origin: str, local_options: Sequence[str]) -> Plan:
    if local_options:
        raise RouteRefused(
            Obstacle.LOCAL_OPTION, f"{', '.join(local_options)} cannot go with {via_origin} service: only a copy has it"
        )
    if not target.in_arm:
        raise RouteRefused(Obstacle.TARGET_NOT_IN_ARM, f"{_not_in_arm(target)}, which {via_origin} service needs")
    return Plan(Route.SERVICE, f"{via_origin} is service")


def _only_local(target: NetworkFacts, source: NetworkFacts, local_options: Sequence[str]) -> str:
    """Why the service cannot do it, or nothing."""
    if local_options:
        return f"only a copy from here has {', '.join(local_options)}"
    if not target.in_arm:
        return f"{_not_in_arm(target)}, so the service cannot be asked to import"
    if target.restricted and not target.trusting:
        return _closed("target", target)
    if source.is_acr and source.restricted:
        return _source_restricted(source)
    if not source.is_acr and source.is_private_host:
        return f"source {source.name}: its address is private, so the service cannot reach it"
    return ""


def _source_restricted(source: NetworkFacts) -> str:
    if not source.trusting:
        return _closed("source", source)
    if not source.by_resource_id:
        return (
            f"source {source.name}: {source.restriction}, and trusted services get past that by resource ID only, "
            "not with credentials, so the service cannot reach it"
        )
    return ""


def _closed(side: str, facts: NetworkFacts) -> str:
    return (
        f"{side} {facts.name}: {facts.restriction} and networkRuleBypassOptions is None, so the service cannot reach it"
    )


def _not_in_arm(target: NetworkFacts) -> str:
    return (
        f"target {target.name}: Azure Resource Manager does not show it to the signed-in identity "
        "(AcrPush alone cannot read it there)"
    )


def _service_reason(target: NetworkFacts, source: NetworkFacts) -> str:
    if not target.restricted and not source.restricted:
        known = source.is_acr and source.in_arm
        return f"the network settings of {'both registries' if known else f'target {target.name}'} let the service by"
    passed = " and ".join(
        f"{side} {facts.name}" for side, facts in (("target", target), ("source", source)) if facts.restricted
    )
    return f"networkRuleBypassOptions is AzureServices for {passed}, so the service gets past the network restriction"


def _is(value: str | None, expected: str) -> bool:
    return value is not None and value.lower() == expected.lower()
