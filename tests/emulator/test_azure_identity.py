# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""The real azure-identity against the emulator's Entra ID, and the endpoints that machines and pipelines have."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import (
    AzurePipelinesCredential,
    CertificateCredential,
    ClientSecretCredential,
    ManagedIdentityCredential,
    WorkloadIdentityCredential,
)
from msal import PublicClientApplication

from emulator.azure import Emulator
from emulator.identity import Principal
from tests.emulator.azure_client import ACR_SCOPE, ARM_SCOPE, claims
from tests.support.certificates import write_certificate

ISSUER = "https://oidc.cluster.example/"
CLI = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"


@pytest.fixture(scope="module")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with Emulator.start(tmp_path_factory.mktemp("azure")) as running:
        yield running


@pytest.fixture
def app(azure: Emulator, monkeypatch: pytest.MonkeyPatch) -> Principal:
    """An application of the partner's tenant, with the surroundings that lead a client to the emulator."""
    for name in ("HTTPS_PROXY", "HTTP_PROXY"):
        monkeypatch.setenv(name, azure.server.outside_proxy)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(azure.server.ca_file))
    return azure.principals["partner-puller"]


def token_of(credential: object) -> dict[str, object]:
    with credential as opened:  # type: ignore[attr-defined]
        return claims(opened.get_token(ACR_SCOPE).token)


def assert_token_of(app: Principal, credential: object) -> None:
    token = token_of(credential)
    assert (token["oid"], token["tid"]) == (app.object_id, app.tenant_id)
    assert token["aud"] == "https://containerregistry.azure.net"


def test_a_secret(app: Principal) -> None:
    assert_token_of(app, ClientSecretCredential(app.tenant_id, app.client_id, app.secret))


@pytest.mark.parametrize("chain", [False, True])
def test_a_registered_certificate(azure: Emulator, app: Principal, tmp_path: Path, chain: bool) -> None:
    file = tmp_path / "app.pem"
    azure.assertions.register(app, write_certificate(file, "p4ss"))

    credential = CertificateCredential(
        app.tenant_id, app.client_id, str(file), password="p4ss", send_certificate_chain=chain
    )

    assert_token_of(app, credential)


def test_a_certificate_that_is_not_registered(app: Principal, tmp_path: Path) -> None:
    write_certificate(tmp_path / "app.pem")

    with pytest.raises(ClientAuthenticationError, match="AADSTS700027"):
        token_of(CertificateCredential(app.tenant_id, app.client_id, str(tmp_path / "app.pem")))


def test_the_certificate_of_another_key(azure: Emulator, app: Principal, tmp_path: Path) -> None:
    one, two = tmp_path / "one.pem", tmp_path / "two.pem"
    azure.assertions.register(app, write_certificate(one))
    write_certificate(two)
    end = "-----END PRIVATE KEY-----\n"
    two.write_text(two.read_text().partition(end)[0] + end + one.read_text().partition(end)[2])

    with pytest.raises(ClientAuthenticationError, match="AADSTS700027"):
        token_of(CertificateCredential(app.tenant_id, app.client_id, str(two)))


def federated(app: Principal, tmp_path: Path, token: str) -> WorkloadIdentityCredential:
    file = tmp_path / "token"
    file.write_text(token, encoding="utf-8")
    return WorkloadIdentityCredential(tenant_id=app.tenant_id, client_id=app.client_id, token_file_path=str(file))


def test_a_federated_token(azure: Emulator, app: Principal, tmp_path: Path) -> None:
    azure.assertions.trust(app, issuer=ISSUER, subject="system:serviceaccount:ci:importer")
    token = azure.assertions.issue(issuer=ISSUER, subject="system:serviceaccount:ci:importer")

    assert_token_of(app, federated(app, tmp_path, token))


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"subject": "system:serviceaccount:other:importer"}, "AADSTS700213"),
        ({"audience": "https://kubernetes.default.svc"}, "AADSTS700212"),
        ({"lifetime": -1}, "AADSTS700024"),
    ],
)
def test_a_federated_token_that_does_not_fit(
    azure: Emulator, app: Principal, tmp_path: Path, changes: dict[str, str], code: str
) -> None:
    azure.assertions.trust(app, issuer=ISSUER, subject="system:serviceaccount:ci:importer")
    wanted = {"issuer": ISSUER, "subject": "system:serviceaccount:ci:importer"}

    with pytest.raises(ClientAuthenticationError, match=code):
        token_of(federated(app, tmp_path, azure.assertions.issue(**wanted | changes)))  # type: ignore[arg-type]


