# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""The command from its arguments to its result, with both routes played."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from azure.cli.core import azclierror

from azext_acrimport import command, connections, custom, dryrun, planning, reporting, run, service
from azext_acrimport.arm import AzureRegistry, Directory, ResourceId
from azext_acrimport.connections import Connections
from azext_acrimport.credentials import signed_in_identity
from azext_acrimport.identity.failure import IdentityFailure
from azext_acrimport.importing import ImportRefused
from azext_acrimport.orders import Login, Order
from azext_acrimport.registry.credentials import EntraIdentity, EntraToken, Password
from azext_acrimport.resolve import Endpoint
from azext_acrimport.transfer.result import CopyResult, Count
from tests.support.orders import azure_registry

DIGEST = "sha256:" + "0" * 64
COPIED = CopyResult(DIGEST, "application/x", Count(copied=1), Count(copied=2), 100)
NO_RIGHT = ImportRefused(403, "AuthorizationFailed", "no authorization to perform action 'x/importImage/action'")
UNAUTHORIZED = ImportRefused(400, "InvalidParameters", "Invalid message Unauthorized UNAUTHORIZED")


class Config:
    def __init__(self) -> None:
        self.values: dict[tuple[str, str], str] = {}

    def get(self, section: str, option: str, fallback: str | None = None) -> str | None:
        return self.values.get((section, option), fallback)

    def getboolean(self, section: str, option: str, fallback: bool = False) -> bool:
        return fallback


class World:
    """Both routes, and what was asked of them."""

    def __init__(self) -> None:
        self.registries = [azure_registry("prodreg"), azure_registry("srcreg", "sub-2")]
        self.refusal: ImportRefused | None = None
        self.bodies: list[Mapping[str, Any]] = []
        self.no_waits: list[bool] = []
        self.copies: list[Order] = []
        self.said: list[str] = []
        self.identities: list[EntraIdentity | None] = []
        self.saved: Password | None = None
        suffixes = SimpleNamespace(acr_login_server_endpoint=".azurecr.io")
        endpoints = SimpleNamespace(active_directory_resource_id="https://management.core.windows.net/")
        cloud = SimpleNamespace(suffixes=suffixes, endpoints=endpoints)
        self.cli_ctx = SimpleNamespace(config=Config(), cloud=cloud, only_show_errors=True)

    def directory(self, cli_ctx: Any) -> Directory:
        world = self

        class Known(Directory):
            def find(self, name_or_host: str, *, everywhere: bool = True) -> AzureRegistry | None:
                return next((r for r in world.registries if name_or_host in (r.name, r.login_server)), None)

        return Known(lambda subscription: None, "sub-1", list)

    def by_service(
        self, client: Any, target: ResourceId, body: Mapping[str, Any], *, follow: Any, no_wait: bool, stopped: Any
    ) -> None:
        self.bodies.append(body)
        self.no_waits.append(no_wait)
        if self.refusal:
            raise self.refusal

    def root(self, order: Order, connections: Connections) -> Order:
        self.identities.append(connections.sign_in(order))
        return order

    def copy(self, roots: list[Order], *_: Any, **__: Any) -> list[CopyResult]:
        self.copies += roots
        return [COPIED] * len(roots)

    def __call__(self, source: str | None, name: str = "prodreg", **options: Any) -> Any:
        return custom.import_image(
            SimpleNamespace(cli_ctx=self.cli_ctx), registry_name=name, source_image=source, **options
        )


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    found = World()
    monkeypatch.setattr(command, "open_directory", found.directory)
    monkeypatch.setattr(service, "import_image", found.by_service)
    monkeypatch.setattr(run, "root_of", found.root)
    monkeypatch.setattr(run, "copy_from_here", found.copy)
    monkeypatch.setattr("azext_acrimport._client_factory.cf_registries", lambda cli_ctx, subscription: None)
    monkeypatch.setattr(connections, "saved_credentials", lambda *_: found.saved)
    monkeypatch.setattr("azext_acrimport.resolve.is_private_host", lambda host: False)
    for module in (planning, reporting, run):
        monkeypatch.setattr(module.logger, "warning", lambda text, *args, **_: found.said.append(text % args))
    return found


