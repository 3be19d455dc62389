# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Tags that the target has already, on both routes."""

from __future__ import annotations

import pytest

from emulator import content
from tests.cli.conftest import SignedInAz
from tests.cli.world import World
from tests.support.images import assert_holds

pytestmark = pytest.mark.cli

OLD, NEW = content.image("existing-old"), content.multi_arch("existing-new")


@pytest.mark.parametrize("via", ["service", "local"])
def test_another_image_under_the_tag_fails_before_any_byte_moves(world: World, az: SignedInAz, via: str) -> None:
    origin, target = world.registry(), world.registry()
    world.put(NEW, origin.store, "app", "v1")
    world.put(OLD, target.store, "app", "v1")
    arguments = ("--name", target.name, "--source", f"{origin.login_server}/app:v1", "--via", via)

    # The second name is free, and stays so.
    done = az("acrx", "import", *arguments, "-t", "app:v1", "-t", "other:v1", fails=True)

    assert f"target {target.login_server}" in done.stderr
    assert "app:v1" in done.stderr
    assert "--force" in done.stderr
    assert world.azure.server.log.matching(host=target.login_server, path="^/v2/.*/blobs/") == []
    assert_holds(target.store, "app", OLD, tags=["v1"])
    assert target.store.names() == ["app"]


@pytest.mark.parametrize("way", ["az acr import", "service", "local"])
def test_force_overwrites(world: World, az: SignedInAz, way: str) -> None:
    origin, target = world.registry(), world.registry()
    world.put(NEW, origin.store, "app", "v1")
    target.store.repository("app").tag("v1", OLD.put(target.store.repository("old"), "v1"))
    arguments = ("--name", target.name, "--source", f"{origin.login_server}/app:v1", "--force")

    if way == "az acr import":
        az("acr", "import", *arguments)
    else:
        az("acrx", "import", *arguments, "--via", way)

    assert_holds(target.store, "app", NEW, tags=["v1"])


def test_the_same_image_is_there_already(world: World, az: SignedInAz) -> None:
    origin, target = world.registry(), world.registry()
    world.put(NEW, origin.store, "app", "v1")
    world.put(NEW, target.store, "app", "v1")

    arguments = ("--name", target.name, "--source", f"{origin.login_server}/app:v1", "--via", "local")
    result = az("acrx", "import", *arguments).json

    assert (result["digest"], result["bytesCopied"]) == (NEW.digest, 0)
    assert result["manifests"]["copied"] == 0
    assert world.azure.server.log.matching(host=target.login_server, method="PUT") == []
    assert_holds(target.store, "app", NEW, tags=["v1"])


def test_a_new_tag_for_an_image_that_is_there(world: World, az: SignedInAz) -> None:
    target = world.registry()
    world.put(NEW, target.store, "app", "v1")

    arguments = ("--name", target.name, "--source", f"{target.login_server}/app:v1", "--image", "app:stable")
    result = az("acrx", "import", *arguments, "--via", "local").json

    assert result["bytesCopied"] == 0
    assert_holds(target.store, "app", NEW, tags=["v1", "stable"])


def test_into_another_repository_of_the_same_registry_without_moving_a_byte(world: World, az: SignedInAz) -> None:
    target = world.registry()
    world.put(NEW, target.store, "app", "v1")

    arguments = ("--name", target.name, "--source", f"{target.login_server}/app:v1", "--image", "released/app:v1")
    result = az("acrx", "import", *arguments, "--via", "local").json

    assert (result["bytesCopied"], result["blobs"]["mounted"]) == (0, len(NEW.all_blobs))
    assert_holds(target.store, "released/app", NEW, tags=["v1"])
