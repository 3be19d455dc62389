# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""The tables as Markdown. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from bench.results import NOISY, ClientResult, Report, RowResult, Spread

_DASH = "–"
_RESTLESS = " (busy machine)"
_BEGIN, _END = "<!-- figures: written by python3 -m bench --markdown -->", "<!-- end of figures -->"
_RATIOS = (
    "Ratios are our median to that of the fastest peer in the same row, start of the process to its end; in brackets "
    "the lowest and highest ratio of a round. Processor time and memory are compared with that same peer."
)
_DISTRUST = """\
- The registries run on the same processors and use more of them than any client does, so wall times differ less than
  they would between machines: a client that needs no processor at all would still take about 0.7 of the time.
- The far network has a delay and nothing else: no loss, no slow start, no limit of bandwidth.
- On loopback, crane and skopeo try https before http, and we http before https: over plain HTTP the far rows charge
  them round trips that they do not have with real registries, over TLS they charge us one for each registry. The rows
  with `-tls` are there to compare.
- crane and regctl speak HTTP/2 over TLS, which costs them about a third of their speed with large layers.
- Our client is a Python process of its own without the Azure CLI: it pays for the start of the interpreter and for its
  imports, but not for those of the CLI.
- With few runs, differences of less than about 3 % say nothing."""


def markdown(report: Report, plots: Mapping[str, str] = MappingProxyType({})) -> str:
    """All of it: circumstances, the table of goals, a table for each row, and what to distrust.

    ``plots`` are links to pictures, by the names of their files.
    """
    parts = [_circumstances(report), _overview(report.rows), _RATIOS]
    parts += _picture(plots, "ratios.svg", "Our ratio to the fastest peer in each row")
    parts += [_details(row, plots) for row in report.rows]
    parts.append(f"### What to distrust\n\n{_DISTRUST}{_noise(report.rows)}")
    return "\n\n".join(parts) + "\n"


def _picture(plots: Mapping[str, str], name: str, text: str) -> list[str]:
    return [f"![{text}]({plots[name]})"] if name in plots else []


def inserted(document: str, tables: str) -> str:
    """A document with the tables between its two marks, in place of what was there; without marks the tables alone."""
    before, begin, rest = document.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    return f"{before}{begin}\n\n{tables}\n{end}{after}" if begin and end else tables


def summary(row: RowResult) -> str:
    """One row on one line, for a terminal."""
    if row.left_out or row.wall_ratio is None:
        return row.left_out or "no ratio"
    best = row.best_peer.name if row.best_peer else ""
    return f"{row.name}: {row.wall_ratio:.2f} of {best}; goal {_goal(row)}; {_verdict(row) or 'no goal'}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; columns of figures are set to the right."""
    columns = list(zip(head, *rows, strict=True))
    rules = [" --- " if any(_is_text(cell) for cell in column[1:]) else " ---: " for column in columns]
    lines = [_line(head), f"|{'|'.join(rules)}|", *(_line(row) for row in rows)]
    return "\n".join(lines)


def spread(value: Spread | None, digits: int = 2) -> str:
    """A median with its extremes."""
    if value is None:
        return _DASH
    if round(value.low, digits) == round(value.high, digits):
        return f"{value.median:.{digits}f}"
    return f"{value.median:.{digits}f} ({value.low:.{digits}f}{_DASH}{value.high:.{digits}f})"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _is_text(cell: str) -> bool:
    return not (cell[:1].isdigit() or cell in ("", _DASH))


def _circumstances(report: Report) -> str:
    return table(("", ""), [(name, text) for name, text in report.circumstances.items()])


def _overview(rows: Sequence[RowResult]) -> str:
    head = ("row", "what", "goal", "ratio", "reached", "ours, s", "best peer, s", "processor", "MiB", "requests")
    return table(head, [_overview_line(row) for row in rows])


def _overview_line(row: RowResult) -> tuple[str, ...]:
    ours, best = row.ours, row.best_peer
    what = f"{row.title}; {row.workload}"
    if row.left_out or ours is None or best is None:
        reason = row.left_out or next(
            (client.problem for client in row.clients if client.problem), "nothing to compare"
        )
        return (row.name, what, _goal(row), _DASH, _cell(reason), *[_DASH] * 5)
    return (
        row.name,
        what,
        _goal(row),
        _ratio(row),
        (_verdict(row) or _DASH) + (_RESTLESS if ours.restless or best.restless else ""),
        _median(ours.wall, 3),
        f"{_median(best.wall, 3)} {best.name}",
        f"{row.cpu_ratio:.2f}" if row.cpu_ratio is not None else _DASH,
        f"{_median(ours.rss_mib, 0)} / {_median(best.rss_mib, 0)}",
        f"{_number(ours.total_requests)} / {_number(best.total_requests)}",
    )


