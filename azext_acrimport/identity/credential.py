# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""Credentials of azure-identity, which is imported here and nowhere else, and only for a form that needs it."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from azext_acrimport.identity.failure import not_installed, not_set
from azext_acrimport.identity.form import Form, SourceIdentity
from azext_acrimport.identity.variables import application_of, missing_variables

# From 1.26 on it asks for msal 1.39, which Azure CLI 2.85 had not yet; AzurePipelinesCredential is there since 1.17.
REQUIREMENT = "azure-identity>=1.17,<1.26"


def open_credential(cli_ctx: Any, identity: SourceIdentity, host: str, environment: Mapping[str, str]) -> Any:
    """Make the credential, with the authority and the connection settings of the Azure CLI.

    :raises IdentityFailure: azure-identity is not installed, or a variable is not set.
    :raises ValueError: azure-identity does not take what is set.
    :raises OSError: a file that is named cannot be read.
    """
    missing = missing_variables(identity, environment)
    if missing:
        raise not_set(identity, host, missing)
    try:
        from azure import identity as azure_identity
    except ImportError as ex:
        raise not_installed(identity, host, command_to_install(), ex) from ex
    return _credential(azure_identity, identity, environment, _options(cli_ctx))


def command_to_install() -> str:
    """The command that puts azure-identity beside the extension, for the interpreter that az runs on.

    What it depends on is in the core of the Azure CLI, whose copies would win in any case.
    """
    from azure.cli.core.extension import get_extension_path

    words = [sys.executable, "-m", "pip", "install", "--no-deps", "--upgrade", "--target"]
    words += [get_extension_path("acrimport") or "EXTENSION_DIRECTORY", REQUIREMENT]
    return subprocess.list2cmdline(words) if sys.platform == "win32" else shlex.join(words)


def _options(cli_ctx: Any) -> dict[str, Any]:
    from azure.cli.core.util import should_disable_connection_verify

    options: dict[str, Any] = {"authority": cli_ctx.cloud.endpoints.active_directory}
    if not cli_ctx.config.getboolean("core", "instance_discovery", fallback=True):
        options["disable_instance_discovery"] = True
    if should_disable_connection_verify():
        options["connection_verify"] = False
    return options


def _credential(
    package: Any, identity: SourceIdentity, environment: Mapping[str, str], options: Mapping[str, Any]
) -> Any:
    if identity.form is Form.MANAGED:
        return package.ManagedIdentityCredential(client_id=identity.detail or None, **options)
    if identity.form is Form.WORKLOAD:
        return package.WorkloadIdentityCredential(**options)
    if identity.form is Form.ENVIRONMENT:
        return package.EnvironmentCredential(**options)
    application = application_of(identity, environment)
    return package.AzurePipelinesCredential(
        tenant_id=application.tenant_id if application else None,
        client_id=application.client_id if application else None,
        service_connection_id=identity.detail,
        system_access_token=environment["SYSTEM_ACCESSTOKEN"],
        **options,
    )
