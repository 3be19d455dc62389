# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""Parts of an image, what refers to it, and images from a layout: by the real az, on the routes that can."""

from __future__ import annotations

from pathlib import Path

import pytest

from emulator import content, signing
from tests.cli.conftest import SignedInAz
from tests.cli.world import World
from tests.support.images import assert_holds
from tests.support.layouts import layout_files, write_archive, write_directory

pytestmark = pytest.mark.cli

IMAGE = content.multi_arch("parts")
ARM = next(child for child in IMAGE.children if b"arm64" in child.blobs[0])
SIGNATURE = signing.signature(IMAGE)
SBOM = signing.sbom(ARM)
COSIGN = signing.cosign(IMAGE)
CLOSED = {"public_network_access": "Disabled", "bypass": "None"}


@pytest.mark.parametrize("via", ["service", "local"])
def test_one_platform_is_that_image_alone(world: World, az: SignedInAz, via: str) -> None:
    origin, target = world.registry(), world.registry()
    world.put(IMAGE, origin.store, "app", "v1")

    arguments = ("--name", target.name, "--source", f"{origin.login_server}/app:v1", "--platform", "linux/arm64")
    result = az("acrx", "import", *arguments, "--via", via).json

    assert (result["digest"], result["images"], result["route"]) == (ARM.digest, ["app:v1"], via)
    assert_holds(target.store, "app", ARM, tags=["v1"])


def test_several_platforms_are_a_new_index_that_only_a_copy_makes(world: World, az: SignedInAz) -> None:
    origin, target = world.registry(), world.registry()
    world.put(
        content.multi_arch("parts-many", platforms=("linux/amd64", "linux/arm64", "linux/s390x")),
        origin.store,
        "app",
        "v1",
    )
    platforms = ("--platform", "linux/amd64", "--platform", "linux/arm64")
    arguments = ("--name", target.name, "--source", f"{origin.login_server}/app:v1", *platforms)

    done = az("acrx", "import", *arguments)

    held = target.store.get("app")
    assert held is not None
    assert (done.json["route"], held.tags) == ("local", {"v1": done.json["digest"]})
    assert done.json["originalDigest"] not in (None, done.json["digest"])
    assert "only a copy from here has several platforms (--platform)" in done.stderr
    refused = az("acrx", "import", *arguments, "--via", "service", fails=True)
    assert "several platforms (--platform) cannot go with --via service" in refused.stderr


def test_a_platform_with_several_images_is_copied_after_all(world: World, az: SignedInAz) -> None:
    origin, target = world.registry(), world.registry()
    builds = [content.image(f"build-{build}", platform=f"windows/amd64:{build}") for build in ("10.0.1", "10.0.2")]
    world.put(content.index(*builds, content.image("parts-linux")), origin.store, "app", "v1")
    arguments = ("--name", target.name, "--source", f"{origin.login_server}/app:v1", "--platform", "windows/amd64")

    result = az("acrx", "import", *arguments).json

    assert (result["route"], result["fallback"]) == ("local", True)
    assert "several images are for windows/amd64" in result["reason"]
    refused = az("acrx", "import", *arguments, "--via", "service", "--force", fails=True)
    assert "several images are for windows/amd64" in refused.stderr


@pytest.mark.parametrize("via", ["service", "local"])
def test_a_platform_that_is_not_there_is_answered_with_those_that_are(world: World, az: SignedInAz, via: str) -> None:
    origin, target = world.registry(), world.registry()
    world.put(IMAGE, origin.store, "app", "v1")

    arguments = ("--name", target.name, "--source", f"{origin.login_server}/app:v1", "--platform", "windows/amd64")
    done = az("acrx", "import", *arguments, "--via", via, fails=True)

    assert f"source {origin.login_server}/app" in done.stderr
    assert "linux/arm64" in done.stderr
    assert target.store.names() == []


@pytest.mark.parametrize("via", ["service", "local"])
def test_what_refers_to_an_image_comes_along(world: World, az: SignedInAz, via: str) -> None:
    origin, target = world.registry(), world.registry()
    held = origin.store.repository("app")
    IMAGE.put(held, "v1")
    SIGNATURE.put(held)
    SBOM.put(held)
    COSIGN.put(held, signing.cosign_tag(IMAGE))
    arguments = ("--name", target.name, "--source", f"{origin.login_server}/app:v1", "--via", via)

    result = az("acrx", "import", *arguments, "--image", "prod/app:v1", "--referrers").json

    copied = target.store.get("prod/app")
    assert copied is not None
    assert (result["status"], result["referrers"]) == ("imported", 3)
    assert copied.tags == {"v1": IMAGE.digest, signing.cosign_tag(IMAGE): COSIGN.digest}
    assert {SIGNATURE.digest, SBOM.digest} <= set(copied.manifests)
    again = az("acrx", "import", *arguments, "--image", "prod/app:v1", "--referrers").json
    assert (again["status"], again["referrers"]) == ("existing" if via == "local" else "imported", 3)


