# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""Options that need a registry to show what they do: which of many tags are chosen, and how many connections go out."""

from __future__ import annotations

import pytest

from emulator import content
from tests.cli.conftest import SignedInAz
from tests.cli.world import World
from tests.support.images import assert_holds

pytestmark = pytest.mark.cli


@pytest.mark.parametrize("via", ["service", "local"])
def test_the_newest_versions_of_what_is_not_excluded(world: World, az: SignedInAz, via: str) -> None:
    origin, target = world.registry(), world.registry()
    for tag in ("1.9.0", "1.10.0", "1.11.0-dev", "2.0.0", "latest"):
        content.image(f"options-{tag}").put(origin.store.repository("app"), tag)
    arguments = ("--name", target.name, "--source", f"{origin.login_server}/app", "--via", via)

    done = az("acrx", "import", *arguments, "--all-tags", "--exclude-tags", "2.*", "*-dev", "--latest", "1")

    assert [each["images"] for each in done.json] == [["app:1.10.0"]]
    held = target.store.get("app")
    assert held is not None
    assert set(held.tags) == {"1.10.0"}


def test_no_more_connections_than_are_allowed(world: World, az: SignedInAz) -> None:
    image = content.image("options-layers", layers=tuple(range(20_000, 20_030)))
    origin, target = world.registry(), world.registry()
    world.put(image, origin.store, "app", "v1")
    arguments = ("--name", target.name, "--source", f"{origin.login_server}/app:v1", "--via", "local")

    az("acrx", "import", *arguments, "--max-connections", "2")

    assert_holds(target.store, "app", image, tags=["v1"])
    log = world.azure.server.log
    assert log.connections(origin.login_server) <= 2
    assert log.connections(target.login_server) <= 2
