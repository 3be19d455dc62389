# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Some platforms of an image, read back from a real registry."""

from __future__ import annotations

import json

import pytest

from azext_acrimport.oci.platform import Platform
from azext_acrimport.oci.selection import ORIGINAL_DIGEST
from azext_acrimport.registry.registry import Registry
from azext_acrimport.registry.transport import Transport
from azext_acrimport.transfer.copier import Root, Target, copy
from azext_acrimport.transfer.result import CopyResult
from emulator import content, signing
from emulator.content import Artifact
from tests.interop.conftest import DockerRegistry, Skopeo

pytestmark = pytest.mark.interop


def take(source: DockerRegistry, target: DockerRegistry, *names: str) -> CopyResult:
    with Transport() as transport:
        origin = Registry(source.host, transport=transport).repository("from/app")
        goal = Registry(target.host, transport=transport).repository("to/app")
        wanted = tuple(Platform.parse(name) for name in names)
        return copy([Root(origin, "v1", (Target(goal, ("v1",)),), platforms=wanted)])[0]


@pytest.mark.parametrize(
    "image", [content.multi_arch("some"), content.multi_arch("some", docker=True), signing.attested("some")]
)
def test_several(source: DockerRegistry, target: DockerRegistry, skopeo: Skopeo, image: Artifact) -> None:
    source.put(image, "from/app", "v1")

    first = take(source, target, "linux/arm64", "linux/amd64")
    second = take(source, target, "linux/amd64", "linux/arm64")

    made = skopeo.raw_manifest(f"{target.host}/to/app:v1")
    assert content.digest_of(made) == first.digest == second.digest != image.digest
    assert second.manifests.copied == 0
    fields = json.loads(made)
    assert fields["annotations"][ORIGINAL_DIGEST] == first.original_digest == image.digest
    assert [item for item in image.json["manifests"] if item in fields["manifests"]] == fields["manifests"]
    pulled = skopeo.pull(f"{target.host}/to/app:v1")
    assert pulled["manifest.json"] == made
    for child in image.children[:2]:
        assert {**child.manifests, **child.all_blobs}.items() <= pulled.items()
    assert image.children[2].digest not in target.contents()


def test_one(source: DockerRegistry, target: DockerRegistry, skopeo: Skopeo) -> None:
    image = content.multi_arch("one")
    source.put(image, "from/app", "v1")

    result = take(source, target, "linux/arm/v7")

    wanted = image.children[2]
    assert result.digest == wanted.digest
    assert skopeo.raw_manifest(f"{target.host}/to/app:v1") == wanted.manifest
    assert target.contents() == {**wanted.manifests, **wanted.all_blobs}