@pytest.mark.parametrize("via", ["service", "local"])
def test_referrers_of_one_type(world: World, az: SignedInAz, via: str) -> None:
    origin, target = world.registry(), world.registry()
    held = origin.store.repository("app")
    IMAGE.put(held, "v1")
    SIGNATURE.put(held)
    SBOM.put(held)
    COSIGN.put(held, signing.cosign_tag(IMAGE))

    arguments = ("--name", target.name, "--source", f"{origin.login_server}/app:v1", "--via", via)
    result = az("acrx", "import", *arguments, "--referrers", "sig").json

    copied = target.store.get("app")
    assert copied is not None
    assert result["referrers"] == 1
    assert SBOM.digest not in copied.manifests
    assert copied.tags == {"v1": IMAGE.digest, signing.cosign_tag(IMAGE): COSIGN.digest}


@pytest.mark.parametrize("via", ["service", "local"])
def test_a_target_with_a_key_of_its_own_gets_a_list_of_referrers(world: World, az: SignedInAz, via: str) -> None:
    origin, target = world.registry(), world.registry()
    target.encrypt()
    held = origin.store.repository("app")
    IMAGE.put(held, "v1")
    SIGNATURE.put(held)

    arguments = ("--name", target.name, "--source", f"{origin.login_server}/app:v1", "--via", via, "--referrers")
    az("acrx", "import", *arguments)

    copied = target.store.get("app")
    assert copied is not None
    listed = copied.manifest(IMAGE.digest.replace(":", "-"))
    assert listed is not None
    assert SIGNATURE.digest.encode() in listed.content


@pytest.mark.parametrize("kind", ["oci", "oci-archive"])
def test_a_layout_on_this_machine(world: World, az: SignedInAz, tmp_path: Path, kind: str) -> None:
    target = world.registry()
    files = layout_files((IMAGE, "v1"))
    path = (
        write_archive(tmp_path / "app.tar", files)
        if kind == "oci-archive"
        else write_directory(tmp_path / "app", files)
    )

    done = az("acrx", "import", "--name", target.name, "--source", f"{kind}:{path}:v1", "--image", "carried/app")

    assert (done.json["route"], done.json["source"], done.json["images"]) == (
        "local",
        f"{kind}:{path}:v1",
        ["carried/app:v1"],
    )
    assert_holds(target.store, "carried/app", IMAGE, tags=["v1"])
    again = az("acrx", "import", "--name", target.name, "--source", f"{kind}:{path}", "--image", "carried/app:v1")
    assert again.json["status"] == "existing"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ((), "give it one with --image repository:tag"),
        (("--image", "app:v1", "--via", "service"), "cannot go with --via service"),
        (("--image", "app:v1", "--registry", "srcreg"), "leave out --registry"),
        (("--image", "app:v1", "--all-tags"), "names one image"),
    ],
)
def test_what_does_not_go_with_a_layout(
    world: World, az: SignedInAz, tmp_path: Path, options: tuple[str, ...], says: str
) -> None:
    target = world.registry()
    path = write_directory(tmp_path / "app", layout_files((IMAGE, "v1")))

    done = az("acrx", "import", "--name", target.name, "--source", f"oci:{path}:v1", *options, fails=True)

    assert says in done.stderr
    assert target.store.names() == []


@pytest.mark.parametrize("closed", [False, True])
def test_a_dry_run_tells_what_would_be_done_and_does_nothing(world: World, az: SignedInAz, closed: bool) -> None:
    origin, target = world.registry(), world.registry(**(CLOSED if closed else {}))
    world.put(IMAGE, origin.store, "app", "v1")
    arguments = ("--name", target.name, "--source", f"{origin.login_server}/app:v1", "--dry-run")

    result = az("acrx", "import", *arguments).json

    assert (result["status"], result["route"]) == ("planned", "local" if closed else "service")
    assert result["digest"] == IMAGE.digest
    assert result["tags"] == [{"name": "app:v1", "existingDigest": None, "change": "write"}]
    assert result["manifests"] == {"toCopy": len(list(IMAGE.walk())), "existing": 0}
    assert result["bytesToMove"] == sum(map(len, IMAGE.all_blobs.values()))
    assert result["facts"]["target"]["publicNetworkAccess"] == ("Disabled" if closed else "Enabled")
    assert world.azure.operations == []
    sent = world.azure.server.log.matching(path="^/v2/")
    assert {entry.method for entry in sent} <= {"GET", "HEAD"}
    assert target.store.names() == []


def test_a_dry_run_of_a_list_as_a_table(world: World, az: SignedInAz, tmp_path: Path) -> None:
    origin, target = world.registry(), world.registry()
    world.put(IMAGE, origin.store, "app", "v1")
    world.put(ARM, target.store, "app", "v1")
    listed = tmp_path / "list.txt"
    listed.write_text(f"{origin.login_server}/app:v1\n{origin.login_server}/absent:v1\n")

    done = az("acrx", "import", "--name", target.name, "--from-file", str(listed), "--dry-run", "--output", "table")

    assert "conflict" in done.stdout
    assert "absent:v1" in done.stdout
    assert "a tag names another image there; --force overwrites it" in done.stdout
