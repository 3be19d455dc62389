# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Azure Resource Manager: subscriptions, container registries, and the doors to the import operation."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from emulator import identity
from emulator.arm_bodies import HOST, cloud_metadata, group_body, listed, provider_body, subscription_body, tenant_body
from emulator.arm_errors import ArmError
from emulator.entra import ARM_AUDIENCES
from emulator.identity import REGISTRIES, Directory, Principal, Subscription
from emulator.importing import ImportService
from emulator.jwts import Signer, TokenError
from emulator.messages import Request, Response
from emulator.resources import SUFFIX, AzureRegistry

_SUBSCRIPTION = r"/subscriptions/(?P<subscription>[^/]+)"
_GROUP = rf"{_SUBSCRIPTION}/resourceGroups/(?P<group>[^/]+)"
_PROVIDER = "/providers/Microsoft.ContainerRegistry"
_REGISTRY = rf"{_GROUP}{_PROVIDER}/registries/(?P<registry>[^/]+)"


@dataclass(frozen=True)
class Call:
    """One authenticated request to ARM."""

    request: Request
    principal: Principal
    names: dict[str, str]

    @property
    def scope(self) -> str:
        """The resource ID that its path names, without a trailing action."""
        path = self.request.path
        return path[: path.rfind("/")] if self.request.method == "POST" else path


