# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Names in the target, across all entries of a list."""

from __future__ import annotations

import pytest

from azext_acrimport.lists.claims import Claim, check_entries
from azext_acrimport.lists.errors import InvalidList


def claims(*each: tuple[int, str, str, str]) -> list[Claim]:
    return [Claim(line, registry, tuple(names.split()), source) for line, registry, names, source in each]


def kept(found: list[Claim]) -> list[int]:
    return [each.line for each in check_entries(found, lambda claim: claim)]


def test_the_same_twice_is_taken_once() -> None:
    found = claims(
        (1, "one", "app:v1 app:latest", "a.io/app:v1"),
        (2, "two", "app:v1 app:latest", "a.io/app:v1"),
        (3, "ONE", "app app:v1", "a.io/app:v1"),
        (4, "one", "app:v1", "a.io/app:v1"),
    )
    assert kept(found) == [1, 2, 4]


def test_repositories_without_a_tag_are_no_names_but_count_for_sameness() -> None:
    found = [
        Claim(1, "one", (), "a.io/app:v1", untagged=("app",)),
        Claim(2, "one", (), "a.io/app:v2", untagged=("app",)),
        Claim(3, "one", (), "a.io/app:v1", untagged=("other",)),
        Claim(4, "one", (), "a.io/app:v1", untagged=("app",)),
    ]
    assert kept(found) == [1, 2, 3]


def test_one_name_for_two_images_is_refused_with_both_lines() -> None:
    found = claims(
        (3, "one", "app:v1", "a.io/app:v1"),
        (5, "one", "app", "a.io/app:v2"),
        (7, "ONE", "x:1 app:v1", "a.io/app:v2"),
        (9, "one", "app:latest", "a.io/app:v3"),
    )
    with pytest.raises(InvalidList) as raised:
        kept(found)
    first, second = raised.value.mistakes
    assert (first.line, second.line) == (7, 9)
    assert first.text.startswith("'one/app:v1' is to be 'a.io/app:v2', and on line 3 'a.io/app:v1'")
    assert "on line 5 'a.io/app:v2'" in second.text
