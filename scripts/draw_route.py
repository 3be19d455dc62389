# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Draw the rules of the route, as the code has them, into the documentation. Run it with ``make docs``.

It writes ``docs/route.svg``, and the tables between the marks in README.md and docs/routes.md; a test fails when they
are not what this would write.
"""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Iterable
from pathlib import Path
from xml.sax.saxutils import escape

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from azext_acrimport.plan import RULES, Obstacle, Route, Rule

ROOT = Path(__file__).resolve().parents[1]
DIAGRAM = ROOT / "docs" / "route.svg"
PAGES = (ROOT / "README.md", ROOT / "docs" / "routes.md")
BEGIN, END = "<!-- rules: written by make docs -->", "<!-- end of rules -->"

_WIDTH, _PITCH, _TOP = 840, 56, 76
_RULE_X, _RULE_WIDTH, _THEN_X, _THEN_WIDTH, _BOX = 48, 478, 590, 234, 42
_LINE_CHARACTERS = 64
_NAMES = {Route.LOCAL: "copy from here", Route.SERVICE: "import by the service"}
_WHY_NONE = {
    Obstacle.EXPORT_POLICY: "an administrator has decided so; `--via local` says that you may",
    Obstacle.TARGET_NOT_IN_ARM: "the service is asked through Azure Resource Manager",
    Obstacle.LOCAL_OPTION: "the two contradict each other",
}
_TERMS = (
    "restricted: publicNetworkAccess is Disabled, or the default action is Deny. "
    "trusting: networkRuleBypassOptions is AzureServices"
)
_ARROW = (
    '<defs><marker id="end" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
    '<path class="head" d="M0 0L8 4L0 8z"/></marker></defs>'
)
_STYLE = """\
text { font: 13px system-ui, "Segoe UI", Helvetica, Arial, sans-serif; fill: #24292f }
.code { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; font-size: 12px }
.title { font-size: 15px; font-weight: 600 } .small { font-size: 11.5px; fill: #57606a }
.rule { fill: #f6f8fa; stroke: #afb8c1 } .local { fill: #dafbe1; stroke: #2da44e }
.service { fill: #ddf4ff; stroke: #218bff } .none { fill: #ffebe9; stroke: #cf222e }
.way { stroke: #8c959f; stroke-width: 1.5; fill: none } .head { fill: #8c959f }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .small { fill: #9da7b3 }
  .rule { fill: #161b22; stroke: #484f58 } .local { fill: #0f2d1a; stroke: #3fb950 }
  .service { fill: #0c2440; stroke: #58a6ff } .none { fill: #3a1214; stroke: #f85149 }
}"""


def table() -> str:
    """The rules as a table in Markdown."""
    lines = ["| # | when | route |", "| --- | --- | --- |"]
    lines += [f"| {number} | {rule.when} | {_in_words(rule)} |" for number, rule in enumerate(RULES, 1)]
    return "\n".join(lines)


def _in_words(rule: Rule) -> str:
    if isinstance(rule.then, Obstacle):
        return f"none: {_WHY_NONE[rule.then]}"
    return rule.then.value + ("; after a refusal local" if rule.may_fall_back else "")


def inserted(document: str) -> str:
    """A page with the table between its marks, in place of what was there.

    :raises ValueError: the page has no such marks.
    """
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError("the page has no marks for the table of rules")
    return f"{before}{begin}\n\n{table()}\n\n{end}{after}"


def diagram() -> str:
    """The rules as a picture: one question below the other, and beside each what a yes leads to."""
    height = _TOP + _PITCH * (len(RULES) + 1) + 8
    title = "Which route: the first rule that applies decides"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" role="img">',
        f"<title>{title}</title>",
        f"<style>{escape(_STYLE)}</style>",
        _ARROW,
        f'<text class="title" x="{_RULE_X}" y="28">{title}</text>',
        f'<text class="small" x="{_RULE_X}" y="50">{_TERMS}</text>',
    ]
    for index, rule in enumerate(RULES):
        parts += _row(index, rule)
    parts += _fall_back()
    return "\n".join([*parts, "</svg>", ""])


def _row(index: int, rule: Rule) -> Iterable[str]:
    top = _TOP + index * _PITCH
    middle = top + _BOX // 2
    is_last = index == len(RULES) - 1
    yield f'<text class="small" x="{_RULE_X - 12}" y="{middle + 4}" text-anchor="end">{index + 1}</text>'
    yield _box("rule", _RULE_X, top, _RULE_WIDTH)
    yield from _words(rule.when, _RULE_X + 14, middle, _LINE_CHARACTERS)
    yield _way(f"M{_RULE_X + _RULE_WIDTH} {middle}H{_THEN_X - 2}")
    if not is_last:
        yield f'<text class="small" x="{_RULE_X + _RULE_WIDTH + 14}" y="{middle - 6}">yes</text>'
        yield _way(f"M{_RULE_X + 28} {top + _BOX}V{top + _PITCH - 2}")
    kind = "none" if isinstance(rule.then, Obstacle) else rule.then.value
    yield _box(kind, _THEN_X, top, _THEN_WIDTH)
    name = f"no route: {rule.then.value}" if isinstance(rule.then, Obstacle) else _NAMES[rule.then]
    yield from _words(name, _THEN_X + 14, middle, 34)


def _fall_back() -> Iterable[str]:
    """Where the last rule's refusal leads to."""
    top = _TOP + len(RULES) * _PITCH
    middle, centre = top + _BOX // 2, _THEN_X + _THEN_WIDTH // 2
    yield (
        f'<text class="small" x="{_THEN_X - 14}" y="{middle + 4}" text-anchor="end">'
        "refused, for a reason that a copy from here does not meet</text>"
    )
    yield _way(f"M{centre} {top - _PITCH + _BOX}V{top - 2}")
    yield _box("local", _THEN_X, top, _THEN_WIDTH)
    yield from _words(_NAMES[Route.LOCAL], _THEN_X + 14, middle, 34)


def _box(kind: str, x: int, y: int, width: int) -> str:
    return f'<rect class="{kind}" x="{x}" y="{y}" width="{width}" height="{_BOX}" rx="6"/>'


def _way(path: str) -> str:
    return f'<path class="way" d="{path}" marker-end="url(#end)"/>'


def _words(text: str, x: int, middle: int, characters: int) -> Iterable[str]:
    """Text around the height ``middle``, wrapped, with what stands between backticks as code."""
    lines = textwrap.wrap(text, characters, break_on_hyphens=False)
    is_code = False
    for number, line in enumerate(lines):
        y = middle + 4.5 + 16 * (number - (len(lines) - 1) / 2)
        spans = []
        for part in re.split("(`)", line):
            if part == "`":
                is_code = not is_code
            elif part:
                spans.append(f'<tspan class="code">{escape(part)}</tspan>' if is_code else escape(part))
        yield f'<text x="{x}" y="{y:.1f}" xml:space="preserve">{"".join(spans)}</text>'


def main() -> None:
    """Write all of it."""
    DIAGRAM.write_text(diagram(), encoding="utf-8")
    for page in PAGES:
        page.write_text(inserted(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
