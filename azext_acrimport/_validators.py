# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""Checks of the arguments, before anything is asked of a registry."""

from __future__ import annotations

import os
import re
from typing import Any

from azext_acrimport.plan import Via

USERNAME_VARIABLE = "ACRX_SOURCE_USERNAME"
PASSWORD_VARIABLE = "ACRX_SOURCE_PASSWORD"
MAX_CONNECTIONS = 64
MAX_RETRIES = 100
MAX_TIMEOUT_HOURS = 720

_DURATION = re.compile(r"(?P<count>[0-9]{1,9}(?:\.[0-9]{1,3})?)(?P<unit>[smh]?)\Z")
_UNIT_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600}


def validate_required(namespace: Any) -> None:
    """Without a list there have to be a source and a target."""
    from azure.cli.core.azclierror import MutuallyExclusiveArgumentError, RequiredArgumentMissingError

    if namespace.from_file:
        if namespace.source_image:
            raise MutuallyExclusiveArgumentError(
                "--source and --from-file are both given.", "Leave one of them out, or write the source into the list."
            )
        return
    missing = [
        option
        for option, value in (("--name/-n", namespace.registry_name), ("--source", namespace.source_image))
        if not value
    ]
    if missing:
        raise RequiredArgumentMissingError(f"the following arguments are required: {', '.join(missing)}")


def validate_source_credentials(namespace: Any) -> None:
    """Take what is not given from the environment; ``--username`` needs ``--password``, which alone is a token.

    With ``--password`` neither variable counts: the user of one password says nothing about another. Nor do they with
    ``--source-identity``, which takes the place of both.
    """
    from azure.cli.core.azclierror import MutuallyExclusiveArgumentError, RequiredArgumentMissingError

    if namespace.source_identity:
        if namespace.source_registry_username or namespace.source_registry_password:
            raise MutuallyExclusiveArgumentError(
                "--source-identity is given with --username or --password: both say who signs in to the source.",
                "Leave one of them out.",
            )
        return
    if namespace.source_registry_password:
        return
    given = namespace.source_registry_username
    namespace.source_registry_username = given or os.environ.get(USERNAME_VARIABLE) or None
    namespace.source_registry_password = os.environ.get(PASSWORD_VARIABLE) or None
    if namespace.source_registry_username and not namespace.source_registry_password:
        raise RequiredArgumentMissingError(
            f"{'--username is given' if given else f'{USERNAME_VARIABLE} is set'} without --password.",
            f"Add --password, or set {PASSWORD_VARIABLE}. "
            "To sign in to the source with an access token, give it as --password without --username.",
        )


def validate_effort(namespace: Any) -> None:
    """``--retries`` is a small number; ``--timeout`` becomes seconds."""
    from azure.cli.core.azclierror import InvalidArgumentValueError

    if not 0 <= namespace.retries <= MAX_RETRIES:
        raise InvalidArgumentValueError(f"--retries is {namespace.retries}: give a number from 0 to {MAX_RETRIES}.")
    if namespace.timeout is not None:
        seconds = seconds_of(str(namespace.timeout))
        if seconds is None:
            raise InvalidArgumentValueError(
                f"--timeout is {namespace.timeout!r}: give seconds, or a number with s, m or h, such as 90, 90s, 15m "
                f"or 2h; more than 0, and {MAX_TIMEOUT_HOURS}h at most."
            )
        namespace.timeout = seconds


def validate_connections(namespace: Any) -> None:
    """``--max-connections`` is a number of connections."""
    from azure.cli.core.azclierror import InvalidArgumentValueError

    if namespace.max_connections is not None and not 1 <= namespace.max_connections <= MAX_CONNECTIONS:
        raise InvalidArgumentValueError(
            f"--max-connections is {namespace.max_connections}: give a number from 1 to {MAX_CONNECTIONS}."
        )


def seconds_of(text: str) -> float | None:
    """The seconds that ``90``, ``90s``, ``1.5m`` or ``2h`` mean; None where it is none of those, or out of range."""
    found = _DURATION.match(text.strip().lower())
    seconds = float(found["count"]) * _UNIT_SECONDS[found["unit"]] if found else 0.0
    return seconds if 0 < seconds <= MAX_TIMEOUT_HOURS * 3600 else None


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
