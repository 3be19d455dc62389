# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""The keys of an entry, which are the command's own options, and what is read for each."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Union

from azext_acrimport.lists.errors import InvalidList, Mistake
from azext_acrimport.lists.nodes import Node, Pairs, Text
from azext_acrimport.oci.digest import printable
from azext_acrimport.plan import Via

Value = Union[str, bool, int, list[str]]
Read = Callable[[str, Node, Mapping[str, str]], Value]

_FLAGS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_MAX_DIGITS = 9


def read_value(key: str, node: Node, environ: Mapping[str, str]) -> Value:
    """What the node says for the key, as the command has it: ``str``, ``bool``, ``int`` or ``list[str]``.

    :raises InvalidList: it is of another kind; the mistake does not show the value.
    """
    return KEYS[key](key, node, environ)


def keyed(mapping: Pairs, known: Iterable[str], mistakes: list[Mistake]) -> dict[str, tuple[int, Node]]:
    """The values of a mapping by key, each with the line of its key; ``_`` in a key counts as ``-``."""
    names = list(known)
    found: dict[str, tuple[int, Node]] = {}
    for key, value in mapping.pairs:
        if not isinstance(key, Text):
            mistakes.append(Mistake(key.line, "a key is to be a text"))
            continue
        name = key.text.replace("_", "-")
        if name not in names:
            mistakes.append(Mistake(key.line, _unknown(key.text, name, names)))
        elif name in found:
            mistakes.append(Mistake(key.line, f"{name} is given twice, first on line {found[name][0]}"))
        else:
            found[name] = key.line, value
    return found


def _unknown(written: str, name: str, known: list[str]) -> str:
    nearest = difflib.get_close_matches(name[:100], known, n=1)
    hint = f"did you mean {nearest[0]}?" if nearest else f"the keys are {', '.join(known)}"
    return f"there is no key {printable(written)}: {hint}"


def _text(key: str, node: Node, _: Mapping[str, str]) -> str:
    if not isinstance(node, Text):
        raise _wrong(key, node, "a text")
    if node.is_null or not node.text:
        raise _wrong(key, node, "a text, and has no value")
    return node.text


def _texts(key: str, node: Node, environ: Mapping[str, str]) -> list[str]:
    if isinstance(node, Text):
        return [_text(key, node, environ)]
    if isinstance(node, Pairs):
        raise _wrong(key, node, "a text or a list of texts")
    if not node.items:
        raise _wrong(key, node, "a text or a list of texts, and is empty")
    return [_text(key, each, environ) for each in node.items]


def _secret(key: str, node: Node, environ: Mapping[str, str]) -> str:
    text = _text(key, node, environ)
    missing = sorted({name for name in _VARIABLE.findall(text) if not environ.get(name)})
    if missing:
        raise InvalidList((Mistake(node.line, f"{key} needs the environment variable {', '.join(missing)}"),))
    return _VARIABLE.sub(lambda found: environ[found[1]], text)


def _flag(key: str, node: Node, _: Mapping[str, str]) -> bool:
    flag = _FLAGS.get(node.text.lower()) if isinstance(node, Text) else None
    if flag is None:
        raise _wrong(key, node, "true or false")
    return flag


def _number(key: str, node: Node, _: Mapping[str, str]) -> int:
    if isinstance(node, Text) and node.text.isascii() and node.text.isdigit() and len(node.text) <= _MAX_DIGITS:
        return int(node.text)
    raise _wrong(key, node, "a number")


def _route(key: str, node: Node, environ: Mapping[str, str]) -> str:
    route = _text(key, node, environ).lower()
    routes = [each.value for each in Via]
    if route not in routes:
        raise _wrong(key, node, " or ".join([", ".join(routes[:-1]), routes[-1]]))
    return route


def _types(key: str, node: Node, environ: Mapping[str, str]) -> bool | list[str]:
    if isinstance(node, Text) and node.is_plain and node.text.lower() in _FLAGS:
        return _FLAGS[node.text.lower()]
    return _texts(key, node, environ)


def _wrong(key: str, node: Node, expected: str) -> InvalidList:
    return InvalidList((Mistake(node.line, f"{key} is to be {expected}"),))


KEYS: Mapping[str, Read] = {
    "source": _text,
    "registry": _text,
    "image": _texts,
    "repository": _texts,
    "name": _text,
    "resource-group": _text,
    "username": _secret,
    "password": _secret,
    "source-identity": _text,
    "force": _flag,
    "via": _route,
    "platform": _texts,
    "referrers": _types,
    "all-tags": _flag,
    "tags": _texts,
    "exclude-tags": _texts,
    "semver": _text,
    "latest": _number,
    "with-aliases": _flag,
}
