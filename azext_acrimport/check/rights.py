# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""The right to have the service import, and the commands that give rights."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from knack.log import get_logger
from knack.util import CLIError

from azext_acrimport.arm import AzureRegistry
from azext_acrimport.check.findings import SERVICE, Finding, Status
from azext_acrimport.transfer.errors import Side

logger = get_logger(__name__)

IMPORT_ACTION = "Microsoft.ContainerRegistry/registries/importImage/action"
IMPORTER = "Container Registry Data Importer and Data Reader"
_CHECK = "import right"
_API_VERSION = "2022-04-01"


@dataclass(frozen=True)
class Permission:
    """What one role assignment allows: patterns of actions, and those that it leaves out."""

    actions: tuple[str, ...]
    not_actions: tuple[str, ...] = ()

    def allows(self, action: str) -> bool:
        """Whether the action is among them. Case does not count; ``*`` stands for anything.

        Source: https://learn.microsoft.com/azure/role-based-access-control/role-definitions (Actions, NotActions)
        """
        return _matches(self.actions, action) and not _matches(self.not_actions, action)


@dataclass(frozen=True)
class Assignee:
    """Whom a role is to be assigned to: the identity that is signed in, by its name; or empty where it has none."""

    name: str

    def assign(self, role: str, azure: AzureRegistry | None) -> str:
        """The command that gives it a role on a registry."""
        who = self.name or "OBJECT_ID"
        quoted = f'"{role}"' if " " in role else role
        scope = azure.id.text if azure else "RESOURCE_ID_OF_THE_REGISTRY"
        return f"az role assignment create --assignee {who} --role {quoted} --scope {scope}"


def import_right(cli_ctx: Any, azure: AzureRegistry, assignee: Assignee) -> Finding:
    """Whether the signed-in identity may have the service import into a registry."""
    held = _permissions(cli_ctx, azure.id.text)
    if held is None:
        return not_told()
    if any(permission.allows(IMPORT_ACTION) for permission in held):
        return Finding(Side.TARGET, _CHECK, Status.OK, "the signed-in identity may have the service import")
    detail = "the signed-in identity has no right to importImage"
    return Finding(Side.TARGET, _CHECK, Status.FAILED, detail, assignee.assign(IMPORTER, azure), SERVICE)


def not_told() -> Finding:
    """Azure Resource Manager does not say."""
    detail = "Azure Resource Manager does not tell what the signed-in identity may do"
    return Finding(Side.TARGET, _CHECK, Status.UNKNOWN, detail)


def _permissions(cli_ctx: Any, resource_id: str) -> list[Permission] | None:
    """What the signed-in identity may do with a resource; None where that cannot be read.

    Source: https://learn.microsoft.com/rest/api/authorization/permissions/list-for-resource
    """
    from azure.cli.core.util import send_raw_request

    url = f"{resource_id}/providers/Microsoft.Authorization/permissions?api-version={_API_VERSION}"
    found: list[Permission] = []
    try:
        while url:
            page = send_raw_request(cli_ctx, "GET", url).json()
            found += [_permission(each) for each in page["value"]]
            url = page.get("nextLink")
    except (CLIError, OSError, ValueError, KeyError, TypeError, AttributeError) as ex:
        logger.debug("The permissions for %s cannot be read: %s", resource_id, ex)
        return None
    return found


def _permission(fields: Any) -> Permission:
    return Permission(tuple(fields.get("actions") or ()), tuple(fields.get("notActions") or ()))


def _matches(patterns: Sequence[str], action: str) -> bool:
    return any(
        re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), action, re.IGNORECASE | re.DOTALL) for pattern in patterns
    )
