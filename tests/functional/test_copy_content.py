# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Whatever a registry holds arrives byte for byte, with all that is below it."""

from __future__ import annotations

import hashlib

import pytest

from azext_acrimport.transfer.events import (
    BlobAdvanced,
    BlobFinished,
    BlobsFound,
    BlobStarted,
    ImageFinished,
    TagWritten,
)
from azext_acrimport.transfer.result import BlobOutcome, Count
from emulator import content
from emulator.content import DOCKER_LIST, DOCKER_MANIFEST, OCI_EMPTY, OCI_INDEX, OCI_MANIFEST, Artifact
from tests.support.lab import SOURCE, TARGET, Lab, artifact_of, assert_copied

EVERY_KIND = {
    "image": content.image(),
    "image without layers": content.image(layers=()),
    "docker image": content.image(docker=True),
    "multi-arch": content.multi_arch(),
    "docker list": content.multi_arch(docker=True),
    "nested index": content.nested_index(),
    "windows": content.windows_image(),
    "helm chart": content.helm_chart(),
    "artifact": content.artifact(),
    "artifact without files": content.artifact(sizes=()),
    "index without children": content.index(),
    "zero-byte layer": content.image(layers=(0, 100)),
    "equal layers": content.index(content.image("same"), content.image("same", annotations={"a": "b"})),
    "odd whitespace": content.with_whitespace(content.image("whitespace")),
    "with annotations": content.image(annotations={"org.example": "ünïcode"}),
    "a large layer": content.image(layers=(600_000,)),
}


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_every_kind_of_content(lab: Lab, kind: str) -> None:
    artifact = lab.put(EVERY_KIND[kind])
    result = lab.copy()
    assert_copied(lab.target_app, artifact, "v1")
    assert result.digest == artifact.digest
    assert result.media_type == artifact.media_type
    assert result.manifests == Count(copied=len(artifact.manifests))
    assert result.blobs == Count(copied=len(artifact.all_blobs))
    assert result.bytes_copied == sum(map(len, artifact.all_blobs.values()))


@pytest.mark.parametrize("kind", ["multi-arch", "nested index", "windows"])
def test_by_digest(lab: Lab, kind: str) -> None:
    artifact = lab.put(EVERY_KIND[kind])
    lab.copy(artifact.digest, (TARGET, ("copied",)))
    assert_copied(lab.target_app, artifact, "copied")


def test_one_platform_of_an_index_by_its_digest(lab: Lab) -> None:
    one = lab.put(content.multi_arch()).children[1]
    lab.copy(one.digest)
    assert_copied(lab.target_app, one, "v1")
    assert len(lab.target_app.store.repository(TARGET).manifests) == 1


@pytest.mark.parametrize("docker", [True, False])
def test_foreign_layers_stay_where_they_are(lab: Lab, docker: bool) -> None:
    artifact = lab.put(content.image(foreign=(5000,), docker=docker))
    lab.behave(lab.target_app, require_blobs=True)
    assert lab.copy().blobs == Count(copied=3)
    assert_copied(lab.target_app, artifact, "v1")


def test_foreign_type_without_urls_is_copied(lab: Lab) -> None:
    layer = b"kept here after all"
    artifact = lab.put(
        artifact_of(
            {
                "schemaVersion": 2,
                "mediaType": DOCKER_MANIFEST,
                "config": content.describe(b"{}", content.DOCKER_CONFIG),
                "layers": [content.describe(layer, content.DOCKER_FOREIGN_LAYER)],
            },
            DOCKER_MANIFEST,
            (b"{}", layer),
        )
    )
    assert lab.copy().blobs.copied == 2
    assert_copied(lab.target_app, artifact, "v1")


def test_sha512_digests_of_blobs_and_children(lab: Lab) -> None:
    layer = b"x" * 5000
    layer_digest = f"sha512:{hashlib.sha512(layer).hexdigest()}"
    child = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": content.describe(b"{}", OCI_EMPTY),
        "layers": [{"mediaType": "application/octet-stream", "digest": layer_digest, "size": len(layer)}],
    }
    inner = artifact_of(child, OCI_MANIFEST, (b"{}",))
    inner_digest = f"sha512:{hashlib.sha512(inner.manifest).hexdigest()}"
    root = artifact_of(
        {
            "schemaVersion": 2,
            "mediaType": OCI_INDEX,
            "manifests": [{"mediaType": OCI_MANIFEST, "digest": inner_digest, "size": len(inner.manifest)}],
        },
        OCI_INDEX,
    )
    held = lab.source_app.store.repository(SOURCE)
    held.add_blob(b"{}")
    held.add_blob(layer, layer_digest)
    held.add_manifest(inner.manifest, OCI_MANIFEST, digest=inner_digest)
    held.add_manifest(root.manifest, OCI_INDEX, tags=["v1"])
    lab.copy()
    copied = lab.target_app.store.repository(TARGET)
    assert copied.read_blob(layer_digest) == layer
    stored = copied.manifest(inner_digest)
    assert stored is not None
    assert stored.content == inner.manifest
    assert copied.tags == {"v1": root.digest}


