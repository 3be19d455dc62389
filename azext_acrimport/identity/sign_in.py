# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""Tokens of a source identity: an :class:`EntraIdentity` that signs in as ``--source-identity`` says."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from knack.log import get_logger

from azext_acrimport.credentials import audiences_of, entra_token
from azext_acrimport.identity.credential import open_credential
from azext_acrimport.identity.failure import IdentityFailure, no_token
from azext_acrimport.identity.form import Form, SourceIdentity
from azext_acrimport.identity.variables import secrets_of
from azext_acrimport.registry.credentials import EntraIdentity, EntraToken
from azext_acrimport.request import InvalidRequest
from azext_acrimport.resolve import Endpoint

logger = get_logger(__name__)

Fetch = Callable[[str], str]
"""Gets an access token for an audience."""


def sign_in(cli_ctx: Any, identity: SourceIdentity, source: Endpoint, *, hide: Callable[[str], None]) -> EntraIdentity:
    """Sign in to the source as the identity: at once, so that a failure comes before anything moves.

    Every token, and every secret that it is got with, is given to ``hide`` before it can come into a log.

    :raises InvalidRequest: the source is no registry of Azure, and an Entra token is for no other.
    :raises IdentityFailure: there is no token; ``get_token`` of what is returned raises it too.
    """
    if not source.facts.is_acr:
        raise InvalidRequest(
            f"--source-identity is for container registries of Azure, which source {source.host} is not: "
            "give its own credentials with --username and --password"
        )
    audiences = audiences_of(cli_ctx)
    fetch = _fetch(cli_ctx, identity, source.host, hide)

    def get_token(audience: str) -> EntraToken:
        try:
            token = fetch(audience)
        except IdentityFailure as ex:
            if not ex.unknown_audience or audience == audiences[-1]:
                raise
            logger.debug("Entra does not know the audience %s: %s", audience, ex)
            return get_token(audiences[-1])
        hide(token)
        return entra_token(token)

    get_token(audiences[0])
    return EntraIdentity(get_token, audiences)


def token_for_service(identity: EntraIdentity | None) -> str | None:
    """The access token that the service takes as a password without a user; renewed when it is about to expire.

    Source: https://learn.microsoft.com/azure/container-registry/container-registry-import-images ("Cross-tenant import
    with access token")
    """
    return identity.get_token(identity.audiences[0]).token if identity else None


def _fetch(cli_ctx: Any, identity: SourceIdentity, host: str, hide: Callable[[str], None]) -> Fetch:
    if identity.form is Form.CLI:
        return _from_cli(cli_ctx, identity, host)
    from azure.core.exceptions import AzureError

    secrets = secrets_of(os.environ)
    for secret in secrets:
        hide(secret)  # azure-identity logs what an endpoint answers, which may be what it was sent
    try:
        credential = open_credential(cli_ctx, identity, host, os.environ)
    except (ValueError, OSError) as ex:
        raise no_token(identity, host, ex, secrets=secrets) from None  # its text may hold more than is to be shown

    def fetch(audience: str) -> str:
        try:
            return str(credential.get_token(f"{audience}/.default").token)
        except (AzureError, ValueError, OSError) as ex:
            raise no_token(identity, host, ex, secrets=secrets) from None

    return fetch


def _from_cli(cli_ctx: Any, identity: SourceIdentity, host: str) -> Fetch:
    from azure.cli.core._profile import Profile
    from azure.cli.core.commands.client_factory import get_subscription_id
    from knack.util import CLIError

    profile = Profile(cli_ctx=cli_ctx)

    def fetch(audience: str) -> str:
        try:
            (_, token, _), _, _ = profile.get_raw_token(resource=audience, tenant=identity.detail)
        except (CLIError, ValueError, OSError) as ex:
            raise no_token(identity, host, ex, subscription=get_subscription_id(cli_ctx)) from ex
        return str(token)

    return fetch
