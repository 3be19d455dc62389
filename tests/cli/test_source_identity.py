# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""``--source-identity`` with the real azure-identity: who reads the source is another than who is signed in."""

from __future__ import annotations

from pathlib import Path

import pytest

from emulator import content
from emulator.faults import Answer, Fault
from emulator.identity import Principal
from emulator.resources import AzureRegistry
from tests.cli.conftest import SignedInAz
from tests.cli.secrets_search import collected
from tests.cli.signing import ISSUER, SUBJECT, WAYS, Signing, by_pipeline, by_secret, by_workload
from tests.cli.world import World
from tests.support.certificates import write_certificate
from tests.support.images import assert_holds

pytestmark = pytest.mark.cli

IMAGE = content.multi_arch("identity")


@pytest.fixture
def app(world: World) -> Principal:
    """An application of the partner's tenant that may pull there; the signed-in identity is not known there."""
    return world.azure.principals["partner-puller"]


@pytest.fixture(params=WAYS)
def signing(request: pytest.FixtureRequest, world: World, app: Principal, tmp_path: Path) -> Signing:
    return WAYS[request.param](world.azure, app, tmp_path)


@pytest.fixture
def secret(world: World, app: Principal, tmp_path: Path) -> Signing:
    return by_secret(world.azure, app, tmp_path)


@pytest.fixture
def origin(world: World) -> AzureRegistry:
    """A registry of another tenant."""
    registry = world.registry(subscription="partner")
    world.put(IMAGE, registry.store, "app", "v1")
    return registry


@pytest.fixture
def target(world: World) -> AzureRegistry:
    return world.registry()


def arguments(target: AzureRegistry, origin: AzureRegistry, *further: str) -> tuple[str, ...]:
    return ("acrx", "import", "--name", target.name, "--source", f"{origin.login_server}/app:v1", *further)


@pytest.mark.parametrize("via", ["service", "local"])
def test_an_image_of_another_tenant(
    world: World,
    az: SignedInAz,
    origin: AzureRegistry,
    target: AzureRegistry,
    signing: Signing,
    via: str,
    tmp_path: Path,
) -> None:
    az.config(signing.principal)
    with collected(world, az, tmp_path) as secrets:
        secrets.known |= set(signing.secrets)
        command = arguments(target, origin, "--via", via, "--source-identity", signing.option)[2:]
        result = secrets.run(*command, env=signing.env, principal=signing.principal).json

    assert (result["route"], result["fallback"]) == (via, False)
    assert_holds(target.store, "app", IMAGE, tags=["v1"])
    if via == "service":
        (operation,) = world.azure.operations
        assert operation.body["source"]["registryUri"] == origin.login_server
        assert set(operation.body["source"]["credentials"]) == {"password"}


def test_without_it_the_image_is_out_of_reach(
    world: World, az: SignedInAz, origin: AzureRegistry, target: AzureRegistry
) -> None:
    failed = az(*arguments(target, origin), fails=True)

    assert "--source-identity cli:TENANT" in failed.stderr


def test_a_registry_that_is_closed_to_the_service(
    world: World, az: SignedInAz, origin: AzureRegistry, target: AzureRegistry, secret: Signing
) -> None:
    origin.public_network_access = "Disabled"

    result = az(*arguments(target, origin, "--source-identity", secret.option), env=secret.env).json

    assert (result["route"], result["fallback"]) == ("local", True)
    assert_holds(target.store, "app", IMAGE, tags=["v1"])


@pytest.mark.parametrize("via", ["service", "local"])
def test_it_counts_where_the_signed_in_identity_could_read(
    world: World, az: SignedInAz, target: AzureRegistry, tmp_path: Path, via: str
) -> None:
    origin = world.registry(subscription="shared")
    world.put(IMAGE, origin.store, "app", "v1")
    stranger = world.azure.principals.get("stranger") or world.azure.add_principal("stranger", {})
    signing = by_secret(world.azure, stranger, tmp_path)

    command = arguments(target, origin, "--via", via, "--source-identity", signing.option)
    failed = az(*command, env=signing.env, fails=True)

    assert f"source {origin.login_server}/app" in failed.stderr
    assert f"The identity of --source-identity environment needs AcrPull on {origin.name}" in failed.stderr
    assert target.store.get("app") is None


def test_it_counts_more_than_a_password_in_the_environment(
    world: World, az: SignedInAz, origin: AzureRegistry, target: AzureRegistry, secret: Signing
) -> None:
    env = {**secret.env, "ACRX_SOURCE_USERNAME": "someone", "ACRX_SOURCE_PASSWORD": "wrong"}
    az(*arguments(target, origin, "--via", "local", "--source-identity", secret.option), env=env)

    assert_holds(target.store, "app", IMAGE, tags=["v1"])


