# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""What refers to an image at its source: asked for one manifest after the other, and checked.

The registry lists what refers to a manifest; where it does not, an index under a tag does; and cosign has tags of its
own. Neither is believed: a referrer is what names its subject in its own bytes, and its type is what these say.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from azext_acrimport.oci.descriptor import Descriptor
from azext_acrimport.oci.errors import InvalidManifest
from azext_acrimport.oci.manifest import MAX_CHILDREN, Manifest
from azext_acrimport.oci.media_types import INDEXES
from azext_acrimport.oci.referrers import ReferrerFilter, cosign_tags, schema_tag
from azext_acrimport.registry.errors import RegistryError
from azext_acrimport.transfer.errors import Side, blamed_on
from azext_acrimport.transfer.graph import MAX_DEPTH
from azext_acrimport.transfer.source import Source

# Bounds what a hostile registry makes us read and hold for one image; real ones have some dozens, of some KiB each.
MAX_REFERRERS = 10_000
_MAX_BYTES = 64 << 20

logger = logging.getLogger(__name__)


class Referrer(NamedTuple):
    """A manifest that refers to another one, its ``subject`` (a digest).

    ``tags`` are the names that it is found by (cosign's): it needs them wherever it goes. One with a subject in its own
    bytes needs none.
    """

    digest: str
    artifact_type: str
    subject: str
    tags: tuple[str, ...] = ()


class Found(NamedTuple):
    """A referrer at the source, with its manifest."""

    referrer: Referrer
    manifest: Manifest


class Search:
    """What has been found for one image, and what has been asked about. Not safe for several threads."""

    def __init__(self) -> None:
        self._depths: dict[str, int] = {}
        self._found: set[Referrer] = set()
        self._digests: set[str] = set()
        self._size = 0

    def __len__(self) -> int:
        return len(self._digests)

    def add(self, found: Found) -> bool:
        """Take in a referrer; False where it has been taken in before.

        :raises InvalidManifest: that is too much.
        """
        if found.referrer in self._found:
            return False
        self._found.add(found.referrer)
        self._digests.add(found.referrer.digest)
        self._size += len(found.manifest.content)
        if len(self._found) > MAX_REFERRERS or self._size > _MAX_BYTES:
            raise InvalidManifest(f"more refers to the image than we follow ({len(self._found)} manifests)")
        return True

    def to_ask(self, digests: Iterable[str], subject: str = "") -> list[str]:
        """Those of the manifests that have not been asked about yet. ``subject`` is what they refer to.

        :raises InvalidManifest: referrers refer to referrers deeper than any do.
        """
        depth = self._depths.get(subject, -1) + 1
        fresh = [digest for digest in dict.fromkeys(digests) if digest not in self._depths]
        if fresh and depth > MAX_DEPTH:
            raise InvalidManifest(f"referrers refer to each other more than {MAX_DEPTH} deep")
        self._depths.update(dict.fromkeys(fresh, depth))
        return fresh


def discover(repository: Source, digest: str, wanted: ReferrerFilter) -> list[Referrer]:
    """What refers to an image, to the manifests below it, and to its referrers; each comes after its subject.

    Only the repository itself is asked.

    :raises CopyError: it does not tell, or holds more than is followed.
    """
    search, found = Search(), []
    with blamed_on(Side.SOURCE, repository, digest):
        todo = deque(search.to_ask(tree_of(repository, repository.manifest(digest))))
    while todo:
        subject = todo.popleft()
        for each in referrers_of(repository, subject, wanted):
            with blamed_on(Side.SOURCE, repository, each.manifest.digest):
                if search.add(each):
                    found.append(each.referrer)
                    todo += search.to_ask(tree_of(repository, each.manifest), subject)
    return found


def tree_of(repository: Source, manifest: Manifest) -> list[str]:
    """The digests of a manifest and of all manifests below it."""
    found = {manifest.digest: 0}
    todo = [manifest]
    while todo:
        above = todo.pop()
        depth = found[above.digest] + 1
        for child in above.manifests:
            if child.digest in found:
                continue
            found[child.digest] = depth
            if len(found) > MAX_CHILDREN or depth > MAX_DEPTH:
                raise InvalidManifest("the index has more below it than we follow")
            if child.media_type in INDEXES:
                todo.append(repository.manifest(child.digest))
    return list(found)


def referrers_of(repository: Source, subject: str, wanted: ReferrerFilter) -> Iterator[Found]:
    """What refers to one manifest and is wanted: one request for the list, and one for each on it.

    :raises CopyError: the registry does not tell, or holds less than it lists.
    """
    with blamed_on(Side.SOURCE, repository, subject):
        listed = repository.referrers(subject)
    for descriptor in _by_tag_schema(repository, subject) if listed is None else listed:
        if descriptor.artifact_type and not wanted.wants(descriptor.artifact_type):
            continue
        manifest = _listed(repository, descriptor, is_kept_by_clients=listed is None)
        if manifest is None or not manifest.subject or manifest.subject.digest != subject:
            logger.debug("%s lists %s as a referrer of %s, which it is not", repository, descriptor.digest, subject)
        elif wanted.wants(manifest.artifact_type):
            yield Found(Referrer(manifest.digest, manifest.artifact_type, subject), manifest)
    yield from _by_cosign_tags(repository, subject, wanted)


def _by_tag_schema(repository: Source, subject: str) -> tuple[Descriptor, ...]:
    tag = schema_tag(subject)
    with blamed_on(Side.SOURCE, repository, tag):
        try:
            return repository.manifest(tag).manifests
        except RegistryError as ex:
            if ex.status != 404:
                raise
            return ()


def _listed(repository: Source, descriptor: Descriptor, *, is_kept_by_clients: bool) -> Manifest | None:
    """The manifest of a referrer; None for one that is gone from a list that clients keep: they may forget it there."""
    with blamed_on(Side.SOURCE, repository, descriptor.digest):
        try:
            return repository.manifest(descriptor.digest)
        except RegistryError as ex:
            if ex.status != 404 or not is_kept_by_clients:
                raise
            return None


def _by_cosign_tags(repository: Source, subject: str, wanted: ReferrerFilter) -> Iterator[Found]:
    tags = cosign_tags(subject, wanted)
    with blamed_on(Side.SOURCE, repository, subject):
        named = repository.digests_of(list(tags))
    for tag, artifact_type in tags.items():
        with blamed_on(Side.SOURCE, repository, tag):
            digest = named[tag] if tag in named else repository.digest_of(tag)
            if digest:
                yield Found(Referrer(digest, artifact_type, subject, (tag,)), repository.manifest(digest))
