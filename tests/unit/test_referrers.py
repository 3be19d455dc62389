# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Names and lists of referrers."""

from __future__ import annotations

import json

import pytest

from azext_acrimport.oci.digest import digest_of
from azext_acrimport.oci.errors import InvalidManifest
from azext_acrimport.oci.manifest import Manifest
from azext_acrimport.oci.reference import check_tag
from azext_acrimport.oci.referrers import COSIGN_TYPES, ReferrerFilter, cosign_tags, schema_tag, with_entries
from emulator import content, signing

SHA256, SHA512 = digest_of(b"x"), digest_of(b"x", "sha512")
IMAGE = content.image()


def parsed(artifact: content.Artifact) -> Manifest:
    return Manifest.parse(artifact.manifest, artifact.media_type)


@pytest.mark.parametrize(
    ("types", "kind", "wanted"),
    [
        ((), "anything", True),
        (("a/b",), "a/b", True),
        (("a/b",), "a/c", False),
        (("a/b", "sig"), COSIGN_TYPES["sig"], True),
        (("sig",), COSIGN_TYPES["att"], False),
        (("sig",), "sig", False),
        (("a/b",), "", False),
    ],
)
def test_filter(types: tuple[str, ...], kind: str, wanted: bool) -> None:
    assert ReferrerFilter(types).wants(kind) is wanted


@pytest.mark.parametrize(
    ("digest", "tag"), [(SHA256, SHA256.replace(":", "-")), (SHA512, SHA512.replace(":", "-")[: 7 + 64])]
)
def test_tag_of_the_list_is_one_that_a_registry_takes(digest: str, tag: str) -> None:
    assert check_tag(schema_tag(digest)) == tag


def test_tags_of_cosign() -> None:
    name = SHA256.replace(":", "-")
    assert list(cosign_tags(SHA256, ReferrerFilter())) == [f"{name}.sig", f"{name}.att", f"{name}.sbom"]
    assert list(cosign_tags(SHA256, ReferrerFilter(("att", "a/b")))) == [f"{name}.att"]
    assert cosign_tags(SHA512, ReferrerFilter()) == {}


class TestLists:
    def test_new_one(self) -> None:
        one, other = parsed(signing.signature(IMAGE)), parsed(content.image("old", subject=IMAGE))
        made = with_entries(None, [one, other])
        assert made is not None
        assert json.loads(made.content) == {
            "schemaVersion": 2,
            "mediaType": content.OCI_INDEX,
            "manifests": [
                {
                    "mediaType": one.media_type,
                    "digest": one.digest,
                    "size": len(one.content),
                    "artifactType": signing.NOTATION_TYPE,
                    "annotations": dict(one.annotations),
                },
                {
                    "mediaType": other.media_type,
                    "digest": other.digest,
                    "size": len(other.content),
                    "artifactType": content.OCI_CONFIG,
                },
            ],
        }

    def test_grown_one_keeps_what_it_had(self) -> None:
        one, other = parsed(signing.signature(IMAGE)), parsed(signing.sbom(IMAGE))
        first = with_entries(None, [one])
        assert first is not None
        odd = {**json.loads(first.content), "annotations": {"a": "b"}}
        odd["manifests"][0]["x-vendor"] = 1
        grown = with_entries(Manifest.parse(json.dumps(odd).encode()), [other, one])
        assert grown is not None
        found = json.loads(grown.content)
        assert found["annotations"] == {"a": "b"}
        assert found["manifests"][0] == odd["manifests"][0]
        assert [item["digest"] for item in found["manifests"]] == [one.digest, other.digest]
        assert with_entries(grown, [one, other]) is None

    def test_what_is_no_index_is_not_overwritten(self) -> None:
        with pytest.raises(InvalidManifest):
            with_entries(parsed(IMAGE), [parsed(signing.sbom(IMAGE))])
