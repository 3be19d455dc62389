# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""The management clients of the Azure CLI's core. Everything is imported inside: help must load none of it."""

from __future__ import annotations

from typing import Any


def cf_registries(cli_ctx: Any, subscription: str | None = None) -> Any:
    """The operations on container registries, in the subscription or in the current one."""
    from azure.cli.core.commands.client_factory import get_mgmt_service_client
    from azure.cli.core.profiles import ResourceType

    client = get_mgmt_service_client(cli_ctx, ResourceType.MGMT_CONTAINERREGISTRY, subscription_id=subscription)
    return client.registries
