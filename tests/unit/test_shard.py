# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Parts of a list for several machines: which part this is, and what belongs to it."""

from __future__ import annotations

import pytest

from azext_acrimport.lists.shard import Shard
from azext_acrimport.request import InvalidRequest

PIPELINES = {"SYSTEM_JOBPOSITIONINPHASE": "2", "SYSTEM_TOTALJOBSINPHASE": "4"}
KUBERNETES = {"JOB_COMPLETION_INDEX": "1", "JOB_COMPLETIONS": "4"}


@pytest.mark.parametrize(
    ("text", "environ", "expected"),
    [
        ("2/4", {}, "2/4"),
        (" 1/1 ", PIPELINES, "1/1"),
        ("auto", PIPELINES, "2/4"),
        ("AUTO", KUBERNETES, "2/4"),
        ("auto", {"JOB_COMPLETION_INDEX": "0", "JOB_COMPLETIONS": "4"}, "1/4"),
        ("auto", PIPELINES | {"JOB_COMPLETION_INDEX": "0", "JOB_COMPLETIONS": "9"}, "2/4"),
    ],
)
def test_which_part_this_is(text: str, environ: dict[str, str], expected: str) -> None:
    assert str(Shard.parse(text, environ)) == expected


@pytest.mark.parametrize("text", ["", "2", "0/4", "5/4", "1/0", "-1/4", "1/4/5", "a/b", "1 / 4", "1.0/4", "²/4"])
def test_other_parts_are_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="--shard"):
        Shard.parse(text, {})


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({}, ["SYSTEM_JOBPOSITIONINPHASE", "SYSTEM_TOTALJOBSINPHASE", "JOB_COMPLETION_INDEX", "--shard I/N"]),
        ({"JOB_COMPLETION_INDEX": "1"}, ["JOB_COMPLETIONS", "spec.completions"]),
        ({"JOB_COMPLETION_INDEX": "4", "JOB_COMPLETIONS": "4"}, ["JOB_COMPLETION_INDEX='4'"]),
        ({"JOB_COMPLETION_INDEX": "x", "JOB_COMPLETIONS": "4"}, ["JOB_COMPLETION_INDEX='x'"]),
        (PIPELINES | {"SYSTEM_TOTALJOBSINPHASE": "1"}, ["SYSTEM_TOTALJOBSINPHASE='1'"]),
    ],
)
def test_an_environment_that_does_not_say(environ: dict[str, str], named: list[str]) -> None:
    with pytest.raises(InvalidRequest) as raised:
        Shard.parse("auto", environ)
    assert [each for each in named if each not in str(raised.value)] == []


def test_parts_are_disjoint_complete_and_about_even() -> None:
    names = [f"team{number % 7}/app{number}" for number in range(2_000)]
    shards = [Shard(index, 4) for index in range(1, 5)]
    owners = [[shard.index for shard in shards if shard.holds(name)] for name in names]
    assert all(len(each) == 1 for each in owners)
    counts = [owners.count([shard.index]) for shard in shards]
    assert min(counts) > 400


def test_parts_are_the_same_on_every_machine() -> None:
    # From sha256sum, its first 16 digits modulo 4, plus 1: this must never change.
    found = {name: next(index for index in range(1, 5) if Shard(index, 4).holds(name)) for name in ("app", "team/app")}
    assert found == {"app": 4, "team/app": 3}
