# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""The refusals of Entra ID."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from emulator.messages import Response


@dataclass(eq=False)
class OAuthError(Exception):
    """An answer of the token endpoint that is not a token."""

    status: int
    error: str
    code: int
    description: str

    def response(self) -> Response:
        """The answer, with the fields and in the words of the real one."""
        body = {
            "error": self.error,
            "error_description": f"AADSTS{self.code}: {self.description} Trace ID: {secrets.token_hex(8)}",
            "error_codes": [self.code],
            "trace_id": secrets.token_hex(8),
            "correlation_id": secrets.token_hex(8),
        }
        return Response.json(self.status, body)
