# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""The data plane of one Azure container registry: network rules, tokens, the OCI API, and ACR's own."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from emulator.acr_auth import AcrTokens, Refused
from emulator.acr_metadata import MetadataApp
from emulator.messages import Request, Response
from emulator.resources import OUTSIDE_ADDRESS, SERVICE_ADDRESS, AzureRegistry

MAX_HEADER_BYTES = 16 * 1024  # the limit of the front end; many scopes in one token go over it

_TOO_LARGE = (
    "<html>\r\n<head><title>400 Request Header Or Cookie Too Large</title></head>\r\n<body>\r\n"
    "<center><h1>400 Bad Request</h1></center>\r\n<center>Request Header Or Cookie Too Large</center>\r\n"
    "</body>\r\n</html>\r\n"
)


@dataclass
class AcrApp:
    """What answers at a registry's login server."""

    registry: AzureRegistry
    tokens: AcrTokens
    _metadata: MetadataApp = field(init=False)

    def __post_init__(self) -> None:
        self.registry.data.authorise = self.tokens.authorise
        self._metadata = MetadataApp(self.registry, self.tokens.authorise)

    def __call__(self, request: Request) -> Response:
        response = self._serve(request)
        response.headers["x-ms-correlation-request-id"] = secrets.token_hex(16)
        return response

    def _serve(self, request: Request) -> Response:
        if sum(len(name) + len(value) + 4 for name, value in request.headers.items()) > MAX_HEADER_BYTES:
            return Response(400, {"Content-Type": "text/html"}, _TOO_LARGE.encode())
        if not self.registry.admits(request.client):
            return _forbidden(SERVICE_ADDRESS if request.client == "service" else OUTSIDE_ADDRESS)
        try:
            if request.path == "/oauth2/exchange" and request.method == "POST":
                return self.tokens.exchange(request)
            if request.path == "/oauth2/token" and request.method in ("GET", "POST"):
                return self.tokens.token(request)
        except Refused as ex:
            return ex.response()
        if request.path.startswith("/acr/v1/"):
            return self._metadata(request)
        return self.registry.data(request)


def _forbidden(address: str) -> Response:
    text = f"client with IP '{address}' is not allowed access. Refer https://aka.ms/acr/firewall to grant access."
    return Response.json(403, {"errors": [{"code": "DENIED", "message": text}]})
