# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Cloud Shell: az signs in with the tokens that its local endpoint hands out, and so does everything here.

The endpoint is at ``localhost:50342``, which is fixed in the libraries that az uses; here az is led to it by a proxy
for plain http, so that tests can run side by side.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from emulator import content
from emulator.azure import Emulator
from emulator.identity import Principal
from emulator.resources import AzureRegistry
from tests.cli.world import World
from tests.support.az import Az, Completed, bare_environment, find_az
from tests.support.images import assert_holds

pytestmark = pytest.mark.cli

IMAGE = content.multi_arch("cloud-shell")


class CloudShell:
    """A session of Cloud Shell, signed in by ``az login --identity``."""

    def __init__(self, azure: Emulator, extensions: Path, directory: Path) -> None:
        self._directory = directory
        self._environment = {
            **azure.environment(directory / "config"),
            **bare_environment(directory),
            **azure.cloud_shell.environment(),
            "AZURE_EXTENSION_DIR": str(extensions),
            "HTTP_PROXY": azure.server.inside_proxy,
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        }
        self.accounts = self("login", "--identity").json

    def __call__(self, *arguments: str, fails: bool = False) -> Completed:
        return Az(find_az(), self._environment, self._directory)(*arguments, fails=fails)


@pytest.fixture
def user(world: World) -> Principal:
    azure = world.azure
    scopes = [azure.subscriptions[name].scope for name in ("prod", "shared")]
    azure.cloud_shell.user = azure.principals.get("visitor") or azure.add_user(
        "visitor", dict.fromkeys(scopes, "owner")
    )
    return azure.cloud_shell.user


@pytest.fixture
def shell(world: World, user: Principal, extensions: Path, tmp_path: Path) -> CloudShell:
    return CloudShell(world.azure, extensions, tmp_path)


@pytest.fixture
def origin(world: World) -> AzureRegistry:
    registry = world.registry(subscription="shared")
    world.put(IMAGE, registry.store, "app", "v1")
    return registry


def test_the_session_is_that_of_its_user(shell: CloudShell, user: Principal) -> None:
    assert {account["user"]["name"] for account in shell.accounts} == {user.username}
    assert all(account["user"]["cloudShellID"] for account in shell.accounts)
    assert sorted(account["name"] for account in shell.accounts) == ["prod", "shared"]


@pytest.mark.parametrize("via", ["service", "local"])
def test_an_import(world: World, shell: CloudShell, origin: AzureRegistry, via: str) -> None:
    target = world.registry()

    source = ("--source", f"{origin.login_server}/app:v1")
    result = shell("acrx", "import", "--name", target.name, *source, "--via", via).json

    assert (result["route"], result["fallback"]) == (via, False)
    assert_holds(target.store, "app", IMAGE, tags=["v1"])


def test_the_route_is_chosen_and_the_copy_works_where_the_service_is_shut_out(
    world: World, shell: CloudShell, origin: AzureRegistry
) -> None:
    target = world.registry(public_network_access="Disabled", bypass="None")

    result = shell("acrx", "import", "--name", target.name, "--source", f"{origin.login_server}/app:v1").json

    assert result["route"] == "local"
    assert_holds(target.store, "app", IMAGE, tags=["v1"])


def test_the_identity_of_the_session_for_a_source(world: World, shell: CloudShell, origin: AzureRegistry) -> None:
    target = world.registry()

    source = ("--source", f"{origin.login_server}/app:v1", "--source-identity", "managed")
    shell("acrx", "import", "--name", target.name, *source, "--via", "local")

    assert_holds(target.store, "app", IMAGE, tags=["v1"])


def test_another_tenant_needs_a_sign_in_of_its_own(world: World, shell: CloudShell, origin: AzureRegistry) -> None:
    tenant = world.azure.partner.id
    source = ("--source", f"{origin.login_server}/app:v1", "--source-identity", f"cli:{tenant}")

    failed = shell("acrx", "import", "--name", world.registry().name, *source, fails=True)

    assert "For Cloud Shell account" in failed.stderr
    assert f"az login --tenant {tenant}" in failed.stderr


def test_a_session_that_has_ended(world: World, shell: CloudShell, origin: AzureRegistry) -> None:
    world.azure.cloud_shell.user = None

    failed = shell(
        "acrx", "import", "--name", world.registry().name, "--source", f"{origin.login_server}/app:v1", fails=True
    )

    assert "There is no session" in failed.stderr
