# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Plots as SVG, readable on light and dark ground, with nothing but the standard library."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

from bench.results import ClientResult, Report, RowResult

_WIDTH, _LABELS, _FIGURES = 780, 210, 190
_LINE, _BAR, _TOP, _BOTTOM = 26, 14, 46, 12
_STYLE = """\
text { font: 13px system-ui, "Segoe UI", Helvetica, Arial, sans-serif; fill: #57606a }
.title { font-size: 15px; font-weight: 600; fill: #24292f }
.ours { font-weight: 600; fill: #24292f }
.bar { fill: #9aa4b0 } .bar-ours { fill: #2f81f7 }
.range { stroke: #57606a; stroke-width: 1.5 } .goal { stroke: #d29922; stroke-width: 2 } .one { stroke: #9aa4b0 }
@media (prefers-color-scheme: dark) {
  text { fill: #9da7b3 } .title, .ours { fill: #e6edf3 } .bar { fill: #6e7681 } .range { stroke: #c9d1d9 }
}"""


@dataclass(frozen=True)
class Bar:
    """One bar: its name, its length with the extremes, and what is written after it."""

    name: str
    value: float
    low: float
    high: float
    text: str
    is_ours: bool = False
    goal: float | None = None


def write_plots(report: Report, folder: Path) -> list[Path]:
    """Write a plot of each row, and one of all ratios; return where."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = {f"{row.name.lower()}.svg": row_plot(row) for row in report.rows if any(each.runs for each in row.clients)}
    if any(row.wall_ratio is not None for row in report.rows):
        texts["ratios.svg"] = ratio_plot(report.rows)
    written = []
    for name, text in texts.items():
        path = folder / name
        path.write_text(text, encoding="utf-8")
        written.append(path)
    return written


def row_plot(row: RowResult) -> str:
    """The wall times of a row, the shortest first."""
    bars = [bar for client in row.clients if (bar := _client_bar(client))]
    bars.sort(key=lambda bar: bar.value)
    return _svg(f"{row.name}: {row.title}; {row.workload}", bars)


def ratio_plot(rows: Sequence[RowResult]) -> str:
    """Our time as a part of the fastest peer's, row by row, with the goals."""
    bars = [bar for row in rows if (bar := _ratio_bar(row))]
    return _svg("Time as a part of the fastest peer's (less is better; the mark is the goal)", bars, one=True)


def _client_bar(client: ClientResult) -> Bar | None:
    wall = client.wall
    if wall is None:
        return None
    return Bar(client.name, wall.median, wall.low, wall.high, f"{wall.median:#.3g} s", client.is_ours)


def _ratio_bar(row: RowResult) -> Bar | None:
    ratio, rounds = row.wall_ratio, row.round_ratios
    if ratio is None or rounds is None or row.best_peer is None:
        return None
    text = f"{ratio:.2f} of {row.best_peer.name}"
    return Bar(row.name, ratio, rounds.low, rounds.high, text, True, row.wall_goal)


def _svg(title: str, bars: Sequence[Bar], *, one: bool = False) -> str:
    height = _TOP + _LINE * len(bars) + _BOTTOM
    longest = max([bar.high for bar in bars] + [bar.goal or 0 for bar in bars] + [1.0 if one else 0.0]) or 1.0
    scale = (_WIDTH - _LABELS - _FIGURES) / longest
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" role="img">',
        f"<title>{escape(title)}</title>",
        f"<style>{escape(_STYLE)}</style>",
        f'<text class="title" x="8" y="24">{escape(title)}</text>',
    ]
    if one:
        parts.append(_vertical("one", _LABELS + scale, _TOP - 6, height - _BOTTOM))
    for index, bar in enumerate(bars):
        parts += _bar(bar, _TOP + index * _LINE, scale)
    return "\n".join([*parts, "</svg>", ""])


def _bar(bar: Bar, top: float, scale: float) -> list[str]:
    middle, end = top + _BAR / 2, _LABELS + bar.high * scale
    emphasis = ' class="ours"' if bar.is_ours else ""
    fill, length = "bar-ours" if bar.is_ours else "bar", max(1.0, bar.value * scale)
    parts = [
        f'<text{emphasis} x="{_LABELS - 8}" y="{middle + 4.5:.1f}" text-anchor="end">{escape(bar.name)}</text>',
        f'<rect class="{fill}" x="{_LABELS}" y="{top}" width="{length:.1f}" height="{_BAR}" rx="2"/>',
    ]
    if bar.high > bar.low:
        low = _LABELS + bar.low * scale
        parts.append(f'<line class="range" x1="{low:.1f}" x2="{end:.1f}" y1="{middle:.1f}" y2="{middle:.1f}"/>')
    if bar.goal is not None:
        parts.append(_vertical("goal", _LABELS + bar.goal * scale, top - 3, top + _BAR + 3))
        end = max(end, _LABELS + bar.goal * scale)
    parts.append(f'<text{emphasis} x="{end + 8:.1f}" y="{middle + 4.5:.1f}">{escape(bar.text)}</text>')
    return parts


def _vertical(kind: str, x: float, top: float, bottom: float) -> str:
    return f'<line class="{kind}" x1="{x:.1f}" x2="{x:.1f}" y1="{top:.1f}" y2="{bottom:.1f}"/>'
