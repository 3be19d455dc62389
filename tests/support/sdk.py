# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""The installed SDK of Azure Resource Manager over a wire that is answered from a list: nothing leaves the process."""

from __future__ import annotations

import io
import time
from collections.abc import Mapping
from typing import Any

import requests
from azure.core.credentials import AccessToken
from azure.core.pipeline.transport import RequestsTransport
from azure.mgmt.containerregistry import ContainerRegistryManagementClient
from requests.adapters import HTTPAdapter
from urllib3 import HTTPResponse

Answer = tuple[int, Mapping[str, str], str]


class Credential:
    """Signs requests that go nowhere."""

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        return AccessToken("token", int(time.time()) + 3600)


class Wire(HTTPAdapter):
    """Answers requests from a list, and keeps them."""

    def __init__(self, answers: list[Answer]) -> None:
        super().__init__()
        self.answers = answers
        self.requests: list[requests.PreparedRequest] = []

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        self.requests.append(request)
        status, headers, body = self.answers.pop(0)
        fields = {"Content-Type": "application/json", **headers}
        raw = HTTPResponse(io.BytesIO(body.encode()), status=status, headers=fields, preload_content=False)
        return self.build_response(request, raw)


class Transport(RequestsTransport):
    """The SDK's transport, but for waiting."""

    def __init__(self, wire: Wire) -> None:
        session = requests.Session()
        session.mount("https://", wire)
        super().__init__(session=session, session_owner=False)
        self.slept: list[float] = []

    def sleep(self, duration: float) -> None:
        self.slept.append(duration)


def registries_of(transport: Transport) -> Any:
    """The operations on registries, in the subscription ``s``."""
    return ContainerRegistryManagementClient(Credential(), "s", transport=transport).registries
