# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""``--source-identity``: its forms, what they take from the environment, and what is said when there is no token."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from azure.cli.core.azclierror import AuthenticationError

from azext_acrimport.identity import sign_in as module
from azext_acrimport.identity.credential import REQUIREMENT, command_to_install, open_credential
from azext_acrimport.identity.failure import IdentityFailure, no_token, not_set, shortened
from azext_acrimport.identity.form import FORMS, Form, SourceIdentity
from azext_acrimport.identity.sign_in import sign_in, token_for_service
from azext_acrimport.identity.variables import Application, application_of, missing_variables
from azext_acrimport.plan import NetworkFacts
from azext_acrimport.registry.credentials import ACR_AUDIENCE, EntraToken
from azext_acrimport.request import InvalidRequest
from azext_acrimport.resolve import Endpoint

ID = "0a1b2c3d-0000-4000-8000-00000000000f"
OTHER = "0a1b2c3d-0000-4000-8000-0000000000aa"
HOST = "srcreg.azurecr.io"
ARM_AUDIENCE = "https://management.core.windows.net/"
JWT = "eyJhbGciOiJub25lIn0.eyJ0aWQiOiJ0LTEifQ.c2ln"  # its tid is t-1


@pytest.mark.parametrize(
    ("text", "form", "detail"),
    [
        ("cli:contoso.onmicrosoft.com", Form.CLI, "contoso.onmicrosoft.com"),
        (f"cli:{ID}", Form.CLI, ID),
        ("managed", Form.MANAGED, ""),
        (f"managed:{ID}", Form.MANAGED, ID),
        ("workload", Form.WORKLOAD, ""),
        (f" Pipelines:{ID} ", Form.PIPELINES, ID),
        ("environment", Form.ENVIRONMENT, ""),
    ],
)
def test_the_forms(text: str, form: Form, detail: str) -> None:
    found = SourceIdentity.parse(text)

    assert found == SourceIdentity(form, detail)
    assert SourceIdentity.parse(str(found)) == found


@pytest.mark.parametrize("text", ["", "azure", ":", "clit", f"{ID}", "user:me"])
def test_another_word_is_refused_with_the_forms_that_there_are(text: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        SourceIdentity.parse(text)

    assert FORMS in str(caught.value)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("cli", "cli:TENANT"),
        ("cli:", "cli:TENANT"),
        ("cli:a/b", "cli:TENANT"),
        ("cli:-x", "cli:TENANT"),
        ("managed:", "a GUID"),
        ("managed:myidentity", "a GUID"),
        ("workload:x", "is to be workload"),
        ("environment:", "is to be environment"),
        ("pipelines", "pipelines:SERVICE_CONNECTION_ID"),
        (f"pipelines:{ID}&x=1", "a GUID"),
    ],
)
def test_what_stands_behind_the_word_is_checked(text: str, wanted: str) -> None:
    with pytest.raises(InvalidRequest, match="--source-identity") as caught:
        SourceIdentity.parse(text)

    assert wanted in str(caught.value)


PRINCIPAL = {"AZURE_TENANT_ID": "t", "AZURE_CLIENT_ID": "c"}
JOB = {"SYSTEM_ACCESSTOKEN": "s", "SYSTEM_OIDCREQUESTURI": "u"}
TASK = {"AZURESUBSCRIPTION_TENANT_ID": "task-t", "AZURESUBSCRIPTION_CLIENT_ID": "task-c"}


