# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""What the forms of a source identity take from the environment: pure functions of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from azext_acrimport.identity.form import Form, SourceIdentity

_SECRET = (
    "AZURE_CLIENT_SECRET",
    "AZURE_CLIENT_CERTIFICATE_PASSWORD",
    "SYSTEM_ACCESSTOKEN",
    "IDENTITY_HEADER",
    "MSI_SECRET",
)
_NEEDED: Mapping[Form, tuple[tuple[str, ...], ...]] = {
    Form.CLI: (),
    Form.MANAGED: (),
    Form.WORKLOAD: (("AZURE_TENANT_ID",), ("AZURE_CLIENT_ID",), ("AZURE_FEDERATED_TOKEN_FILE",)),
    Form.PIPELINES: (("SYSTEM_ACCESSTOKEN",), ("SYSTEM_OIDCREQUESTURI",)),
    Form.ENVIRONMENT: (
        ("AZURE_TENANT_ID",),
        ("AZURE_CLIENT_ID",),
        ("AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PATH"),
    ),
}


@dataclass(frozen=True)
class Application:
    """An application and its tenant, which a service connection stands for."""

    tenant_id: str
    client_id: str


def missing_variables(identity: SourceIdentity, environment: Mapping[str, str]) -> list[str]:
    """The variables that have no value and should; where one of several would do, they are one entry."""
    wanted = _NEEDED[identity.form]
    missing = [" or ".join(names) for names in wanted if not any(environment.get(name) for name in names)]
    if identity.form is Form.PIPELINES and not application_of(identity, environment):
        missing += ["AZURE_TENANT_ID", "AZURE_CLIENT_ID"]
    return missing


def application_of(identity: SourceIdentity, environment: Mapping[str, str]) -> Application | None:
    """The application of a service connection; None where the environment does not tell it.

    The tasks AzureCLI@2 and AzurePowerShell@5 say in ``AZURESUBSCRIPTION_*`` what their own connection is; that is
    not what another connection is.
    """
    task = _application(environment, "AZURESUBSCRIPTION")
    connection = environment.get("AZURESUBSCRIPTION_SERVICE_CONNECTION_ID", "")
    if connection.lower() == identity.detail.lower():
        return task or _application(environment, "AZURE")
    return _application(environment, "AZURE") or (None if connection else task)


def secrets_of(environment: Mapping[str, str]) -> tuple[str, ...]:
    """The values that are secret, whichever form they are for."""
    return tuple(environment[name] for name in _SECRET if environment.get(name))


def _application(environment: Mapping[str, str], prefix: str) -> Application | None:
    tenant, client = environment.get(f"{prefix}_TENANT_ID"), environment.get(f"{prefix}_CLIENT_ID")
    return Application(tenant, client) if tenant and client else None
