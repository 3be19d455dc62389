# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""No secret comes out: everything that a command prints and writes is searched for all that it was shown.

Whatever can be printed is printed: every command here runs with ``--debug``, and with az's log file turned on.
"""

from __future__ import annotations

import base64
import json
import threading
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from emulator import content
from emulator.acr_auth import NULL_USER, Caller
from emulator.auth import Scope, TokenService
from emulator.faults import Action, Answer, Fault, Hold, Reset, redirect, registry_error
from emulator.jwts import Signer
from emulator.resources import AzureRegistry
from emulator.store import Store
from tests.cli.conftest import SignedInAz
from tests.cli.running import started
from tests.cli.world import World
from tests.support.az import Completed
from tests.support.images import assert_holds

pytestmark = pytest.mark.cli

IMAGE = content.image("secrets", layers=(40_000, 30_000))
PRIVATE = ("--source", "registry.contoso.example/app:v1", "--image", "app:v1")
PROXY_PASSWORD = "pr0xy-P@ss"
# Where az itself keeps tokens and secrets, on purpose.
AZ_OWN = {"msal_token_cache.json", "msal_http_cache.bin", "service_principal_entries.json"}


class Secrets:
    """All that is secret in one test, as it is issued, and where it must not appear."""

    def __init__(self, world: World, az: SignedInAz, directory: Path) -> None:
        self.world = world
        self.az = az
        self.known: set[str] = {principal.secret for principal in world.azure.principals.values()}
        self.known |= set(world.azure.private.users.values()) | {PROXY_PASSWORD}
        self.logs = directory / "logs"

    def environment(self, env: Mapping[str, str]) -> dict[str, str]:
        proxy = self.world.azure.server.inside_proxy.replace("://", f"://someone:{urllib.parse.quote(PROXY_PASSWORD)}@")
        return {
            "HTTPS_PROXY": proxy,
            "https_proxy": proxy,
            "AZURE_LOGGING_ENABLE_LOG_FILE": "true",
            "AZURE_LOGGING_LOG_DIR": str(self.logs),
            **env,
        }

    def run(self, *arguments: str, fails: bool = False, env: Mapping[str, str] | None = None) -> Completed:
        """Run the command; nothing that came out of it holds a secret."""
        with started(self.az, "acrx", "import", *arguments, "--debug", env=self.environment(env or {})) as command:
            done = command.wait()
        assert bool(done.exit_code) == fails, str(done)
        self.assert_none_in(done)
        assert "azext_acrimport" in done.stderr
        return done

    def assert_none_in(self, done: Completed) -> None:
        self.search("stdout", done.stdout)
        self.search("stderr", done.stderr)
        files = [*self.logs.rglob("*"), *self.az.config("owner").rglob("*")]
        for file in files:
            if file.is_file() and file.name not in AZ_OWN:
                self.search(file.name, file.read_bytes().decode("utf-8", "replace"))
        assert any(self.logs.iterdir())

    def search(self, where: str, text: str) -> None:
        for line in text.splitlines():
            if "cli.knack.cli" in line and "Command arguments: [" in line:
                continue  # az prints its arguments before it loads any extension: README names the ways around
            for form in self.forms:
                assert form not in line, f"{where}: {line}"

    @property
    def forms(self) -> set[str]:
        """The secrets as they may be written."""
        found = set()
        for secret in self.known:
            found |= {secret, urllib.parse.quote(secret, safe=""), urllib.parse.quote_plus(secret), repr(secret)[1:-1]}
            for user in ("builder", "someone"):
                found.add(base64.b64encode(f"{user}:{secret}".encode()).decode())
        return found


@pytest.fixture
def secrets(world: World, az: SignedInAz, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Secrets:
    az.config("owner")
    found = Secrets(world, az, tmp_path)
    issue, sign, refresh = Signer.issue, Store.sign, TokenService.issue

    def issued(self: Signer, *arguments: Any, **options: Any) -> str:
        token = issue(self, *arguments, **options)
        found.known.add(token)
        return token

    def signed(self: Store, path: str) -> str:
        signature = sign(self, path)
        found.known.add(signature)
        return signature

    def handed_out(self: TokenService, *arguments: Any, **options: Any) -> str:
        token = refresh(self, *arguments, **options)
        found.known.add(token)
        return token

    monkeypatch.setattr(Signer, "issue", issued)
    monkeypatch.setattr(Store, "sign", signed)
    monkeypatch.setattr(TokenService, "issue", handed_out)
    return found


@pytest.fixture
def target(world: World) -> AzureRegistry:
    world.put(IMAGE, world.azure.private.store, "app", "v1")
    return world.registry()


@pytest.fixture
def origin(world: World) -> AzureRegistry:
    registry = world.registry()
    world.put(IMAGE, registry.store, "app", "v1")
    return registry


def password_of(world: World) -> tuple[str, str]:
    ((user, password),) = world.azure.private.users.items()
    return user, password


def as_variables(user: str, password: str) -> dict[str, str]:
    return {"ACRX_SOURCE_USERNAME": user, "ACRX_SOURCE_PASSWORD": password}


class TestSuccess:
    def test_tokens_and_signed_urls(self, secrets: Secrets, origin: AzureRegistry, target: AzureRegistry) -> None:
        before = len(secrets.known)
        secrets.run("--name", target.name, "--source", f"{origin.login_server}/app:v1", "--via", "local")

        assert_holds(target.store, "app", IMAGE, tags=["v1"])
        # Two Entra tokens at the least, each registry's refresh and access token, a signature for each blob.
        assert len(secrets.known) - before >= 6 + len(IMAGE.all_blobs)
        assert secrets.world.azure.server.log.count("GET", host=origin.storage_host) == len(IMAGE.all_blobs)

    @pytest.mark.parametrize("via", ["service", "local"])
    def test_password_in_a_file(self, secrets: Secrets, target: AzureRegistry, tmp_path: Path, via: str) -> None:
        user, password = password_of(secrets.world)
        file = tmp_path / "password.txt"
        file.write_text(f"{password}\n", encoding="utf-8")

        done = secrets.run("--name", target.name, *PRIVATE, "--via", via, "-u", user, "-p", f"@{file}")

        assert password not in done.stderr  # not even among the arguments that az prints
        assert_holds(target.store, "app", IMAGE, tags=["v1"])

    @pytest.mark.parametrize("via", ["service", "local"])
    def test_password_in_the_environment(self, secrets: Secrets, target: AzureRegistry, via: str) -> None:
        user, password = password_of(secrets.world)

        done = secrets.run("--name", target.name, *PRIVATE, "--via", via, env=as_variables(user, password))

        assert password not in done.stderr
        assert_holds(target.store, "app", IMAGE, tags=["v1"])

    @pytest.mark.parametrize("via", ["service", "local"])
    def test_password_as_an_argument_is_printed_by_az_alone(
        self, secrets: Secrets, target: AzureRegistry, via: str
    ) -> None:
        user, password = password_of(secrets.world)

        done = secrets.run("--name", target.name, *PRIVATE, "--via", via, "-u", user, "-p", password)

        (line,) = [line for line in done.stderr.splitlines() if password in line]
        assert line.startswith("DEBUG: cli.knack.cli: Command arguments: [")
        assert_holds(target.store, "app", IMAGE, tags=["v1"])

    def test_password_of_docker_login(self, secrets: Secrets, target: AzureRegistry, tmp_path: Path) -> None:
        auth = base64.b64encode(":".join(password_of(secrets.world)).encode()).decode()
        config = json.dumps({"auths": {"registry.contoso.example": {"auth": auth}}})
        (tmp_path / "config.json").write_text(config, encoding="utf-8")

        secrets.run("--name", target.name, *PRIVATE, "--via", "local", env={"DOCKER_CONFIG": str(tmp_path)})

        assert_holds(target.store, "app", IMAGE, tags=["v1"])

    @pytest.mark.parametrize("kind", ["refresh", "access"])
    def test_tokens_of_a_registry(
        self, secrets: Secrets, origin: AzureRegistry, target: AzureRegistry, kind: str
    ) -> None:
        tokens = secrets.world.azure.tokens[origin.name]
        caller = Caller("principal", secrets.world.azure.principals["owner"].client_id)
        if kind == "refresh":
            env = as_variables(NULL_USER, tokens.refresh_token(caller))
        else:
            env = {"ACRX_SOURCE_PASSWORD": tokens.access_token(caller, [Scope.repository("app", "pull")])}

        source = ("--source", f"{origin.login_server}/app:v1", "--via", "local")
        secrets.run("--name", target.name, *source, env=env)

        assert_holds(target.store, "app", IMAGE, tags=["v1"])


class TestFailure:
    @pytest.mark.parametrize("via", ["service", "local"])
    def test_wrong_password(self, secrets: Secrets, target: AzureRegistry, via: str) -> None:
        secrets.known.add("wr0ng'pass\"word")

        env = as_variables("builder", "wr0ng'pass\"word")
        secrets.run("--name", target.name, *PRIVATE, "--via", via, fails=True, env=env)

    @pytest.mark.parametrize("path", ["/oauth2/exchange", "/oauth2/token", "/manifests/", "/blobs/uploads/"])
    @pytest.mark.parametrize(
        "action", [Answer(500), Reset(), registry_error(403, "DENIED", "no")], ids=["500", "reset", "403"]
    )
    def test_target_that_fails(
        self, secrets: Secrets, origin: AzureRegistry, target: AzureRegistry, path: str, action: Action
    ) -> None:
        secrets.world.azure.server.faults.add(Fault(action, host=target.login_server, path=path, times=None))

        source = ("--source", f"{origin.login_server}/app:v1", "--via", "local", "--retries", "0")
        done = secrets.run("--name", target.name, *source, fails=True)

        assert target.login_server in done.stderr

    @pytest.mark.parametrize(
        "action", [Answer(403, body=b"AuthenticationFailed"), Reset(), redirect("http://127.0.0.1:1/x?sig=s1gnature")]
    )
    def test_storage_that_fails(
        self, secrets: Secrets, origin: AzureRegistry, target: AzureRegistry, action: Action
    ) -> None:
        secrets.known.add("s1gnature")
        secrets.world.azure.server.faults.add(Fault(action, host=origin.storage_host, times=None))

        source = ("--source", f"{origin.login_server}/app:v1", "--via", "local", "--retries", "0")
        secrets.run("--name", target.name, *source, fails=True)

    def test_storage_that_cannot_be_reached(
        self, secrets: Secrets, origin: AzureRegistry, target: AzureRegistry
    ) -> None:
        secrets.known.add("s1gnature")
        elsewhere = redirect("https://storage.nowhere.example/blob?sv=1&sig=s1gnature")
        secrets.world.azure.server.faults.add(
            Fault(elsewhere, host=origin.login_server, method="GET", path="/blobs/", times=None)
        )

        source = ("--source", f"{origin.login_server}/app:v1", "--via", "local", "--retries", "0")
        done = secrets.run("--name", target.name, *source, fails=True)

        assert "storage.nowhere.example" in done.stderr

    def test_proxy_that_refuses(self, secrets: Secrets, target: AzureRegistry) -> None:
        refusal = Fault(Answer(407), method="CONNECT", host="registry.contoso.example", times=None)
        secrets.world.azure.server.faults.add(refusal)

        env = as_variables(*password_of(secrets.world))
        done = secrets.run("--name", target.name, *PRIVATE, "--via", "local", fails=True, env=env)

        assert "407" in done.stderr


def test_no_list_of_processes_shows_it(secrets: Secrets, target: AzureRegistry, az: SignedInAz, tmp_path: Path) -> None:
    world = secrets.world
    user, password = password_of(world)
    file = tmp_path / "password.txt"
    file.write_text(password, encoding="utf-8")
    world.azure.server.faults.add(
        Fault(Hold(threading.Event()), host="registry.contoso.example", path="/blobs/", times=None)
    )

    arguments = ("acrx", "import", "--name", target.name, *PRIVATE, "--via", "local", "-u", user, "-p", f"@{file}")
    with started(az, *arguments) as command:
        world.azure.server.log.wait_for(host="registry.contoso.example", path="/blobs/", timeout_seconds=60)
        process = Path("/proc") / str(command.process.pid)
        shown = [process / "cmdline", *process.glob("task/*/comm"), *process.glob("task/*/cmdline")]
        texts = [path.read_bytes().decode() for path in shown]

    assert "registry.contoso.example/app:v1" in texts[0]
    assert len(texts) > 3
    assert not [text for text in texts for form in secrets.forms if form in text]