def _reason(row: RowResult) -> str:
    """Why there is nothing to compare."""
    problems = [f"{client.name}: {client.problem}" for client in row.clients if client.problem]
    return row.left_out or "; ".join(problems) or "no peer"


def _goal(row: RowResult) -> str:
    if row.wall_goal is None:
        return _DASH
    words = [f"≤ {row.wall_goal:.2f}"]
    if row.goal.per_connection:
        words.append(f"(≤ {row.goal.wall} / N connections)")
    if row.goal.cpu is not None:
        words.append(f"processor ≤ {row.goal.cpu:.2f}")
    if row.goal.requests:
        words.append("requests ≤ crane's")
    if row.goal.no_bytes:
        words.append("no bytes moved")
    return ", ".join(words).replace(", (", " (")


def _ratio(row: RowResult) -> str:
    if row.wall_ratio is None:
        return _DASH
    rounds = row.round_ratios
    extremes = f" ({rounds.low:.2f}{_DASH}{rounds.high:.2f})" if rounds else ""
    return f"**{row.wall_ratio:.2f}**{extremes}"


def _verdict(row: RowResult) -> str:
    verdicts = row.verdicts()
    if not verdicts:
        return ""
    if all(verdicts.values()):
        return "yes"
    missed = [name for name, reached in verdicts.items() if not reached]
    return f"no: {', '.join(missed)}" if len(missed) < len(verdicts) else "no"


def _details(row: RowResult, plots: Mapping[str, str]) -> str:
    title = f"### {row.name}: {row.title}\n\n{row.workload[:1].upper()}{row.workload[1:]}."
    if row.left_out:
        return f"{title}\n\n{row.left_out[:1].upper()}{row.left_out[1:]}."
    head = ("client", "seconds", "processor, s", "peak MiB", "requests", "runs")
    ordered = sorted(row.clients, key=lambda client: client.wall.median if client.wall else float("inf"))
    picture = _picture(plots, f"{row.name.lower()}.svg", f"The seconds that each client takes for {row.name}")
    parts = [title, *picture, table(head, [_client_line(client) for client in ordered])]
    if row.ours:
        parts.append(_own_words(row.ours))
    return "\n\n".join(parts)


def _client_line(client: ClientResult) -> tuple[str, ...]:
    name = f"**{client.name}**" if client.is_ours else client.name
    if not client.runs:
        return (name, _cell(client.problem or "not run"), _DASH, _DASH, _DASH, "0")
    return (
        name,
        spread(client.wall, 3),
        spread(client.cpu),
        spread(client.rss_mib, 0),
        _requests(client),
        str(len(client.counted))
        + (_RESTLESS if client.restless else "")
        + (f"; {_cell(client.problem)}" if client.problem else ""),
    )


def _own_words(ours: ClientResult) -> str:
    added = ours.own("added_rss_kib")
    start, copy = _median(ours.own("start_seconds"), 3), _median(ours.own("copy_seconds"), 3)
    manifests, blobs = _median(ours.own("manifests_copied"), 0), _median(ours.own("blobs_copied"), 0)
    words = [
        f"Of ours, {start} s are imports and {copy} s the copy",
        f"peak memory is {added.median / 1024:.0f} MiB above the bare interpreter's" if added else "",
        f"{manifests} manifests and {blobs} blobs were sent",
        f"at most {_median(ours.connections, 0)} connections to the source at a time" if ours.connections else "",
    ]
    return "; ".join(word for word in words if word) + "."


def _requests(client: ClientResult) -> str:
    if not client.requests:
        return _DASH
    counts = ", ".join(f"{method} {count}" for method, count in sorted(client.requests.items()))
    return f"{client.total_requests}: {counts}"


def _noise(rows: Sequence[RowResult]) -> str:
    runs = [run for row in rows for client in row.clients for run in client.runs]
    noisy = sum(run.noisy for run in runs)
    if not noisy:
        return ""
    what = f"In {noisy} of {len(runs)} runs something else used more than {NOISY:.0%} of the machine"
    return f"\n- {what}: they count only where there are no others of that client in that row."


def _median(value: Spread | None, digits: int) -> str:
    return f"{value.median:.{digits}f}" if value else _DASH


def _number(value: int | None) -> str:
    return str(value) if value is not None else _DASH


def _cell(text: str) -> str:
    """Text that cannot break a table."""
    short = text if len(text) <= 200 else text[:200] + "…"
    return short.replace("|", "\\|").replace("\n", " ")
