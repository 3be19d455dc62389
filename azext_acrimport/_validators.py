# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""Checks of the arguments, before anything is asked of a registry."""

from __future__ import annotations

from typing import Any

from azext_acrimport.plan import Via


def validate_source_credentials(namespace: Any) -> None:
    """``--username`` needs ``--password``; a password alone is an access token."""
    from azure.cli.core.azclierror import RequiredArgumentMissingError

    if namespace.source_registry_username and not namespace.source_registry_password:
        raise RequiredArgumentMissingError(
            "--username is given without --password.",
            "Add --password. To sign in to the source with an access token, give it as --password without --username.",
        )


def check_arguments(source: str, registry: str | None, images: list[str], repositories: list[str]) -> None:
    """Check what can be checked without asking Azure.

    :raises InvalidRequest: a name is malformed, or ``--source`` names no registry and ``--registry`` is not given.
    """
    from azext_acrimport.request import Images, split_source

    # Beside --registry the image may repeat the login server, which is known only later.
    image = None if registry else split_source(source)[1]
    Images.of(image or "checked-later", images, repositories)


def via_of(option: str | None, config: Any) -> tuple[Via, str]:
    """What the user asked for, and where: the option, else ``az config set acrimport.via=...``, else ``auto``.

    :raises InvalidRequest: the configured value is none of those.
    """
    from azext_acrimport.request import InvalidRequest

    if option:
        return Via(str(option)), "--via"
    configured = config.get("acrimport", "via", fallback=None)
    if not configured:
        return Via.AUTO, "--via"
    try:
        return Via(configured.strip().lower()), "acrimport.via (az config)"
    except ValueError as ex:
        values = ", ".join(each.value for each in Via)
        raise InvalidRequest(
            f"the configured acrimport.via is {configured!r}, not one of {values}; "
            "set it with: az config set acrimport.via=auto"
        ) from ex
