# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""Lists of images: YAML, JSON, or one reference on a line."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from azext_acrimport.lists.entries import (
    Check,
    ListEntry,
    inherit,
    mistakes_of,
    mistakes_of_shared_password,
    mistakes_of_targets,
)
from azext_acrimport.lists.errors import InvalidList, Mistake
from azext_acrimport.lists.keys import KEYS, Value, keyed, read_value
from azext_acrimport.lists.nodes import Items, Node, Pairs, Text, read_nodes

MAX_ENTRIES = 100_000

_LINES = re.compile(r"\r\n|\r|\n")
_IPV6 = re.compile(r"\[[0-9A-Fa-f:.]+\](?::[0-9]+)?/")
_KEY = re.compile(r"""(?:[A-Za-z_][\w -]*|"[^"]*"\s*|'[^']*'\s*):(?:\s|\Z)""")
_COMMENT = re.compile(r"(?:^|\s)#.*")


@dataclass(frozen=True)
class ImportList:
    """What a list asks for, in its order."""

    entries: tuple[ListEntry, ...]


@dataclass
class _Reading:
    """What has been read so far, and what was wrong with it."""

    environ: Mapping[str, str]
    defaults: ListEntry = field(default_factory=lambda: ListEntry(0, {}))
    entries: list[ListEntry] = field(default_factory=list)
    mistakes: list[Mistake] = field(default_factory=list)

    def fail(self, line: int, text: str) -> None:
        self.mistakes.append(Mistake(line, text))

    def values(self, node: Pairs) -> ListEntry:
        values: dict[str, Value] = {}
        lines: dict[str, int] = {}
        for key, (line, value) in keyed(node, KEYS, self.mistakes).items():
            lines[key] = line
            try:
                values[key] = read_value(key, value, self.environ)
            except InvalidList as ex:
                self.mistakes.extend(ex.mistakes)
        return ListEntry(node.line, values, lines)


def read_list(
    text: str,
    environ: Mapping[str, str],
    *,
    below: Mapping[str, Value | None] | None = None,
    check: Check | None = None,
) -> ImportList:
    """Read a list of images.

    It is YAML or JSON where its first line that is neither blank nor a comment begins with ``-``, ``{``, ``[`` or
    ``%``, or with a key: a word and a colon that a blank or the line's end follows. Otherwise it is plain: on each line
    a source, and after a blank, where wanted, its name in the target, as ``--image`` takes it.

    ``below`` is what the command line gives, by its option names without dashes: it holds where neither an entry nor
    the list's defaults say otherwise. ``environ`` is where ``${NAME}`` in a user or a password is looked up. ``check``
    is called with each complete entry, and may raise InvalidRequest or OciError.

    :raises InvalidList: with all that is wrong. Where the line of an option is known, that is its line.
    """
    text = text.removeprefix("\ufeff")
    reading = _Reading(environ)
    if _is_structured(text):
        _read_structured(read_nodes(text), reading)
    else:
        _read_plain(text, reading)
    if not reading.entries and not reading.mistakes:
        reading.fail(1, "there are no images in it")
    command_line = ListEntry(0, {key: value for key, value in (below or {}).items() if value is not None})
    entries = [inherit(each, (reading.defaults, command_line)) for each in reading.entries]
    mistakes = reading.mistakes + [mistake for each in entries for mistake in mistakes_of(each, check)]
    mistakes += mistakes_of_targets(entries) + mistakes_of_shared_password(entries, reading.entries)
    if mistakes:
        raise InvalidList(tuple(mistakes))
    return ImportList(tuple(entries))


def _is_structured(text: str) -> bool:
    for line in _LINES.split(text):
        line = line.strip()
        if line and not line.startswith("#"):
            return bool(_KEY.match(line)) or (line.startswith(("-", "{", "[", "%")) and not _IPV6.match(line))
    return False


def _read_plain(text: str, reading: _Reading) -> None:
    for number, line in enumerate(_LINES.split(text), 1):
        words = _COMMENT.sub("", line).split()
        if len(words) > 2:
            reading.fail(number, "there are more than a source and its name in the target")
        elif words and len(reading.entries) == MAX_ENTRIES:
            raise _too_many(number)
        elif words:
            values: dict[str, Value] = {"source": words[0]}
            if len(words) == 2:
                values["image"] = [words[1]]
            reading.entries.append(ListEntry(number, values, dict.fromkeys(values, number)))


def _read_structured(root: Node, reading: _Reading) -> None:
    if isinstance(root, Items):
        _read_entries(root.items, reading)
        return
    if not isinstance(root, Pairs):
        reading.fail(root.line, "it is to be a list of images, or a mapping with images and defaults")
        return
    top = keyed(root, ("defaults", "images"), reading.mistakes)
    if "defaults" in top:
        _read_defaults(top["defaults"][1], reading)
    if "images" not in top:
        reading.fail(root.line, "there is no list of images: write it under images")
    elif isinstance(images := top["images"][1], Items):
        _read_entries(images.items, reading)
    else:
        reading.fail(images.line, "images is to be a list")


def _read_defaults(node: Node, reading: _Reading) -> None:
    if not isinstance(node, Pairs):
        reading.fail(node.line, "defaults is to be a mapping")
        return
    reading.defaults = reading.values(node)
    if "source" in reading.defaults.values:
        reading.fail(reading.defaults.lines["source"], "source is for an entry, not for the defaults")


def _read_entries(nodes: Sequence[Node], reading: _Reading) -> None:
    if len(nodes) > MAX_ENTRIES:
        raise _too_many(nodes[MAX_ENTRIES].line)
    for node in nodes:
        _read_entry(node, reading)


def _read_entry(node: Node, reading: _Reading) -> None:
    if isinstance(node, Text) and node.text and not node.is_null:
        reading.entries.append(ListEntry(node.line, {"source": node.text}, {"source": node.line}))
    elif isinstance(node, Pairs):
        known = len(reading.mistakes)
        entry = reading.values(node)
        # What is wrong already would be wrong a second time in what is made of it.
        if len(reading.mistakes) > known:
            return
        if "source" in entry.values:
            reading.entries.append(entry)
        else:
            reading.fail(node.line, "there is no source")
    else:
        reading.fail(node.line, "an entry is to be a source, or a mapping with one")


def _too_many(line: int) -> InvalidList:
    return InvalidList((Mistake(line, f"there are more than {MAX_ENTRIES} images: divide the list"),))
