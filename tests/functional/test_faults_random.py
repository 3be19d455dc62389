# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Copies under faults by chance: what is lost, leaked or left behind. ``python3 -m bench.faults`` does more of them."""

from __future__ import annotations

import pytest

from bench import fault_run
from bench.fault_kinds import KINDS
from bench.faults import Summary


@pytest.mark.parametrize("seed", range(1, 61))
def test_complete_or_failed_cleanly(seed: int) -> None:
    verdict = fault_run.run_once(seed)
    assert verdict.odd == [], f"python3 -m bench.faults --seed {seed} --runs 1"


def test_same_seed_is_the_same_run() -> None:
    one, two = (fault_run.run_once(7) for _ in range(2))
    assert one.scenario == two.scenario
    # Their counters are left out: they count down as the threads of a run happen to come by.
    assert [(fault.action.kind, fault.method) for fault in one.faults] == [
        (fault.action.kind, fault.method) for fault in two.faults
    ]


def test_kinds_have_names_of_their_own() -> None:
    assert len({kind.name for kind in KINDS}) == len(KINDS)


def test_damage_that_nobody_told_of_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The judge itself: a copy that does nothing and says that all went well."""
    monkeypatch.setattr(fault_run, "copy", lambda roots, settings: [_Claim(roots)])
    summary = Summary()
    summary.add(fault_run.run_once(1))
    assert summary.corruptions == 1
    assert "lacks the manifest" in summary.text(0.1)
    assert "odd: seed 1:" in summary.text(0.1)


def test_failure_that_says_nothing_is_odd(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("lost")

    monkeypatch.setattr(fault_run, "copy", fail)
    verdict = fault_run.run_once(1)
    assert "it failed with RuntimeError: lost" in verdict.odd
    assert "the rerun failed: RuntimeError: lost" in verdict.odd
    assert verdict.outcome == "odd"


class _Claim:
    """A result that is not true."""

    def __init__(self, roots: object) -> None:
        self.digest = "sha256:" + "0" * 64
