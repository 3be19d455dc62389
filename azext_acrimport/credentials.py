# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""What is shown to which registry: the signed-in identity, ``-u`` and ``-p``, or what this machine keeps.

An Entra token goes only to a registry of Azure: to a login server that Azure Resource Manager named, or that carries
the cloud's suffix.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from knack.log import get_logger

from azext_acrimport.docker_config import NULL_GUID, Places, RunHelper, find_credentials
from azext_acrimport.registry.claims import claims_of
from azext_acrimport.registry.credentials import (
    ACR_AUDIENCE,
    BearerToken,
    Credentials,
    EntraIdentity,
    EntraToken,
    IdentityToken,
    Password,
)

logger = get_logger(__name__)

_ACR_ISSUER = "Azure Container Registry"  # the "iss" of every token that ACR makes


def given_credentials(username: str | None, password: str, *, is_acr: bool) -> Credentials:
    """What ``-u`` and ``-p`` mean. A password alone is an access token, as ``az acr import`` takes it."""
    if username == NULL_GUID and is_acr:
        return IdentityToken(password)
    if username:
        return Password(username, password)
    return _token_for_acr(password) if is_acr else BearerToken(password)


def signed_in_identity(cli_ctx: Any, subscription: str | None = None) -> EntraIdentity:
    """The identity of ``az login``, in the tenant of the subscription."""

    audiences = audiences_of(cli_ctx)

    def get_token(audience: str) -> EntraToken:
        from azure.cli.core._profile import Profile
        from azure.cli.core.azclierror import AuthenticationError

        try:
            token, _, tenant = Profile(cli_ctx=cli_ctx).get_raw_token(resource=audience, subscription=subscription)
        except AuthenticationError as ex:
            if audience == audiences[-1]:
                raise
            logger.debug("Entra gives no token for %s: %s", audience, ex)
            return get_token(audiences[-1])
        return EntraToken(token[1], tenant)

    return EntraIdentity(get_token, audiences)


def entra_token(token: str) -> EntraToken:
    """An access token with the tenant that it says it is from."""
    tenant = claims_of(token).get("tid")
    return EntraToken(token, tenant if isinstance(tenant, str) else None)


def audiences_of(cli_ctx: Any) -> tuple[str, ...]:
    """The audiences to ask tokens for: ACR's own, then that of Azure Resource Manager.

    ACR's may be replaced by ``az config set acr.audience_resource=...``, as for ``az acr``. The second is for clouds
    whose Entra does not know ACR's.
    """
    configured = cli_ctx.config.get("acr", "audience_resource", fallback=None)
    if configured and not configured.startswith("https://"):
        configured = f"https://{configured}.azure.net"
    second = getattr(cli_ctx.cloud.endpoints, "active_directory_resource_id", None)
    return tuple(dict.fromkeys(each for each in (configured or ACR_AUDIENCE, second) if each))


def saved_credentials(host: str, repository: str, run_helper: RunHelper | None = None) -> Credentials | None:
    """What Docker's and podman's files on this machine hold for a repository."""
    return find_credentials(host, repository, Places(os.environ, Path.home()), run_helper)


def _token_for_acr(token: str) -> Credentials:
    claims = claims_of(token)
    if claims.get("iss") == _ACR_ISSUER:
        return BearerToken(token) if "access" in claims else IdentityToken(token)
    entra = entra_token(token)
    return EntraIdentity(lambda audience: entra, (ACR_AUDIENCE,))
