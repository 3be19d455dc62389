# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Choosing entries of an index."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azext_acrimport.oci.errors import InvalidManifest, UnknownPlatform
from azext_acrimport.oci.manifest import Manifest
from azext_acrimport.oci.platform import Platform
from azext_acrimport.oci.selection import entries_of, index_of, select
from emulator import content, signing

NAMES = ("linux/amd64", "linux/arm64", "linux/arm/v7", "windows/amd64")


def parsed(artifact: content.Artifact) -> Manifest:
    return Manifest.parse(artifact.manifest, artifact.media_type)


INDEX = parsed(signing.attested(platforms=NAMES))


@given(st.lists(st.sampled_from(NAMES), min_size=1))
def test_choice_depends_on_what_is_wanted_and_not_on_its_order(names: list[str]) -> None:
    def made(wanted: list[str]) -> Manifest:
        entries = select(entries_of(INDEX), [Platform.parse(name) for name in wanted])
        return index_of(INDEX, entries)

    one, other = made(names), made(sorted(set(names)))
    assert one.content == other.content
    assert [str(each.platform) for each in one.manifests if each.platform and not each.platform.is_unknown] == [
        name for name in NAMES if name in names
    ]
    assert len(one.manifests) == 2 * len(set(names))


def test_fields_that_we_do_not_know_stay_as_they_are() -> None:
    fields: dict[str, Any] = json.loads(INDEX.content)
    fields["manifests"][0]["data"] = "aGk="
    fields["x-vendor"] = {"a": [1, 1.5, "\U0001f600"]}
    index = Manifest.parse(json.dumps(fields).encode())
    made = json.loads(index_of(index, entries_of(index)[:1]).content)
    assert made["x-vendor"] == fields["x-vendor"]
    assert made["manifests"] == fields["manifests"][:1]


def test_annotations_that_are_none_are_replaced() -> None:
    index = Manifest.parse(json.dumps({**json.loads(INDEX.content), "annotations": 5}).encode())
    made = index_of(index, entries_of(index)[:1])
    assert made.annotations == {"vnd.microsoft.acrx.original.digest": index.digest}


def test_numbers_that_are_not_json_are_refused() -> None:
    index = Manifest.parse(json.dumps({**json.loads(INDEX.content), "x": float("nan")}).encode())
    with pytest.raises(InvalidManifest):
        index_of(index, entries_of(index)[:1])


def test_error_shows_names_of_others_without_control_characters_and_not_all_of_a_thousand() -> None:
    entries = [{"digest": f"sha256:{number:064}", "size": 1, "mediaType": "x"} for number in range(1000)]
    fields = [
        {**entry, "platform": {"os": "linux\x1b[2J", "architecture": str(number)}}
        for number, entry in enumerate(entries)
    ]
    index = Manifest.parse(json.dumps({"mediaType": content.OCI_INDEX, "manifests": fields}).encode())
    with pytest.raises(UnknownPlatform) as raised:
        select(entries_of(index), [Platform.parse("linux/amd64")])
    assert str(raised.value).isprintable()
    assert str(raised.value).endswith("and 970 more")