def test_the_service_imports_what_it_reaches(world: World) -> None:
    result = world("srcreg.azurecr.io/app:v1")

    assert world.bodies == [
        {
            "source": {"sourceImage": "app:v1", "resourceId": world.registries[1].id.text},
            "targetTags": ["app:v1"],
            "untaggedTargetRepositories": [],
            "mode": "NoForce",
        }
    ]
    assert (result["route"], result["fallback"], result["digest"]) == ("service", False, None)
    assert world.said == ["Importing by the service: the network settings of both registries let the service by."]


def test_credentials_go_along_to_the_service(world: World) -> None:
    world("docker.io/library/app:v1", source_registry_username="me", source_registry_password="secret", force=True)

    assert world.bodies[0]["source"]["credentials"] == {"username": "me", "password": "secret"}
    assert world.bodies[0]["mode"] == "Force"


def test_a_target_that_the_service_cannot_reach_is_copied_to(world: World) -> None:
    world.registries[0] = azure_registry("prodreg", public_network_access="Disabled", bypass="None")

    result = world("docker.io/library/app:v1", target_tags=["copy:v2"], repository=["bare"])

    assert (result["route"], result["fallback"], result["digest"]) == ("local", False, DIGEST)
    assert (result["images"], result["repositories"]) == (["copy:v2"], ["bare"])
    assert "publicNetworkAccess is Disabled" in world.said[0]
    assert world.bodies == []
    (copied,) = world.copies
    assert copied.images.targets == {"copy": ("v2",), "bare": ()}


def test_a_refusal_that_a_copy_cures_leads_to_the_copy_with_one_warning(world: World) -> None:
    world.refusal = NO_RIGHT

    result = world("docker.io/library/app:v1")

    assert (result["route"], result["fallback"]) == ("local", True)
    assert result["reason"] == "target prodreg: the signed-in identity has no right to importImage"
    assert len(world.said) == 2
    assert world.said[1].startswith("The service could not import it, copying from here instead: target prodreg")


