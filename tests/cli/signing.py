# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""The ways to sign in to a registry of another tenant with ``--source-identity``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from emulator.azure import Emulator
from emulator.identity import Principal
from tests.support.certificates import write_certificate

ISSUER = "https://oidc.cluster.example/"
SUBJECT = "system:serviceaccount:ci:importer"


@dataclass(frozen=True)
class Signing:
    """One way to sign in to the partner's registry: the option, the environment that it needs, and who runs az."""

    option: str
    env: Mapping[str, str]
    principal: str = "owner"
    secrets: tuple[str, ...] = field(default=(), repr=False)


def as_guest(azure: Emulator, app: Principal, directory: Path) -> Signing:
    user = azure.principals.get("traveller")
    if user is None:
        scopes = [azure.subscriptions[name].scope for name in ("prod", "shared")]
        user = azure.add_user("traveller", dict.fromkeys(scopes, "owner"), guest_in=azure.partner)
        azure.directory.grant(user, "puller", azure.subscriptions["partner"].scope)
    return Signing(f"cli:{azure.partner.domain}", {}, "traveller", (user.secret,))


def as_application_of_both_tenants(azure: Emulator, app: Principal, directory: Path) -> Signing:
    both = azure.principals.get("both")
    if both is None:
        both = azure.add_principal("both", {azure.subscriptions["prod"].scope: "owner"})
        azure.directory.invite(both, azure.partner)
        azure.directory.grant(both, "puller", azure.subscriptions["partner"].scope)
    return Signing(f"cli:{azure.partner.id}", {}, "both", (both.secret,))


def variables(app: Principal) -> dict[str, str]:
    return {"AZURE_TENANT_ID": app.tenant_id, "AZURE_CLIENT_ID": app.client_id}


def by_secret(azure: Emulator, app: Principal, directory: Path) -> Signing:
    return Signing("environment", {**variables(app), "AZURE_CLIENT_SECRET": app.secret}, secrets=(app.secret,))


def by_certificate(azure: Emulator, app: Principal, directory: Path) -> Signing:
    file = directory / "application.pem"
    azure.assertions.register(app, write_certificate(file, "p4ssphrase"))
    certificate = {"AZURE_CLIENT_CERTIFICATE_PATH": str(file), "AZURE_CLIENT_CERTIFICATE_PASSWORD": "p4ssphrase"}
    return Signing("environment", {**variables(app), **certificate}, secrets=("p4ssphrase",))


def by_workload(azure: Emulator, app: Principal, directory: Path) -> Signing:
    azure.assertions.trust(app, issuer=ISSUER, subject=SUBJECT)
    file = directory / "token"
    token = azure.assertions.issue(issuer=ISSUER, subject=SUBJECT)
    file.write_text(token, encoding="utf-8")
    return Signing("workload", {**variables(app), "AZURE_FEDERATED_TOKEN_FILE": str(file)}, secrets=(token,))


def by_pipeline(azure: Emulator, app: Principal, directory: Path) -> Signing:
    connection = azure.pipeline.connect("partner", app)
    task = {
        "AZURESUBSCRIPTION_TENANT_ID": app.tenant_id,
        "AZURESUBSCRIPTION_CLIENT_ID": app.client_id,
        "AZURESUBSCRIPTION_SERVICE_CONNECTION_ID": connection,
    }
    return Signing(
        f"pipelines:{connection}", {**azure.pipeline.environment(), **task}, secrets=(azure.pipeline.access_token,)
    )


def by_app_service(azure: Emulator, app: Principal, directory: Path) -> Signing:
    azure.machine.own = app
    variables = azure.machine.environment(azure.server.serve_plain(azure.machine))
    return Signing("managed", variables, secrets=(azure.machine.header,))


def by_virtual_machine(azure: Emulator, app: Principal, directory: Path) -> Signing:
    azure.machine.own, azure.machine.assigned = azure.principals["partner-owner"], [app]
    return Signing(f"managed:{app.client_id}", {"HTTP_PROXY": azure.server.inside_proxy})


WAYS: dict[str, Callable[[Emulator, Principal, Path], Signing]] = {
    "cli as a guest": as_guest,
    "cli as an application": as_application_of_both_tenants,
    "secret": by_secret,
    "certificate": by_certificate,
    "workload": by_workload,
    "pipelines": by_pipeline,
    "managed, own": by_app_service,
    "managed, assigned": by_virtual_machine,
}
