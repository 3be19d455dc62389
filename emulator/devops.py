# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Azure DevOps as a job of a pipeline sees it: where it gets a token for a service connection.

Source: https://learn.microsoft.com/rest/api/azure/devops/distributedtask/oidctoken/create
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass, field

from emulator.assertions import Assertions
from emulator.identity import Principal, stable_id
from emulator.messages import Request, Response

HOST = "dev.azure.com"

_ISSUER = f"https://vstoken.{HOST}/{stable_id('organization')}"
_PLAN = f"/contoso/{stable_id('project')}/_apis/distributedtask/hubs/build/plans/{stable_id('plan')}"
_JOB = f"{_PLAN}/jobs/{stable_id('job')}"


@dataclass
class PipelineApp:
    """One job, with the service connections that it may use."""

    assertions: Assertions
    access_token: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    _connections: dict[str, str] = field(default_factory=dict)

    def connect(self, name: str, principal: Principal) -> str:
        """Add a service connection that signs in as the application; return its ID."""
        connection = stable_id(f"service connection {name}")
        self._connections[connection] = f"sc://contoso/project/{name}"
        self.assertions.trust(principal, issuer=_ISSUER, subject=self._connections[connection])
        return connection

    def environment(self) -> dict[str, str]:
        """Return what an agent sets, and the variable that the pipeline has to pass on itself."""
        return {
            "TF_BUILD": "True",
            "SYSTEM_OIDCREQUESTURI": f"https://{HOST}{_JOB}/oidctoken",
            "SYSTEM_ACCESSTOKEN": self.access_token,
        }

    def __call__(self, request: Request) -> Response:
        if request.method != "POST" or request.path != f"{_JOB}/oidctoken":
            return Response.text(404, "Not found")
        kind, _, token = (request.headers.get("Authorization") or "").partition(" ")
        if kind != "Bearer" or not hmac.compare_digest(token, self.access_token):
            return Response.text(401, "Access denied.")
        subject = self._connections.get(request.arg("serviceConnectionId") or "")
        if subject is None:
            return Response.json(404, {"message": "The service connection does not exist or is not authorized."})
        return Response.json(200, {"oidcToken": self.assertions.issue(issuer=_ISSUER, subject=subject)})
