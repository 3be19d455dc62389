# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Platforms: advice that a copy reads and never stumbles over."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azext_acrimport.oci.platform import Platform

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"os": "linux", "architecture": "amd64"}, "linux/amd64"),
        ({"os": "linux", "architecture": "arm", "variant": "v7"}, "linux/arm/v7"),
        (
            {"os": "windows", "architecture": "amd64", "os.version": "10.0.20348.2527"},
            "windows/amd64:10.0.20348.2527",
        ),
    ],
)
def test_platform_is_written_as_users_know_it(fields: dict[str, str], text: str) -> None:
    assert str(Platform.from_fields(fields)) == text


@pytest.mark.parametrize(
    "fields", [None, "linux/amd64", [], {}, {"architecture": "amd64"}, {"os": 1, "architecture": "amd64"}, {"os": ""}]
)
def test_what_makes_no_sense_is_no_platform(fields: object) -> None:
    assert Platform.from_fields(fields) is None


@given(st.dictionaries(st.sampled_from(["os", "architecture", "variant", "os.version", "x"]), values) | values)
def test_no_json_upsets_it(fields: object) -> None:
    found = Platform.from_fields(fields)
    assert found is None or str(found)
