# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""The local route between two real registries, read back with skopeo."""

from __future__ import annotations

import pytest

from azext_acrimport.registry.credentials import Credentials, Password
from azext_acrimport.registry.registry import Registry
from azext_acrimport.registry.transport import Transport
from azext_acrimport.transfer.copier import Root, Target, copy
from azext_acrimport.transfer.errors import CopyError, Side, TagExists
from azext_acrimport.transfer.result import CopyResult, Count
from emulator import content
from emulator.content import Artifact
from tests.interop.conftest import Skopeo
from tests.interop.peers import DockerRegistry

pytestmark = pytest.mark.interop

MIB = 1024 * 1024

IMAGES = {
    "image": content.image("interop"),
    "multi-arch": content.multi_arch("interop"),
    "multi-arch-docker": content.multi_arch("interop", docker=True),
    "helm-chart": content.helm_chart(),
    "whitespace": content.with_whitespace(content.image("interop-spaced")),
    "large": content.image("interop-large", layers=(40 * MIB, 3 * MIB, 0)),
}


def import_image(
    source: DockerRegistry,
    identifier: str,
    target: DockerRegistry,
    *tags: str,
    force: bool = False,
    credentials: Credentials | None = None,
) -> CopyResult:
    """Copy one image of the repository ``from/app`` into the repository ``to/app``."""
    with Transport() as transport:
        origin = Registry(source.host, transport=transport).repository("from/app")
        goal = Registry(target.host, transport=transport, credentials=credentials).repository("to/app")
        return copy([Root(origin, identifier, (Target(goal, tags),), force)])[0]


@pytest.mark.parametrize("image", IMAGES.values(), ids=IMAGES.keys())
def test_skopeo_reads_what_was_copied(
    source: DockerRegistry, target: DockerRegistry, skopeo: Skopeo, image: Artifact
) -> None:
    source.put(image, "from/app", "v1")

    result = import_image(source, "v1", target, "v1", "latest")

    assert (result.digest, result.media_type) == (image.digest, image.media_type)
    assert target.contents() == {**image.manifests, **image.all_blobs}
    assert skopeo.tags(f"{target.host}/to/app") == ["latest", "v1"]
    for reference in (":v1", ":latest", f"@{image.digest}"):
        assert skopeo.raw_manifest(f"{target.host}/to/app{reference}") == image.manifest
    pulled = skopeo.pull(f"{target.host}/to/app:v1")
    assert pulled["manifest.json"] == image.manifest
    below = {digest: manifest for digest, manifest in image.manifests.items() if digest != image.digest}
    assert {**below, **image.all_blobs}.items() <= pulled.items()


# Not pulled with skopeo: it does not go into an index inside an index, and fetches foreign layers from where they are.
@pytest.mark.parametrize(
    "image", [content.nested_index("interop"), content.windows_image("interop")], ids=["nested-index", "windows"]
)
def test_all_that_belongs_to_an_image_arrives(
    source: DockerRegistry, target: DockerRegistry, skopeo: Skopeo, image: Artifact
) -> None:
    source.put(image, "from/app", "v1")

    import_image(source, image.digest, target, "v1")

    assert skopeo.raw_manifest(f"{target.host}/to/app:v1") == image.manifest
    assert target.contents() == {**image.manifests, **image.all_blobs}


def test_a_second_run_moves_nothing(source: DockerRegistry, target: DockerRegistry) -> None:
    image = content.multi_arch("interop")
    source.put(image, "from/app", "v1")

    first = import_image(source, "v1", target, "v1")
    second = import_image(source, "v1", target, "v1")

    assert first.bytes_copied == sum(len(blob) for blob in image.all_blobs.values())
    assert second.bytes_copied == 0
    assert (second.manifests.copied, second.blobs) == (0, Count())


def test_an_existing_tag_is_not_overwritten_without_force(
    source: DockerRegistry, target: DockerRegistry, skopeo: Skopeo
) -> None:
    old, new = content.image("old"), content.image("new")
    source.put(new, "from/app", "v1")
    target.put(old, "to/app", "v1")
    before = target.contents()

    with pytest.raises(TagExists):
        import_image(source, "v1", target, "v1")
    assert target.contents() == before

    import_image(source, "v1", target, "v1", force=True)
    assert skopeo.raw_manifest(f"{target.host}/to/app:v1") == new.manifest


def test_a_private_registry_takes_its_user(source: DockerRegistry, private_target: DockerRegistry) -> None:
    image = content.multi_arch("interop")
    source.put(image, "from/app", "v1")

    with pytest.raises(CopyError) as refused:
        import_image(source, "v1", private_target, "v1", credentials=Password("builder", "wrong"))
    assert refused.value.side is Side.TARGET
    assert private_target.contents() == {}

    import_image(source, "v1", private_target, "v1", credentials=Password("builder", "s3cret"))
    assert private_target.contents() == {**image.manifests, **image.all_blobs}
