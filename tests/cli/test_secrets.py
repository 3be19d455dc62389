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
from collections.abc import Iterator
from pathlib import Path

import pytest

from emulator import content
from emulator.acr_auth import NULL_USER, Caller
from emulator.auth import Scope
from emulator.faults import Action, Answer, Fault, Hold, Reset, redirect, registry_error
from emulator.resources import AzureRegistry
from tests.cli.conftest import SignedInAz
from tests.cli.running import started
from tests.cli.secrets_search import Secrets, collected
from tests.cli.world import World
from tests.support.images import assert_holds

pytestmark = pytest.mark.cli

IMAGE = content.image("secrets", layers=(40_000, 30_000))
PRIVATE = ("--source", "registry.contoso.example/app:v1", "--image", "app:v1")


@pytest.fixture
def secrets(world: World, az: SignedInAz, tmp_path: Path) -> Iterator[Secrets]:
    az.config("owner")
    with collected(world, az, tmp_path) as found:
        yield found


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
