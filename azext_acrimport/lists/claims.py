# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""Which names in the target are wanted by whom: what can only be seen across all entries."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple, TypeVar

from azext_acrimport.lists.errors import InvalidList, Mistake
from azext_acrimport.oci.digest import printable
from azext_acrimport.oci.reference import DEFAULT_TAG

T = TypeVar("T")


class Claim(NamedTuple):
    """What an image is to be called.

    ``line`` is that of its entry. ``registry`` is the target. ``names`` are ``repository[:tag]``, without a tag for
    ``latest``; ``untagged`` the repositories that get it without a tag. ``source`` is all that says which image it is:
    its reference, and where only some platforms are taken, those. ``beside`` is what comes along with it.
    """

    line: int
    registry: str
    names: tuple[str, ...]
    source: str
    untagged: tuple[str, ...] = ()
    beside: str = ""


def check_entries(entries: Iterable[T], claim: Callable[[T], Claim]) -> list[T]:
    """The entries to be done: of those that ask for the same the first, in their order.

    :raises InvalidList: two entries would give different images the same name; each such name with both lines.
    """
    owners: dict[tuple[str, str], Claim] = {}
    kept: dict[object, T] = {}
    mistakes = []
    for entry in entries:
        wanted = claim(entry)
        names = [name if ":" in name else f"{name}:{DEFAULT_TAG}" for name in wanted.names]
        registry = wanted.registry.lower()
        asked = (registry, wanted.source, frozenset(names), frozenset(wanted.untagged), wanted.beside)
        kept.setdefault(asked, entry)
        for name in names:
            owner = owners.setdefault((registry, name), wanted)
            if owner.source != wanted.source:
                mistakes.append(_doubled(registry, name, owner, wanted))
    if mistakes:
        raise InvalidList(tuple(mistakes))
    return list(kept.values())


def _doubled(registry: str, name: str, first: Claim, second: Claim) -> Mistake:
    return Mistake(
        second.line,
        f"{printable(f'{registry}/{name}', 300)} is to be {printable(second.source, 300)}, "
        f"and on line {first.line} {printable(first.source, 300)}: give one of them another name",
    )
