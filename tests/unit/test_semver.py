# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Versions in tags: which of two is newer, and which are in a range."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azext_acrimport.oci.errors import InvalidRange
from azext_acrimport.oci.semver import Range, Version

numbers = st.lists(st.integers(0, 12).map(str), min_size=1, max_size=3).map(".".join)
suffixes = st.sampled_from(["", "-0", "-1", "-11", "-a", "-b", "-0a", "-a.1", "-a.1.1", "-a.b", "-1.a", "_1", "-a_1"])
tags = st.builds("{}{}{}".format, st.sampled_from(["", "v"]), numbers, suffixes)


def version(tag: str) -> Version:
    found = Version.parse(tag)
    assert found is not None, tag
    return found


@pytest.mark.parametrize(
    ("tag", "numbers", "prerelease", "build"),
    [
        ("1.2.3", (1, 2, 3), (), ""),
        ("v1.2.3", (1, 2, 3), (), ""),
        ("1.2", (1, 2, 0), (), ""),
        ("1", (1, 0, 0), (), ""),
        ("22.04", (22, 4, 0), (), ""),
        ("1.2.3-rc.1", (1, 2, 3), ("rc", 1), ""),
        ("1.2.3-0.3.7", (1, 2, 3), (0, 3, 7), ""),
        ("1.2.3--x", (1, 2, 3), ("-x",), ""),
        ("1.25-alpine3.19", (1, 25, 0), ("alpine3", 19), ""),
        ("1.2.3_build.5", (1, 2, 3), (), "build.5"),
        ("1.2.3+build.5", (1, 2, 3), (), "build.5"),
        ("1.2.3-rc.1_5", (1, 2, 3), ("rc", 1), "5"),
        ("20240115123000", (20240115123000, 0, 0), (), ""),
    ],
)
def test_tags_that_are_versions(
    tag: str, numbers: tuple[int, int, int], prerelease: tuple[int | str, ...], build: str
) -> None:
    found = version(tag)
    assert (found.numbers, found.prerelease, found.build) == (numbers, prerelease, build)


@pytest.mark.parametrize(
    "tag",
    ["", "v", "latest", "1.", ".1", "1..2", "1.2.3.4", "1.2.3-", "1.2.3-a..b", "1.2rc1", "V1.2", "x1.2", "1.2.3_",
     "1.2.3_a_b", "1.2 ", "1.2\n", "１.2", "1" * 17, "stable-1.2.3"],
)  # fmt: skip
def test_other_tags_are_none(tag: str) -> None:
    assert Version.parse(tag) is None


def test_missing_numbers_are_remembered_and_count_as_zero() -> None:
    assert version("1.2").given == 2
    assert version("1.2.0").given == 3
    assert version("1.2") == version("1.2.0") == version("v1.2.0_build")


@pytest.mark.parametrize(
    "ordered",
    [
        # The example of semver.org, section 11.
        "1.0.0-alpha 1.0.0-alpha.1 1.0.0-alpha.beta 1.0.0-beta 1.0.0-beta.2 1.0.0-beta.11 1.0.0-rc.1 1.0.0",
        "1.0.0 2.0.0 2.1.0 2.1.1 2.2.0 2.10.0 10.0.0",
        "1.0.0-2 1.0.0-11 1.0.0-A 1.0.0-a 1.0.0",
        "1 1.1-alpine 1.1 1.1.1",
    ],
)
def test_order_of_the_specification(ordered: str) -> None:
    for older, newer in pairwise(map(version, ordered.split())):
        assert older < newer
        assert newer > older
        assert older != newer


@given(tags, tags, tags)
def test_order_is_total_and_transitive(one: str, two: str, three: str) -> None:
    a, b, c = version(one), version(two), version(three)
    assert [a < b, a == b, a > b].count(True) == 1
    assert (a <= b) == (b >= a)
    assert not (a <= b <= c) or a <= c
    assert a != b or hash(a) == hash(b)