@pytest.mark.parametrize("way", ["secret", "pipelines"])
def test_connections_that_are_not_to_be_verified(
    world: World, az: SignedInAz, app: Principal, origin: AzureRegistry, target: AzureRegistry, tmp_path: Path, way: str
) -> None:
    signing = WAYS[way](world.azure, app, tmp_path)
    # The Azure CLI itself verifies Entra's certificate all the same: here it has its tokens already.
    az("account", "get-access-token", "--resource", "https://containerregistry.azure.net", "--output", "none")

    unverified = {"AZURE_CLI_DISABLE_CONNECTION_VERIFICATION": "1", "REQUESTS_CA_BUNDLE": "", "CURL_CA_BUNDLE": ""}
    command = arguments(target, origin, "--via", "local", "--source-identity", signing.option)
    az(*command, env={**signing.env, **unverified})

    assert_holds(target.store, "app", IMAGE, tags=["v1"])


class TestFailure:
    """No token: the error says for whom, why, and what to do; nothing has moved, and no secret is shown."""

    @pytest.fixture(autouse=True)
    def _set_up(
        self, world: World, az: SignedInAz, origin: AzureRegistry, target: AzureRegistry, app: Principal, tmp_path: Path
    ) -> None:
        self.world, self.az, self.origin, self.target = world, az, origin, target
        self.app, self.directory = app, tmp_path

    def fails(self, signing: Signing, *expected: str, without: tuple[str, ...] = (), **env: str) -> None:
        self.az.config(signing.principal)
        with collected(self.world, self.az, self.directory) as secrets:
            secrets.known |= set(signing.secrets)
            kept = {name: value for name, value in signing.env.items() if name not in without}
            command = arguments(self.target, self.origin, "--source-identity", signing.option)[2:]
            failed = secrets.run(*command, env=kept | env, principal=signing.principal, fails=True)
        error = failed.stderr[failed.stderr.index(f"Source {self.origin.login_server}: --source-identity") :]
        for text in (signing.option, "gets no token", *expected):
            assert text in error
        assert self.world.azure.operations == []
        assert self.world.azure.server.log.count(host=self.origin.login_server) == 0

    def test_a_wrong_secret(self) -> None:
        signing = by_secret(self.world.azure, self.app, self.directory)
        self.fails(signing, "AADSTS7000215", "Check the secret", AZURE_CLIENT_SECRET="wr0ng-secret")

    def test_a_secret_that_is_not_set(self) -> None:
        signing = by_secret(self.world.azure, self.app, self.directory)
        missing = "AZURE_CLIENT_SECRET or AZURE_CLIENT_CERTIFICATE_PATH is not set"
        self.fails(signing, missing, without=("AZURE_CLIENT_SECRET",))

    def test_a_certificate_that_is_not_registered(self) -> None:
        signing = by_secret(self.world.azure, self.app, self.directory)
        file = self.directory / "other.pem"
        write_certificate(file)
        certificate = {"AZURE_CLIENT_CERTIFICATE_PATH": str(file)}
        self.fails(
            signing, "AADSTS700027", "az ad app credential reset", without=("AZURE_CLIENT_SECRET",), **certificate
        )

    def test_a_certificate_that_is_not_there(self) -> None:
        signing = by_secret(self.world.azure, self.app, self.directory)
        certificate = {"AZURE_CLIENT_CERTIFICATE_PATH": str(self.directory / "absent.pem")}
        self.fails(signing, "absent.pem", without=("AZURE_CLIENT_SECRET",), **certificate)

    def test_a_federated_token_that_has_expired(self) -> None:
        signing = by_workload(self.world.azure, self.app, self.directory)
        token = self.world.azure.assertions.issue(issuer=ISSUER, subject=SUBJECT, lifetime=-1)
        Path(signing.env["AZURE_FEDERATED_TOKEN_FILE"]).write_text(token, encoding="utf-8")
        self.fails(signing, "AADSTS700024")

    def test_a_federated_token_of_another_account(self) -> None:
        signing = by_workload(self.world.azure, self.app, self.directory)
        token = self.world.azure.assertions.issue(issuer=ISSUER, subject="system:serviceaccount:ci:other")
        Path(signing.env["AZURE_FEDERATED_TOKEN_FILE"]).write_text(token, encoding="utf-8")
        self.fails(signing, "AADSTS700213", "az ad app federated-credential list")

    def test_outside_of_kubernetes(self) -> None:
        self.fails(Signing("workload", {}), "AZURE_FEDERATED_TOKEN_FILE are not set", "azure.workload.identity/use")

    def test_a_job_that_was_not_given_its_token(self) -> None:
        signing = by_pipeline(self.world.azure, self.app, self.directory)
        hint = "SYSTEM_ACCESSTOKEN: $(System.AccessToken)"
        self.fails(signing, "SYSTEM_ACCESSTOKEN is not set", hint, without=("SYSTEM_ACCESSTOKEN",))

    def test_a_job_with_a_wrong_token(self) -> None:
        signing = by_pipeline(self.world.azure, self.app, self.directory)
        self.fails(signing, "OIDC token endpoint", SYSTEM_ACCESSTOKEN="wr0ng-token")

    def test_an_endpoint_that_says_a_secret_back(self) -> None:
        signing = by_pipeline(self.world.azure, self.app, self.directory)
        answer = Answer(400, body=f"not with {self.world.azure.pipeline.access_token}".encode())
        self.world.azure.server.faults.add(Fault(answer, host="dev.azure.com", times=None))
        self.fails(signing, "OIDC token endpoint")

    def test_another_service_connection_than_that_of_the_task(self) -> None:
        task = by_pipeline(self.world.azure, self.app, self.directory)
        signing = Signing("pipelines:0a1b2c3d-0000-4000-8000-00000000000f", task.env)
        self.fails(signing, "AZURE_TENANT_ID and AZURE_CLIENT_ID are not set", "for another connection set")

    def test_an_identity_that_is_not_assigned(self) -> None:
        signing = WAYS["managed, assigned"](self.world.azure, self.app, self.directory)
        self.world.azure.machine.assigned = []
        self.fails(signing, "Identity not found", "managed:CLIENT_ID")

    def test_a_tenant_that_does_not_know_the_user(self) -> None:
        tenant = "nobody.onmicrosoft.example"
        self.fails(Signing(f"cli:{tenant}", {}), f"az login --tenant {tenant}", "az account set --subscription")

    def test_entra_cannot_be_reached(self) -> None:
        fault = Fault(Answer(503), method="CONNECT", host="login.microsoftonline.com", times=None)
        self.az("account", "get-access-token", "--resource", "https://containerregistry.azure.net", "--output", "none")
        self.world.azure.server.faults.add(fault)
        signing = by_secret(self.world.azure, self.app, self.directory)
        self.fails(signing, "503")


