# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""One list done by several machines: each does its part, and all parts together are the list."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from azext_acrimport.lists.shard import Shard
from emulator import content
from emulator.resources import AzureRegistry
from emulator.store import Store
from tests.cli.conftest import SignedInAz
from tests.cli.running import started
from tests.cli.world import World

pytestmark = pytest.mark.cli

COUNT = 4
IMAGE = content.image("shards")
RELEASES = {f"1.{number}.0": content.image(f"release {number}") for number in range(3)}
PLAIN = [f"team/app{number}" for number in range(12)]
RULED = [f"ruled/app{number}" for number in range(3)]
REPOSITORIES = [f"mirror/{name}" for name in (*PLAIN, *RULED)]


@pytest.fixture
def origin(world: World) -> AzureRegistry:
    registry = world.registry()
    for name in PLAIN:
        world.put(IMAGE, registry.store, name, "v1")
    for name in RULED:
        for tag, image in RELEASES.items():
            image.put(registry.store.repository(name), tag)
    return registry


@pytest.fixture
def listed(origin: AzureRegistry, tmp_path: Path) -> Path:
    path = tmp_path / "images.yaml"
    lines = [f"- {origin.login_server}/{name}:v1\n" for name in PLAIN]
    lines += [f"- {{source: {origin.login_server}/{name}, semver: '>=1.1'}}\n" for name in RULED]
    image = 'defaults: {image: "mirror/{repository}"}\n'
    path.write_text(f"{image}images:\n{''.join(lines)}")
    return path


def held(store: Store) -> Mapping[str, Mapping[str, str]]:
    return {name: dict(store.repository(name).tags) for name in store.names()}


def holder(repository: str) -> int:
    """Which shard does a repository, from 1."""
    return next(index for index in range(1, COUNT + 1) if Shard(index, COUNT).holds(repository))


@pytest.mark.parametrize("via", ["local", "service"])
def test_four_shards_at_once_are_the_whole_list(
    world: World, az: SignedInAz, origin: AzureRegistry, listed: Path, via: str
) -> None:
    whole, parts = world.registry(), world.registry()
    arguments = ("acrx", "import", "--from-file", str(listed), "--via", via, "--name")
    az(*arguments, whole.name)
    assert set(held(whole.store)) == set(REPOSITORIES)
    world.azure.server.log.clear()

    with ExitStack() as stack:
        running = [
            stack.enter_context(started(az, *arguments, parts.name, "--shard", f"{index}/{COUNT}"))
            for index in range(1, COUNT + 1)
        ]
        results = [each.wait() for each in running]

    assert [each.exit_code for each in results] == [0] * COUNT, "\n".join(map(str, results))
    assert held(parts.store) == held(whole.store)
    done = [{name.partition(":")[0] for each in result.json for name in each["images"]} for result in results]
    assert sum(map(len, done)) == len(REPOSITORIES)  # none is done by two
    assert all(name in done[holder(name) - 1] for name in REPOSITORIES)
    # Only who does a repository asks for its tags.
    assert world.azure.server.log.count("GET", "/tags/list", host=origin.login_server, status=200) == len(RULED)


@pytest.mark.parametrize(
    "variables",
    [
        {"SYSTEM_JOBPOSITIONINPHASE": "2", "SYSTEM_TOTALJOBSINPHASE": str(COUNT)},
        {"JOB_COMPLETION_INDEX": "1", "JOB_COMPLETIONS": str(COUNT)},
    ],
    ids=["Azure Pipelines", "Kubernetes"],
)
def test_the_second_machine_finds_its_part_by_itself(
    world: World, az: SignedInAz, listed: Path, variables: dict[str, str]
) -> None:
    target = world.registry()

    done = az("acrx", "import", "--from-file", str(listed), "--name", target.name, "--shard", "auto", env=variables)

    assert set(held(target.store)) == {name for name in REPOSITORIES if holder(name) == 2}
    assert {each["status"] for each in done.json} == {"imported"}


def test_without_its_variables_auto_is_an_error_before_anything_moves(
    world: World, az: SignedInAz, listed: Path
) -> None:
    target = world.registry()

    done = az("acrx", "import", "--from-file", str(listed), "--name", target.name, "--shard", "auto", fails=True)

    assert "give --shard I/N" in done.stderr
    assert target.store.names() == []


def test_a_part_with_nothing_in_it_is_done_at_once(world: World, az: SignedInAz, origin: AzureRegistry) -> None:
    target = world.registry()
    other = 1 + holder("team/app0") % COUNT
    listed = f"- {origin.login_server}/team/app0:v1"

    done = az("acrx", "import", "--from-file", listed, "--name", target.name, "--shard", f"{other}/{COUNT}")

    assert done.json == []
    assert target.store.names() == []
