# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""An entry of a list with everything that holds for it, and what can be checked of it by itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from azext_acrimport.lists.errors import Mistake
from azext_acrimport.lists.selection import TagFilter, names_one_image
from azext_acrimport.lists.template import check_template
from azext_acrimport.oci.errors import OciError
from azext_acrimport.oci.reference import is_layout
from azext_acrimport.request import InvalidRequest

if TYPE_CHECKING:
    from azext_acrimport.lists.keys import Value

# Which of these an entry says decides for all of them: a user without its password, or two ways to sign in, are wrong.
CREDENTIALS = frozenset({"username", "password", "source-identity"})
NAMES = frozenset({"image", "repository"})
FILTERS = frozenset({"all-tags", "tags", "exclude-tags", "semver", "latest"})

_OPTION = re.compile(r"--([a-z-]+)")


@dataclass(frozen=True)
class ListEntry:
    """One entry: what it says itself, and for the rest what the defaults say.

    ``values`` are by the command's option names without dashes; ``lines`` has the line of each that the list gives.
    """

    line: int
    values: Mapping[str, Value] = field(repr=False)
    lines: Mapping[str, int] = field(default_factory=dict, repr=False)

    @property
    def tag_filter(self) -> TagFilter:
        """The rules that choose tags.

        :raises InvalidRequest: they cannot be used.
        """
        given: Mapping[str, Any] = self.values
        return TagFilter.of(
            all_tags=given.get("all-tags", False),
            patterns=given.get("tags", ()),
            exclude=given.get("exclude-tags", ()),
            semver=given.get("semver"),
            latest=given.get("latest"),
        )

    def line_of(self, message: str) -> int:
        """The line that a message is about: where it begins with an option, the line that gives the option."""
        option = _OPTION.match(message)
        return self.lines.get(option[1], self.line) if option else self.line


Check = Callable[[ListEntry], object]


def inherit(own: ListEntry, levels: Sequence[ListEntry]) -> ListEntry:
    """The entry with what the levels say for it, the first of them first.

    An entry that says one of the credentials takes none of the others, and the same holds for the target's names.
    Rules that choose tags are not for a source that names one image, and of a registry a layout needs none.
    """
    values, lines = dict(own.values), dict(own.lines)
    source = str(own.values.get("source", ""))
    barred: frozenset[str] = FILTERS if names_one_image(source) else frozenset()
    if is_layout(source):
        barred |= CREDENTIALS | {"registry"}
    for level in levels:
        settled = barred.union(*(group for group in (CREDENTIALS, NAMES) if not group.isdisjoint(values)))
        for key, value in level.values.items():
            if key not in settled and key not in values:
                values[key] = value
                lines.update({key: level.lines[key]} if key in level.lines else {})
    return ListEntry(own.line, values, lines)


def mistakes_of(entry: ListEntry, check: Check | None) -> list[Mistake]:
    """What is wrong with the entry by itself, and by the ``check``, which raises InvalidRequest or OciError."""
    found = []
    for each in (_check_tags, _check_names, _check_credentials, check):
        try:
            if each:
                each(entry)
        except (InvalidRequest, OciError) as ex:
            found.append(Mistake(entry.line_of(str(ex)), str(ex)))
    return found


def mistakes_of_targets(entries: Sequence[ListEntry]) -> list[Mistake]:
    """Every entry needs a target registry: one mistake for all that have none."""
    lines = [each.line for each in entries if not each.values.get("name")]
    if not lines:
        return []
    others = f", nor for {len(lines) - 1} more entries" if len(lines) > 1 else ""
    return [
        Mistake(lines[0], f"there is no target registry{others}: write name here or into the defaults, or give --name")
    ]


def mistakes_of_shared_password(entries: Sequence[ListEntry], own: Sequence[ListEntry]) -> list[Mistake]:
    """A password that is not the entry's own must not be shown to more than one registry."""
    first: tuple[str, int] | None = None
    for entry, said in zip(entries, own, strict=True):
        if "password" not in entry.values or "password" in said.values:
            continue
        registry = _registry_of(entry)
        first = first or (registry, entry.line)
        if registry != first[0]:
            return [
                Mistake(
                    entry.line,
                    f"the password that is given for all would go to {registry} as well as to {first[0]} "
                    f"(line {first[1]}): write username and password into the entries that they are for",
                )
            ]
    return []


def _registry_of(entry: ListEntry) -> str:
    return str(entry.values.get("registry") or str(entry.values["source"]).partition("/")[0]).lower()


def _check_tags(entry: ListEntry) -> None:
    entry.tag_filter.check_source(str(entry.values["source"]))


def _check_names(entry: ListEntry) -> None:
    given: Mapping[str, Any] = entry.values
    for key in sorted(NAMES):
        for name in given.get(key, ()):
            check_template(name, option=f"--{key}")


def _check_credentials(entry: ListEntry) -> None:
    given = entry.values
    if given.get("username") and not given.get("password"):
        raise InvalidRequest("--username is given without password")
    if given.get("source-identity") and given.get("password"):
        raise InvalidRequest("--source-identity and password are both given: one of them signs in at the source")