class TestNowhereElse:
    """A token of Entra goes to registries of Azure and to nobody else."""

    def test_a_registry_outside_azure(
        self, world: World, az: SignedInAz, target: AzureRegistry, secret: Signing
    ) -> None:
        source = ("--source", "registry.contoso.example/app:v1", "--image", "app:v1")

        failed = az(
            "acrx", "import", "--name", target.name, *source, "--source-identity", secret.option,
            env=secret.env, fails=True,
        )  # fmt: skip

        assert "source registry.contoso.example is not" in failed.stderr
        assert world.azure.server.log.count("POST", host="login.microsoftonline.com", path="fabrikam|token") == 0
        assert world.azure.server.log.count(host="registry.contoso.example") == 0

    def test_a_realm_on_another_host(
        self, world: World, az: SignedInAz, origin: AzureRegistry, target: AzureRegistry, secret: Signing
    ) -> None:
        challenge = 'Bearer realm="https://registry.contoso.example/oauth2/token",service="x"'
        refusal = Answer(401, (("WWW-Authenticate", challenge),))
        world.azure.server.faults.add(Fault(refusal, host=origin.login_server, path="/v2/", times=None))

        command = arguments(target, origin, "--via", "local", "--source-identity", secret.option)
        failed = az(*command, env=secret.env, fails=True)

        assert "wants the identity's token sent to registry.contoso.example" in failed.stderr
        assert world.azure.server.log.count(host="registry.contoso.example") == 0

    def test_a_password_beside_it(
        self, world: World, az: SignedInAz, origin: AzureRegistry, target: AzureRegistry
    ) -> None:
        failed = az(*arguments(target, origin, "--source-identity", "managed", "-u", "me", "-p", "secret"), fails=True)

        assert "--source-identity is given with --username or --password" in failed.stderr

    def test_a_form_that_there_is_not(self, az: SignedInAz, origin: AzureRegistry, target: AzureRegistry) -> None:
        failed = az(*arguments(target, origin, "--source-identity", "azure"), fails=True)

        assert (
            "cli:TENANT, managed[:CLIENT_ID], workload, pipelines:SERVICE_CONNECTION_ID, environment" in failed.stderr
        )