@pytest.mark.parametrize("source", ["srcreg.azurecr.io/app:v1", "elsewhere.azurecr.io/app:v1"])
def test_a_source_identity_is_a_token_for_the_service_and_itself_for_a_copy(
    world: World, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    identity = EntraIdentity(lambda audience: EntraToken("token", "tenant"))
    monkeypatch.setattr(connections, "sign_in", lambda cli_ctx, wanted, source, hide: identity)

    world(source, via="service", source_identity="managed")
    world(source, via="local", source_identity="managed")

    (body,), (copied,) = world.bodies, world.copies
    assert body["source"]["registryUri"] == source.partition("/")[0]
    assert body["source"]["credentials"] == {"password": "token"}
    assert copied.request.login.identity
    assert world.identities == [identity]


def test_the_answer_to_a_source_identity_without_rights_is_the_right_that_it_needs(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity = EntraIdentity(lambda audience: EntraToken("token", "tenant"))
    monkeypatch.setattr(connections, "sign_in", lambda cli_ctx, wanted, source, hide: identity)
    world.refusal = UNAUTHORIZED

    with pytest.raises(azclierror.UnauthorizedError) as caught:
        world("srcreg.azurecr.io/app:v1", source_identity="cli:fabrikam.com")

    assert "--source-identity cli:fabrikam.com needs AcrPull on srcreg" in caught.value.recommendations[0]
    assert world.copies == []


def test_with_via_service_its_refusal_is_the_answer(world: World) -> None:
    world.refusal = NO_RIGHT

    with pytest.raises(azclierror.ForbiddenError, match="no right to importImage"):
        world("docker.io/library/app:v1", via="service")
    assert world.copies == []


@pytest.mark.parametrize(
    ("refusal", "error"),
    [
        (UNAUTHORIZED, azclierror.UnauthorizedError),
        (ImportRefused(400, "", "manifest unknown"), azclierror.ResourceNotFoundError),
        (ImportRefused(409, "Conflict", "Tag app:v1 already exists"), azclierror.BadRequestError),
        (ImportRefused(400, "", "Something new."), azclierror.BadRequestError),
    ],
)
def test_a_refusal_that_a_copy_does_not_cure_is_the_answer(
    world: World, refusal: ImportRefused, error: type[Exception]
) -> None:
    world.refusal = refusal

    with pytest.raises(error):
        world("docker.io/library/app:v1")
    assert world.copies == []


def test_credentials_that_only_this_machine_has_are_worth_a_copy(world: World) -> None:
    world.refusal, world.saved = UNAUTHORIZED, Password("me", "secret")

    assert world("docker.io/me/app:v1")["fallback"] is True
    assert "it asks for credentials" in world.said[1]


def test_the_identity_is_worth_a_copy_from_a_registry_that_resource_manager_does_not_show(world: World) -> None:
    world.refusal = UNAUTHORIZED

    assert world("partner.azurecr.io/app:v1")["fallback"] is True


def test_wrong_credentials_are_the_answer_whatever_this_machine_has(world: World) -> None:
    world.refusal, world.saved = UNAUTHORIZED, Password("me", "secret")

    with pytest.raises(azclierror.UnauthorizedError):
        world("docker.io/me/app:v1", source_registry_username="me", source_registry_password="wrong")
    with pytest.raises(azclierror.UnauthorizedError):
        world("srcreg.azurecr.io/app:v1")


def test_no_wait_has_no_result_of_the_service(world: World) -> None:
    assert world("docker.io/library/app:v1", return_at_once=True) is None
    assert world.no_waits == [True]
    assert "The import has started" in world.said[1]


def test_no_wait_does_not_apply_to_a_copy(world: World) -> None:
    result = world("docker.io/library/app:v1", via="local", return_at_once=True)

    assert result["route"] == "local"
    assert "--no-wait does not apply" in world.said[1]


def test_a_target_that_names_its_registry_again_is_warned_of(world: World) -> None:
    world("docker.io/library/app:v1", target_tags=["prodreg.azurecr.io/app:v1"])

    assert world.bodies[0]["targetTags"] == ["prodreg.azurecr.io/app:v1"]
    assert world.said[0].startswith("The repository will be named prodreg.azurecr.io/app, within")


def test_the_configured_route_is_taken_and_named(world: World) -> None:
    world.cli_ctx.config.values["acrimport", "via"] = "local"

    assert world("docker.io/library/app:v1")["reason"] == "acrimport.via (az config) is local"


def test_images_that_must_not_leave_are_not_taken_out(world: World) -> None:
    world.registries[1] = azure_registry(
        "srcreg", public_network_access="Disabled", bypass="None", export_policy="disabled"
    )

    with pytest.raises(azclierror.ForbiddenError, match="exportPolicy is disabled"):
        world("srcreg.azurecr.io/app:v1")
    assert (world.bodies, world.copies, world.said) == ([], [], [])
    assert world("srcreg.azurecr.io/app:v1", via="local")["route"] == "local"


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        ("hello-world", {}, "names no registry"),
        ("docker.io/Hello", {}, "lower case"),
        ("docker.io/hello@sha256:1", {}, "sha256"),
        ("docker.io/hello", {"target_tags": ["a@b"]}, "--image"),
        ("docker.io/hello", {"repository": ["a:b"]}, "--repository"),
        ("docker.io/hello", {"name": "a.b.c"}, "--name"),
    ],
)
def test_a_malformed_argument_stops_the_command_before_azure_is_asked(
    world: World, monkeypatch: pytest.MonkeyPatch, source: str, options: dict[str, Any], message: str
) -> None:
    def asked(cli_ctx: Any) -> Directory:
        raise AssertionError("Azure was asked")

    monkeypatch.setattr(command, "open_directory", asked)

    with pytest.raises(azclierror.InvalidArgumentValueError, match=message):
        world(source, **options)