@pytest.mark.parametrize(
    ("text", "environment", "missing"),
    [
        ("managed", {}, []),
        ("workload", {}, ["AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_FEDERATED_TOKEN_FILE"]),
        ("workload", {**PRINCIPAL, "AZURE_FEDERATED_TOKEN_FILE": "f"}, []),
        ("environment", PRINCIPAL, ["AZURE_CLIENT_SECRET or AZURE_CLIENT_CERTIFICATE_PATH"]),
        ("environment", {**PRINCIPAL, "AZURE_CLIENT_SECRET": "", "AZURE_CLIENT_CERTIFICATE_PATH": "f"}, []),
        (f"pipelines:{ID}", PRINCIPAL, ["SYSTEM_ACCESSTOKEN", "SYSTEM_OIDCREQUESTURI"]),
        (f"pipelines:{ID}", JOB, ["AZURE_TENANT_ID", "AZURE_CLIENT_ID"]),
        (f"pipelines:{ID}", {**JOB, **TASK}, []),
    ],
)
def test_what_is_missing_in_the_environment(text: str, environment: dict[str, str], missing: list[str]) -> None:
    assert missing_variables(SourceIdentity.parse(text), environment) == missing


@pytest.mark.parametrize(
    ("environment", "application"),
    [
        ({}, None),
        (PRINCIPAL, Application("t", "c")),
        (TASK, Application("task-t", "task-c")),
        ({**PRINCIPAL, **TASK}, Application("t", "c")),
        # The task says whose connection it is: with ours it knows best, with another it says nothing of ours.
        ({**PRINCIPAL, **TASK, "AZURESUBSCRIPTION_SERVICE_CONNECTION_ID": ID.upper()}, Application("task-t", "task-c")),
        ({**PRINCIPAL, **TASK, "AZURESUBSCRIPTION_SERVICE_CONNECTION_ID": OTHER}, Application("t", "c")),
        ({**TASK, "AZURESUBSCRIPTION_SERVICE_CONNECTION_ID": OTHER}, None),
    ],
)
def test_which_application_a_service_connection_is(
    environment: dict[str, str], application: Application | None
) -> None:
    assert application_of(SourceIdentity(Form.PIPELINES, ID), environment) == application


def test_missing_variables_are_named_with_what_the_form_takes() -> None:
    failure = not_set(SourceIdentity(Form.ENVIRONMENT), HOST, ["AZURE_TENANT_ID", "AZURE_CLIENT_ID"])

    assert str(failure) == (
        f"Source {HOST}: --source-identity environment gets no token: AZURE_TENANT_ID and AZURE_CLIENT_ID are not set "
        "in the environment."
    )
    assert "AZURE_CLIENT_SECRET" in " ".join(failure.advice)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "Authentication failed: AADSTS7000215: Invalid client secret provided. Trace ID: 1\n Correlation ID: 2",
            "Authentication failed: AADSTS7000215: Invalid client secret provided.",
        ),
        (
            "EnvironmentCredential unavailable.\nVisit https://aka.ms/x to troubleshoot.",
            "EnvironmentCredential unavailable.",
        ),
        ('Unexpected response.\nContent: {"secret": 1}', "Unexpected response."),
        (f"the token {JWT} is refused", "the token *** is refused"),
        ("the secret p@ss is wrong", "the secret *** is wrong"),
        ("a\tb\n\nc", "a b c"),
        ("x" * 400, "x" * 297 + "..."),
    ],
)
def test_a_reason_is_one_line_without_secrets(text: str, expected: str) -> None:
    assert shortened(text, ["p@ss"]) == expected


@pytest.mark.parametrize(
    ("text", "reason", "advice"),
    [
        ("environment", "AADSTS7000215: Invalid client secret", "value"),
        ("environment", "AADSTS700016: Application not found", "client ID"),
        ("workload", "AADSTS700213: No matching federated identity", "az ad app federated-credential list"),
        ("workload", "[Errno 2] No such file", "azure.workload.identity/use"),
        ("managed", "Identity not found", "managed:CLIENT_ID"),
        (
            f"pipelines:{ID}",
            "Unexpected response from OIDC token endpoint.",
            "SYSTEM_ACCESSTOKEN: $(System.AccessToken)",
        ),
        ("cli:fabrikam.com", "AADSTS50076: use MFA", "az login --tenant fabrikam.com"),
    ],
)
def test_the_next_step_fits_the_form_and_the_reason(text: str, reason: str, advice: str) -> None:
    failure = no_token(SourceIdentity.parse(text), HOST, ValueError(reason), subscription="sub-1")

    assert HOST in str(failure)
    assert f"--source-identity {text}" in str(failure)
    assert reason in str(failure)
    assert advice in "\n".join(failure.advice)