def test_manifest_named_by_sha512(lab: Lab) -> None:
    artifact = content.image()
    digest = f"sha512:{hashlib.sha512(artifact.manifest).hexdigest()}"
    held = lab.source_app.store.repository(SOURCE)
    for blob in artifact.blobs:
        held.add_blob(blob)
    held.add_manifest(artifact.manifest, OCI_MANIFEST, digest=digest)
    result = lab.copy(digest, (TARGET, ()))
    assert result.digest == digest
    stored = lab.target_app.store.repository(TARGET).manifest(digest)
    assert stored is not None
    assert stored.content == artifact.manifest


def test_image_without_media_type_in_it(lab: Lab) -> None:
    artifact = content.image()
    fields = artifact.json
    del fields["mediaType"]
    bare = lab.put(artifact_of(fields, OCI_MANIFEST, artifact.blobs))
    lab.copy()
    assert_copied(lab.target_app, bare, "v1")


def test_artifact_with_a_subject_comes_without_it(lab: Lab) -> None:
    subject = content.image("subject")
    artifact = lab.put(content.artifact(subject=subject))
    lab.copy()
    assert_copied(lab.target_app, artifact, "v1")
    assert lab.target_app.store.repository(TARGET).manifest(subject.digest) is None


def test_manifest_type_is_kept_from_docker_to_oci_registry(lab: Lab) -> None:
    artifact = lab.put(content.multi_arch(docker=True))
    lab.copy()
    copied = lab.target_app.store.repository(TARGET).manifests
    assert copied[artifact.digest].media_type == DOCKER_LIST
    assert {copied[child.digest].media_type for child in artifact.children} == {DOCKER_MANIFEST}


def test_shared_content_moves_once(lab: Lab) -> None:
    lab.put(EVERY_KIND["nested index"])
    lab.copy()
    blobs = [entry.path for entry in lab.asked(lab.source_host, "GET", "/blobs/")]
    manifests = [entry.path for entry in lab.asked(lab.source_host, "GET", "/manifests/")]
    assert len(blobs) == len(set(blobs))
    assert len(manifests) == len(set(manifests))


def test_zero_byte_blob_needs_no_download(lab: Lab) -> None:
    artifact = lab.put(content.image(layers=(0,)))
    lab.copy()
    assert_copied(lab.target_app, artifact, "v1")


def test_nothing_compressed_is_asked_for_and_everything_is_accepted(lab: Lab) -> None:
    lab.put(content.image())
    lab.copy()
    for entry in lab.asked(lab.source_host):
        assert entry.headers.get("Accept-Encoding") == "identity"
        if "/manifests/" in entry.path:
            accept = entry.headers["Accept"]
            assert all(each in accept for each in (OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST))


def test_events_tell_what_happens(lab: Lab) -> None:
    artifact = lab.put(content.image(layers=(3000, 600_000)))
    lab.copy()
    sizes = sorted(map(len, artifact.all_blobs.values()))
    found = [event for event in lab.events if isinstance(event, BlobsFound)]
    assert (sum(each.blobs for each in found), sum(each.size for each in found)) == (3, sum(sizes))
    assert sorted(event.size for event in lab.events if isinstance(event, BlobStarted)) == sizes
    assert sum(event.size for event in lab.events if isinstance(event, BlobAdvanced)) == sum(sizes)
    finished = [event for event in lab.events if isinstance(event, BlobFinished)]
    assert sorted(event.size for event in finished) == sizes
    assert {event.outcome for event in finished} == {BlobOutcome.COPIED}
    assert lab.events[-3:].count(TagWritten(TARGET, "v1")) == 1
    last = lab.events[-1]
    assert isinstance(last, ImageFinished)
    assert (last.root.identifier, last.failure) == ("v1", None)


def test_many_small_images_under_one_index(lab: Lab) -> None:
    artifact: Artifact = lab.put(content.many_manifests(60))
    assert lab.copy().manifests == Count(copied=61)
    assert_copied(lab.target_app, artifact, "v1")