class Leave:
    """The exit code that the command asks for."""

    def __init__(self) -> None:
        self.codes: list[int] = []

    def __call__(self, cli_ctx: Any, code: int) -> None:
        self.codes.append(code)


@pytest.fixture
def leave(monkeypatch: pytest.MonkeyPatch) -> Leave:
    found = Leave()
    monkeypatch.setattr(command, "exit_after_output", found)
    return found


def many(world: World, *lines: str, **options: Any) -> Any:
    return world(None, from_file="\n".join(lines) + "\n", **options)


APP, OTHER = "docker.io/library/app:v1", "docker.io/library/other:v1"


def test_a_list_has_a_result_for_each_of_its_entries(world: World, leave: Leave) -> None:
    results = many(world, f"- {APP}", f"- {{source: {OTHER}, via: local}}")

    assert [(each["status"], each["route"], each["line"]) for each in results] == [
        ("imported", "service", 1),
        ("imported", "local", 2),
    ]
    assert leave.codes == []
    assert world.said[-1] == "2 images: 2 imported."


def test_a_list_with_a_failure_ends_with_1_and_the_others_done(world: World, leave: Leave) -> None:
    results = many(world, f"- {APP}", "- {source: 'app:v1', registry: no.such.registry}")

    assert [each["status"] for each in results] == ["imported", "failed"]
    assert "Cannot find source registry" in results[1]["error"]["message"]
    assert leave.codes == [1]


def test_after_a_failure_before_the_run_nothing_is_begun_if_so_asked(world: World, leave: Leave) -> None:
    results = many(world, f"- {APP}", "- {source: 'app:v1', registry: no.such.registry}", fail_fast=True)

    assert [each["status"] for each in results] == ["skipped", "failed"]
    assert (world.bodies, world.copies, leave.codes) == ([], [], [1])


def test_a_list_is_not_waited_for_if_so_asked(world: World, leave: Leave) -> None:
    results = many(world, f"- {APP}", f"- {OTHER}", return_at_once=True)

    assert [each["status"] for each in results] == ["started", "started"]
    assert "2 started" in world.said[-1]
    assert leave.codes == []


def test_a_part_of_a_list_may_be_empty(world: World, leave: Leave) -> None:
    parts = [many(world, f"- {APP}", shard=f"{index}/2") for index in (1, 2)]

    assert sorted(map(len, parts)) == [0, 1]
    assert leave.codes == []


@pytest.mark.parametrize("options", [{"shard": "1/2"}, {"shard": "3/2"}])
def test_one_image_has_no_parts(world: World, options: dict[str, Any]) -> None:
    with pytest.raises(azclierror.InvalidArgumentValueError, match="--shard"):
        world(APP, **options)


