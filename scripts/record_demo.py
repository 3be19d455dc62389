# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Record the demo in a terminal, and write what it prints as an animation, ``docs/demo.svg``: ``make docs``.

The output is real, and so are its times, but for waits, which are cut short. It needs a system with pseudo-terminals.
"""

from __future__ import annotations

import os
import re
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

ROOT = Path(__file__).resolve().parents[1]
RECORDING = ROOT / "docs" / "demo.svg"
COLUMNS, ROWS = 104, 32

_LONGEST_WAIT_SECONDS = 2.0
_LAST_LOOK_SECONDS = 8.0
_LINE, _LEFT, _TOP, _WIDTH = 18, 16, 44, 860
_ESCAPE = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])")
_PARTS = re.compile(r"(\r*\n|\r|\x1b\[[0-9;?]*[A-Za-z])")
_UNFINISHED = re.compile(r"(?:\x1b(?:\[[0-9;?]*)?|\r+)?\Z")  # more of it may come with the next part
_STYLES = {"1": "bold", "31": "red", "91": "red", "33": "yellow", "93": "yellow", "32": "green", "36": "cyan"}
_STYLE = """\
.frame { fill: #161b22; stroke: #484f58 }
text { font: 13px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #d0d7de;
  white-space: pre }
.name { fill: #8b949e } .bold { font-weight: 700; fill: #f0f6fc } .typed { fill: #7ee787 }
.red { fill: #ff7b72 } .yellow { fill: #d29922 } .green { fill: #7ee787 } .cyan { fill: #79c0ff }
"""


@dataclass(frozen=True)
class Piece:
    """Some text in one style, which may be empty."""

    text: str
    style: str = ""


@dataclass(frozen=True)
class Line:
    """A line of the screen, and the second at which it was complete."""

    seconds: float
    pieces: tuple[Piece, ...]

    @property
    def text(self) -> str:
        """Its text alone."""
        return "".join(piece.text for piece in self.pieces)


Output = Iterable[tuple[float, str]]
"""What was printed, each part with the second at which it came."""


def record(arguments: list[str]) -> Iterator[tuple[float, str]]:
    """Run a command in a terminal, and return what it prints as it comes.

    :raises subprocess.CalledProcessError: it ended with a failure.
    """
    import fcntl
    import pty
    import termios

    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    environment = {**os.environ, "TERM": "dumb", "COLUMNS": str(COLUMNS)}  # no bars that are redrawn in place
    began = time.monotonic()
    with subprocess.Popen(arguments, stdin=its, stdout=its, stderr=its, env=environment, cwd=ROOT) as process:
        os.close(its)
        rest = b""
        while True:
            try:
                read = rest + os.read(ours, 65536)
            except OSError:  # what Linux answers when the last process has closed the terminal
                break
            if read == rest:
                break
            text = read.decode(errors="ignore")
            rest = b"" if text.encode() == read else read[len(text.encode()) :]
            yield time.monotonic() - began, text
    os.close(ours)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, arguments)


def lines_of(output: Output) -> list[Line]:
    """The lines that were on the screen in the end; what was redrawn in place is there as it was last."""
    lines: list[Line] = []
    style, held, pieces = "", "", list[Piece]()
    for seconds, text in output:
        whole = held + text
        held = _UNFINISHED.findall(whole)[0]
        for part in _PARTS.split(whole.removesuffix(held)):
            code = _ESCAPE.fullmatch(part)
            if code:
                style = _style_after(style, code[1]) if code[2] == "m" else style
            elif part.endswith("\n"):
                lines += [Line(seconds, each) for each in _wrapped(_typed(pieces))]
                pieces = []
            elif part == "\r":
                pieces = []
            elif part:
                pieces.append(Piece(part, style))
    return lines


def _style_after(style: str, codes: str) -> str:
    for code in codes.split(";"):
        style = "" if code in ("", "0") else _STYLES.get(code, style)
    return style


def _typed(pieces: list[Piece]) -> list[Piece]:
    """The line of a command is in a style of its own."""
    text = "".join(piece.text for piece in pieces)
    return [Piece(text, "typed")] if text.startswith("$ ") else pieces


def _wrapped(pieces: list[Piece]) -> Iterator[tuple[Piece, ...]]:
    """A line as the screen has it: what is too long goes on below."""
    row, left = list[Piece](), COLUMNS
    for piece in pieces:
        text = piece.text
        while len(text) > left:
            yield (*row, Piece(text[:left], piece.style))
            text, row, left = text[left:], [], COLUMNS
        row.append(Piece(text, piece.style))
        left -= len(text)
    yield tuple(row)


def shortened(lines: list[Line]) -> list[Line]:
    """The lines with no wait that is longer than one likes to look at."""
    found, before, cut = list[Line](), 0.0, 0.0
    for line in lines:
        cut += max(0.0, line.seconds - before - _LONGEST_WAIT_SECONDS)
        before = line.seconds
        found.append(Line(line.seconds - cut, line.pieces))
    return found


def animation(lines: list[Line]) -> str:
    """The lines as an SVG that scrolls as the terminal did; where nothing moves it shows the end."""
    height = _TOP + ROWS * _LINE + 12
    duration = lines[-1].seconds + _LAST_LOOK_SECONDS
    end = ROWS - len(lines)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" role="img">',
        "<title>What make demo shows</title>",
        f"<style>{escape(_STYLE)}.screen {{ transform: translateY({end * _LINE}px);",
        f"  animation: scroll {duration:.1f}s step-end infinite }}",
        "@media (prefers-reduced-motion: reduce) { .screen { animation: none } }",
        f"@keyframes scroll {{ {' '.join(_frames(lines, duration))} }}</style>",
        f'<rect class="frame" x="0.5" y="0.5" width="{_WIDTH - 1}" height="{height - 1}" rx="8"/>',
        *(f'<circle cx="{20 + 18 * index}" cy="18" r="5.5" fill="#484f58"/>' for index in range(3)),
        f'<text class="name" x="{_WIDTH // 2}" y="22" text-anchor="middle">make demo</text>',
        f'<svg x="0" y="{_TOP - 8}" width="{_WIDTH}" height="{ROWS * _LINE + 1}"><g class="screen">',
        *(_line(line, index) for index, line in enumerate(lines)),
        "</g></svg></svg>",
    ]
    return "\n".join(part for part in parts if part) + "\n"


def _frames(lines: list[Line], duration: float) -> Iterator[str]:
    """Where the text stands when: so that the last line so far is at the bottom, and no later one in sight."""
    yield f"0% {{ transform: translateY({ROWS * _LINE}px) }}"
    for index, line in enumerate(lines):
        following = lines[index + 1].seconds if index + 1 < len(lines) else duration
        if following - line.seconds > 0.02:
            percent = 100 * line.seconds / duration
            yield f"{percent:.2f}% {{ transform: translateY({(ROWS - index - 1) * _LINE}px) }}"


def _line(line: Line, index: int) -> str:
    if not line.text.strip():
        return ""
    spans = "".join(_span(piece) for piece in line.pieces)
    return f'<text x="{_LEFT}" y="{(index + 1) * _LINE - 4}" xml:space="preserve">{spans}</text>'


def _span(piece: Piece) -> str:
    return f'<tspan class="{piece.style}">{escape(piece.text)}</tspan>' if piece.style else escape(piece.text)


def main() -> None:
    """Record it."""
    with tempfile.TemporaryDirectory() as temporary:
        output = list(record([sys.executable, str(ROOT / "scripts" / "demo.py"), str(Path(temporary) / ".demo")]))
    RECORDING.write_text(animation(shortened(lines_of(output))), encoding="utf-8")
    print(f"{RECORDING.relative_to(ROOT)}: {output[-1][0]:.0f} s")


if __name__ == "__main__":
    main()
