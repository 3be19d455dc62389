# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Entra ID as service principals see it: discovery and the v2.0 token endpoint with the client credentials grant."""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass

from emulator.identity import Directory, Principal, Tenant
from emulator.jwts import Signer, TokenError, unverified
from emulator.messages import Request, Response

HOST = "login.microsoftonline.com"
ALIASES = (HOST, "login.windows.net", "login.microsoft.com", "sts.windows.net")

# What a scope without its "/.default" may name: ARM (by all its names), ACR's own audience, Microsoft Graph.
ARM_AUDIENCES = frozenset({"https://management.core.windows.net", "https://management.azure.com"})
ACR_AUDIENCES = frozenset({"https://containerregistry.azure.net"})
AUDIENCES = ARM_AUDIENCES | ACR_AUDIENCES | {"https://graph.microsoft.com"}

_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass(eq=False)
class OAuthError(Exception):
    """An answer of the token endpoint that is not a token."""

    status: int
    error: str
    code: int
    description: str

    def response(self) -> Response:
        body = {
            "error": self.error,
            "error_description": f"AADSTS{self.code}: {self.description} Trace ID: {secrets.token_hex(8)}",
            "error_codes": [self.code],
            "trace_id": secrets.token_hex(8),
            "correlation_id": secrets.token_hex(8),
        }
        return Response.json(self.status, body)


@dataclass
class EntraApp:
    """The authority of all tenants in ``directory``."""

    directory: Directory
    signer: Signer
    lifetime_seconds: int = 3600

    def __call__(self, request: Request) -> Response:
        try:
            return self._dispatch(request)
        except OAuthError as ex:
            return ex.response()

    def access_token(self, principal: Principal, audience: str) -> str:
        """Return an access token of the principal, as the token endpoint would issue it."""
        claims = {
            "aud": audience,
            "iss": f"https://sts.windows.net/{principal.tenant_id}/",
            "appid": principal.client_id,
            "appidacr": "1",
            "idtyp": "app",
            "oid": principal.object_id,
            "sub": principal.object_id,
            "tid": principal.tenant_id,
            "uti": secrets.token_urlsafe(16),
            "ver": "1.0",
        }
        return self.signer.issue(claims, lifetime_seconds=self.lifetime_seconds)

    def _dispatch(self, request: Request) -> Response:
        parts = request.path.strip("/").split("/")
        if parts[-2:] == ["discovery", "instance"]:
            return Response.json(200, _instance_discovery(request.host))
        if parts[-2:] == [".well-known", "openid-configuration"]:
            return Response.json(200, self._openid_configuration(parts[0]))
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
        if form.get("grant_type") != "client_credentials":
            raise OAuthError(400, "unsupported_grant_type", 70003, "The app requested an unsupported grant type.")
        principal = self._authenticated(tenant, form)
        audience = _audience(form.get("scope") or form.get("resource", ""))
        token = self.access_token(principal, audience)
        body = {
            "token_type": "Bearer",
            "expires_in": self.lifetime_seconds,
            "ext_expires_in": self.lifetime_seconds,
            "access_token": token,
        }
        return Response.json(200, body)

    def _authenticated(self, tenant: Tenant, form: dict[str, str]) -> Principal:
        client_id = form.get("client_id", "")
        principal = self.directory.principal(client_id)
        if principal is None or principal.tenant_id != tenant.id:
            text = f"Application with identifier '{client_id}' was not found in the directory '{tenant.name}'."
            raise OAuthError(400, "unauthorized_client", 700016, text)
        if form.get("client_assertion_type") == _ASSERTION_TYPE:
            _check_assertion(principal, form.get("client_assertion", ""))
        elif not hmac.compare_digest(principal.secret, form.get("client_secret", "")):
            text = f"Invalid client secret provided for app '{client_id}'."
            raise OAuthError(401, "invalid_client", 7000215, text)
        return principal


def _check_assertion(principal: Principal, assertion: str) -> None:
    # The emulator keeps no certificates of applications: whoever presents a well-formed assertion is believed.
    try:
        claims = unverified(assertion)
    except TokenError as ex:
        raise OAuthError(401, "invalid_client", 50027, f"JWT token is invalid or malformed: {ex.reason}.") from ex
    if claims.get("iss") != principal.client_id or claims.get("sub") != principal.client_id:
        raise OAuthError(401, "invalid_client", 700021, "Client assertion application identifier doesn't match.")


def _audience(scope: str) -> str:
    """Return the ``aud`` claim for a scope; az asks for ARM with a double slash, of which one belongs to the name."""
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
