# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""What tags name now, at the source and at the targets: asked for many at once, and kept for the run.

The source's answer is the manifest itself, which the copy needs next, and not only its digest: that saves a round trip.
"""

from __future__ import annotations

from collections.abc import Sequence

from azext_acrimport.oci.digest import is_digest
from azext_acrimport.oci.manifest import Manifest
from azext_acrimport.registry.repository import Repository
from azext_acrimport.transfer import tuning
from azext_acrimport.transfer.errors import Side, blamed_on
from azext_acrimport.transfer.source import Source

MOST_TAGS_AT_ONCE = 50  # tags asked for over one connection
_LEAST_AT_ONCE, _CONNECTIONS = 10, 4
_MOST_MANIFESTS = 1000  # kept at a time: they are resolved before the first of them is copied


def batch_size(tags: int) -> int:
    """How many of so many tags to ask for at once over one connection.

    All over one take one round trip as well; but a server answers them one after the other, and nothing goes on before
    the last.
    """
    return max(_LEAST_AT_ONCE, min(MOST_TAGS_AT_ONCE, -(-tags // _CONNECTIONS)))


class Survey:
    """The digests behind tags. Safe for several threads, as each asks about repositories and tags of its own."""

    def __init__(self) -> None:
        self._sources: dict[tuple[Source, str], str] = {}
        self._manifests: dict[tuple[Source, str], Manifest] = {}  # until they are taken
        self._targets: dict[tuple[Repository, str], str | None] = {}
        self._tagless: set[Repository] = set()
        self._filled: set[Repository] = set()

    def ask_source(self, source: Source, identifiers: Sequence[str]) -> None:
        """Resolve tags of a source to digests; one that does not exist is left for :meth:`source_digest` to explain."""
        tags = [each for each in identifiers if not is_digest(each)]
        if len(tags) == 1:
            self.source_digest(source, tags[0])
            return
        with blamed_on(Side.SOURCE, source):
            if self._takes_manifests(source):
                for tag, manifest in source.manifests(tags).items():
                    self._keep(source, tag, manifest)
                return
            found = source.digests_of(tags)
        self._sources.update({(source, tag): digest for tag, digest in found.items() if digest})

    def ask_target(self, target: Repository, tags: Sequence[str]) -> None:
        """See what tags of a target name."""
        with blamed_on(Side.TARGET, target):
            found = target.digests_of(tags) if len(tags) > 1 else {}
        for tag in tags:
            self._targets[target, tag] = found[tag] if tag in found else self.target_digest(target, tag)

    def ask_whether_tagless(self, target: Repository) -> None:
        """See whether a target has any tag."""
        with blamed_on(Side.TARGET, target):
            if target.has_tags() is False:
                self._tagless.add(target)

    def source_digest(self, source: Source, identifier: str) -> str:
        """The digest of the image to copy.

        :raises CopyError: there is no such image, or the source does not tell.
        """
        if is_digest(identifier):
            return identifier
        known = self._sources.get((source, identifier))
        if known:
            return known
        with blamed_on(Side.SOURCE, source, identifier):
            digest = None if self._takes_manifests(source) else source.digest_of(identifier)
            if digest is None:  # also where there is none: the answer to a GET says why
                self._keep(source, identifier, source.manifest(identifier))
            else:
                self._sources[source, identifier] = digest
            return self._sources[source, identifier]

    def take_manifest(self, source: Source, identifier: str) -> Manifest | None:
        """The manifest that came with the digest of a tag, once; None where it is yet to be fetched."""
        return self._manifests.pop((source, identifier), None)

    def _takes_manifests(self, source: Source) -> bool:
        return not source.registry.counts_pulls and len(self._manifests) < _MOST_MANIFESTS

    def _keep(self, source: Source, tag: str, manifest: Manifest) -> None:
        self._manifests[source, tag] = manifest
        self._sources[source, tag] = manifest.digest

    def target_digest(self, target: Repository, identifier: str) -> str | None:
        """What the tag or digest names at the target; None when nothing.

        :raises CopyError: the target does not tell.
        """
        if (target, identifier) in self._targets:
            return self._targets[target, identifier]
        with blamed_on(Side.TARGET, target, identifier):
            return target.digest_of(identifier)

    def saw_content(self, target: Repository) -> None:
        """A blob was found at a target that no manifest had told of: there will be more."""
        self._filled.add(target)

    def is_empty(self, target: Repository) -> bool:
        """Whether a target has no tag, nor any content so far: it is new, or holds the rest of an interrupted copy."""
        return target in self._tagless and target not in self._filled

    def is_worth_a_guess(self, source: Source, target: Repository) -> bool:
        """Whether to ask the source for content before the target has said that it does not have it.

        It saves a round trip where one takes long, and moves some bytes for nothing where the guess is wrong.
        """
        return self.is_empty(target) and self.is_far(source)

    @staticmethod
    def is_far(source: Source) -> bool:
        """Whether a round trip to the source takes long."""
        return source.registry.round_trip_seconds > tuning.FAR_SECONDS
