# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Errors in the words and the shape of Azure Resource Manager."""

from __future__ import annotations

import json
from dataclasses import dataclass

from emulator.messages import Response


@dataclass(eq=False)
class ArmError(Exception):
    """A refusal by the resource manager or a resource provider."""

    status: int
    code: str
    message: str

    def response(self) -> Response:
        # The resource providers write apostrophes as escapes.
        content = json.dumps({"error": {"code": self.code, "message": self.message}}).replace("'", "\\u0027")
        return Response(self.status, {"Content-Type": "application/json; charset=utf-8"}, content.encode())
