# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""The real az against the emulator: the commands that the demo and the tests of the extension lean on."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from emulator import content
from emulator.azure import Emulator, Network
from tests.emulator.azure_client import new_registry
from tests.support.az import Az, Completed, bare_environment, find_az

pytestmark = pytest.mark.cli

IMAGE = content.multi_arch("app")
Runner = Callable[..., Completed]


@pytest.fixture(scope="module")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with Emulator.start(tmp_path_factory.mktemp("azure")) as running:
        yield running


@pytest.fixture(scope="module")
def az(azure: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Runner:
    """Run az as a principal that signs in when it is first needed, from a network."""
    home = tmp_path_factory.mktemp("home")
    signed_in: set[str] = set()

    def run(*arguments: str, principal: str = "owner", network: Network = "inside", fails: bool = False) -> Completed:
        environment = bare_environment(home) | azure.environment(home / principal, network=network)
        command = Az(find_az(), environment, home)
        if principal not in signed_in:
            command(*azure.login_arguments(principal), "--output", "none")
            signed_in.add(principal)
        return command(*arguments, fails=fails)

    return run


def test_az_signs_in_and_lists_registries(az: Runner, azure: Emulator) -> None:
    registry = new_registry(azure)

    assert [item["name"] for item in az("account", "list").json] == ["prod", "shared"]
    assert registry.name in [item["name"] for item in az("acr", "list").json]
    shown = az("acr", "show", "--name", registry.name).json
    assert (shown["loginServer"], shown["networkRuleBypassOptions"]) == (registry.login_server, "AzureServices")


def test_az_refuses_a_wrong_secret(azure: Emulator, tmp_path: Path) -> None:
    command = Az(find_az(), bare_environment(tmp_path) | azure.environment(tmp_path / "config"), tmp_path)
    arguments = azure.login_arguments()
    arguments[arguments.index("-p") + 1] = "wrong"

    assert "AADSTS7000215" in command(*arguments, fails=True).stderr


def test_az_imports_and_shows_the_result(az: Runner, azure: Emulator) -> None:
    source, target = new_registry(azure, subscription="shared"), new_registry(azure)
    IMAGE.put(source.store.repository("team/app"), "v1")

    az("acr", "import", "--name", target.name, "--registry", source.id, "--source", "team/app:v1")

    name = ("--name", target.name)
    assert az("acr", "repository", "list", *name).json == ["team/app"]
    (tag,) = az("acr", "repository", "show-tags", *name, "--repository", "team/app", "--detail").json
    assert (tag["name"], tag["digest"]) == ("v1", IMAGE.digest)
    listed = az("acr", "manifest", "list-metadata", "--registry", target.name, "--name", "team/app").json
    assert {manifest["digest"] for manifest in listed} == set(IMAGE.manifests)
    assert az("acr", "manifest", "show", "--registry", target.name, "--name", "team/app:v1").json == IMAGE.json


def test_az_follows_the_progress_of_an_import(az: Runner, azure: Emulator) -> None:
    target = new_registry(azure)
    azure.imports.hang_next(1)

    az("acr", "import", "--name", target.name, "--source", "docker.io/library/alpine:3.20", "--image", "alpine:3.20")

    assert azure.operations[-1].polls == 2
    assert list(target.store.repository("alpine").tags) == ["3.20"]


def test_az_tells_why_an_import_failed(az: Runner, azure: Emulator) -> None:
    source, target = new_registry(azure), new_registry(azure, public_network_access="Disabled", bypass="None")
    IMAGE.put(source.store.repository("team/app"), "v1")

    failed = az("acr", "import", "-n", target.name, "--source", f"{source.login_server}/team/app:v1", fails=True)

    assert f"(InvalidParameters) Operation {azure.operations[-1].name} failed." in failed.stderr
    assert f"Access to {target.login_server} denied." in failed.stderr


def test_az_gets_a_refresh_token(az: Runner, azure: Emulator) -> None:
    registry = new_registry(azure)

    login = az("acr", "login", "--name", registry.name, "--expose-token", principal="push-only").json

    assert login["loginServer"] == registry.login_server
    assert login["username"] == "00000000-0000-0000-0000-000000000000"


def test_az_is_kept_out_of_a_closed_registry(az: Runner, azure: Emulator) -> None:
    registry = new_registry(azure, public_network_access="Disabled")
    IMAGE.put(registry.store.repository("team/app"), "v1")

    arguments = ("acr", "repository", "list", "--name", registry.name)

    assert az(*arguments).json == ["team/app"]
    assert "Looks like you don't have access" in az(*arguments, network="outside", fails=True).stderr


def test_az_finds_no_registry_that_it_may_not_read(az: Runner, azure: Emulator) -> None:
    target = new_registry(azure)

    arguments = ("acr", "import", "--name", target.name, "--source", "docker.io/library/alpine:3.20")

    text = (
        f"The resource with name '{target.name}' and type 'Microsoft.ContainerRegistry/registries' could not be found"
    )
    assert text in az(*arguments, principal="push-only", fails=True).stderr
    assert "importImage/action" in az(*arguments, principal="pusher", fails=True).stderr


def test_the_emulator_is_started_by_hand(tmp_path: Path) -> None:
    """Start it as a person does, take over what it wrote, and stop it with Ctrl-C."""
    env_file = tmp_path / "env"
    command = [sys.executable, "-m", "emulator", "--directory", str(tmp_path / "azure"), "--env-file", str(env_file)]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        printed = []
        while not printed or not printed[-1].startswith("Ctrl-C"):
            printed.append(process.stdout.readline())
            assert printed[-1], "It ended early"
        (login,) = [line.split()[1:] for line in printed if line.startswith("  az login")]
        exports = dict(line.removeprefix("export ").split("=", 1) for line in env_file.read_text().splitlines())
        az = Az(find_az(), bare_environment(tmp_path) | exports, tmp_path)
        az(*[word.strip("'") for word in login])
        names = [registry["name"] for registry in az("acr", "list").json]
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0
    assert {"myregistry", "closedregistry", "trustedregistry"} <= set(names)
