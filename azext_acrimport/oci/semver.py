# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""Tags that are versions, their order, and ranges of them.

Sources: Semantic Versioning 2.0.0 (https://semver.org) for what a version is and which of two is newer; the ranges of
node-semver (https://github.com/npm/node-semver#ranges), which most people know from npm, for the rest. Tags are laxer
than the specification in three ways, which are noted at :meth:`Version.parse`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import total_ordering

from azext_acrimport.oci.digest import printable
from azext_acrimport.oci.errors import InvalidRange

_NUMBER = r"[0-9]{1,16}"  # node-semver's bound, too
_IDENTIFIERS = r"[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*"
_SUFFIX = rf"(?:-(?P<prerelease>{_IDENTIFIERS}))?(?:[+_](?P<build>{_IDENTIFIERS}))?"
_VERSION = re.compile(rf"v?(?P<numbers>{_NUMBER}(?:\.{_NUMBER}){{0,2}}){_SUFFIX}\Z")

_PART = rf"(?:{_NUMBER}|[xX*])"
_OPERATOR = r"\^|~>?|>=|<=|>|<|="
_COMPARATOR = re.compile(rf"(?P<operator>{_OPERATOR}|)v?(?P<parts>{_PART}(?:\.{_PART}){{0,2}}){_SUFFIX}\Z")
_SPACED_OPERATOR = re.compile(rf"\s*({_OPERATOR})\s*")
_HYPHEN = re.compile(r"(\S+)\s+-\s+(\S+)\Z")
_WILDCARDS = frozenset("xX*")
_LONGEST_RANGE = 256


@total_ordering
@dataclass(frozen=True)
class Version:
    """A version. What does not count for the order does not count for equality either.

    ``numbers`` are major, minor and patch; ``given`` is how many of them were written, and the others are 0.
    ``prerelease`` holds its identifiers, those of digits only as numbers.
    """

    numbers: tuple[int, int, int]
    prerelease: tuple[int | str, ...] = ()
    build: str = field(default="", compare=False)
    given: int = field(default=3, compare=False)

    @staticmethod
    def parse(tag: str) -> Version | None:
        """The version that a tag is, or None.

        As in semver.org, sections 2, 9 and 10, except that tags are often written ``v1.2.3``; that ``1.2`` and ``1``
        are versions too, with or without a suffix such as that of ``1.25-alpine``; and that leading zeros count for
        nothing (``22.04``). A tag cannot hold ``+``: registries write ``_`` for it.
        """
        found = _VERSION.match(tag)
        if not found:
            return None
        numbers = [int(each) for each in found["numbers"].split(".")]
        return Version(_padded(numbers), _identifiers(found["prerelease"]), found["build"] or "", len(numbers))

    def __lt__(self, other: Version) -> bool:
        return self.precedence < other.precedence

    @property
    def release(self) -> Version:
        """The version without its prerelease."""
        return replace(self, prerelease=())

    @property
    def precedence(self) -> tuple[object, ...]:
        """A key that sorts versions, the oldest first.

        Source: semver.org, section 11. The numbers first; a prerelease is older than its release; its identifiers
        one by one, numbers before texts, texts by ASCII, and the longer of two that begin alike is the newer.
        """
        identifiers = tuple((1, 0, each) if isinstance(each, str) else (0, each, "") for each in self.prerelease)
        return (self.numbers, not self.prerelease, identifiers)


@dataclass(frozen=True)
class Comparator:
    """One bound: ``>=``, ``>``, ``<``, ``<=`` or ``=``, and a version."""

    operator: str
    version: Version

    def holds(self, version: Version) -> bool:
        """Whether the version is within the bound, by the order alone."""
        if version == self.version:
            return "=" in self.operator
        return self.operator.startswith(">" if version > self.version else "<")


@dataclass(frozen=True)
class Range:
    """A range of versions: at least one of the alternatives holds, and that with all its comparators."""

    text: str
    alternatives: tuple[tuple[Comparator, ...], ...] = field(repr=False)

    @staticmethod
    def parse(text: str) -> Range:
        """Read a range of node-semver: ``>=1.2 <2``, ``^1.2``, ``~1.2``, ``1.x``, ``1.2 - 2.0``, ``1 || 3``.

        Beside its grammar: a comma separates like a blank, ``≥`` and ``≤`` are operators, and so that variants can
        be named, a prerelease may follow one or two numbers. Unlike there, nothing at all is not any version.

        :raises InvalidRange: a part of it cannot be read; the message names that part.
        """
        if len(text) > _LONGEST_RANGE:
            raise InvalidRange(f"the range {printable(text)} is over {_LONGEST_RANGE} characters")
        plain = text.replace("≥", ">=").replace("≤", "<=").replace(",", " ")
        return Range(text, tuple(_alternative(each.strip(), text) for each in plain.split("||")))

    def holds(self, version: Version) -> bool:
        """Whether the version is in the range.

        A prerelease is only where a comparator of the same three numbers has a prerelease too: who asks for
        ``>=1.2.3-rc.1`` has not asked for the prereleases of 1.3.

        Source: https://github.com/npm/node-semver#prerelease-tags
        """
        return any(_all_hold(comparators, version) for comparators in self.alternatives)


def _all_hold(comparators: tuple[Comparator, ...], version: Version) -> bool:
    if version.prerelease and not any(
        each.version.prerelease and each.version.numbers == version.numbers for each in comparators
    ):
        return False
    return all(each.holds(version) for each in comparators)


def _alternative(text: str, whole: str) -> tuple[Comparator, ...]:
    hyphen = _HYPHEN.match(text)
    # "1.2 - 2.0" is ">=1.2 <=2.0". Source: node-semver, "Hyphen Ranges".
    parts = [f">={hyphen[1]}", f"<={hyphen[2]}"] if hyphen else _SPACED_OPERATOR.sub(r" \1", text).split()
    if not parts:
        raise InvalidRange(f"the range {printable(whole)} has nothing in it; any version is *")
    return tuple(bound for part in parts for bound in _bounds(part, whole))


def _bounds(part: str, whole: str) -> list[Comparator]:
    found = _COMPARATOR.match(part)
    numbers = _numbers(found["parts"], bool(found["prerelease"])) if found else None
    if not found or numbers is None:
        raise InvalidRange(
            f"the range {printable(whole)}: cannot read {printable(part)}; ranges are such as "
            "'>=1.2 <2', '^1.2', '~1.2', '1.x', '1.2 - 2.0' or '1.x || 3.x'"
        )
    return _desugared(found["operator"], numbers, _identifiers(found["prerelease"]))


def _numbers(parts: str, has_prerelease: bool) -> list[int] | None:
    """The numbers before the wildcards; None where a number or a prerelease follows a wildcard."""
    each = parts.split(".")
    given = [int(part) for part in each if part not in _WILDCARDS]
    if any(part in _WILDCARDS for part in each[: len(given)]) or (has_prerelease and len(given) < len(each)):
        return None
    return [*_padded(given)] if has_prerelease else given


def _desugared(operator: str, numbers: list[int], prerelease: tuple[int | str, ...]) -> list[Comparator]:
    """The plain bounds that a comparator means.

    Source: node-semver, "X-Ranges", "Tilde Ranges", "Caret Ranges": a partial version stands for all that begin so.
    """
    if not numbers:
        return [Comparator("<", Version((0, 0, 0)))] if operator in (">", "<") else []
    low = Version(_padded(numbers), prerelease)
    partial = len(numbers) < 3
    if operator.startswith("~"):
        return [Comparator(">=", low), Comparator("<", _next(numbers[:2]))]
    if operator == "^":
        # What may not change is the first number that is not 0.
        fixed = next((place for place, number in enumerate(numbers, 1) if number), len(numbers))
        return [Comparator(">=", low), Comparator("<", _next(numbers[:fixed]))]
    if operator in ("", "="):
        return [Comparator(">=", low), Comparator("<", _next(numbers))] if partial else [Comparator("=", low)]
    if partial and operator in (">", "<="):
        return [Comparator(">=" if operator == ">" else "<", _next(numbers))]
    return [Comparator(operator, low)]


def _next(numbers: list[int]) -> Version:
    """The first version that does not begin with the numbers any more."""
    return Version(_padded([*numbers[:-1], numbers[-1] + 1]))


def _padded(numbers: list[int]) -> tuple[int, int, int]:
    major, minor, patch = [*numbers, 0, 0, 0][:3]
    return major, minor, patch


def _identifiers(text: str | None) -> tuple[int | str, ...]:
    return tuple(int(each) if each.isdigit() else each for each in text.split(".")) if text else ()
