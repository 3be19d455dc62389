# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""What a token says about itself. Nothing is verified: it only saves asking what would be refused.

Sources: RFC 7519; the claim ``access`` is the distribution project's token authentication specification
("Getting a Bearer Token"), and ACR's tokens have it: https://github.com/Azure/acr/blob/main/docs/AAD-OAuth.md
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any


def claims_of(token: str) -> Mapping[str, Any]:
    """The claims of a JSON Web Token; none where it is something else."""
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, RecursionError):
        return {}
    return claims if isinstance(claims, Mapping) else {}


def granted_actions(token: str, repository: str) -> frozenset[str] | None:
    """What the token lets its bearer do in a repository; None where it does not tell."""
    access = claims_of(token).get("access")
    if not isinstance(access, list):
        return None
    grants = [each for each in access if isinstance(each, Mapping) and each.get("name") == repository]
    listed = [each["actions"] for each in grants if isinstance(each.get("actions"), list)]
    return frozenset(action for actions in listed for action in actions if isinstance(action, str))
