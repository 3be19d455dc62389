# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""What the tests of the emulated Azure have in common: HTTP through its proxies, and looks into tokens."""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import requests

from emulator.azure import Emulator, Network
from emulator.resources import AzureRegistry

ARM = "https://management.azure.com"
ARM_SCOPE = "https://management.core.windows.net//.default"
ACR_SCOPE = "https://containerregistry.azure.net/.default"
VERSION = "2025-11-01"

_numbers = itertools.count(1)


def claims(token: str) -> dict[str, Any]:
    """Return what a token says, as a client that has no key reads it."""
    part = token.split(".")[1]
    decoded: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return decoded


def error_of(response: requests.Response) -> tuple[int, str, str]:
    """Return status, code and message of a refusal by the resource manager."""
    error = response.json()["error"]
    return response.status_code, error["code"], error["message"]


def new_registry(azure: Emulator, **settings: Any) -> AzureRegistry:
    """Add a registry with a name of its own."""
    return azure.add_registry(f"registry{next(_numbers)}", **settings)


@dataclass
class Client:
    """A client of one emulator in one network."""

    azure: Emulator
    session: requests.Session

    @classmethod
    @contextmanager
    def open(cls, azure: Emulator, network: Network = "outside") -> Iterator[Client]:
        with requests.Session() as session:
            session.trust_env = False
            proxy = azure.server.inside_proxy if network == "inside" else azure.server.outside_proxy
            session.proxies = {"https": proxy}
            session.verify = str(azure.server.ca_file)
            yield cls(azure, session)

    def get(self, url: str, **options: Any) -> requests.Response:
        return self.session.get(url, allow_redirects=False, timeout=30, **options)

    def post(self, url: str, **options: Any) -> requests.Response:
        return self.session.post(url, allow_redirects=False, timeout=30, **options)

    def log_in(self, principal: str = "owner", scope: str = ARM_SCOPE, **changes: str) -> requests.Response:
        """Ask for a token with the client credentials of a principal; ``changes`` replace fields of the form."""
        who = self.azure.principals[principal]
        form = {
            "grant_type": "client_credentials",
            "client_id": who.client_id,
            "client_secret": who.secret,
            "scope": scope,
        }
        tenant = changes.pop("tenant", who.tenant_id)
        return self.post(f"https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token", data={**form, **changes})

    def token(self, principal: str = "owner", scope: str = ARM_SCOPE) -> str:
        return str(self.log_in(principal, scope).json()["access_token"])

    def arm(self, method: str, path: str, *, principal: str = "owner", body: Any = None) -> requests.Response:
        """Call the resource manager as a principal; the path may be a whole URL."""
        url = path if path.startswith("https:") else f"{ARM}{path}"
        if "api-version=" not in url:
            url += ("&" if "?" in url else "?") + f"api-version={VERSION}"
        headers = {"Authorization": f"Bearer {self.token(principal)}"}
        return self.session.request(method, url, headers=headers, json=body, timeout=30)

    def begin_import(self, target: AzureRegistry, body: Any, *, principal: str = "owner") -> requests.Response:
        return self.arm("POST", f"{target.id}/importImage", principal=principal, body=body)

    def import_image(self, target: AzureRegistry, body: Any, *, principal: str = "owner") -> requests.Response:
        """Import and poll until there is an outcome; its response."""
        response = self.begin_import(target, body, principal=principal)
        location = response.headers.get("Location")
        while response.status_code == 202 and location:
            response = self.arm("GET", location, principal=principal)
        return response

    def exchange(self, registry: AzureRegistry, access_token: str, **changes: str) -> requests.Response:
        """Trade an Entra token for a refresh token of the registry."""
        form = {"grant_type": "access_token", "service": registry.login_server, "access_token": access_token, **changes}
        return self.post(f"https://{registry.login_server}/oauth2/exchange", data=form)

    def acr_token(self, registry: AzureRegistry, *scopes: str, principal: str = "owner") -> str:
        """Return an access token of the registry, by both of its steps."""
        refresh_token = self.exchange(registry, self.token(principal, ACR_SCOPE)).json()["refresh_token"]
        form = {"grant_type": "refresh_token", "service": registry.login_server, "refresh_token": refresh_token}
        url = f"https://{registry.login_server}/oauth2/token"
        return str(self.post(url, data={**form, "scope": list(scopes)}).json()["access_token"])
