# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""What can be wrong with a list of images: everything at once, each with its line."""

from __future__ import annotations

from dataclasses import dataclass

from azext_acrimport.request import InvalidRequest

MOST_SHOWN = 20


@dataclass(frozen=True, order=True)
class Mistake:
    """What is wrong on a line; lines are counted from 1."""

    line: int
    text: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.text}"


@dataclass(eq=False)
class InvalidList(InvalidRequest):
    """A list cannot be used. ``mistakes`` are all of them, by line, each once; the text shows the first of them."""

    mistakes: tuple[Mistake, ...]

    def __post_init__(self) -> None:
        self.mistakes = tuple(sorted(set(self.mistakes)))

    def __str__(self) -> str:
        if len(self.mistakes) == 1:
            return f"the list cannot be used: {self.mistakes[0]}"
        shown = [str(each) for each in self.mistakes[:MOST_SHOWN]]
        more = len(self.mistakes) - len(shown)
        if more:
            shown.append(f"and {more} more")
        return "\n  ".join([f"the list has {len(self.mistakes)} mistakes:", *shown])
