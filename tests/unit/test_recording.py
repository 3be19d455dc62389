# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""The recording of the demo: what a terminal makes of its output, and the animation of that."""

from __future__ import annotations

import re
import sys
from xml.etree import ElementTree

import pytest

from scripts import record_demo
from scripts.record_demo import COLUMNS, ROWS, Line, Piece, animation, lines_of, record, shortened

SVG = "{http://www.w3.org/2000/svg}"


def test_styles_go_on_until_they_end() -> None:
    (first, second) = lines_of([(1.0, "\x1b[1mA story"), (2.0, "\x1b[0m\r\nplain \x1b[33mwarned\r\n")])

    assert first == Line(2.0, (Piece("A story", "bold"),))
    assert second == Line(2.0, (Piece("plain "), Piece("warned", "yellow")))


def test_what_is_redrawn_in_place_is_there_as_it_was_last() -> None:
    assert [line.text for line in lines_of([(1.0, "10 %\r20 %\rdone\n"), (2.0, "next\r\n")])] == ["done", "next"]


@pytest.mark.parametrize("cut", range(1, 14))
def test_it_does_not_matter_in_which_parts_it_comes(cut: int) -> None:
    text = "a\x1b[31mred\r\nend\n"

    (red, end) = lines_of([(1.0, text[:cut]), (1.0, text[cut:])])

    assert [(letter, piece.style) for piece in red.pieces for letter in piece.text] == [
        ("a", ""),
        *((letter, "red") for letter in "red"),
    ]
    assert end.text == "end"


def test_a_long_line_goes_on_below_in_its_style() -> None:
    lines = lines_of([(1.0, f"$ az {'x' * COLUMNS}\n")])

    assert [len(line.text) for line in lines] == [COLUMNS, 5]
    assert {piece.style for line in lines for piece in line.pieces} == {"typed"}


def test_long_waits_are_cut_short_and_others_stay() -> None:
    lines = [Line(seconds, (Piece("x"),)) for seconds in (1.0, 31.0, 31.5)]

    assert [line.seconds for line in shortened(lines)] == [1.0, 3.0, 3.5]


def test_the_animation_ends_with_the_last_line_at_the_bottom() -> None:
    lines = [Line(float(number), (Piece(f"line {number} <&>"),)) for number in range(ROWS + 5)]

    text = animation(lines)

    offsets = [int(found) for found in re.findall(r"% \{ transform: translateY\((-?\d+)px\)", text)]
    assert offsets == sorted(offsets, reverse=True)
    screen = ElementTree.fromstring(text).find(f"{SVG}svg")
    assert screen is not None
    shown = [
        each
        for each in screen.iter(f"{SVG}text")
        if 0 < int(each.attrib["y"]) + offsets[-1] <= int(screen.attrib["height"])
    ]
    assert [each.text for each in shown] == [line.text for line in lines[-ROWS:]]


@pytest.mark.skipif(sys.platform == "win32", reason="There are no pseudo-terminals")
def test_a_command_runs_in_a_terminal_of_the_size_that_is_drawn() -> None:
    script = "import os, sys; print(os.get_terminal_size().columns, sys.stdout.isatty(), '\u00e9')"

    (line,) = lines_of(record([sys.executable, "-c", script]))

    assert line.text == f"{COLUMNS} True \u00e9"


@pytest.mark.skipif(sys.platform == "win32", reason="There are no pseudo-terminals")
def test_a_demo_that_fails_is_not_recorded() -> None:
    with pytest.raises(record_demo.subprocess.CalledProcessError):
        list(record([sys.executable, "-c", "raise SystemExit(3)"]))
