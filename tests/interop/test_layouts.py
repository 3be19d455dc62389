# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Image layouts as skopeo and docker write them, copied into a real registry and read back with skopeo."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from azext_acrimport.layout.reference import LayoutReference
from azext_acrimport.layout.repository import Layouts
from azext_acrimport.registry.registry import Registry
from azext_acrimport.registry.transport import Transport
from azext_acrimport.transfer.copier import Root, Target, copy
from azext_acrimport.transfer.result import CopyResult
from emulator import content
from emulator.content import Artifact
from emulator.store import digest_of
from tests.interop.conftest import DockerRegistry, Skopeo
from tests.support.layouts import saved_files, write_archive

pytestmark = pytest.mark.interop

MIB = 1024 * 1024

IMAGES = {
    "image": content.image("layouts"),
    "multi-arch": content.multi_arch("layouts"),
    "helm-chart": content.helm_chart(),
    "large": content.image("layouts-large", layers=(20 * MIB, 3 * MIB, 0)),
}


def import_layout(source: str, target: DockerRegistry, *tags: str) -> CopyResult:
    """Copy one image of a layout into the repository ``to/app``, as the command names it."""
    reference = LayoutReference.parse(source)
    with Transport() as transport, Layouts() as layouts:
        goal = Registry(target.host, transport=transport).repository("to/app")
        return copy([Root(layouts.repository(reference), reference.identifier, (Target(goal, tags),))])[0]


@pytest.fixture
def carry(source: DockerRegistry, skopeo: Skopeo) -> Callable[..., None]:
    """Have skopeo write an image into a layout, as on the connected side of an air gap."""

    def carried(image: Artifact, layout: str, *options: str) -> None:
        source.put(image, "from/app", "v1")
        origin = f"docker://{source.host}/from/app:v1"
        skopeo.run("--insecure-policy", "copy", "--all", "--src-tls-verify=false", *options, origin, layout)

    return carried


@pytest.mark.parametrize("kind", ["oci", "oci-archive"])
@pytest.mark.parametrize("image", IMAGES.values(), ids=IMAGES.keys())
def test_what_skopeo_wrote_is_what_skopeo_reads(
    carry: Callable[..., None], target: DockerRegistry, skopeo: Skopeo, tmp_path: Path, kind: str, image: Artifact
) -> None:
    layout = f"{kind}:{tmp_path}/layout:app:v1"
    carry(image, layout, "--preserve-digests")

    result = import_layout(layout, target, "v1", "latest")

    assert (result.digest, result.media_type) == (image.digest, image.media_type)
    assert target.contents() == {**image.manifests, **image.all_blobs}
    assert skopeo.tags(f"{target.host}/to/app") == ["latest", "v1"]
    pulled = skopeo.pull(f"{target.host}/to/app:v1")
    assert pulled["manifest.json"] == image.manifest
    assert image.all_blobs.items() <= pulled.items()


def test_what_skopeo_converted_keeps_the_digest_that_it_has_in_the_layout(
    carry: Callable[..., None], target: DockerRegistry, skopeo: Skopeo, tmp_path: Path
) -> None:
    image = content.multi_arch("converted", docker=True)
    layout = f"oci-archive:{tmp_path}/app.tar:docker.io/contoso/app:v1"
    carry(image, layout)

    result = import_layout(layout, target, "v1")

    assert result.media_type == content.OCI_INDEX
    assert result.digest == digest_of(skopeo.run("inspect", "--raw", layout)) != image.digest
    assert digest_of(skopeo.raw_manifest(f"{target.host}/to/app:v1")) == result.digest
    assert len(skopeo.pull(f"{target.host}/to/app:v1")) > len(image.children)


def test_several_images_in_one_layout(
    carry: Callable[..., None], target: DockerRegistry, skopeo: Skopeo, tmp_path: Path
) -> None:
    first, second = content.multi_arch("first"), content.multi_arch("second")
    carry(first, f"oci:{tmp_path}/layout:v1", "--preserve-digests")
    carry(second, f"oci:{tmp_path}/layout:v2", "--preserve-digests")
    with Layouts() as layouts:
        assert list(layouts.repository(LayoutReference.parse(f"oci:{tmp_path}/layout")).tags()) == ["v1", "v2"]

    import_layout(f"oci:{tmp_path}/layout:v2", target, "v2")
    import_layout(f"oci:{tmp_path}/layout@{first.digest}", target, "v1")

    assert skopeo.raw_manifest(f"{target.host}/to/app:v1") == first.manifest
    assert skopeo.raw_manifest(f"{target.host}/to/app:v2") == second.manifest


def test_a_layout_that_was_packed_by_hand(
    carry: Callable[..., None], target: DockerRegistry, skopeo: Skopeo, tmp_path: Path
) -> None:
    image = content.multi_arch("by hand")
    carry(image, f"oci:{tmp_path}/layout:v1", "--preserve-digests")
    subprocess.run(["tar", "-cf", tmp_path / "app.tar", "-C", tmp_path / "layout", "."], check=True)

    import_layout(f"oci-archive:{tmp_path}/app.tar", target, "v1")

    assert skopeo.raw_manifest(f"{target.host}/to/app:v1") == image.manifest
    assert import_layout(f"oci-archive:{tmp_path}/app.tar:v1", target, "v1").bytes_copied == 0


@pytest.mark.parametrize("docker", [True, False])
def test_what_docker_saves(target: DockerRegistry, skopeo: Skopeo, tmp_path: Path, docker: bool) -> None:
    image = content.multi_arch("saved", docker=docker)
    files = saved_files((content.image("other"), "docker.io/library/other:v1"), (image, "docker.io/contoso/app:v1"))
    path = write_archive(tmp_path / "saved.tar", files)

    result = import_layout(f"oci-archive:{path}:contoso/app:v1", target, "v1")

    assert result.digest == image.digest
    assert target.contents() == {**image.manifests, **image.all_blobs}
    assert skopeo.raw_manifest(f"{target.host}/to/app:v1") == image.manifest
