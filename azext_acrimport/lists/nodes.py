# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""YAML and JSON as they are written: every value is its text and knows its line.

No value is given a type here, so that a tag ``1.10`` does not become the number 1.1. The parser's events are read, not
its trees: they come one by one, so that depth and number are bounded before anything is built.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Union

from azext_acrimport.lists.errors import InvalidList, Mistake

MAX_DEPTH = 10
MAX_NODES = 1_000_000

_PLAIN_TAGS = (None, "!", "tag:yaml.org,2002:str")
_QUOTED = re.compile(r" (?:'(?:[^'\\]|\\.){2,}'|\"(?:[^\"\\]|\\.){2,}\")")


@dataclass(frozen=True, slots=True)
class Text:
    """A text as it is written, without its quotes. ``is_plain``: it had none."""

    line: int
    text: str = field(repr=False)
    is_plain: bool

    @property
    def is_null(self) -> bool:
        """Whether there is no value."""
        return self.is_plain and self.text.lower() in ("", "~", "null")


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    line: int
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Pairs:
    """A mapping, with every key that is written, also twice."""

    line: int
    pairs: tuple[tuple[Node, Node], ...]


Node = Union[Text, Items, Pairs]


def read_nodes(text: str) -> Node:
    """Read one document of YAML or JSON.

    JSON is YAML but for the tabs that may indent it. Aliases, merge keys and tags are refused: lists have defaults.

    :raises InvalidList: it is not YAML, or what is refused or too deep or too much is in it. One mistake: what follows
        a broken place cannot be told. Nothing of a value is in its text.
    """
    import yaml

    if text.lstrip().startswith(("{", "[")):
        text = text.replace("\t", " ")  # within its texts JSON has none
    try:
        return _tree(yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
    except yaml.MarkedYAMLError as ex:
        mark = ex.problem_mark or ex.context_mark
        last = text.count("\n") + (not text.endswith("\n"))
        line = min(mark.line + 1, last) if mark else 1
        raise InvalidList((Mistake(line, f"cannot be read: {_harmless(ex)}"),)) from None
    except yaml.reader.ReaderError as ex:
        line = text.count("\n", 0, ex.position) + 1
        raise InvalidList((Mistake(line, "there is a character that YAML does not allow"),)) from None
    except UnicodeEncodeError as ex:
        line = text.count("\n", 0, ex.start) + 1
        raise InvalidList((Mistake(line, "there is half a character"),)) from None


def _harmless(ex: Any) -> str:
    """The parser's words, without those that it quotes, which may be a part of a password."""
    return _QUOTED.sub("", ", ".join(str(each) for each in (ex.problem, ex.context) if each))


def _tree(events: Iterator[Any]) -> Node:
    roots: list[Node] = []
    path: list[tuple[int, list[Node]]] = []
    for number, event in enumerate(events):
        line = event.start_mark.line + 1
        kind = type(event).__name__
        if number > MAX_NODES:
            raise _refused(line, "the list is too long: divide it")
        if kind in ("SequenceStartEvent", "MappingStartEvent", "ScalarEvent", "AliasEvent"):
            _check_event(kind, event, line, roots if not path else None)
        if kind in ("SequenceStartEvent", "MappingStartEvent"):
            path.append((line, []))
            if len(path) > MAX_DEPTH:
                raise _refused(line, "there is more nesting than a list can need")
            continue
        if kind == "ScalarEvent":
            node: Node = Text(line, event.value, not event.style)
        elif kind == "SequenceEndEvent":
            start, nodes = path.pop()
            node = Items(start, tuple(nodes))
        elif kind == "MappingEndEvent":
            start, nodes = path.pop()
            node = Pairs(start, tuple(zip(nodes[::2], nodes[1::2], strict=True)))
        else:
            continue
        (path[-1][1] if path else roots).append(node)
    return roots[0] if roots else Text(1, "", is_plain=True)


def _check_event(kind: str, event: Any, line: int, roots: list[Node] | None) -> None:
    if kind == "AliasEvent":
        raise _refused(line, "aliases (*name) and merge keys (<<) are not read: write the value out, or use defaults")
    if event.tag not in _PLAIN_TAGS:
        raise _refused(line, "tags (!name) are not read")
    if roots:
        raise _refused(line, "there is a second document: a list is one")


def _refused(line: int, text: str) -> InvalidList:
    return InvalidList((Mistake(line, text),))
