# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Platforms: advice that a copy reads and never stumbles over."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azext_acrimport.oci.errors import InvalidPlatform
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


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("linux/amd64", "linux/amd64"),
        ("Linux/x86_64", "linux/amd64"),
        ("linux/x86-64", "linux/amd64"),
        ("linux/amd64/v1", "linux/amd64"),
        ("linux/amd64/v3", "linux/amd64/v3"),
        ("linux/i386", "linux/386"),
        ("linux/aarch64", "linux/arm64"),
        ("linux/arm64/v8", "linux/arm64"),
        ("linux/arm64/8", "linux/arm64"),
        ("linux/arm", "linux/arm/v7"),
        ("linux/arm/6", "linux/arm/v6"),
        ("linux/armhf", "linux/arm/v7"),
        ("linux/armel", "linux/arm/v6"),
        ("macos/arm64", "darwin/arm64"),
        ("windows/amd64:10.0.20348.2527", "windows/amd64:10.0.20348.2527"),
    ],
)
def test_platform_is_read_under_any_of_its_names(text: str, read: str) -> None:
    assert str(Platform.parse(text)) == read


@pytest.mark.parametrize(
    "text",
    ["", "linux", "amd64", "linux/", "/amd64", "linux/amd64/", "a/b/c/d", "linux/amd64:", "linux amd64", "l/a\n"],
)
def test_what_is_no_platform_is_refused(text: str) -> None:
    with pytest.raises(InvalidPlatform):
        Platform.parse(text)


@pytest.mark.parametrize(
    ("wanted", "offered", "matches"),
    [
        ("linux/amd64", Platform("linux", "amd64"), True),
        ("linux/amd64", Platform("linux", "x86_64"), True),
        ("linux/amd64", Platform("linux", "amd64", "v3"), False),
        ("linux/arm64", Platform("linux", "arm64", "v8"), True),
        ("linux/arm", Platform("linux", "arm", "v7"), True),
        ("linux/arm/v7", Platform("linux", "arm"), True),
        ("linux/arm/v6", Platform("linux", "arm", "v7"), False),
        ("windows/amd64", Platform("linux", "amd64"), False),
        ("windows/amd64", Platform("windows", "amd64", "", "10.0.17763.1"), True),
        ("windows/amd64:10.0.17763", Platform("windows", "amd64", "", "10.0.17763.1"), True),
        ("windows/amd64:10.0.1776", Platform("windows", "amd64", "", "10.0.17763.1"), False),
        ("windows/amd64:10.0.17763", Platform("windows", "amd64"), False),
    ],
)
def test_platform_matches(wanted: str, offered: Platform, matches: bool) -> None:
    assert Platform.parse(wanted).matches(offered) is matches


def test_unknown_platform_is_none_to_run_on() -> None:
    assert Platform("unknown", "unknown").is_unknown
    assert not Platform("linux", "amd64").is_unknown
