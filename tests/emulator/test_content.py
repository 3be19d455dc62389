# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""The content that tests put into registries."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable

import pytest

from emulator import content, signing
from emulator.content import Artifact
from emulator.store import DiscardedBlob, MemoryBlob, PatternBlob, Store, digest_of

BUILDERS: list[Callable[[], Artifact]] = [
    content.image,
    content.multi_arch,
    content.nested_index,
    content.windows_image,
    content.helm_chart,
    content.artifact,
    content.schema1,
    signing.attested,
    lambda: signing.signature(content.image()),
    lambda: signing.cosign(content.image()),
]


@pytest.mark.parametrize("build", BUILDERS)
def test_same_arguments_give_the_same_bytes(build: Callable[[], Artifact]) -> None:
    assert build() == build()


@pytest.mark.parametrize("build", BUILDERS)
def test_everything_that_a_manifest_names_is_there(build: Callable[[], Artifact]) -> None:
    artifact = build()
    repository = Store().repository("app")
    assert artifact.put(repository, "v1", "v2") == artifact.digest
    assert repository.tags == {"v1": artifact.digest, "v2": artifact.digest}
    for manifest in repository.manifests.values():
        for child in manifest.json.get("manifests", []):
            found = repository.manifests[child["digest"]]
            assert (len(found.content), found.media_type) == (child["size"], child["mediaType"])
        for blob in [manifest.json.get("config"), *manifest.json.get("layers", [])]:
            if blob and not blob.get("urls"):
                assert len(repository.read_blob(blob["digest"])) == blob["size"]


def test_seeds_and_platforms_share_no_layer() -> None:
    one, other = content.multi_arch("one"), content.multi_arch("other")
    assert not set(one.all_blobs) & set(other.all_blobs)
    assert len(one.all_blobs) == 3 * 3


def test_platforms_are_in_the_index() -> None:
    platforms = [child["platform"] for child in content.multi_arch().json["manifests"]]
    assert platforms[2] == {"os": "linux", "architecture": "arm", "variant": "v7"}
    (windows,) = content.windows_image().json["manifests"]
    assert windows["platform"] == {"os": "windows", "architecture": "amd64", "os.version": "10.0.20348.2527"}


def test_foreign_layers_have_urls_and_no_blob() -> None:
    image = content.windows_image().children[0]
    foreign, kept = image.json["layers"]
    assert foreign["digest"] == digest_of(image.foreign[0])
    assert foreign["urls"] == [f"https://layers.contoso.example/{foreign['digest']}"]
    assert foreign["digest"] not in image.all_blobs
    assert kept["digest"] in image.all_blobs


def test_chart_is_a_package_that_unpacks() -> None:
    config, package = content.helm_chart("billing", "2.0.0").blobs
    assert json.loads(config)["version"] == "2.0.0"
    with tarfile.open(fileobj=io.BytesIO(package), mode="r:gz") as archive:
        assert archive.getnames() == ["billing/Chart.yaml", "billing/values.yaml"]


def test_whitespace_changes_the_digest_only() -> None:
    image = content.image()
    other = content.with_whitespace(image)
    assert other.digest != image.digest
    assert other.json == image.json


def test_subject_refers() -> None:
    image = content.image()
    repository = Store().repository("app")
    digest = content.artifact(subject=image).put(repository)
    assert [found.digest for found in repository.referrers(image.digest)] == [digest]


def test_attestations_name_their_images() -> None:
    described = signing.attested(platforms=("linux/amd64",)).json["manifests"]
    assert described[1]["annotations"]["vnd.docker.reference.digest"] == described[0]["digest"]


def test_many_manifests() -> None:
    assert len(content.many_manifests(51).manifests) == 52


@pytest.mark.parametrize("blob", [MemoryBlob(bytes(range(256)) * 20_000), PatternBlob(3_000_000), DiscardedBlob(9)])
def test_parts_of_a_blob_add_up(blob: MemoryBlob | PatternBlob | DiscardedBlob) -> None:
    whole = b"".join(blob.chunks(0, blob.size))
    assert len(whole) == blob.size
    middle = blob.size // 3
    assert b"".join(blob.chunks(0, middle)) + b"".join(blob.chunks(middle, blob.size)) == whole


def test_pattern_blob_knows_its_digest() -> None:
    blob = PatternBlob(2_500_000)
    assert blob.digest() == digest_of(b"".join(blob.chunks(0, blob.size)))
