# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""What the benchmark concludes from what it measured."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from bench.results import ClientResult, Report, RowResult, Run, Spread
from bench.rows import ROWS, Goal, select, workloads


def client(name: str, *walls: float, kind: str = "", cpu: float = 1.0, **more: object) -> ClientResult:
    """A client with a run of each of these wall times."""
    runs = [Run(wall, cpu, 20 << 10) for wall in walls]
    return ClientResult(name, kind or name, name == "acrimport", runs, **more)  # type: ignore[arg-type]


def row(*clients: ClientResult, goal: Goal | None = None) -> RowResult:
    """A row with these clients."""
    return RowResult("W0", "a row", "a workload", goal or Goal(0.9), list(clients))


def test_the_best_peer_is_the_one_with_the_lowest_median() -> None:
    result = row(client("acrimport", 0.5), client("crane", 1, 9, 2), client("skopeo", 3, 3, 3))

    assert result.best_peer is not None
    assert result.best_peer.name == "crane"
    assert result.wall_ratio == 0.25


def test_other_settings_of_ours_are_no_peers() -> None:
    variant = client("acrimport max_connections=64", 0.1, kind="acrimport-variant")

    result = row(client("acrimport", 0.5), variant, client("crane", 1))

    assert result.wall_ratio == 0.5
    assert result.ours is not None
    assert result.ours.name == "acrimport"


def test_ratios_of_rounds_compare_runs_of_the_same_round() -> None:
    result = row(client("acrimport", 1, 2, 3), client("crane", 2, 2, 2))

    assert result.round_ratios == Spread(1.0, 0.5, 1.5)


def test_runs_in_a_busy_machine_do_not_count_where_there_are_others() -> None:
    ours = client("acrimport", 1.0, 5.0)
    ours.runs[1] = replace(ours.runs[1], foreign_share=0.2)

    assert ours.wall == Spread(1.0, 1.0, 1.0)


def test_runs_in_a_busy_machine_count_where_there_are_no_others() -> None:
    ours = ClientResult("acrimport", "acrimport", True, [Run(2.0, 1.0, foreign_share=0.5)])

    assert ours.wall == Spread(2.0, 2.0, 2.0)


def test_a_client_that_did_not_come_to_its_end_is_left_out_of_the_comparison() -> None:
    result = row(client("acrimport", 1), client("crane", 2), client("skopeo", problem="not done in 4 s", too_slow=True))

    assert result.wall_ratio == 0.5


def test_there_is_no_ratio_without_a_peer() -> None:
    result = row(client("acrimport", 1))

    assert result.wall_ratio is None
    assert result.verdicts() == {}


@pytest.mark.parametrize(("wall", "cpu", "reached"), [(0.9, 0.6, True), (0.904, 0.6, True), (0.92, 0.6, False)])
def test_time_is_judged_to_two_digits(wall: float, cpu: float, reached: bool) -> None:
    goal = Goal(0.90, cpu=0.65)

    verdicts = row(client("acrimport", wall, cpu=cpu), client("crane", 1.0), goal=goal).verdicts()

    assert verdicts == {"time": reached, "processor time": True}


@pytest.mark.parametrize(("connections", "goal"), [(1, 0.55), (2, 0.55), (8, 0.1375)])
def test_a_goal_for_each_connection_wants_two_at_least(connections: int, goal: float) -> None:
    ours = ClientResult("acrimport", "acrimport", True, [Run(1.0, 1.0, connections=connections)])

    result = row(ours, client("crane", 1), goal=Goal(1.1, per_connection=True))

    assert result.wall_goal == pytest.approx(goal)


@pytest.mark.parametrize(("ours", "reached"), [(10, True), (11, False)])
def test_requests_are_compared_with_the_thriftiest_crane(ours: int, reached: bool) -> None:
    counted = [
        client("crane", 1, requests={"GET": 9, "HEAD": 1}),
        client("crane -a", 1, kind="crane", requests={"GET": 12}),
    ]

    result = row(client("acrimport", 0.1, requests={"HEAD": ours}), *counted, goal=Goal(0.5, requests=True))

    assert result.verdicts()["requests"] is reached


@pytest.mark.parametrize(("moved", "reached"), [(0, True), (1, False)])
def test_no_bytes_may_move_within_a_registry(moved: int, reached: bool) -> None:
    ours = ClientResult("acrimport", "acrimport", True, [Run(0.1, 0.1, own={"bytes_copied": moved})])

    result = row(ours, client("crane", 1), goal=Goal(0.5, no_bytes=True))

    assert result.verdicts()["no bytes moved"] is reached


def test_a_report_survives_json() -> None:
    ours = client("acrimport", 1, 2, requests={"GET": 3})
    ours.runs[0] = replace(ours.runs[0], own={"bytes_copied": 7}, connections=4)
    report = Report({"date": "2026-01-01"}, [row(ours, client("crane", 2, 2))])

    again = Report.of_fields(json.loads(json.dumps(report.fields())))

    assert again == report
    assert report.fields()["rows"][0]["wall_ratio"] == 0.75


def test_rows_are_chosen_by_name_and_by_beginning() -> None:
    assert [each.name for each in select("W3,W5*,W3")] == ["W3", "W5", "W5-tls", "W5b"]
    assert select("*") == list(ROWS)


def test_an_unknown_row_is_refused() -> None:
    with pytest.raises(ValueError, match="W99"):
        select("W99")


@pytest.mark.parametrize("quick", [True, False])
def test_every_row_has_its_workload(quick: bool) -> None:
    assert {each.workload for each in ROWS} == set(workloads(quick=quick))