@dataclass
class ArmApp:
    """The resource manager of all subscriptions in ``directory``."""

    directory: Directory
    signer: Signer
    registries: list[AzureRegistry]
    imports: ImportService
    create: Callable[[str, Subscription, str], AzureRegistry]
    _routes: list[tuple[str, re.Pattern[str], Callable[[Call], Response]]] = field(init=False)

    def __post_init__(self) -> None:
        table: list[tuple[str, str, Callable[[Call], Response]]] = [
            ("GET", "/subscriptions", self._list_subscriptions),
            ("GET", "/tenants", self._list_tenants),
            ("POST", "/providers/Microsoft.ResourceGraph/resources", self._resource_graph),
            ("GET", _SUBSCRIPTION, self._get_subscription),
            ("GET", f"{_SUBSCRIPTION}/locations", self._list_locations),
            ("GET", f"{_SUBSCRIPTION}/resourceGroups", self._list_groups),
            ("GET", f"{_SUBSCRIPTION}/resources", self._list_resources),
            ("GET", f"{_SUBSCRIPTION}{_PROVIDER}", self._get_provider),
            ("GET", f"{_SUBSCRIPTION}{_PROVIDER}/registries", self._list_registries),
            ("GET", f"{_GROUP}{_PROVIDER}/registries", self._list_registries),
            ("POST", f"{_SUBSCRIPTION}{_PROVIDER}/checkNameAvailability", self._check_name),
            ("GET", f"{_SUBSCRIPTION}{_PROVIDER}/locations/[^/]+/operationResults/(?P<operation>[^/]+)", self._poll),
            ("GET", _REGISTRY, self._get_registry),
            ("GET", f"{_REGISTRY}/providers/Microsoft.Authorization/permissions", self._list_permissions),
            ("PATCH", _REGISTRY, self._update_registry),
            ("PUT", _REGISTRY, self._put_registry),
            ("POST", f"{_REGISTRY}/listCredentials", self._list_credentials),
            ("POST", f"{_REGISTRY}/importImage", self._import_image),
        ]
        self._routes = [(method, re.compile(path, re.IGNORECASE), handler) for method, path, handler in table]

    def __call__(self, request: Request) -> Response:
        if request.path == "/metadata/endpoints":
            return Response.json(200, cloud_metadata(request.arg("api-version") or ""))
        try:
            response = self._dispatch(request)
        except ArmError as ex:
            response = ex.response()
        response.headers["x-ms-request-id"] = response.headers["x-ms-correlation-request-id"] = secrets.token_hex(16)
        return response

    def _dispatch(self, request: Request) -> Response:
        principal = self._authenticated(request)
        if not request.arg("api-version"):
            raise ArmError(
                400, "MissingApiVersionParameter", "The api-version query parameter (?api-version=) is required."
            )
        for method, path, handler in self._routes:
            match = path.fullmatch(request.path)
            if match and method == request.method:
                return handler(Call(request, principal, match.groupdict()))
        raise ArmError(404, "InvalidResourceType", f"The emulator has no {request.method} {request.path}.")

    def _authenticated(self, request: Request) -> Principal:
        kind, _, token = (request.headers.get("Authorization") or "").partition(" ")
        if kind.lower() != "bearer":
            raise ArmError(401, "AuthenticationFailed", "Authentication failed. The 'Authorization' header is missing.")
        try:
            claims = self.signer.read(token)
        except TokenError as ex:
            code = "ExpiredAuthenticationToken" if ex.expired else "InvalidAuthenticationToken"
            raise ArmError(401, code, f"The access token is invalid: {ex.reason}.") from ex
        principal = self.directory.holder(claims)
        if principal is None or str(claims["aud"]).rstrip("/") not in ARM_AUDIENCES:
            text = f"The access token has been obtained for wrong audience or resource '{claims['aud']}'."
            raise ArmError(401, "InvalidAuthenticationTokenAudience", text)
        return principal

    # Rights and look-ups.

    def _subscription(self, call: Call) -> Subscription:
        subscription = self.directory.subscription(call.names["subscription"])
        if subscription is None:
            name = call.names["subscription"]
            raise ArmError(404, "SubscriptionNotFound", f"The subscription '{name}' could not be found.")
        if subscription.tenant_id != call.principal.tenant_id:
            ours, theirs = call.principal.tenant_id, subscription.tenant_id
            text = (
                f"The access token is from the wrong issuer 'https://sts.windows.net/{ours}/'. It must match the "
                f"tenant 'https://sts.windows.net/{theirs}/' associated with this subscription."
            )
            raise ArmError(401, "InvalidAuthenticationTokenTenant", text)
        return subscription

    def _demand(self, call: Call, action: str, scope: str = "") -> None:
        """Refuse the call unless its principal has the right at the scope, by default that of the call."""
        scope = scope or call.scope
        if self.directory.allows(call.principal, action, scope):
            return
        text = (
            f"The client '{call.principal.client_id}' with object id '{call.principal.object_id}' does not have "
            f"authorization to perform action '{action}' over scope '{scope}' or the scope is invalid. If access was "
            f"recently granted, please refresh your credentials."
        )
        raise ArmError(403, "AuthorizationFailed", text)

    def _registry(self, call: Call, action: str) -> AzureRegistry:
        subscription = self._subscription(call)
        group, name = call.names["group"], call.names["registry"]
        scope = f"{subscription.scope}/resourceGroups/{group}/providers/{REGISTRIES}/{name}"
        self._demand(call, action, scope)
        found = next((registry for registry in self.registries if registry.id.lower() == scope.lower()), None)
        if found is None:
            text = (
                f"The Resource '{REGISTRIES}/{name}' under resource group '{group}' was not found. For more details "
                f"please go to https://aka.ms/ARMResourceNotFoundFix"
            )
            raise ArmError(404, "ResourceNotFound", text)
        return found

    def _readable(self, call: Call, subscription: Subscription, group: str = "") -> list[AzureRegistry]:
        return [
            registry
            for registry in self.registries
            if registry.subscription == subscription
            and group.lower() in ("", registry.group.lower())
            and self.directory.allows(call.principal, identity.READ, registry.id)
        ]

    # Subscriptions and the like.

    def _list_subscriptions(self, call: Call) -> Response:
        found = self.directory.visible_subscriptions(call.principal)
        return listed([subscription_body(item) for item in found])

    def _list_tenants(self, call: Call) -> Response:
        tenants = [tenant for tenant in self.directory.tenants if tenant.id == call.principal.tenant_id]
        return listed([tenant_body(tenant) for tenant in tenants])

    def _get_subscription(self, call: Call) -> Response:
        return Response.json(200, subscription_body(self._subscription(call)))

    def _list_locations(self, call: Call) -> Response:
        scope = self._subscription(call).scope
        names = {"eastus": "East US", "westeurope": "West Europe"}
        return listed([{"id": f"{scope}/locations/{n}", "name": n, "displayName": d} for n, d in names.items()])

    def _list_groups(self, call: Call) -> Response:
        subscription = self._subscription(call)
        groups = sorted({registry.group for registry in self._readable(call, subscription)})
        return listed([group_body(subscription, group) for group in groups])

    def _list_resources(self, call: Call) -> Response:
        """List resources; of ``$filter`` it knows ``resourceType eq '...'`` and ``name eq '...'``."""
        registries = self._readable(call, self._subscription(call))
        wanted = dict(re.findall(r"(\w+) eq '([^']*)'", call.request.arg("$filter") or ""))
        if wanted.get("resourceType", REGISTRIES).lower() != REGISTRIES.lower():
            return listed([])
        name = wanted.get("name", "").lower()
        return listed([registry.resource() for registry in registries if name in ("", registry.name.lower())])

    def _get_provider(self, call: Call) -> Response:
        return Response.json(200, provider_body(self._subscription(call)))

    def _resource_graph(self, call: Call) -> Response:
        """Answer any query with the registries that the caller sees, cut down to those that it names in quotes."""
        body = call.request.read_json()
        quoted = {text.lower() for text in re.findall(r"['\"]([^'\"]+)['\"]", body.get("query", ""))}
        names = quoted - {REGISTRIES.lower()}
        visible = self.directory.visible_subscriptions(call.principal)
        subscriptions = [s for s in visible if s.id in (body.get("subscriptions") or [s.id])]
        found = [registry for s in subscriptions for registry in self._readable(call, s)]
        rows = [
            {**registry.arm(), "subscriptionId": registry.subscription.id, "resourceGroup": registry.group}
            for registry in found
            if not names or names & {registry.name.lower(), registry.login_server, registry.id.lower()}
        ]
        return Response.json(
            200, {"totalRecords": len(rows), "count": len(rows), "data": rows, "resultTruncated": "false"}
        )

    # Registries.

    def _list_registries(self, call: Call) -> Response:
        registries = self._readable(call, self._subscription(call), call.names.get("group", ""))
        return listed([registry.arm() for registry in registries])

    def _get_registry(self, call: Call) -> Response:
        return Response.json(200, self._registry(call, identity.READ).arm())

    def _update_registry(self, call: Call) -> Response:
        registry = self._registry(call, identity.WRITE)
        registry.update(call.request.read_json())
        return Response.json(200, registry.arm())

    def _put_registry(self, call: Call) -> Response:
        subscription = self._subscription(call)
        self._demand(call, identity.WRITE)
        known = {registry.id.lower(): registry for registry in self.registries}
        registry = known.get(call.request.path.lower())
        if registry is None:
            registry = self.create(call.names["registry"], subscription, call.names["group"])
        registry.update(call.request.read_json())
        return Response.json(200, registry.arm())

    def _list_permissions(self, call: Call) -> Response:
        """List what the caller may do, as anybody may ask of oneself."""
        names = call.names
        scope = f"{self._subscription(call).scope}/resourceGroups/{names['group']}/providers/{REGISTRIES}"
        held = self.directory.permissions(call.principal, f"{scope}/{names['registry']}")
        nothing: dict[str, list[str]] = {"notActions": [], "dataActions": [], "notDataActions": []}
        return listed([{"actions": list(actions), **nothing} for actions in held])

    def _check_name(self, call: Call) -> Response:
        name = str(call.request.read_json().get("name", ""))
        if any(registry.name.lower() == name.lower() for registry in self.registries):
            text = f"The registry {name} is already in use."
            return Response.json(200, {"nameAvailable": False, "reason": "AlreadyExists", "message": text})
        return Response.json(200, {"nameAvailable": True, "availableLoginServerName": f"{name.lower()}{SUFFIX}"})

    def _list_credentials(self, call: Call) -> Response:
        registry = self._registry(call, identity.LIST_CREDENTIALS)
        if not registry.admin_user:
            text = f"Cannot perform credential operations for {registry.id} as admin user is disabled."
            raise ArmError(400, "UnAuthorizedForCredentialOperations", text)
        return Response.json(200, registry.credentials())

    # Imports.

    def _import_image(self, call: Call) -> Response:
        registry = self._registry(call, identity.IMPORT)
        operation = self.imports.start(call.principal, registry, call.request.read_json())
        path = (
            f"{registry.subscription.scope}{_PROVIDER}/locations/{registry.location.upper()}"
            f"/operationResults/{operation.name}"
        )
        version = call.request.arg("api-version")
        location = f"https://{HOST}{path}?api-version={version}"
        return self.imports.accepted(location, None)

    def _poll(self, call: Call) -> Response:
        self._subscription(call)
        location = f"https://{HOST}{call.request.path}?api-version={call.request.arg('api-version')}"
        return self.imports.poll(call.names["operation"], location)
