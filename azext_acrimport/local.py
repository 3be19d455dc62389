# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""The local route: copy from registry to registry through this machine."""

from __future__ import annotations

import os
import sys
import urllib.request
from typing import Any

from azext_acrimport._progress import CopyTally, Display
from azext_acrimport.credentials import given_credentials, saved_credentials, signed_in_identity
from azext_acrimport.oci.reference import Reference
from azext_acrimport.registry.credentials import Credentials
from azext_acrimport.registry.transport import TransportSettings
from azext_acrimport.request import Images
from azext_acrimport.resolve import Endpoint
from azext_acrimport.transfer.events import Waiting
from azext_acrimport.transfer.result import CopyResult


def source_credentials(
    cli_ctx: Any, source: Endpoint, repository: str, username: str | None, password: str | None
) -> Credentials | None:
    """What the source is shown: what was given, else the signed-in identity for ACR, else what this machine keeps."""
    if password:
        return given_credentials(username, password, is_acr=source.facts.is_acr)
    if source.azure:
        return signed_in_identity(cli_ctx, source.subscription)
    saved = saved_credentials(source.host, repository)
    # An ACR that is in no subscription one sees may still know the identity: AcrPull alone does not show it.
    return saved or (signed_in_identity(cli_ctx) if source.facts.is_acr else None)


def copy_from_here(
    cli_ctx: Any,
    *,
    source: Endpoint,
    target: Endpoint,
    images: Images,
    username: str | None = None,
    password: str | None = None,
) -> CopyResult:
    """Copy the image to all its names in the target.

    :raises CopyError: a registry failed.
    :raises TagExists: a tag names another image, and overwriting was not asked for.
    """
    from azext_acrimport.registry.repository import Registry
    from azext_acrimport.registry.transport import Transport
    from azext_acrimport.transfer.copier import Root, Target, copy

    reference = Reference.within(source.host, images.source)
    tally = CopyTally()

    def waits(host: str, seconds: float, cause: str) -> None:
        tally.observe(Waiting(host, seconds, cause))

    # One registry object for both sides lets the copier mount blobs instead of moving them.
    same = source.host == target.host and not password
    identity = signed_in_identity(cli_ctx, target.subscription)
    # Before anything is drawn: the look-up may warn.
    shown = identity if same else source_credentials(cli_ctx, source, reference.repository, username, password)
    with Transport(transport_settings()) as transport, Display(tally, sys.stderr, enabled=shows_progress(cli_ctx)):
        to = Registry(target.host, transport=transport, credentials=identity, on_wait=waits)
        origin = to
        if not same:
            origin = Registry(reference.registry, transport=transport, credentials=shown, on_wait=waits)
        root = Root(
            source=origin.repository(reference.repository),
            identifier=reference.identifier,
            targets=tuple(Target(to.repository(name), tags) for name, tags in images.targets.items()),
            force=images.force,
        )
        return copy([root], observe=tally.observe)[0]


def transport_settings() -> TransportSettings:
    """The connection settings of the Azure CLI: its environment variables, as everywhere in ``az``."""
    import requests
    from azure.cli.core import __version__ as core_version
    from azure.cli.core.util import should_disable_connection_verify

    return TransportSettings(
        # Without a variable it is the bundle that every other command of the Azure CLI trusts.
        ca_bundle=os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or requests.certs.where(),
        verify=not should_disable_connection_verify(),
        proxies=urllib.request.getproxies(),
        user_agent=f"acrimport AzureCLI/{core_version}",
    )


def shows_progress(cli_ctx: Any) -> bool:
    """Whether the user has not turned progress off."""
    disabled = cli_ctx.config.getboolean("core", "disable_progress_bar", fallback=False)
    return not disabled and not cli_ctx.only_show_errors
