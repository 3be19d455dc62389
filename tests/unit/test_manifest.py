# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Manifests: what they refer to, which are refused, and that their bytes stay as they are."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azext_acrimport.oci import media_types
from azext_acrimport.oci.digest import digest_of
from azext_acrimport.oci.errors import InvalidDigest, InvalidManifest, OciError, UnsupportedManifest
from azext_acrimport.oci.manifest import MAX_CHILDREN, MAX_MANIFEST_BYTES, Manifest
from emulator import content
from emulator.content import Artifact


def parse(fields: Any, header: str = "") -> Manifest:
    return Manifest.parse(json.dumps(fields).encode(), header)


def described(text: bytes = b"x", media_type: str = "application/octet-stream", **extra: Any) -> dict[str, Any]:
    return content.describe(text, media_type, **extra)


IMAGE: dict[str, Any] = {
    "schemaVersion": 2,
    "mediaType": media_types.OCI_MANIFEST,
    "config": described(b"{}"),
    "layers": [described(b"layer")],
}


@pytest.mark.parametrize(
    ("artifact", "children", "blobs", "foreign"),
    [
        (content.image(), 0, 3, 0),
        (content.image(docker=True), 0, 3, 0),
        (content.image(foreign=(10, 20)), 0, 3, 2),
        (content.multi_arch(), 3, 0, 0),
        (content.multi_arch(docker=True), 3, 0, 0),
        (content.nested_index(), 2, 0, 0),
        (content.helm_chart(), 0, 2, 0),
        (content.artifact(), 0, 2, 0),
        (content.artifact(sizes=()), 0, 2, 0),
        (content.windows_image().children[0], 0, 2, 1),
        (content.index(), 0, 0, 0),
    ],
)
def test_manifest_knows_what_it_refers_to(artifact: Artifact, children: int, blobs: int, foreign: int) -> None:
    found = Manifest.parse(artifact.manifest, artifact.media_type)
    assert (len(found.manifests), len(found.blobs), len(found.foreign)) == (children, blobs, foreign)
    assert found.digest == artifact.digest
    assert found.content == artifact.manifest
    assert found.media_type == artifact.media_type
    assert found.is_index is bool(artifact.media_type in media_types.INDEXES)


def test_bytes_are_kept_with_their_whitespace() -> None:
    artifact = content.with_whitespace(content.image())
    found = Manifest.parse(artifact.manifest, artifact.media_type)
    assert found.content == artifact.manifest
    assert found.digest == digest_of(artifact.manifest)


def test_digest_may_be_sha512() -> None:
    found = Manifest.parse(json.dumps(IMAGE).encode(), algorithm="sha512")
    assert found.digest == digest_of(found.content, "sha512")


def test_subject_is_read_but_is_no_child() -> None:
    subject = content.image("subject")
    artifact = content.artifact(subject=subject)
    found = Manifest.parse(artifact.manifest, artifact.media_type)
    assert found.subject is not None
    assert found.subject.digest == subject.digest
    assert found.manifests == ()


@pytest.mark.parametrize("media_type", [media_types.OCI_ARTIFACT, media_types.ORAS_ARTIFACT])
def test_blobs_of_artifact_manifests_are_content(media_type: str) -> None:
    found = parse({"mediaType": media_type, "artifactType": "x/y", "blobs": [described(b"1"), described(b"2")]})
    assert [blob.digest for blob in found.blobs] == [digest_of(b"1"), digest_of(b"2")]