def test_an_identity_that_gets_no_token_is_asked_once_and_fails_its_own_entries(
    world: World, leave: Leave, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def sign_in(cli_ctx: Any, wanted: Any, source: Endpoint, hide: Any) -> EntraIdentity:
        asked.append(source.host)
        raise IdentityFailure("No token.", ("Do so",))

    monkeypatch.setattr(connections, "sign_in", sign_in)
    entry = "{{source: 'srcreg.azurecr.io/app:v{}', source-identity: managed}}"
    results = many(world, *(f"- {entry.format(number)}" for number in range(5)), f"- {APP}")

    assert [each["status"] for each in results] == ["failed"] * 5 + ["imported"]
    assert results[0]["error"] == {"message": "No token.", "advice": ["Do so"]}
    assert asked == ["srcreg.azurecr.io"]


def test_a_dry_run_tells_and_does_nothing(world: World, leave: Leave, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        dryrun, "forecast", lambda prepared, *_: [SimpleNamespace(as_dict=lambda: "seen")] * len(prepared)
    )

    assert world(APP, dry_run=True, return_at_once=True) == "seen"
    assert many(world, f"- {APP}", "- {source: 'app:v1', registry: no.such.registry}", dry_run=True) == ["seen", "seen"]
    assert (world.bodies, world.copies, leave.codes, world.said) == ([], [], [], [])


def test_passwords_of_a_list_are_in_no_log_while_it_runs(
    world: World, leave: Leave, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def copy(roots: list[Order], *_: Any, **__: Any) -> list[CopyResult]:
        logging.getLogger("another").warning("sent %s", {"password": "s3cret-value"})
        return [COPIED] * len(roots)

    monkeypatch.setattr(run, "copy_from_here", copy)
    many(world, f"- {{source: {APP}, username: me, password: s3cret-value, via: local}}")

    assert "sent" in caplog.text
    assert "s3cret" not in caplog.text


@pytest.mark.parametrize(
    ("value", "expected"), [(".AzureCR.io", ".azurecr.io"), ("azurecr.cn", ".azurecr.cn"), (None, None)]
)
def test_the_suffix_is_the_clouds(value: str | None, expected: str | None) -> None:
    suffixes = SimpleNamespace(acr_login_server_endpoint=value)

    assert command.acr_suffix(SimpleNamespace(cloud=SimpleNamespace(suffixes=suffixes))) == expected


def test_a_cloud_may_have_no_suffix() -> None:
    from azure.cli.core.cloud import CloudSuffixNotSetException

    class Suffixes:
        @property
        def acr_login_server_endpoint(self) -> str:
            raise CloudSuffixNotSetException("not set")

    assert command.acr_suffix(SimpleNamespace(cloud=SimpleNamespace(suffixes=Suffixes()))) is None


def endpoint(world: World, host: str, *, azure: AzureRegistry | None = None, is_acr: bool = False) -> Endpoint:
    from azext_acrimport.plan import NetworkFacts

    return Endpoint(host, azure, NetworkFacts(host, is_acr=is_acr, in_arm=bool(azure)))


def test_the_source_is_shown_what_is_its_own(world: World) -> None:
    inside = endpoint(world, "srcreg.azurecr.io", azure=world.registries[1], is_acr=True)
    partner = endpoint(world, "partner.azurecr.io", is_acr=True)
    hub = endpoint(world, "docker.io")

    def shown(source: Endpoint, username: str | None = None, password: str | None = None) -> Any:
        return connections.source_credentials(
            source,
            "app",
            Login(username, password),
            identity=lambda subscription: signed_in_identity(world.cli_ctx, subscription),
            saved=lambda host, repository: world.saved,
        )

    assert shown(hub) is None  # never the identity's token
    assert isinstance(shown(inside), EntraIdentity)
    assert isinstance(shown(partner), EntraIdentity)
    assert shown(partner, "me", "secret") == Password("me", "secret")
    world.saved = Password("saved", "secret")
    assert shown(hub) == world.saved
    assert shown(partner) == world.saved
    assert isinstance(shown(inside), EntraIdentity)


def test_the_connections_are_made_as_everywhere_in_az(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/ca.pem")
    monkeypatch.setenv("https_proxy", "http://proxy.example:8080")
    monkeypatch.setenv("no_proxy", "registry.example")
    monkeypatch.setenv("AZURE_CLI_DISABLE_CONNECTION_VERIFICATION", "1")

    settings = connections.transport_settings()

    assert (settings.ca_bundle, settings.verify) == ("/ca.pem", False)
    assert (settings.proxies["https"], settings.proxies["no"]) == ("http://proxy.example:8080", "registry.example")
    assert settings.user_agent.startswith("acrimport AzureCLI/")


@pytest.mark.parametrize(
    ("quiet", "disabled", "expected"), [(False, False, True), (True, False, False), (False, True, False)]
)
def test_progress_is_shown_unless_it_is_turned_off(quiet: bool, disabled: bool, expected: bool) -> None:
    class Configured(Config):
        def getboolean(self, section: str, option: str, fallback: bool = False) -> bool:
            assert (section, option) == ("core", "disable_progress_bar")
            return disabled

    assert command.shows_progress(SimpleNamespace(config=Configured(), only_show_errors=quiet)) is expected
