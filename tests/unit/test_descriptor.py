# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Descriptors: what is required of one, and which content stays outside registries."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azext_acrimport.oci.descriptor import Descriptor
from azext_acrimport.oci.errors import InvalidDigest, InvalidManifest, OciError
from azext_acrimport.oci.platform import Platform

DIGEST = "sha256:" + "ab" * 32
FIELDS: dict[str, Any] = {"mediaType": "application/octet-stream", "digest": DIGEST, "size": 5}


def test_descriptor_is_read() -> None:
    fields = {**FIELDS, "urls": ["https://a.example/x"], "platform": {"os": "linux", "architecture": "arm64"}}
    assert Descriptor.parse(fields) == Descriptor(
        DIGEST, 5, "application/octet-stream", ("https://a.example/x",), Platform("linux", "arm64")
    )


def test_empty_content_and_no_type_are_allowed() -> None:
    assert Descriptor.parse({"digest": DIGEST, "size": 0}) == Descriptor(DIGEST, 0, "")


def test_type_and_annotations_of_an_artifact_are_read() -> None:
    found = Descriptor.parse({**FIELDS, "artifactType": "a/b", "annotations": {"k": "v", "odd": 5}})
    assert (found.artifact_type, found.annotations) == ("a/b", {"k": "v"})
    assert hash(found) == hash(Descriptor.parse({**FIELDS, "artifactType": "a/b"}))


@pytest.mark.parametrize("value", [None, 1, [], True])
def test_they_are_advice_and_no_error_where_they_make_no_sense(value: object) -> None:
    found = Descriptor.parse({**FIELDS, "artifactType": value, "annotations": value})
    assert (found.artifact_type, found.annotations) == ("", {})


@pytest.mark.parametrize("value", [None, 1, "text", [], True])
def test_only_an_object_is_a_descriptor(value: object) -> None:
    with pytest.raises(InvalidManifest):
        Descriptor.parse(value)


@pytest.mark.parametrize("size", [None, -1, 1.5, "5", True, 1 << 63, float("nan"), []])
def test_size_is_a_whole_number_that_a_blob_can_have(size: object) -> None:
    with pytest.raises(InvalidManifest):
        Descriptor.parse({**FIELDS, "size": size})


def test_size_is_required() -> None:
    with pytest.raises(InvalidManifest):
        Descriptor.parse({"digest": DIGEST})


@pytest.mark.parametrize("digest", [None, "", 5, "md5:" + "0" * 32, DIGEST.upper(), "../../x"])
def test_digest_is_one_that_can_be_checked(digest: object) -> None:
    with pytest.raises(InvalidDigest):
        Descriptor.parse({**FIELDS, "digest": digest})


@pytest.mark.parametrize("extra", [{"mediaType": 5}, {"urls": "https://x"}, {"urls": [1]}, {"urls": {"a": "b"}}])
def test_other_fields_have_their_types(extra: dict[str, Any]) -> None:
    with pytest.raises(InvalidManifest):
        Descriptor.parse({**FIELDS, **extra})


@pytest.mark.parametrize(
    ("media_type", "urls", "foreign"),
    [
        ("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", ["https://x"], True),
        ("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", ["https://x"], True),
        ("application/vnd.oci.image.layer.nondistributable.v1.tar+zstd", ["https://x"], True),
        ("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", [], False),
        ("application/vnd.oci.image.layer.v1.tar+gzip", ["https://x"], False),
        ("application/vnd.oci.image.layer.v1.tar+gzip", [], False),
    ],
)
def test_foreign_content_has_urls_and_a_type_that_says_so(media_type: str, urls: list[str], foreign: bool) -> None:
    assert Descriptor.parse({**FIELDS, "mediaType": media_type, "urls": urls}).is_foreign is foreign


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(
    json_values
    | st.fixed_dictionaries(
        {},
        optional={
            "digest": json_values | st.just(DIGEST),
            "size": json_values,
            "mediaType": json_values,
            "urls": json_values,
            "platform": json_values,
        },
    )
)
def test_no_json_raises_anything_but_our_error(fields: object) -> None:
    try:
        found = Descriptor.parse(fields)
    except OciError:
        return
    assert found.size >= 0
