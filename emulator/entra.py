# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Entra ID: discovery, and the v2.0 token endpoint for applications (client credentials) and for users."""

from __future__ import annotations

import base64
import hmac
import json
import secrets
from dataclasses import dataclass, field
from urllib.parse import unquote

from emulator.assertions import Assertions
from emulator.entra_errors import OAuthError
from emulator.identity import Directory, Principal, Tenant
from emulator.jwts import Signer, TokenError
from emulator.messages import Request, Response

HOST = "login.microsoftonline.com"
ALIASES = (HOST, "login.windows.net", "login.microsoft.com", "sts.windows.net")

# What a scope without its "/.default" may name: ARM (by all its names), ACR's own audience, Microsoft Graph.
ARM_AUDIENCES = frozenset({"https://management.core.windows.net", "https://management.azure.com"})
ACR_AUDIENCES = frozenset({"https://containerregistry.azure.net"})
AUDIENCES = ARM_AUDIENCES | ACR_AUDIENCES | {"https://graph.microsoft.com"}

_CLI = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"  # the application that the Azure CLI signs users in to
_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass
class EntraApp:
    """The authority of all tenants in ``directory``."""

    directory: Directory
    signer: Signer
    assertions: Assertions
    lifetime_seconds: int = 3600
    _refresh_signer: Signer = field(init=False)

    def __post_init__(self) -> None:
        self._refresh_signer = Signer(self.signer.clock)

    def __call__(self, request: Request) -> Response:
        try:
            return self._dispatch(request)
        except OAuthError as ex:
            return ex.response()

    def access_token(self, principal: Principal, audience: str, tenant_id: str = "") -> str:
        """Return an access token as the token endpoint would issue it, by default in the principal's own tenant."""
        tenant_id = tenant_id or principal.tenant_id
        user = {"unique_name": principal.username, "upn": principal.username, "scp": "user_impersonation"}
        kind = {**user, "appidacr": "0", "idtyp": "user"} if principal.username else {"appidacr": "1", "idtyp": "app"}
        claims = {
            "aud": audience,
            "iss": f"https://sts.windows.net/{tenant_id}/",
            "appid": _CLI if principal.username else principal.client_id,
            "oid": principal.object_id,
            "sub": principal.object_id,
            "tid": tenant_id,
            "uti": secrets.token_urlsafe(16),
            "ver": "1.0",
            **kind,
        }
        return self.signer.issue(claims, lifetime_seconds=self.lifetime_seconds)

    def _dispatch(self, request: Request) -> Response:
        parts = request.path.strip("/").split("/")
        if parts[-2:] == ["discovery", "instance"]:
            return Response.json(200, _instance_discovery(request.host))
        if parts[-2:] == [".well-known", "openid-configuration"]:
            return Response.json(200, self._openid_configuration(parts[0]))
        if parts[:2] == ["common", "userrealm"]:
            return Response.json(200, {"account_type": "Managed", "domain_name": unquote(parts[-1]).partition("@")[2]})
        if parts[1:] in (["oauth2", "v2.0", "token"], ["oauth2", "token"]) and request.method == "POST":
            return self._token(parts[0], dict(request.read_form()))
        return Response.text(404, "Not found")

    def _tenant(self, name: str) -> Tenant:
        tenant = self.directory.tenant(name)
        if tenant is None:
            raise OAuthError(400, "invalid_tenant", 90002, f"Tenant '{name}' not found. Check the tenant ID.")
        return tenant

    def _openid_configuration(self, name: str) -> dict[str, object]:
        tenant_id = name if name in ("common", "organizations") else self._tenant(name).id
        base = f"https://{HOST}/{tenant_id}"
        return {
            "issuer": f"{base}/v2.0",
            "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
            "token_endpoint": f"{base}/oauth2/v2.0/token",
            "device_authorization_endpoint": f"{base}/oauth2/v2.0/devicecode",
            "end_session_endpoint": f"{base}/oauth2/v2.0/logout",
            "jwks_uri": f"{base}/discovery/v2.0/keys",
            "response_types_supported": ["code", "id_token"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
            "cloud_instance_name": "microsoftonline.com",
            "tenant_region_scope": "EU",
        }

    def _token(self, tenant_name: str, form: dict[str, str]) -> Response:
        tenant = self._tenant(tenant_name)
        grant = form.get("grant_type")
        scope = form.get("scope") or form.get("resource", "")
        if grant == "client_credentials":
            return Response.json(200, self._body(self._application(tenant, form), scope, tenant))
        if grant in ("password", "refresh_token"):
            user = self._signed_in(form) if grant == "password" else self._refreshed(form)
            if not self.directory.belongs(user, tenant):
                text = (
                    f"User account '{user.username}' from identity provider does not exist in tenant '{tenant.name}'."
                )
                raise OAuthError(400, "invalid_grant", 50020, text)
            return Response.json(200, {**self._body(user, scope, tenant), **self._session(user, tenant, form)})
        raise OAuthError(400, "unsupported_grant_type", 70003, "The app requested an unsupported grant type.")

    def _body(self, principal: Principal, scope: str, tenant: Tenant) -> dict[str, object]:
        return {
            "token_type": "Bearer",
            "expires_in": self.lifetime_seconds,
            "ext_expires_in": self.lifetime_seconds,
            "access_token": self.access_token(principal, audience_of(scope), tenant.id),
        }

    def _application(self, tenant: Tenant, form: dict[str, str]) -> Principal:
        client_id = form.get("client_id", "")
        principal = self.directory.principal(client_id)
        if principal is None or principal.username or not self.directory.belongs(principal, tenant):
            text = f"Application with identifier '{client_id}' was not found in the directory '{tenant.name}'."
            raise OAuthError(400, "unauthorized_client", 700016, text)
        if form.get("client_assertion_type") == _ASSERTION_TYPE:
            endpoints = tuple(f"https://{HOST}/{name}/oauth2/v2.0/token" for name in (tenant.id, tenant.domain))
            self.assertions.check(principal, form.get("client_assertion", ""), endpoints)
        elif not hmac.compare_digest(principal.secret, form.get("client_secret", "")):
            text = f"Invalid client secret provided for app '{client_id}'."
            raise OAuthError(401, "invalid_client", 7000215, text)
        return principal

    def _signed_in(self, form: dict[str, str]) -> Principal:
        user = self.directory.user(form.get("username", ""))
        if user is None or not hmac.compare_digest(user.secret, form.get("password", "")):
            raise OAuthError(
                400, "invalid_grant", 50126, "Error validating credentials due to invalid user or password."
            )
        return user

    def _refreshed(self, form: dict[str, str]) -> Principal:
        try:
            user = self.directory.holder(self._refresh_signer.read(form.get("refresh_token", "")))
        except TokenError:
            user = None
        if user is None:
            raise OAuthError(400, "invalid_grant", 70000, "Provided grant is invalid or malformed.")
        return user

    def _session(self, user: Principal, tenant: Tenant, form: dict[str, str]) -> dict[str, str]:
        """Return what a user's token comes with: the user's refresh token serves all tenants that know the user."""
        identity = {
            "aud": form.get("client_id", ""),
            "iss": f"https://{HOST}/{tenant.id}/v2.0",
            "oid": user.object_id,
            "preferred_username": user.username,
            "sub": user.object_id,
            "tid": tenant.id,
            "ver": "2.0",
        }
        client = {"uid": user.object_id, "utid": user.tenant_id}
        return {
            "scope": form.get("scope", ""),
            "id_token": self.signer.issue(identity, lifetime_seconds=self.lifetime_seconds),
            "refresh_token": self._refresh_signer.issue({"oid": user.object_id}, lifetime_seconds=90 * 24 * 3600),
            "client_info": base64.urlsafe_b64encode(json.dumps(client).encode()).decode().rstrip("="),
            "foci": "1",
        }


def audience_of(scope: str) -> str:
    """Return the ``aud`` claim for a scope; az asks for ARM with a double slash, of which one belongs to the name.

    :raises OAuthError: it names no resource that there is.
    """
    audience = next((part.removesuffix("/.default") for part in scope.split() if part.startswith("https://")), "")
    if audience.rstrip("/") not in AUDIENCES:
        text = f"The resource principal named {audience or scope} was not found in the tenant."
        raise OAuthError(400, "invalid_resource", 500011, text)
    return audience


def _instance_discovery(host: str) -> dict[str, object]:
    return {
        "tenant_discovery_endpoint": f"https://{host}/common/v2.0/.well-known/openid-configuration",
        "api-version": "1.1",
        "metadata": [{"preferred_network": HOST, "preferred_cache": "login.windows.net", "aliases": list(ALIASES)}],
    }
