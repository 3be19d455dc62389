# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""The ARM resource of a container registry: its settings, and their JSON."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from emulator.behaviour import Behaviour
from emulator.identity import REGISTRIES, Subscription
from emulator.registry import RegistryApp
from emulator.store import Store

SUFFIX = ".azurecr.io"
OUTSIDE_ADDRESS = "203.0.113.7"  # the address that a client outside the registries' network has; TEST-NET-3
SERVICE_ADDRESS = "198.51.100.24"  # the address that the import service pulls from; TEST-NET-2

# The actions of repository-scoped tokens, and what each allows in the data plane.
SCOPE_MAP_ACTIONS = {
    "content/read": "pull",
    "content/write": "push",
    "content/delete": "delete",
    "metadata/read": "metadata_read",
    "metadata/write": "metadata_write",
}


@dataclass(frozen=True)
class ScopedToken:
    """A repository-scoped token: a user that ARM's rights do not know."""

    name: str
    password: str = field(repr=False)
    grants: Mapping[str, frozenset[str]] = field(default_factory=dict)


@dataclass
class ScopedTokens:
    """The repository-scoped tokens of one registry."""

    _tokens: dict[str, ScopedToken] = field(default_factory=dict)

    def add(self, name: str, password: str, repositories: Mapping[str, Iterable[str]]) -> ScopedToken:
        """Add a token; its actions are those of a scope map (``content/read``) or of a scope (``pull``)."""
        grants = {
            repository: frozenset(SCOPE_MAP_ACTIONS.get(action, action) for action in actions)
            for repository, actions in repositories.items()
        }
        self._tokens[name] = ScopedToken(name, password, grants)
        return self._tokens[name]

    def remove(self, name: str) -> None:
        del self._tokens[name]

    def get(self, name: str) -> ScopedToken | None:
        return self._tokens.get(name)


