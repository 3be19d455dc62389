# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""What Azure Resource Manager answers about clouds, tenants, subscriptions, groups and providers."""

from __future__ import annotations

from typing import Any

from emulator.entra import ARM_AUDIENCES
from emulator.entra import HOST as LOGIN_HOST
from emulator.identity import Subscription, Tenant
from emulator.messages import Response
from emulator.resources import SUFFIX

HOST = "management.azure.com"


def listed(items: list[dict[str, Any]]) -> Response:
    return Response.json(200, {"value": items})


def subscription_body(subscription: Subscription) -> dict[str, Any]:
    return {
        "id": subscription.scope,
        "subscriptionId": subscription.id,
        "tenantId": subscription.tenant_id,
        "displayName": subscription.name,
        "state": "Enabled",
        "subscriptionPolicies": {"locationPlacementId": "Public_2014-09-01", "spendingLimit": "Off"},
        "authorizationSource": "RoleBased",
        "managedByTenants": [],
    }


def tenant_body(tenant: Tenant) -> dict[str, Any]:
    return {
        "id": f"/tenants/{tenant.id}",
        "tenantId": tenant.id,
        "countryCode": "DE",
        "displayName": tenant.name,
        "domains": [tenant.domain],
        "tenantCategory": "Home",
    }


def group_body(subscription: Subscription, group: str) -> dict[str, Any]:
    return {
        "id": f"{subscription.scope}/resourceGroups/{group}",
        "name": group,
        "type": "Microsoft.Resources/resourceGroups",
        "location": "eastus",
        "properties": {"provisioningState": "Succeeded"},
    }


def provider_body(subscription: Subscription) -> dict[str, Any]:
    return {
        "id": f"{subscription.scope}/providers/Microsoft.ContainerRegistry",
        "namespace": "Microsoft.ContainerRegistry",
        "registrationState": "Registered",
        "registrationPolicy": "RegistrationRequired",
        "resourceTypes": [{"resourceType": "registries", "locations": ["East US"], "apiVersions": ["2025-11-01"]}],
    }


def cloud_metadata(version: str) -> object:
    """Return the description of the public cloud; since 2022-09-01 it is one object, before a list of clouds."""
    cloud = {
        "name": "AzureCloud",
        "portal": "https://portal.azure.com",
        "resourceManager": f"https://{HOST}/",
        "authentication": {
            "loginEndpoint": f"https://{LOGIN_HOST}",
            "audiences": [f"{audience}/" for audience in sorted(ARM_AUDIENCES)],
            "tenant": "common",
            "identityProvider": "AAD",
        },
        "graph": "https://graph.windows.net/",
        "graphAudience": "https://graph.windows.net/",
        "microsoftGraphResourceId": "https://graph.microsoft.com/",
        "gallery": "https://gallery.azure.com/",
        "suffixes": {"acrLoginServer": SUFFIX.lstrip("."), "storage": "core.windows.net"},
    }
    return cloud if version >= "2022-09-01" else [cloud]
