# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""An identity that gets no token: what happened, and the next step; pure, so that every text can be tested."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from azext_acrimport.identity.form import Form, SourceIdentity
from azext_acrimport.registry.said import clean

_LONGEST = 300
_JWT = re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]*")
# What azure-identity, the Azure CLI and Entra add to the reason: traces, pointers to pages, and the answer's body.
_NOISE = re.compile(
    r"\s*(?:Trace ID: |Correlation ID: |Content: |Response: |To mitigate this issue|Visit https?://).*", re.DOTALL
)
_UNKNOWN_AUDIENCE = "AADSTS500011"


@dataclass(eq=False)
class IdentityFailure(Exception):
    """A source identity that gets no token. ``kind`` is the name of a class of ``azure.cli.core.azclierror``."""

    message: str
    advice: tuple[str, ...] = ()
    kind: str = "AuthenticationError"
    unknown_audience: bool = False

    def __str__(self) -> str:
        return self.message


def no_token(
    identity: SourceIdentity,
    host: str,
    cause: BaseException,
    *,
    secrets: Iterable[str] = (),
    subscription: str = "",
) -> IdentityFailure:
    """Say why there is no token for the source, without the secrets that the cause's text might repeat."""
    reason = shortened(str(cause), secrets)
    return IdentityFailure(
        f"{_headline(identity, host)}: {reason or type(cause).__name__}",
        _advice(identity, reason, subscription),
        unknown_audience=_UNKNOWN_AUDIENCE in str(cause),
    )


def not_set(identity: SourceIdentity, host: str, missing: Iterable[str]) -> IdentityFailure:
    """Say which variables of the environment are missing; an alternative is one entry, as ``A or B``."""
    names = list(missing)
    verb = "is" if len(names) == 1 else "are"
    return IdentityFailure(
        f"{_headline(identity, host)}: {' and '.join(names)} {verb} not set in the environment.", _NEEDS[identity.form]
    )


def not_installed(identity: SourceIdentity, host: str, command: str, cause: BaseException) -> IdentityFailure:
    """Say that azure-identity is missing, or does not fit, and the command that adds it."""
    return IdentityFailure(
        f"{_headline(identity, host)}: this form needs the Python package azure-identity, which is an extra of the "
        f"extension ({cause}).",
        (f"Add it to the extension: {command}",),
        kind="UnclassifiedUserFault",
    )


def shortened(text: str, secrets: Iterable[str] = ()) -> str:
    """The reason in a text of many lines, as one line, and without secrets."""
    text = _JWT.sub("***", _NOISE.sub("", text.strip()))
    for secret in secrets:
        text = text.replace(secret, "***")
    return clean(text, _LONGEST)


def _headline(identity: SourceIdentity, host: str) -> str:
    return f"Source {host}: --source-identity {identity} gets no token"


def _advice(identity: SourceIdentity, reason: str, subscription: str) -> tuple[str, ...]:
    if identity.form is Form.CLI:
        back = f"az account set --subscription {subscription or 'SUBSCRIPTION'}"
        return (
            f"Sign in there: az login --tenant {identity.detail} --allow-no-subscriptions",
            f"and go back to the target's subscription: {back}",
        )
    known = next((advice for code, advice in _BY_CODE.items() if re.search(rf"\b{code}\b", reason)), None)
    return known or _NEEDS[identity.form]


_FEDERATED = (
    "Check the application's federated credential, its issuer, subject and audience:",
    "az ad app federated-credential list --id CLIENT_ID",
)
# Source: https://learn.microsoft.com/entra/identity-platform/reference-error-codes
_BY_CODE: Mapping[str, tuple[str, ...]] = {
    "AADSTS7000215": ("Check the secret: it is the value that is wanted, not its ID.",),
    "AADSTS7000222": ("The secret has expired: az ad app credential reset --id CLIENT_ID --append",),
    "AADSTS700027": ("Register the certificate: az ad app credential reset --id CLIENT_ID --cert @FILE --append",),
    "AADSTS700016": ("Check that the client ID is that of an application, and the tenant ID that of its tenant.",),
    "AADSTS90002": ("Check the tenant's ID.",),
    "AADSTS70021": _FEDERATED,
    "AADSTS700211": _FEDERATED,
    "AADSTS700212": _FEDERATED,
    "AADSTS700213": _FEDERATED,
}
_NEEDS: Mapping[Form, tuple[str, ...]] = {
    Form.MANAGED: (
        "It works on a machine of Azure that has a managed identity: virtual machine, App Service, Container Apps.",
        "Give the client ID of one that is assigned to it: --source-identity managed:CLIENT_ID",
    ),
    Form.WORKLOAD: (
        'In AKS the pod needs the label azure.workload.identity/use: "true", and a service account with the annotation',
        "azure.workload.identity/client-id. See: kubectl describe pod POD",
    ),
    Form.PIPELINES: (
        "Give the step its token: env: SYSTEM_ACCESSTOKEN: $(System.AccessToken). The tenant and the client ID of the",
        "service connection are in AZURESUBSCRIPTION_TENANT_ID and AZURESUBSCRIPTION_CLIENT_ID in the task AzureCLI@2",
        "that uses it; for another connection set AZURE_TENANT_ID and AZURE_CLIENT_ID.",
    ),
    Form.ENVIRONMENT: (
        "It takes AZURE_TENANT_ID, AZURE_CLIENT_ID, and either AZURE_CLIENT_SECRET or AZURE_CLIENT_CERTIFICATE_PATH",
        "(with AZURE_CLIENT_CERTIFICATE_PASSWORD where the file has one).",
    ),
}
