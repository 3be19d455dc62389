# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""What the command prints, where, and how it is told to be quiet."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from emulator import content
from emulator.resources import AzureRegistry
from tests.cli.conftest import SignedInAz
from tests.cli.importer import RESULT_KEYS
from tests.cli.world import World
from tests.support.images import assert_empty, assert_holds

pytestmark = pytest.mark.cli

IMAGE = content.multi_arch("output")
SOURCE = ("--source", "mcr.microsoft.com/output:v1")


@pytest.fixture
def target(world: World) -> AzureRegistry:
    world.put(IMAGE, world.azure.mcr.store, "output", "v1")
    return world.registry()


@pytest.mark.parametrize("via", ["service", "local"])
def test_the_result(world: World, az: SignedInAz, target: AzureRegistry, via: str) -> None:
    names = ("--image", "app:v1", "--image", "app", "--repository", "untagged")
    result = az("acrx", "import", "--name", target.login_server, *SOURCE, *names, "--via", via).json

    assert set(result) == RESULT_KEYS
    assert (result["registry"], result["loginServer"]) == (target.name, target.login_server)
    assert result["source"] == "mcr.microsoft.com/output:v1"
    assert (sorted(result["images"]), result["repositories"]) == (["app:v1"], ["untagged"])
    assert (result["route"], result["fallback"]) == (via, False)
    assert set(result["manifests"]) == {"copied", "existing"}
    assert set(result["blobs"]) == {"copied", "mounted", "existing"}
    if via == "local":
        assert (result["digest"], result["mediaType"]) == (IMAGE.digest, IMAGE.media_type)
        assert result["bytesCopied"] >= sum(map(len, IMAGE.all_blobs.values()))


@pytest.mark.parametrize("via", ["service", "local"])
def test_as_a_table(az: SignedInAz, target: AzureRegistry, via: str) -> None:
    table = az("acrx", "import", "--name", target.name, *SOURCE, "--via", via, "--output", "table").stdout

    header, _, row = table.strip().splitlines()
    assert header.split()[:2] == ["Registry", "Image"]
    assert row.split()[:2] == [target.name, "output:v1"]
    assert via in row


def test_queried(az: SignedInAz, target: AzureRegistry) -> None:
    query = "[route, images[0], to_string(manifests.copied)]"
    done = az("acrx", "import", "-n", target.name, *SOURCE, "--via", "local", "--query", query, "--output", "tsv")

    assert done.stdout.split() == ["local", "output:v1", "4"]


@pytest.mark.parametrize("via", ["service", "local"])
def test_nothing_but_the_result_with_only_show_errors(az: SignedInAz, target: AzureRegistry, via: str) -> None:
    done = az("acrx", "import", "--name", target.name, *SOURCE, "--via", via, "--only-show-errors")

    assert done.json["route"] == via
    assert done.stderr == ""


def test_the_route_is_said_before_anything_moves(world: World, az: SignedInAz) -> None:
    # The source has no such image: nothing can have moved, and the route was said all the same.
    target = world.registry(public_network_access="Disabled", bypass="None")

    done = az("acrx", "import", "--name", target.name, "--source", "mcr.microsoft.com/missing:v1", fails=True)

    expected = f"target {target.name}: publicNetworkAccess is Disabled and networkRuleBypassOptions is None"
    assert expected in done.stderr.partition("ERROR")[0]


def test_no_wait_by_the_service_is_as_the_built_in(world: World, az: SignedInAz, target: AzureRegistry) -> None:
    built_in = az("acr", "import", "--name", target.name, *SOURCE, "--image", "built-in:v1", "--no-wait")
    ours = az("acrx", "import", "--name", target.name, *SOURCE, "--image", "ours:v1", "--no-wait")

    assert built_in.stdout == ours.stdout == ""
    assert len(world.azure.operations) == 2
    assert [operation.polls for operation in world.azure.operations][1] <= 1
    assert_holds(target.store, "ours", IMAGE, tags=["v1"])


def test_no_wait_by_the_local_route_is_warned_of_and_done(az: SignedInAz, target: AzureRegistry) -> None:
    done = az("acrx", "import", "--name", target.name, *SOURCE, "--via", "local", "--no-wait")

    assert "--no-wait" in done.stderr
    assert done.json["route"] == "local"
    assert_holds(target.store, "output", IMAGE, tags=["v1"])


def test_the_route_can_be_configured(az: SignedInAz, target: AzureRegistry, tmp_path: Path) -> None:
    config = tmp_path / "config"
    shutil.copytree(az.config("owner"), config)
    own = {"AZURE_CONFIG_DIR": str(config)}

    az("config", "set", "acrimport.via=local", "--only-show-errors", env=own)
    assert az("acrx", "import", "--name", target.name, *SOURCE, env=own).json["route"] == "local"
    forced = az("acrx", "import", "--name", target.name, *SOURCE, "--force", "--via", "service", env=own)
    assert forced.json["route"] == "service"

    az("config", "set", "acrimport.via=sideways", "--only-show-errors", env=own)
    refused = az("acrx", "import", "--name", target.name, *SOURCE, env=own, fails=True)
    assert "acrimport.via" in refused.stderr
    assert "sideways" in refused.stderr


def test_help_has_an_example_for_each_kind_of_source(az: SignedInAz) -> None:
    text = az("acrx", "import", "--help").stdout
    for option in ("--name", "--source", "--registry", "--username", "--image", "--repository", "--via", "--force"):
        assert option in text
    assert "Examples" in text


def test_a_registry_that_is_unknown_changes_nothing(world: World, az: SignedInAz) -> None:
    target = world.registry()

    az("acrx", "import", "--name", "nosuchregistry", *SOURCE, fails=True)

    assert_empty(target.store)
