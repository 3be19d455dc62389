# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Many images at once, most of their layers shared, between real registries."""

from __future__ import annotations

import pytest

from azext_acrimport.registry.registry import Registry
from azext_acrimport.registry.transport import Transport
from azext_acrimport.transfer.copier import CopySettings, Root, Target, copy_all
from azext_acrimport.transfer.result import CopyResult
from emulator import content
from tests.interop.conftest import DockerRegistry, Skopeo

pytestmark = pytest.mark.interop

FEW_CONNECTIONS = CopySettings(max_connections=2, bulk_connections=1)  # so that small blobs have to travel together
REPOSITORIES = ("team/one", "team/two", "team/three")
# Of one seed, layers of one size in one place are the same: two are everywhere, twelve are in one image each.
IMAGES = [
    (REPOSITORIES[number % 3], f"v{number}", content.image("many", layers=(50_000, 400_000, *range(size, size + 12))))
    for number, size in enumerate(range(1000, 13_000, 1000))
]


def import_all(source: DockerRegistry, target: DockerRegistry) -> list[CopyResult]:
    with Transport() as transport:
        origin, to = (Registry(each.host, transport=transport) for each in (source, target))
        roots = [Root(origin.repository(name), tag, (Target(to.repository(name), (tag,)),)) for name, tag, _ in IMAGES]
        outcomes = copy_all(roots, settings=FEW_CONNECTIONS)
    assert [each for each in outcomes if not isinstance(each, CopyResult)] == []
    return [each for each in outcomes if isinstance(each, CopyResult)]


def test_skopeo_reads_all_of_them(source: DockerRegistry, target: DockerRegistry, skopeo: Skopeo) -> None:
    expected: dict[str, bytes] = {}
    for name, tag, image in IMAGES:
        source.put(image, name, tag)
        expected |= {**image.manifests, **image.all_blobs}

    results = import_all(source, target)

    assert [each.digest for each in results] == [image.digest for _, _, image in IMAGES]
    assert target.contents() == expected
    blobs = {digest: blob for _, _, image in IMAGES for digest, blob in image.all_blobs.items()}
    assert sum(each.bytes_copied for each in results) == sum(map(len, blobs.values()))
    for name in REPOSITORIES:
        assert skopeo.tags(f"{target.host}/{name}") == sorted(tag for to, tag, _ in IMAGES if to == name)
    for name, tag, image in IMAGES:
        assert skopeo.raw_manifest(f"{target.host}/{name}:{tag}") == image.manifest
    name, tag, image = IMAGES[-1]
    pulled = skopeo.pull(f"{target.host}/{name}:{tag}")
    assert image.all_blobs.items() <= pulled.items()

    assert all(each.unchanged for each in import_all(source, target))