IN = [
    (">=1.2 <2", "1.2.0 1.2 1.9.9 v1.3"),
    ("≥1.2, ≤ 1.4", "1.2.0 1.4.0 1.4.9"),
    (">=1.2<2", "1.5.0"),
    (">1", "2.0.0"),
    (">1.2", "1.3.0"),
    ("<=1", "1.9.9 0.1.0"),
    ("<1.2", "1.1.9"),
    ("=1.2.3", "1.2.3 v1.2.3 1.2.3_build"),
    ("1.2.3", "1.2.3"),
    ("1.2", "1.2.0 1.2.9"),
    ("1.2.x", "1.2.0 1.2.9 1.2"),
    ("1.2.*", "1.2.9"),
    ("1.X", "1.0.0 1.9.0"),
    ("*", "0.0.0 9.9.9"),
    (">=*", "1.0.0"),
    ("^1.2.3", "1.2.3 1.9.0"),
    ("^0.2.3", "0.2.3 0.2.9"),
    ("^0.0.3", "0.0.3"),
    ("^1.2.x", "1.2.0 1.9.0"),
    ("^0.0", "0.0.0 0.0.9"),
    ("^0.x", "0.0.0 0.9.0"),
    ("^1", "1.0.0 1.9.0"),
    ("~1.2.3", "1.2.3 1.2.9"),
    ("~>1.2", "1.2.0 1.2.9"),
    ("~ 1", "1.0.0 1.9.0"),
    ("1.2.3 - 2.3.4", "1.2.3 2.3.4"),
    ("1.2 - 2.3.4", "1.2.0"),
    ("1.2.3 - 2.3", "2.3.9"),
    ("1.2.3 - 2", "2.9.9"),
    ("1.x || >=3 <3.5", "1.5.0 3.4.9"),
    ("1.2.7||>=1.2.9", "1.2.7 1.2.9"),
    (">1.2.3-alpha.3", "1.2.3-alpha.7 1.2.3 3.4.5"),
    ("~1.2.3-beta.2", "1.2.3-beta.4 1.2.3 1.2.9"),
    ("^1.2.3-beta.2", "1.2.3-beta.2 1.9.0"),
    ("^0.0.3-beta", "0.0.3-pr.2 0.0.3"),
    ("<=1.2.3-rc", "1.2.3-alpha 1.2.2"),
    ("1.25-alpine", "1.25-alpine 1.25.0-alpine"),
    ("=1.2.3-rc.1", "1.2.3-rc.1"),
]
NOT_IN = [
    (">=1.2 <2", "1.1.9 2.0.0 1.5.0-rc.1 2.0.0-rc.1"),
    (">1", "1.9.9 1.0.0"),
    ("<=1", "2.0.0"),
    ("<1.2", "1.2.0 1.2.0-rc.1"),
    ("=1.2.3", "1.2.4 1.2.3-rc.1"),
    ("1.2", "1.3.0 1.1.9"),
    ("*", "1.0.0-rc.1"),
    ("<*", "0.0.0 1.0.0"),
    (">*", "1.0.0"),
    ("^1.2.3", "1.2.2 2.0.0 2.0.0-rc.1"),
    ("^0.2.3", "0.3.0 0.2.2"),
    ("^0.0.3", "0.0.4 0.0.2"),
    ("^0.0", "0.1.0"),
    ("^0.x", "1.0.0"),
    ("~1.2.3", "1.2.2 1.3.0"),
    ("~1", "2.0.0"),
    ("1.2.3 - 2.3.4", "1.2.2 2.3.5"),
    ("1.2.3 - 2", "3.0.0"),
    ("1.x || 3.x", "2.0.0"),
    (">1.2.3-alpha.3", "1.2.3-alpha.3 3.4.5-alpha.9"),
    ("~1.2.3-beta.2", "1.2.3-beta.1 1.2.4-beta.2 1.3.0"),
    ("^1.2.3-beta.2", "1.2.4-beta.2 2.0.0"),
    ("1.25-alpine", "1.25 1.25-bookworm"),
]


@pytest.mark.parametrize(
    ("text", "tags", "expected"), [(*each, True) for each in IN] + [(*each, False) for each in NOT_IN]
)
def test_ranges(text: str, tags: str, expected: bool) -> None:
    found = Range.parse(text)
    assert {tag: found.holds(version(tag)) for tag in tags.split()} == dict.fromkeys(tags.split(), expected)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (">=1.2 banana", "'banana'"),
        ("1.2.3.4", "'1.2.3.4'"),
        ("!=1.2", "'!'"),
        ("=>1.2", "'='"),
        ("1.x.3", "'1.x.3'"),
        ("1.x-alpine", "'1.x-alpine'"),
        ("1.2 -2.0", "'-2.0'"),
        (">=", "'>='"),
        ("1 || ", "nothing in it"),
        ("", "nothing in it"),
        ("1 " * 200, "over 256"),
    ],
)
def test_error_names_what_cannot_be_read(text: str, named: str) -> None:
    with pytest.raises(InvalidRange) as raised:
        Range.parse(text)
    assert named in str(raised.value)


@given(st.text(alphabet="0123.-xX*v^~<>=| ,≥a_+", max_size=20))
def test_any_text_is_a_range_or_refused(text: str) -> None:
    try:
        Range.parse(text).holds(version("1.2.3"))
    except InvalidRange:
        pass


@given(tags, tags)
def test_bounds_agree_with_the_order_of_releases(one: str, two: str) -> None:
    bound, other = version(one).release, version(two).release
    text = ".".join(map(str, bound.numbers))
    found = {each: Range.parse(each + text).holds(other) for each in (">", ">=", "<", "<=", "=")}
    assert found == {
        ">": other > bound,
        ">=": other >= bound,
        "<": other < bound,
        "<=": other <= bound,
        "=": other == bound,
    }
