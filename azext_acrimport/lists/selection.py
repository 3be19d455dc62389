# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""Which tags of a repository are meant."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from azext_acrimport.oci.digest import printable
from azext_acrimport.oci.errors import InvalidRange
from azext_acrimport.oci.reference import is_layout
from azext_acrimport.request import InvalidRequest

if TYPE_CHECKING:
    from azext_acrimport.oci.semver import Range, Version

_LONGEST_PATTERN = 256  # twice the longest tag
_PATTERN = re.compile(r"(?:[A-Za-z0-9._*?-]|\[!?[A-Za-z0-9._-]+\])+\Z")
_CLASS = re.compile(r"\[[^]]*\]")
_BOUNDS = re.compile(r"(?=([A-Za-z0-9._])-([A-Za-z0-9._]))")
_REFERRER_PREFIXES = ("sha256-", "sha512-")
_REFERRER_TAG = re.compile(r"sha(?:256|512)-[0-9a-f]{64}(?:\.(?:sig|att|sbom))?\Z")

Matches = Callable[[str], object]


@dataclass(frozen=True)
class TagFilter:
    """The rules that choose tags; several together choose what all of them choose.

    - ``all_tags``: all.
    - ``patterns``: those that one of the globs matches (``*``, ``?``, ``[...]``, case counts).
    - ``semver``: those that are versions in the range.
    - ``latest``: the newest of those that the others chose, or of all, by their versions.
    - ``exclude``: globs that take away from what the others chose.

    A prerelease, and a variant such as ``1.25-alpine`` is one by the letter, counts for ``semver`` and ``latest`` only
    where it is named: by the range, as the range's own rule has it, or by a pattern that matches it and has a hyphen.
    One that a pattern names is in a range where its numbers are: ``*-alpine`` and ``>=1.25`` choose ``1.26-alpine``.

    Tags of the form ``sha256-<digest>``, with or without ``.sig``, ``.att`` or ``.sbom``, are not chosen unless a
    pattern begins so. They are how cosign and the OCI referrers tag schema find what belongs to an image: they are
    its referrers, not images.

    Sources: https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md; OCI distribution specification,
    "Referrers Tag Schema".
    """

    all_tags: bool = False
    patterns: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    semver: Range | None = None
    latest: int | None = None

    @staticmethod
    def of(
        *,
        all_tags: bool = False,
        patterns: Sequence[str] = (),
        exclude: Sequence[str] = (),
        semver: str | None = None,
        latest: int | None = None,
    ) -> TagFilter:
        """Check the rules.

        :raises InvalidRequest: a pattern or the range cannot be read, fewer than one are wanted, or there are only
            exclusions.
        """
        for option, globs in (("--tags", patterns), ("--exclude-tags", exclude)):
            for glob in globs:
                _check_pattern(option, glob)
        if latest is not None and latest < 1:
            raise InvalidRequest(f"--latest is {latest}: give a number from 1")
        chosen = TagFilter(all_tags, tuple(patterns), tuple(exclude), _range(semver), latest)
        if exclude and not chosen.is_active:
            raise InvalidRequest(
                "--exclude-tags only takes away from what is chosen: add --all-tags, --tags, --semver or --latest"
            )
        return chosen

    @property
    def is_active(self) -> bool:
        """Whether tags are chosen at all; without, the source is one image."""
        return bool(self.all_tags or self.patterns or self.semver or self.latest)

    def check_source(self, source: str) -> None:
        """Check that tags can be chosen from the source.

        :raises InvalidRequest: it names a tag or a digest already, or is a layout.
        """
        if self.is_active and names_one_image(source):
            raise InvalidRequest(
                f"--source {printable(source)} names one image, and the tags are to be chosen: "
                "name the repository alone, or leave out --all-tags, --tags, --exclude-tags, --semver and --latest"
            )

    def select(self, tags: Iterable[str]) -> list[str]:
        """The tags that are meant, each once: in the order given, or where ``latest`` counts the newest first.

        Of two tags that are the same version the one with more of its numbers written goes first.
        """
        matchers = [(glob, _matcher(glob)) for glob in self.patterns]
        excluded = [_matcher(glob) for glob in self.exclude]
        chosen = [
            tag
            for tag in dict.fromkeys(tags)
            if self._chosen(tag, [glob for glob, matches in matchers if matches(tag)])
            and not any(matches(tag) for matches in excluded)
        ]
        return _newest(chosen)[: self.latest] if self.latest else chosen

    def _chosen(self, tag: str, matching: list[str]) -> bool:
        """Whether a tag that these patterns match is chosen by everything but the exclusions and the count."""
        if _REFERRER_TAG.match(tag):
            matching = [glob for glob in matching if glob.startswith(_REFERRER_PREFIXES)]
            if not matching:
                return False
        if self.patterns and not matching:
            return False
        if not self.semver and not self.latest:
            return True
        version = _version(tag)
        if version is None:
            return False
        if any(_names_variants(glob) for glob in matching):
            return not self.semver or self.semver.holds(version) or self.semver.holds(version.release)
        return self.semver.holds(version) if self.semver else not version.prerelease


def names_one_image(source: str) -> bool:
    """Whether a source, in full or without its registry, is one image: with a tag or a digest, or an image layout."""
    name = source.rpartition("/")[2]
    return is_layout(source) or ":" in name or "@" in name


def _check_pattern(option: str, glob: str) -> None:
    # Ranges that run backwards match nothing, and are an error of their own in some versions of Python.
    backwards = any(one > two for each in _CLASS.findall(glob) for one, two in _BOUNDS.findall(each))
    if _PATTERN.match(glob) and len(glob) <= _LONGEST_PATTERN and not backwards:
        return
    hint = ", and several are given separately" if re.search(r"[\s,;|]", glob) else ""
    raise InvalidRequest(
        f"{option} {printable(glob)} is not a pattern of tags: it takes letters, digits, '.', '_' and '-', "
        f"and '*', '?', '[...]', '[!...]'{hint}"
    )


def _range(text: str | None) -> Range | None:
    if text is None:
        return None
    from azext_acrimport.oci.semver import Range

    try:
        return Range.parse(text)
    except InvalidRange as ex:
        raise InvalidRequest(f"--semver: {ex}") from ex


def _matcher(glob: str) -> Matches:
    return re.compile(fnmatch.translate(glob)).match


def _names_variants(glob: str) -> bool:
    return "-" in _CLASS.sub("", glob)


def _version(tag: str) -> Version | None:
    from azext_acrimport.oci.semver import Version

    return Version.parse(tag)


def _newest(tags: list[str]) -> list[str]:
    versions = [(version, tag) for tag in tags if (version := _version(tag))]
    versions.sort(key=lambda each: (each[0].precedence, each[0].given), reverse=True)
    return [tag for _, tag in versions]
