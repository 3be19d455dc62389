# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Which tags are chosen, by one rule and by several."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azext_acrimport.lists.selection import TagFilter, names_one_image
from azext_acrimport.request import InvalidRequest

DIGEST = "0123456789abcdef" * 4
REFERRERS = [f"sha256-{DIGEST}{each}" for each in ("", ".sig", ".att", ".sbom")]
TAGS = [
    "1", "1.25", "1.25-alpine", "1.25.0", "1.25.4", "1.26.0-rc.1", "1.26.0", "1.26.0-alpine", "1.10.0", "2.0.0-rc.1",
    "latest", "stable", "build-7", *REFERRERS,
]  # fmt: skip


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ({"all_tags": True}, TAGS[:-4]),
        ({"patterns": ["1.25*"]}, ["1.25", "1.25-alpine", "1.25.0", "1.25.4"]),
        ({"patterns": ["1.2?", "stable"]}, ["1.25", "stable"]),
        ({"patterns": ["[!0-9]*"]}, ["latest", "stable", "build-7"]),
        ({"patterns": ["Latest"]}, []),
        ({"patterns": ["*-alpine"], "exclude": ["1.25*"]}, ["1.26.0-alpine"]),
        ({"all_tags": True, "exclude": ["*-*", "[a-z]*"]}, ["1", "1.25", "1.25.0", "1.25.4", "1.26.0", "1.10.0"]),
        ({"semver": ">=1.25 <2"}, ["1.25", "1.25.0", "1.25.4", "1.26.0"]),
        ({"semver": ">=1.26.0-rc.1"}, ["1.26.0-rc.1", "1.26.0"]),
        ({"semver": ">=1.25", "patterns": ["*-alpine"]}, ["1.25-alpine", "1.26.0-alpine"]),
        ({"semver": ">=1.26", "patterns": ["1.*-[a-z]*"]}, ["1.26.0-rc.1", "1.26.0-alpine"]),
        ({"semver": "1.x", "patterns": ["1.26*"]}, ["1.26.0"]),
        ({"latest": 3}, ["1.26.0", "1.25.4", "1.25.0"]),
        ({"latest": 2, "exclude": ["1.26.0"]}, ["1.25.4", "1.25.0"]),
        ({"latest": 1, "all_tags": True}, ["1.26.0"]),
        ({"latest": 2, "patterns": ["1.*"]}, ["1.26.0", "1.25.4"]),
        ({"latest": 1, "patterns": ["*-alpine"]}, ["1.26.0-alpine"]),
        ({"latest": 1, "patterns": ["*-rc*", "1.*"]}, ["2.0.0-rc.1"]),
        ({"latest": 1, "semver": ">=2.0.0-rc.0"}, ["2.0.0-rc.1"]),
        ({"latest": 1, "semver": "<1.26"}, ["1.25.4"]),
        ({"latest": 99}, ["1.26.0", "1.25.4", "1.25.0", "1.25", "1.10.0", "1"]),
        ({"latest": 9, "patterns": ["stable"]}, []),
        ({"patterns": ["*"]}, TAGS[:-4]),
        ({"patterns": ["sha256-*"]}, REFERRERS),
        ({"patterns": ["sha256-*", "*"], "exclude": ["*.att", "*.sbom", "[12a-r]*"]}, ["stable", *REFERRERS[:2]]),
        ({"patterns": ["sha256-*.sig", "latest"]}, ["latest", REFERRERS[1]]),
    ],
)  # fmt: skip
def test_rules_choose(rules: dict[str, Any], expected: list[str]) -> None:
    assert TagFilter.of(**rules).select(TAGS) == expected


def test_a_tag_that_is_listed_twice_is_chosen_once_and_the_source_may_be_a_stream() -> None:
    assert TagFilter.of(all_tags=True).select(iter(["b", "a", "b"])) == ["b", "a"]


def test_a_name_that_only_looks_like_a_referrer_is_a_tag() -> None:
    tags = ["sha256-short", f"sha256-{DIGEST}.img", f"sha512-{DIGEST}"]
    assert TagFilter.of(all_tags=True).select(tags) == tags[:2]


@pytest.mark.parametrize(
    ("rules", "named"),
    [
        ({"exclude": ["*-rc*"]}, "--exclude-tags only takes away"),
        ({"latest": 0}, "--latest is 0"),
        ({"latest": -1}, "--latest is -1"),
        ({"semver": ">=banana"}, "--semver: the range '>=banana'"),
        ({"semver": ""}, "--semver"),
        ({"patterns": ["1.2,1.3"]}, "given separately"),
        ({"patterns": ["1.2 1.3"]}, "given separately"),
        ({"patterns": ["repo:1.2"]}, "--tags 'repo:1.2'"),
        ({"patterns": [""]}, "--tags ''"),
        ({"patterns": ["[ab"]}, "--tags '[ab'"),
        ({"patterns": ["[]"]}, "--tags '[]'"),
        ({"patterns": ["[ac-b]"]}, "--tags '[ac-b]'"),
        ({"patterns": ["*" * 257]}, "--tags"),
        ({"all_tags": True, "exclude": ["^x"]}, "--exclude-tags '^x'"),
    ],
)
def test_rules_that_cannot_be_used(rules: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        TagFilter.of(**rules)
    assert named in str(raised.value)


def test_without_rules_no_tags_are_chosen() -> None:
    assert not TagFilter.of().is_active
    assert TagFilter.of(latest=1).is_active


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("docker.io/library/nginx", False),
        ("registry.corp:5000/app", False),
        ("app", False),
        ("app:v1", True),
        ("docker.io/library/nginx:1", True),
        ("registry.corp:5000/app:v1", True),
        (f"r.io/app@sha256:{DIGEST}", True),
        ("oci:./carried/in", True),
        ("oci-archive:app.tar", True),
    ],
)
def test_rules_are_for_sources_that_are_repositories(source: str, expected: bool) -> None:
    assert names_one_image(source) is expected
    TagFilter.of().check_source(source)
    if expected:
        with pytest.raises(InvalidRequest, match="names one image"):
            TagFilter.of(latest=1).check_source(source)
    else:
        TagFilter.of(latest=1).check_source(source)


@given(st.text(alphabet="ab1*?[]!-._", max_size=12), st.lists(st.text(alphabet="ab1-._", max_size=6)))
def test_any_pattern_is_refused_or_chooses_some_of_the_tags(glob: str, tags: list[str]) -> None:
    try:
        chosen = TagFilter.of(patterns=[glob]).select(tags)
    except InvalidRequest:
        return
    assert set(chosen) <= set(tags)


def test_many_stars_do_not_take_forever() -> None:
    assert TagFilter.of(patterns=["*a" * 60 + "b"]).select(["a" * 128]) == []
