# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""The tables and plots that the benchmark writes."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from bench.plots import row_plot, write_plots
from bench.report import inserted, markdown, spread, summary, table
from bench.results import ClientResult, Report, RowResult, Run, Spread
from bench.rows import Goal

_SVG = "{http://www.w3.org/2000/svg}"


def full_row() -> RowResult:
    """A row with two clients that finished and one that did not."""
    own = {"start_seconds": 0.05, "copy_seconds": 0.4, "added_rss_kib": 12 << 10, "blobs_copied": 9}
    ours = ClientResult(
        "acrimport", "acrimport", True, [Run(0.5, 0.3, 20 << 10, own=own), Run(0.6, 0.3, 22 << 10, own=own)]
    )
    ours.requests = {"GET": 2, "PUT": 1}
    crane = ClientResult("crane -a <j>", "crane", False, [Run(1.0, 0.4, 15 << 10), Run(1.1, 0.4, 15 << 10)])
    slow = ClientResult("skopeo", "skopeo", problem="ended with 1: a | b", too_slow=False)
    return RowResult("W1", "one image", "8 layers of 16 MiB", Goal(0.95, cpu=0.5), [slow, crane, ours])


def cells(line: str) -> list[str]:
    """The cells of a line of a table."""
    return [cell.strip() for cell in line.strip("|").split(" | ")]


def line_of(text: str, beginning: str) -> list[str]:
    """The cells of the first line that begins so."""
    return cells(next(line for line in text.splitlines() if line.startswith(beginning)))


def test_the_overview_gives_goal_ratio_and_verdict() -> None:
    found = line_of(markdown(Report({}, [full_row()])), "| W1 |")

    assert found[2:5] == ["≤ 0.95, processor ≤ 0.50", "**0.52** (0.50–0.55)", "no: processor time"]
    assert found[5:] == ["0.550", "1.050 crane -a <j>", "0.75", "21 / 15", "3 / –"]


def test_the_fastest_client_comes_first_and_a_failed_one_last() -> None:
    lines = markdown(Report({}, [full_row()])).partition("### W1")[2].splitlines()

    names = [cells(line)[0] for line in lines if line.startswith("| ")][1:]

    assert names[1:4] == ["**acrimport**", "crane -a <j>", "skopeo"]


def test_what_a_client_said_cannot_break_the_table() -> None:
    assert "| skopeo | ended with 1: a \\| b | – | – | – | 0 |" in markdown(Report({}, [full_row()]))


def test_a_row_that_was_left_out_says_why() -> None:
    row = RowResult("W5", "far", "small", Goal(0.5), left_out="left out, there is no C compiler")

    found = line_of(markdown(Report({}, [row])), "| W5 |")

    assert found[3:6] == ["–", "left out, there is no C compiler", "–"]
    assert summary(row) == "left out, there is no C compiler"


def test_spoilt_runs_are_owned_up_to() -> None:
    row = full_row()
    row.clients[1].runs.append(Run(9.0, 9.0, foreign_share=0.4))

    assert "In 1 of 5 runs something else used more than 5% of the machine" in markdown(Report({}, [row]))


def test_columns_of_figures_are_set_to_the_right() -> None:
    assert table(("a", "b"), [("x", "1.5"), ("y", "–")]).splitlines()[1] == "| --- | ---: |"


def test_a_spread_without_extent_is_one_figure() -> None:
    assert spread(Spread(1.0, 1.0, 1.001)) == "1.00"
    assert spread(Spread(1.0, 0.9, 1.2), 1) == "1.0 (0.9–1.2)"
    assert spread(None) == "–"


def test_tables_take_the_place_of_those_before() -> None:
    begin, end = "<!-- figures: written by python3 -m bench --markdown -->", "<!-- end of figures -->"

    once = inserted(f"text\n\n{begin}\nold\n{end}\nmore\n", "new\n")

    assert once == f"text\n\n{begin}\n\nnew\n\n{end}\nmore\n"
    assert inserted(once, "new\n") == once
    assert inserted("a file without marks", "new\n") == "new\n"


def test_a_plot_has_a_bar_for_each_client_that_finished() -> None:
    root = ElementTree.fromstring(row_plot(full_row()))

    texts = [element.text for element in root.iter(f"{_SVG}text")]
    bars = [float(element.attrib["width"]) for element in root.iter(f"{_SVG}rect")]

    assert texts == ["W1: one image; 8 layers of 16 MiB", "acrimport", "0.550 s", "crane -a <j>", "1.05 s"]
    assert bars[0] / bars[1] == pytest.approx(0.55 / 1.05, rel=0.01)


def test_plots_are_written_for_rows_with_runs_only(tmp_path: Path) -> None:
    empty = RowResult("W9", "nothing", "nothing", Goal(), left_out="left out")

    written = write_plots(Report({}, [full_row(), empty]), tmp_path / "plots")

    assert sorted(path.name for path in written) == ["ratios.svg", "w1.svg"]
    assert all(ElementTree.parse(path) for path in written)


def test_plots_are_shown_with_their_rows() -> None:
    text = markdown(Report({}, [full_row()]), {"w1.svg": "plots/w1.svg", "ratios.svg": "plots/ratios.svg"})

    before, _, row = text.partition("### W1")
    assert "](plots/ratios.svg)" in before
    assert "](plots/w1.svg)\n\n| client |" in row
    assert ".svg" not in markdown(Report({}, [full_row()]))
