# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""Many images with one command: lists, tags that rules choose, parts for several machines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from emulator import content
from tests.cli.conftest import SignedInAz
from tests.cli.importer import RESULT_KEYS
from tests.cli.world import World
from tests.support.images import assert_holds

pytestmark = pytest.mark.cli

ONE, TWO, THREE = (content.image(f"many-{name}") for name in ("one", "two", "three"))
CLOSED = {"public_network_access": "Disabled", "bypass": "None"}


def test_a_list_by_both_routes(world: World, az: SignedInAz, tmp_path: Path) -> None:
    origin, opened, closed = world.registry(), world.registry(), world.registry(**CLOSED)
    world.put(ONE, origin.store, "one", "v1")
    world.put(TWO, origin.store, "team/two", "v2")
    listed = tmp_path / "images.yaml"
    listed.write_text(
        f"""
defaults:
  name: {opened.name}
  image: "mirror/{{repository}}:{{tag}}"
images:
  - {origin.login_server}/one:v1
  - source: {origin.login_server}/team/two:v2
    name: {closed.name}
  - source: {origin.login_server}/absent:v1
"""
    )

    done = az("acrx", "import", "--from-file", str(listed), fails=True)

    assert done.exit_code == 1
    first, second, third = done.json
    assert all(set(each) == RESULT_KEYS for each in done.json)
    assert [(each["status"], each["line"]) for each in done.json] == [("imported", 6), ("imported", 7), ("failed", 9)]
    assert (first["route"], second["route"]) == ("service", "local")
    assert "there is no such image" in third["error"]["message"]
    assert f"Line 9: The import failed at source {origin.login_server}/absent:v1" in done.stderr
    assert "Importing 2 images by the service:" in done.stderr
    assert "Copying 1 image from here:" in done.stderr
    assert_holds(opened.store, "mirror/one", ONE, tags=["v1"])
    assert_holds(closed.store, "mirror/team/two", TWO, tags=["v2"])


def test_a_second_run_does_what_is_missing(world: World, az: SignedInAz, tmp_path: Path) -> None:
    origin, opened, closed = world.registry(), world.registry(), world.registry(**CLOSED)
    world.put(ONE, origin.store, "one", "v1")
    listed = tmp_path / "images.txt"
    listed.write_text(f"{origin.login_server}/one:v1\n# later\n{origin.login_server}/two:v1\n")

    for target in (opened, closed):
        arguments = ("acrx", "import", "--from-file", str(listed), "--name", target.name)
        assert [each["status"] for each in az(*arguments, fails=True).json] == ["imported", "failed"]
    world.put(TWO, origin.store, "two", "v1")
    for target in (opened, closed):
        arguments = ("acrx", "import", "--from-file", str(listed), "--name", target.name)
        assert [each["status"] for each in az(*arguments).json] == ["existing", "imported"]
        assert_holds(target.store, "one", ONE, tags=["v1"])
        assert_holds(target.store, "two", TWO, tags=["v1"])


def test_every_mistake_of_a_list_is_named_before_anything_moves(world: World, az: SignedInAz, tmp_path: Path) -> None:
    target = world.registry()
    listed = tmp_path / "images.json"
    images = [
        {"source": "docker.io/library/App:v1"},
        {"source": "docker.io/library/app:v1", "imag": "x"},
        {"source": "hello"},
        {"source": "docker.io/library/app", "semver": "one"},
    ]
    listed.write_text(json.dumps({"images": images}, indent=1))

    done = az("acrx", "import", "--from-file", str(listed), "--name", target.name, fails=True)

    assert done.exit_code == 1
    for line, text in ((4, "repository names are lower case"), (8, "did you mean image?"), (11, "names no registry")):
        assert f"line {line}: " in done.stderr
        assert text in done.stderr
    assert "line 15: --semver" in done.stderr
    assert world.azure.server.log.matching(host=target.login_server) == []