def pipeline(azure: Emulator, app: Principal, connection: str, access_token: str = "") -> AzurePipelinesCredential:
    return AzurePipelinesCredential(
        tenant_id=app.tenant_id,
        client_id=app.client_id,
        service_connection_id=connection,
        system_access_token=access_token or azure.pipeline.access_token,
    )


@pytest.fixture
def in_a_job(azure: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in azure.pipeline.environment().items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("in_a_job")
def test_a_service_connection(azure: Emulator, app: Principal) -> None:
    assert_token_of(app, pipeline(azure, app, azure.pipeline.connect("partner", app)))


@pytest.mark.usefixtures("in_a_job")
@pytest.mark.parametrize("wrong", ["connection", "access token", "application"])
def test_a_service_connection_that_is_refused(azure: Emulator, app: Principal, wrong: str) -> None:
    connection = azure.pipeline.connect("partner", app)
    credentials: dict[str, Callable[[], AzurePipelinesCredential]] = {
        "connection": lambda: pipeline(azure, app, "00000000-0000-0000-0000-000000000001"),
        "access token": lambda: pipeline(azure, app, connection, "wrong"),
        "application": lambda: pipeline(azure, azure.principals["partner-owner"], connection),
    }

    with pytest.raises(ClientAuthenticationError):
        token_of(credentials[wrong]())


@pytest.fixture(params=["App Service", "virtual machine"])
def on_a_machine(
    request: pytest.FixtureRequest, azure: Emulator, app: Principal, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    if request.param == "App Service":
        for name, value in azure.machine.environment(azure.server.serve_plain(azure.machine)).items():
            monkeypatch.setenv(name, value)
    yield
    azure.machine.own, azure.machine.assigned = None, []


@pytest.mark.usefixtures("on_a_machine")
def test_a_managed_identity(azure: Emulator, app: Principal) -> None:
    azure.machine.own = app
    assert_token_of(app, ManagedIdentityCredential())

    azure.machine.own, azure.machine.assigned = None, [app]
    assert_token_of(app, ManagedIdentityCredential(client_id=app.client_id))


@pytest.mark.usefixtures("on_a_machine")
def test_a_managed_identity_that_is_not_assigned(azure: Emulator, app: Principal) -> None:
    azure.machine.own = azure.principals["partner-owner"]

    with pytest.raises(ClientAuthenticationError):
        token_of(ManagedIdentityCredential(client_id=app.client_id))


def test_cloud_shell_hands_out_tokens_of_its_user(
    azure: Emulator, app: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    azure.cloud_shell.user = azure.add_user("visitor", {})
    for name, value in azure.cloud_shell.environment().items():
        monkeypatch.setenv(name, value)

    by_azure_identity = token_of(ManagedIdentityCredential())
    answer = PublicClientApplication(CLI).acquire_token_interactive([ARM_SCOPE], prompt="none")

    assert by_azure_identity["unique_name"] == "visitor@contoso.onmicrosoft.example"
    assert claims(answer["access_token"])["oid"] == azure.cloud_shell.user.object_id


def test_a_user_gets_tokens_of_each_tenant_that_knows_them(azure: Emulator, app: Principal) -> None:
    user = azure.add_user("guest", {}, guest_in=azure.partner)
    home = PublicClientApplication(CLI, authority=f"https://login.microsoftonline.com/{azure.home.id}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of newer versions, for a sign-in without a browser
        signed_in = home.acquire_token_by_username_password(user.username, user.secret, [ARM_SCOPE])
    assert claims(signed_in["access_token"])["tid"] == azure.home.id

    partner = PublicClientApplication(
        CLI, authority=f"https://login.microsoftonline.com/{azure.partner.id}", token_cache=home.token_cache
    )
    token = partner.acquire_token_silent([ACR_SCOPE], partner.get_accounts()[0])["access_token"]

    assert (claims(token)["tid"], claims(token)["oid"]) == (azure.partner.id, user.object_id)
