# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Where programs ask for the tokens of a managed identity: App Service, a virtual machine, Cloud Shell.

Sources: https://learn.microsoft.com/azure/app-service/overview-managed-identity (REST endpoint reference),
https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token, and for Cloud Shell,
which hands out tokens of its user, https://learn.microsoft.com/azure/cloud-shell/msi-authorization
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass, field
from typing import Any

from emulator.entra import EntraApp, audience_of
from emulator.entra_errors import OAuthError
from emulator.identity import Principal
from emulator.messages import Request, Response

IMDS_HOST = "169.254.169.254"
CLOUD_SHELL_HOST = "localhost"
CLOUD_SHELL_URL = f"http://{CLOUD_SHELL_HOST}:50342/oauth2/token"  # the CLI and its libraries know no other


@dataclass(eq=False)
class NoIdentity(Exception):
    """A request for the token of an identity that is not assigned here."""


@dataclass
class MachineApp:
    """The endpoints of one machine, by IMDS's protocol and by App Service's.

    ``own`` is its system-assigned identity, ``assigned`` are those that a request names by their client ID; ``header``
    is what App Service has a program prove that it runs there with.
    """

    entra: EntraApp
    own: Principal | None = None
    assigned: list[Principal] = field(default_factory=list)
    header: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)

    def __call__(self, request: Request) -> Response:
        if request.path == "/metadata/identity/oauth2/token":
            return self._imds(request)
        return self._app_service(request)

    def environment(self, address: str) -> dict[str, str]:
        """Return what App Service sets where this app is served at ``address``."""
        return {"IDENTITY_ENDPOINT": f"http://{address}/msi/token", "IDENTITY_HEADER": self.header}

    def _imds(self, request: Request) -> Response:
        if request.headers.get("Metadata") != "true":
            return _imds_error("invalid_request", "Required metadata header not specified")
        try:
            return Response.json(200, self._token(request))
        except NoIdentity:
            return _imds_error("invalid_request", "Identity not found")
        except OAuthError as ex:
            return _imds_error("invalid_resource", f"AADSTS{ex.code}: {ex.description}")

    def _app_service(self, request: Request) -> Response:
        if not hmac.compare_digest(request.headers.get("X-IDENTITY-HEADER") or "", self.header):
            return Response.json(401, {"statusCode": 401, "message": "The identity header is not valid."})
        try:
            return Response.json(200, self._token(request))
        except NoIdentity:
            return Response.json(
                400, {"statusCode": 400, "message": "No User Assigned or Delegated Managed Identity found"}
            )
        except OAuthError as ex:
            return Response.json(500, {"statusCode": 500, "message": f"AADSTS{ex.code}: {ex.description}"})

    def _token(self, request: Request) -> dict[str, Any]:
        client_id = request.arg("client_id")
        named = next((each for each in self.assigned if each.client_id == client_id), None)
        principal = named if client_id else self.own
        if principal is None:
            raise NoIdentity
        return token_body(self.entra, principal, request.arg("resource") or "")


@dataclass
class CloudShellApp:
    """The endpoint of Cloud Shell (``MSI_ENDPOINT``): tokens of the user who has opened it."""

    entra: EntraApp
    user: Principal | None = None

    def __call__(self, request: Request) -> Response:
        if request.method != "POST" or request.path != "/oauth2/token" or request.headers.get("Metadata") != "true":
            return _cloud_shell_error(400, "BadRequest", "Required metadata header not specified")
        if self.user is None:
            return _cloud_shell_error(401, "Unauthorized", "There is no session")
        try:
            body = token_body(self.entra, self.user, dict(request.read_form()).get("resource", ""))
        except OAuthError as ex:
            return _cloud_shell_error(400, "AudienceNotSupported", ex.description)
        return Response.json(200, {**body, "refresh_token": ""})

    @staticmethod
    def environment() -> dict[str, str]:
        """Return what tells programs that they run there."""
        return {
            "ACC_CLOUD": "PROD",
            "AZUREPS_HOST_ENVIRONMENT": "cloud-shell/1.0",
            "MSI_ENDPOINT": CLOUD_SHELL_URL,
        }


def token_body(entra: EntraApp, principal: Principal, resource: str) -> dict[str, Any]:
    """Return the answer that all of these endpoints have in common; numbers are texts in it.

    :raises OAuthError: there is no such resource.
    """
    now = int(entra.signer.clock())
    return {
        "access_token": entra.access_token(principal, audience_of(resource)),
        "client_id": principal.client_id,
        "expires_in": str(entra.lifetime_seconds),
        "expires_on": str(now + entra.lifetime_seconds),
        "not_before": str(now),
        "resource": resource,
        "token_type": "Bearer",
    }


def _imds_error(error: str, description: str) -> Response:
    return Response.json(400, {"error": error, "error_description": description})


def _cloud_shell_error(status: int, code: str, message: str) -> Response:
    return Response.json(status, {"error": {"code": code, "message": message}})