def test_a_failure_without_a_text_has_at_least_a_name() -> None:
    assert str(no_token(SourceIdentity(Form.MANAGED), HOST, TimeoutError())).endswith("gets no token: TimeoutError")


def test_the_command_is_for_the_interpreter_and_the_directory_at_hand(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("azure.cli.core.extension.get_extension_path", lambda name: str(tmp_path / name))

    words = shlex.split(command_to_install())

    assert words[:4] == [sys.executable, "-m", "pip", "install"]
    assert words[-3:] == ["--target", str(tmp_path / "acrimport"), REQUIREMENT]


def test_the_extra_is_what_the_command_installs() -> None:
    setup = (Path(__file__).parents[2] / "setup.py").read_text(encoding="utf-8")

    assert f'extras_require={{"identity": ["{REQUIREMENT}"]}}' in setup


class Config:
    def get(self, section: str, option: str, fallback: str | None = None) -> str | None:
        return fallback


def cli_ctx() -> Any:
    endpoints = SimpleNamespace(active_directory_resource_id=ARM_AUDIENCE)
    return SimpleNamespace(config=Config(), cloud=SimpleNamespace(endpoints=endpoints))


def endpoint(host: str = HOST, is_acr: bool = True) -> Endpoint:
    return Endpoint(host, None, NetworkFacts(name=host, is_acr=is_acr, in_arm=False))


class Signing:
    """Answers of the Azure CLI by audience: a token, or the text of its refusal; and what was hidden from logs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, answers: dict[str, str]) -> None:
        self.asked: list[tuple[str, str]] = []
        self.hidden: list[str] = []
        signing = self

        class Profile:
            def __init__(self, cli_ctx: Any) -> None:
                pass

            def get_raw_token(self, resource: str, tenant: str) -> Any:
                signing.asked.append((resource, tenant))
                if not answers[resource].startswith("eyJ"):
                    raise AuthenticationError(answers[resource])
                return ("Bearer", answers[resource], {}), None, tenant

        monkeypatch.setattr("azure.cli.core._profile.Profile", Profile)
        monkeypatch.setattr("azure.cli.core.commands.client_factory.get_subscription_id", lambda cli_ctx: "sub-1")

    def __call__(self, source: Endpoint | None = None) -> Any:
        identity = SourceIdentity(Form.CLI, "fabrikam.com")
        return sign_in(cli_ctx(), identity, source or endpoint(), hide=self.hidden.append)


def test_the_token_of_another_tenant(monkeypatch: pytest.MonkeyPatch) -> None:
    signing = Signing(monkeypatch, {ACR_AUDIENCE: JWT})

    identity = signing()

    assert signing.asked == [(ACR_AUDIENCE, "fabrikam.com")]  # before anything moves
    assert identity.get_token(ACR_AUDIENCE) == EntraToken(JWT, "t-1")
    assert identity.audiences == (ACR_AUDIENCE, ARM_AUDIENCE)
    assert token_for_service(identity) == JWT
    assert set(signing.hidden) == {JWT}


def test_no_identity_is_no_password_for_the_service() -> None:
    assert token_for_service(None) is None


def test_where_entra_does_not_know_acr_resource_managers_audience_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    unknown = "AADSTS500011: The resource principal named https://containerregistry.azure.net was not found"
    signing = Signing(monkeypatch, {ACR_AUDIENCE: unknown, ARM_AUDIENCE: JWT})

    assert token_for_service(signing()) == JWT


@pytest.mark.parametrize("text", ["AADSTS50076: use MFA", "AADSTS500011: unknown"])
def test_a_tenant_that_gives_no_token(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    signing = Signing(monkeypatch, {ACR_AUDIENCE: text, ARM_AUDIENCE: text})

    with pytest.raises(IdentityFailure, match=f"^Source {HOST}: --source-identity cli:fabrikam.com .*{text}") as caught:
        signing()

    assert caught.value.advice[0] == "Sign in there: az login --tenant fabrikam.com --allow-no-subscriptions"
    assert "az account set --subscription sub-1" in caught.value.advice[1]


def test_an_entra_token_is_for_no_registry_but_azures(monkeypatch: pytest.MonkeyPatch) -> None:
    signing = Signing(monkeypatch, {ACR_AUDIENCE: JWT})

    with pytest.raises(InvalidRequest, match=r"--source-identity .* registry\.example is not"):
        signing(endpoint("registry.example", is_acr=False))

    assert signing.asked == []


class Cloud:
    """A CLI in a sovereign cloud."""

    def __init__(self, instance_discovery: bool) -> None:
        endpoints = SimpleNamespace(active_directory="https://login.chinacloudapi.cn")
        self.cloud = SimpleNamespace(endpoints=endpoints)
        self.config = SimpleNamespace(getboolean=lambda *names, fallback: instance_discovery)


@pytest.mark.parametrize("text", ["managed", f"managed:{ID}", "workload", "environment", f"pipelines:{ID}"])
@pytest.mark.parametrize("usual", [True, False])
def test_a_credential_goes_by_the_settings_of_the_azure_cli(
    monkeypatch: pytest.MonkeyPatch, text: str, usual: bool
) -> None:
    from azure import identity as azure_identity

    made: list[tuple[str, dict[str, Any]]] = []
    for name in ("ManagedIdentity", "WorkloadIdentity", "Environment", "AzurePipelines"):
        monkeypatch.setattr(
            azure_identity, f"{name}Credential", lambda name=name, **options: made.append((name, options))
        )
    if not usual:
        monkeypatch.setenv("AZURE_CLI_DISABLE_CONNECTION_VERIFICATION", "1")

    variables = {**PRINCIPAL, **JOB, "AZURE_FEDERATED_TOKEN_FILE": "f", "AZURE_CLIENT_SECRET": "s"}
    open_credential(Cloud(instance_discovery=usual), SourceIdentity.parse(text), HOST, variables)

    ((name, options),) = made
    assert name.lower().removeprefix("azure").startswith(text.partition(":")[0])
    assert options["authority"] == "https://login.chinacloudapi.cn"
    assert options.get("connection_verify", True) == usual
    assert options.get("disable_instance_discovery", False) != usual
    if name == "AzurePipelines":
        assert (options["tenant_id"], options["client_id"], options["service_connection_id"]) == ("t", "c", ID)
    if name == "ManagedIdentity":
        assert options["client_id"] == (ID if ":" in text else None)


def test_without_azure_identity_the_error_has_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "azure.identity", None)
    monkeypatch.delattr("azure.identity", raising=False)

    with pytest.raises(IdentityFailure, match="needs the Python package azure-identity") as caught:
        open_credential(Cloud(True), SourceIdentity(Form.MANAGED), HOST, {})

    assert caught.value.advice == (f"Add it to the extension: {command_to_install()}",)


class Refusing:
    """A credential of azure-identity that a machine has not."""

    def get_token(self, scope: str) -> Any:
        assert scope == f"{ACR_AUDIENCE}/.default"
        raise ValueError("the secret t0ps3cret is not taken")


@pytest.mark.parametrize("when", ["made", "used"])
def test_a_credential_that_fails(monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    def make(*given: Any) -> Refusing:
        return Refusing() if when == "used" else Refusing().get_token(f"{ACR_AUDIENCE}/.default")

    monkeypatch.setattr(module, "open_credential", make)
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "t0ps3cret")
    hidden: list[str] = []

    with pytest.raises(IdentityFailure, match=r"the secret \*\*\* is not taken"):
        sign_in(cli_ctx(), SourceIdentity(Form.ENVIRONMENT), endpoint(), hide=hidden.append)

    assert hidden == ["t0ps3cret"]