@dataclass(eq=False)
class AzureRegistry:
    """A container registry. Its settings may be changed at any time and count from the next request on."""

    name: str
    subscription: Subscription
    group: str
    data: RegistryApp = field(repr=False)
    sku: str = "Premium"
    location: str = "eastus"
    public_network_access: str = "Enabled"
    default_action: str = "Allow"
    ip_rules: list[str] = field(default_factory=list)
    bypass: str = "AzureServices"
    export_policy: str = "enabled"
    authentication_as_arm: str = "enabled"
    anonymous_pull: bool = False
    admin_user: bool = False
    role_assignment_mode: str = "LegacyRegistryPermissions"
    encryption: str = "disabled"
    tags: dict[str, str] = field(default_factory=dict)
    admin_passwords: tuple[str, str] = field(default_factory=lambda: (secrets.token_hex(16), secrets.token_hex(16)))
    scoped_tokens: ScopedTokens = field(default_factory=ScopedTokens)

    @property
    def store(self) -> Store:
        """What it holds."""
        return self.data.store

    @property
    def behaviour(self) -> Behaviour:
        """How its data plane behaves; settable."""
        return self.data.behaviour

    @behaviour.setter
    def behaviour(self, behaviour: Behaviour) -> None:
        self.data.behaviour = behaviour

    @property
    def id(self) -> str:
        return f"{self.subscription.scope}/resourceGroups/{self.group}/providers/{REGISTRIES}/{self.name}"

    @property
    def login_server(self) -> str:
        return f"{self.name.lower()}{SUFFIX}"

    @property
    def storage_host(self) -> str:
        """The host that its blobs are read from, by redirect."""
        return f"{self.name.lower()}store.blob.core.windows.net"

    @property
    def tenant_id(self) -> str:
        return self.subscription.tenant_id

    @property
    def restricted(self) -> bool:
        return self.public_network_access == "Disabled" or self.default_action == "Deny"

    @property
    def trusting(self) -> bool:
        return self.bypass == "AzureServices"

    def encrypt(self) -> None:
        """Encrypt it with a key of the customer's: from then on it lists no referrers."""
        self.encryption = "enabled"
        self.behaviour = replace(self.behaviour, referrers=False)

    def admits(self, client: str) -> bool:
        """Whether its network rules let a client of the data plane in."""
        if not self.restricted or client in ("inside", "direct"):
            return True
        address = SERVICE_ADDRESS if client == "service" else OUTSIDE_ADDRESS
        return self.public_network_access == "Enabled" and address in self.ip_rules

    def resource(self) -> dict[str, Any]:
        """Return what ARM answers for the generic resource."""
        return {
            "id": self.id,
            "name": self.name,
            "type": REGISTRIES,
            "location": self.location,
            "sku": {"name": self.sku, "tier": self.sku},
            "tags": self.tags,
        }

    def arm(self) -> dict[str, Any]:
        """Return what the resource provider answers."""
        return {**self.resource(), "systemData": _SYSTEM_DATA, "properties": self._properties()}

    def credentials(self) -> dict[str, Any]:
        names = ("password", "password2")
        passwords = [{"name": name, "value": value} for name, value in zip(names, self.admin_passwords, strict=True)]
        return {"username": self.name, "passwords": passwords}

    def update(self, body: Mapping[str, Any]) -> None:
        """Change what a PATCH or PUT body names, and leave the rest."""
        self.sku = body.get("sku", {}).get("name", self.sku)
        self.tags = body.get("tags") or self.tags
        properties = body.get("properties") or {}
        for name, attribute in _ATTRIBUTES.items():
            if properties.get(name) is not None:
                setattr(self, attribute, properties[name])
        rules = properties.get("networkRuleSet") or {}
        self.default_action = rules.get("defaultAction", self.default_action)
        if "ipRules" in rules:
            self.ip_rules = [rule["value"] for rule in rules["ipRules"] or []]
        policies = properties.get("policies") or {}
        self.export_policy = (policies.get("exportPolicy") or {}).get("status", self.export_policy)
        as_arm = policies.get("azureADAuthenticationAsArmPolicy") or {}
        self.authentication_as_arm = as_arm.get("status", self.authentication_as_arm)

    def _properties(self) -> dict[str, Any]:
        rules = {
            "defaultAction": self.default_action,
            "ipRules": [{"action": "Allow", "value": value} for value in self.ip_rules],
        }
        return {
            **{name: getattr(self, attribute) for name, attribute in _ATTRIBUTES.items()},
            "loginServer": self.login_server,
            "creationDate": _CREATED,
            "provisioningState": "Succeeded",
            "networkRuleSet": rules if self.sku == "Premium" else None,
            "policies": self._policies(),
            "encryption": {"status": self.encryption},
            "dataEndpointEnabled": False,
            "dataEndpointHostNames": [],
            "privateEndpointConnections": [],
            "zoneRedundancy": "Disabled",
            "metadataSearch": "Disabled",
            "networkRuleBypassAllowedForTasks": False,
            "autoGeneratedDomainNameLabelScope": "Unsecure",
        }

    def _policies(self) -> dict[str, Any]:
        return {
            "quarantinePolicy": {"status": "disabled"},
            "trustPolicy": {"type": "Notary", "status": "disabled"},
            "retentionPolicy": {"days": 7, "lastUpdatedTime": _CREATED, "status": "disabled"},
            "exportPolicy": {"status": self.export_policy},
            "azureADAuthenticationAsArmPolicy": {"status": self.authentication_as_arm},
            "softDeletePolicy": {"retentionDays": 7, "lastUpdatedTime": _CREATED, "status": "disabled"},
        }


_CREATED = "2026-01-15T09:30:00.0000000Z"
_SYSTEM_DATA = {
    "createdBy": "owner@contoso.example",
    "createdByType": "User",
    "createdAt": _CREATED,
    "lastModifiedBy": "owner@contoso.example",
    "lastModifiedByType": "User",
    "lastModifiedAt": _CREATED,
}
_ATTRIBUTES = {
    "adminUserEnabled": "admin_user",
    "anonymousPullEnabled": "anonymous_pull",
    "publicNetworkAccess": "public_network_access",
    "networkRuleBypassOptions": "bypass",
    "roleAssignmentMode": "role_assignment_mode",
}
