# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""What the shell offers for a command that is being typed, asked for as bash asks: by argcomplete's variables."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from emulator import content
from tests.cli.conftest import SignedInAz
from tests.cli.world import World

pytestmark = pytest.mark.cli

Complete = Callable[..., list[str]]
IMAGE = content.image("completion")


@pytest.fixture
def complete(az: SignedInAz, tmp_path: Path) -> Complete:
    def ask(line: str, network: str = "inside") -> list[str]:
        """The words that may stand at the end of the line."""
        offered = tmp_path / "offered"
        variables = {
            "_ARGCOMPLETE": "1",
            "_ARGCOMPLETE_IFS": "\n",
            "_ARGCOMPLETE_STDOUT_FILENAME": str(offered),
            "_ARGCOMPLETE_SUPPRESS_SPACE": "1",
            "COMP_LINE": line,
            "COMP_POINT": str(len(line)),
        }
        done = az(network=network, env=variables)
        assert done.stdout == ""
        return offered.read_text(encoding="utf-8").split() if offered.exists() else []

    return ask


def test_the_command_and_its_options(complete: Complete) -> None:
    assert complete("az acrx imp") == ["import"]
    assert complete("az acrx import --sour") == ["--source", "--source-identity"]
    assert sorted(complete("az acrx import --via ")) == ["auto", "local", "service"]


def test_names_of_registries(world: World, complete: Complete) -> None:
    names = {world.registry().name, world.registry().name}

    assert names <= set(complete("az acrx import --name regis"))
    assert names <= set(complete("az acrx import --name target --source app:v1 --registry regis"))


def test_repositories_and_tags_of_a_login_server(world: World, complete: Complete) -> None:
    source = world.registry()

    for repository in ("app", "apple", "team/app"):
        world.put(IMAGE, source.store, repository, "v1", "v2")
    host = source.login_server

    assert complete(f"az acrx import -n target --source {host}/ap") == [f"{host}/app", f"{host}/apple"]
    assert complete(f"az acrx import -n target --source {host}/t") == [f"{host}/team/app"]
    assert complete(f"az acrx import -n target --source {host}/team/app") == [
        f"{host}/team/app:v1",
        f"{host}/team/app:v2",
    ]
    assert complete(f"az acrx import -n target --source {host}/app:v") == [f"{host}/app:v1", f"{host}/app:v2"]


def test_repositories_of_a_registry_that_is_named(world: World, complete: Complete) -> None:
    source = world.registry()
    world.put(IMAGE, source.store, "app", "v1")

    for registry in (source.name, source.login_server, source.id):
        assert complete(f"az acrx import -n target --registry {registry} --source a") == ["app"], registry
    assert complete(f"az acrx import -n target --registry {source.name} --source app") == ["app:v1"]


@pytest.mark.parametrize(
    "source",
    [
        "docker.io/library/",
        "127.0.0.1:5000/app",
        "nosuchregistry.azurecr.io/app",
        "{host}/UPPER:",
        "{host}/missing:v",
        "app -u user -p password -r {host} --source a",
    ],
)
def test_where_nothing_can_be_offered_nothing_is_said(world: World, complete: Complete, source: str) -> None:
    registry = world.registry()
    world.put(IMAGE, registry.store, "app", "v1")

    assert complete(f"az acrx import -n target --source {source.format(host=registry.login_server)}") == []


def test_no_token_of_entra_goes_to_a_host_outside_azure(world: World, complete: Complete) -> None:
    complete("az acrx import -n target --source private.contoso.com/ap")
    complete("az acrx import -n target --registry private.contoso.com --source ap")

    assert not world.azure.server.log.matching(host="private.contoso.com")


def test_a_registry_that_is_closed_offers_nothing(world: World, complete: Complete) -> None:
    closed = world.registry(public_network_access="Disabled")
    world.put(IMAGE, closed.store, "app", "v1")

    assert complete(f"az acrx import -n target --source {closed.login_server}/a", network="outside") == []