@pytest.mark.parametrize("via", ["service", "local"])
def test_fail_fast_begins_nothing_further(world: World, az: SignedInAz, tmp_path: Path, via: str) -> None:
    origin, target = world.registry(), world.registry()
    for number in range(20):
        world.put(ONE, origin.store, f"app{number}", "v1")
    listed = tmp_path / "images.txt"
    listed.write_text(
        "".join(f"{origin.login_server}/{name}:v1\n" for name in ("absent", *(f"app{n}" for n in range(20))))
    )

    arguments = ("--from-file", str(listed), "--name", target.name, "--via", via, "--fail-fast")
    done = az("acrx", "import", *arguments, fails=True)

    statuses = [each["status"] for each in done.json]
    assert statuses[0] == "failed"
    assert "skipped" in statuses
    assert done.exit_code == 1


def test_the_list_comes_from_standard_input_or_an_argument(world: World, az: SignedInAz, tmp_path: Path) -> None:
    origin, target = world.registry(), world.registry()
    world.put(ONE, origin.store, "one", "v1")
    listed = tmp_path / "images.yaml"
    listed.write_text(f"- {origin.login_server}/one:v1\n")

    done = az("acrx", "import", "--from-file", f"@{listed}", "--name", target.name)

    assert [each["status"] for each in done.json] == ["imported"]


@pytest.mark.parametrize("via", ["service", "local"])
def test_tags_are_chosen_and_each_image_imported_once(world: World, az: SignedInAz, via: str) -> None:
    origin, target = world.registry(), world.registry()
    world.put(ONE, origin.store, "app", "1.0.0")
    for image, tags in ((TWO, ("1.1.0", "1.1", "latest")), (THREE, ("2.0.0", "2.0.0-rc1"))):
        image.put(origin.store.repository("app"), *tags)

    arguments = ("--name", target.name, "--source", f"{origin.login_server}/app", "--via", via)
    done = az("acrx", "import", *arguments, "--semver", ">=1.1 <3", "--image", "mirror/{name}")

    assert [each["images"] for each in done.json] == [["mirror/app:1.1", "mirror/app:1.1.0"], ["mirror/app:2.0.0"]]
    assert len(world.azure.operations) == (2 if via == "service" else 0)
    held = target.store.get("mirror/app")
    assert held is not None
    assert set(held.tags) == {"1.1", "1.1.0", "2.0.0"}


def test_rules_that_choose_nothing_are_said(world: World, az: SignedInAz) -> None:
    origin, target = world.registry(), world.registry()
    world.put(ONE, origin.store, "app", "1.0.0")

    arguments = ("--name", target.name, "--source", f"{origin.login_server}/app", "--tags", "9.*")
    done = az("acrx", "import", *arguments, fails=True)

    assert [each["status"] for each in done.json] == ["failed"]
    assert f"source {origin.login_server}/app: none of its 1 tags is chosen" in done.stderr.lower()
    assert f"az acr repository show-tags -n {origin.name} --repository app" in done.stderr


@pytest.mark.parametrize("via", ["service", "local"])
def test_the_other_tags_of_an_image_come_along(world: World, az: SignedInAz, via: str) -> None:
    origin, target = world.registry(), world.registry()
    world.put(ONE, origin.store, "app", "build-7", "1.4.2", "1.4")
    TWO.put(origin.store.repository("app"), "build-6")

    arguments = ("--name", target.name, "--source", f"{origin.login_server}/app:build-7", "--with-aliases")
    result = az("acrx", "import", *arguments, "--image", "prod/app:release", "--via", via).json

    assert sorted(result["images"]) == ["prod/app:1.4", "prod/app:1.4.2", "prod/app:release"]
    assert_holds(target.store, "prod/app", ONE, tags=["release", "1.4", "1.4.2"])


def test_two_images_for_one_name_are_refused(world: World, az: SignedInAz, tmp_path: Path) -> None:
    target = world.registry()
    listed = tmp_path / "images.txt"
    listed.write_text("docker.io/library/one:v1 app:v1\ndocker.io/library/two:v1 app:v1\n")

    done = az("acrx", "import", "--from-file", str(listed), "--name", target.name, fails=True)

    assert f"{target.login_server}/app:v1" in done.stderr
    assert "on line 1" in done.stderr
    assert world.azure.operations == []
