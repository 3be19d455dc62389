# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""What Azure Resource Manager shows of a registry, as findings."""

from __future__ import annotations

from azext_acrimport.check.findings import Finding, Status
from azext_acrimport.check.rights import IMPORTER, Assignee
from azext_acrimport.plan import NetworkFacts
from azext_acrimport.resolve import Endpoint
from azext_acrimport.transfer.errors import Side


def shown_by_azure(side: Side, endpoint: Endpoint, assignee: Assignee, *, leaves: bool) -> list[Finding]:
    """What the settings of a registry mean for an import. ``leaves`` says whether its images would leave it."""
    if not endpoint.facts.is_acr:
        return _address(side, endpoint.facts)
    azure = endpoint.azure
    if azure is None:
        return [_unread(side, assignee)]
    place = f"in resource group {azure.id.group} of subscription {azure.id.subscription}"
    found = [Finding(side, "resource manager", Status.OK, place), _network(side, endpoint.facts)]
    return [*found, _exports(side, endpoint.facts)] if leaves else found


def _unread(side: Side, assignee: Assignee) -> Finding:
    detail = "not shown to the signed-in identity in any subscription of the tenant"
    if side is Side.SOURCE:
        return Finding(side, "resource manager", Status.WARNING, f"{detail}, so its network settings are not known")
    detail += ", so the service cannot be asked to import (AcrPush alone is enough for a copy from here)"
    return Finding(side, "resource manager", Status.WARNING, detail, assignee.assign(IMPORTER, None))


def _address(side: Side, facts: NetworkFacts) -> list[Finding]:
    if not facts.is_private_host:
        return []
    detail = "the address is private: the service cannot reach it, only a copy from here can"
    return [Finding(side, "address", Status.WARNING, detail)]


def _network(side: Side, facts: NetworkFacts) -> Finding:
    check = "network settings"
    if not facts.restricted:
        return Finding(side, check, Status.OK, "open to every network")
    if facts.trusting:
        detail = f"{facts.restriction}; the service gets past that (networkRuleBypassOptions is AzureServices)"
        return Finding(side, check, Status.OK, detail)
    detail = f"{facts.restriction} and networkRuleBypassOptions is None, so the service cannot reach it"
    advice = f"az acr update -n {facts.name} --allow-trusted-services true"
    return Finding(side, check, Status.WARNING, detail, advice)


def _exports(side: Side, facts: NetworkFacts) -> Finding:
    check = "export policy"
    if facts.exportable:
        return Finding(side, check, Status.OK, "images may leave it")
    detail = "exportPolicy is disabled, its images are not to leave it"
    advice = (
        "An administrator has decided so. If you may copy from it all the same: az acrx import ... --via local; "
        f"to change the policy: az acr update -n {facts.name} --allow-exports true"
    )
    return Finding(side, check, Status.FAILED, detail, advice)  # the choice of the route has refused it already
