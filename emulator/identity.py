# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Who is there, and who may do what: tenants, subscriptions, service principals, users and their role assignments."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

_NAMESPACE = uuid.UUID("6d6f6f6e-0000-4000-8000-000000000000")

REGISTRIES = "Microsoft.ContainerRegistry/registries"
READ = f"{REGISTRIES}/read"
WRITE = f"{REGISTRIES}/write"
IMPORT = f"{REGISTRIES}/importImage/action"
LIST_CREDENTIALS = f"{REGISTRIES}/listCredentials/action"
PULL = f"{REGISTRIES}/pull/read"
PUSH = f"{REGISTRIES}/push/write"
DELETE = f"{REGISTRIES}/artifacts/delete"


def stable_id(name: str) -> str:
    """Return a GUID that is the same for the same name in every run."""
    return str(uuid.uuid5(_NAMESPACE, name))


@dataclass(frozen=True)
class Tenant:
    """An Entra ID directory."""

    id: str
    domain: str
    name: str


@dataclass(frozen=True)
class Subscription:
    id: str
    name: str
    tenant_id: str

    @property
    def scope(self) -> str:
        return f"/subscriptions/{self.id}"


@dataclass(frozen=True)
class Principal:
    """A service principal; ``client_id`` is its application's, ``object_id`` its own.

    With a ``username`` it is a user, whose secret is the password; its client ID stands for it in role assignments.
    """

    name: str
    client_id: str
    secret: str = field(repr=False)
    tenant_id: str = ""
    username: str = ""

    @property
    def object_id(self) -> str:
        return stable_id(f"object of {self.client_id}")


# What the roles contain, as far as registries are concerned. "importer" is the built-in role "Container Registry
# Data Importer and Data Reader", "push-only" is AcrPush, "puller" is AcrPull; "pusher" is AcrPush and Reader.
ROLES: dict[str, tuple[str, ...]] = {
    "owner": ("*",),
    "reader": ("*/read",),
    "importer": (READ, IMPORT, PULL),
    "pusher": ("*/read", PULL, PUSH),
    "push-only": (PULL, PUSH),
    "puller": (PULL,),
    "import-only": (READ, IMPORT),
}


@dataclass(frozen=True)
class Grant:
    """A role assignment; it holds for the scope and all below it."""

    client_id: str
    role: str
    scope: str

    def covers(self, scope: str) -> bool:
        return f"{scope.lower()}/".startswith(f"{self.scope.lower().rstrip('/')}/")

    def allows(self, action: str) -> bool:
        return any(fnmatchcase(action.lower(), pattern.lower()) for pattern in ROLES[self.role])


@dataclass
class Directory:
    """All tenants with what is in them."""

    tenants: list[Tenant] = field(default_factory=list)
    subscriptions: dict[str, Subscription] = field(default_factory=dict)
    principals: dict[str, Principal] = field(default_factory=dict)
    _grants: list[Grant] = field(default_factory=list)
    _guests: set[tuple[str, str]] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def tenant(self, name: str) -> Tenant | None:
        """Return the tenant with this GUID or domain."""
        return next((t for t in self.tenants if name.lower() in (t.id, t.domain)), None)

    def add_tenant(self, name: str, domain: str) -> Tenant:
        tenant = Tenant(stable_id(f"tenant {name}"), domain, name)
        self.tenants.append(tenant)
        return tenant

    def add_subscription(self, name: str, tenant: Tenant) -> Subscription:
        self.subscriptions[name] = Subscription(stable_id(f"subscription {name}"), name, tenant.id)
        return self.subscriptions[name]

    def subscription(self, subscription_id: str) -> Subscription | None:
        return next((s for s in self.subscriptions.values() if s.id == subscription_id.lower()), None)

    def add_principal(self, name: str, tenant: Tenant, *, secret: str = "") -> Principal:
        client_id = stable_id(f"application {name}")
        self.principals[name] = Principal(name, client_id, secret or f"{name}~{stable_id(name)[:12]}", tenant.id)
        return self.principals[name]

    def add_user(self, name: str, tenant: Tenant) -> Principal:
        client_id = stable_id(f"user {name}")
        secret = f"{name}~{stable_id(client_id)[:12]}"
        self.principals[name] = Principal(name, client_id, secret, tenant.id, f"{name}@{tenant.domain}")
        return self.principals[name]

    def invite(self, principal: Principal, tenant: Tenant) -> None:
        """Let another tenant know a user, as its guest, or an application, by its consent."""
        self._guests.add((principal.client_id, tenant.id))

    def belongs(self, principal: Principal, tenant: Tenant) -> bool:
        """Whether the tenant gives the principal tokens."""
        return principal.tenant_id == tenant.id or (principal.client_id, tenant.id) in self._guests

    def principal(self, client_id: str) -> Principal | None:
        return next((p for p in self.principals.values() if p.client_id == client_id.lower()), None)

    def user(self, username: str) -> Principal | None:
        return next((p for p in self.principals.values() if p.username and p.username == username.lower()), None)

    def holder(self, claims: Mapping[str, Any]) -> Principal | None:
        """Return whom an access token was given to."""
        return next((p for p in self.principals.values() if p.object_id == claims.get("oid")), None)

    def grant(self, principal: Principal, role: str, scope: str) -> None:
        """Assign a role of ROLES at a scope, which is an ARM resource ID or a prefix of one."""
        if role not in ROLES:
            raise ValueError(f"There is no role {role!r}.")
        with self._lock:
            self._grants = [*self._grants, Grant(principal.client_id, role, scope)]

    def revoke_all(self, principal: Principal) -> None:
        with self._lock:
            self._grants = [g for g in self._grants if g.client_id != principal.client_id]

    def allows(self, principal: Principal, action: str, scope: str) -> bool:
        return any(
            grant.covers(scope) and grant.allows(action)
            for grant in self._grants
            if grant.client_id == principal.client_id
        )

    def permissions(self, principal: Principal, scope: str) -> list[tuple[str, ...]]:
        """Return the actions of each of its roles that hold at a scope."""
        grants = [grant for grant in self._grants if grant.client_id == principal.client_id]
        return [ROLES[grant.role] for grant in grants if grant.covers(scope)]

    def visible_subscriptions(self, principal: Principal) -> list[Subscription]:
        """Return the subscriptions of its tenant in which it has any role, at whatever scope."""
        grants = [grant for grant in self._grants if grant.client_id == principal.client_id]
        return [
            subscription
            for subscription in self.subscriptions.values()
            if subscription.tenant_id == principal.tenant_id
            and any(_related(grant.scope, subscription.scope) for grant in grants)
        ]


def _related(scope: str, other: str) -> bool:
    one, two = f"{scope.lower().rstrip('/')}/", f"{other.lower()}/"
    return one.startswith(two) or two.startswith(one)