class TestMediaType:
    def test_own_type_goes_before_the_header(self) -> None:
        assert parse(IMAGE, "text/plain").media_type == media_types.OCI_MANIFEST

    def test_header_serves_where_the_document_has_none(self) -> None:
        fields = {**IMAGE}
        del fields["mediaType"]
        header = f"{media_types.DOCKER_MANIFEST.upper()}; charset=utf-8"
        assert parse(fields, header).media_type == media_types.DOCKER_MANIFEST

    @pytest.mark.parametrize("header", ["", "application/json", "text/plain; charset=utf-8"])
    def test_shape_tells_where_neither_does(self, header: str) -> None:
        fields = {**IMAGE}
        del fields["mediaType"]
        assert parse(fields, header).media_type == media_types.OCI_MANIFEST
        assert parse({"schemaVersion": 2, "manifests": []}, header).media_type == media_types.OCI_INDEX

    @pytest.mark.parametrize("value", [5, ["x"], {"a": 1}, "application/x.unknown"])
    def test_unknown_type_without_a_known_shape_is_refused(self, value: object) -> None:
        with pytest.raises(InvalidManifest):
            parse({"mediaType": value})

    def test_document_that_is_two_things_at_once_is_refused(self) -> None:
        with pytest.raises(InvalidManifest, match="at once"):
            parse({**IMAGE, "manifests": []})
        with pytest.raises(InvalidManifest, match="at once"):
            parse({"mediaType": media_types.OCI_INDEX, "manifests": [], "layers": []})

    def test_document_without_a_type_that_is_two_things_at_once_is_refused_too(self) -> None:
        fields = {"schemaVersion": 2, "manifests": [], "layers": [], "config": described(b"{}")}
        with pytest.raises(InvalidManifest, match="at once"):
            parse(fields, "application/json")


class TestRefused:
    def test_schema_1_is_named(self) -> None:
        artifact = content.schema1()
        with pytest.raises(UnsupportedManifest, match="schema 1"):
            Manifest.parse(artifact.manifest, artifact.media_type)

    @pytest.mark.parametrize("header", sorted(media_types.SCHEMA1))
    def test_schema_1_is_named_by_its_header_too(self, header: str) -> None:
        with pytest.raises(UnsupportedManifest):
            parse({}, header)

    @pytest.mark.parametrize("text", [b"", b"nonsense", b"[]", b"null", b'"x"', b"\xff\xfe", b"{", b"[" * 100_000])
    def test_what_is_no_json_object(self, text: bytes) -> None:
        with pytest.raises(InvalidManifest):
            Manifest.parse(text, media_types.OCI_MANIFEST)

    def test_over_the_size_that_registries_take(self) -> None:
        with pytest.raises(InvalidManifest, match="4 MiB"):
            Manifest.parse(b" " * MAX_MANIFEST_BYTES + b"{}")

    def test_too_many_children(self) -> None:
        listed = [described(b"x")] * (MAX_CHILDREN + 1)
        with pytest.raises(InvalidManifest, match=str(MAX_CHILDREN)):
            parse({"mediaType": media_types.OCI_INDEX, "manifests": listed})

    @pytest.mark.parametrize(
        "extra", [{"config": []}, {"layers": {}}, {"layers": [None]}, {"layers": "x"}, {"subject": 1}, {"blobs": 1}]
    )
    def test_malformed_parts(self, extra: dict[str, Any]) -> None:
        with pytest.raises(InvalidManifest):
            parse({**IMAGE, **extra})

    def test_digest_that_cannot_be_checked(self) -> None:
        with pytest.raises(InvalidDigest):
            parse({**IMAGE, "config": {"digest": "md5:" + "0" * 32, "size": 1}})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
maybe_descriptor = json_values | st.just(described())
documents = st.fixed_dictionaries(
    {},
    optional={
        "schemaVersion": json_values | st.sampled_from([1, 2]),
        "mediaType": json_values | st.sampled_from(sorted(media_types.INDEXES | media_types.MANIFESTS)),
        "config": maybe_descriptor,
        "layers": json_values | st.lists(maybe_descriptor, max_size=2),
        "manifests": json_values | st.lists(maybe_descriptor, max_size=2),
        "blobs": json_values | st.lists(maybe_descriptor, max_size=2),
        "subject": maybe_descriptor,
    },
)


@given(documents, st.text(max_size=10) | st.sampled_from(sorted(media_types.MANIFESTS)))
def test_no_document_raises_anything_but_our_error(fields: dict[str, Any], header: str) -> None:
    text = json.dumps(fields).encode()
    try:
        found = Manifest.parse(text, header)
    except OciError:
        return
    assert found.content == text
    assert Manifest.parse(found.content, found.media_type) == found


@given(st.binary(max_size=200), st.sampled_from(["", media_types.OCI_INDEX, media_types.OCI_MANIFEST]))
def test_no_bytes_raise_anything_but_our_error(text: bytes, header: str) -> None:
    try:
        Manifest.parse(text, header)
    except OciError:
        pass
