# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""What a copy would do, seen without doing it: the copier's own walk, past targets that can only be looked at.

Nothing is sent but GET and HEAD, and no token is asked for that allows more than to pull.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from azext_acrimport.oci.manifest import Manifest
from azext_acrimport.registry.errors import Cancelled
from azext_acrimport.registry.repository import Repository
from azext_acrimport.registry.transport import Exchange
from azext_acrimport.transfer.copier import CopySettings, Job
from azext_acrimport.transfer.errors import CopyCancelled, ReferrerTagExists, Side, TagExists, blamed_on
from azext_acrimport.transfer.events import ignore
from azext_acrimport.transfer.move import BlobMover, OnSent
from azext_acrimport.transfer.nodes import BlobNode, Root, Tally, Target
from azext_acrimport.transfer.result import BlobOutcome, CopyResult, Count


class TagChange(str, Enum):
    """What a copy would do to a tag of the target."""

    WRITE = "write"
    NOTHING = "nothing"
    OVERWRITE = "overwrite"
    CONFLICT = "conflict"  # it names another image, and overwriting was not asked for: nothing would be moved


@dataclass(frozen=True)
class TagPreview:
    """A tag of the target: what it names now (``existing_digest``, None for nothing), and what would become of it."""

    repository: str
    tag: str
    existing_digest: str | None
    change: TagChange


@dataclass(frozen=True)
class Preview:  # pylint: disable=too-many-instance-attributes
    """What a copy of one image would do.

    The counts are those that the copy would report: ``copied`` is still to be copied, ``mounted`` can be had from
    another repository of the registry, where it mounts blobs. ``bytes_to_move`` are those of the blobs to copy: one
    that several images of a run share counts for the first of them. After a conflict all are 0, and ``media_type`` is
    empty. ``referrers`` and ``original_digest`` are as in :class:`CopyResult`.
    """

    digest: str
    media_type: str
    tags: tuple[TagPreview, ...]
    manifests: Count
    blobs: Count
    bytes_to_move: int
    referrers: int = 0
    original_digest: str | None = None

    @property
    def conflicts(self) -> tuple[TagPreview, ...]:
        """The tags that stand in the way."""
        return tuple(tag for tag in self.tags if tag.change is TagChange.CONFLICT)


def preview(roots: Sequence[Root], *, settings: CopySettings | None = None) -> list[Preview | Exception]:
    """See what a copy of these images would do, and change nothing; return why it cannot be told where it cannot.

    An exception in the list is a :class:`CopyError`, of the side that failed.

    :raises CopyCancelled: the clock of one of the registries was told to stop.
    """
    try:
        return _Look([_to_look_at(root) for root in roots], settings or CopySettings()).look()
    except Cancelled as ex:
        raise CopyCancelled from ex


class _Exhibit(Repository):
    """A repository that a copy may take for its target: it is read, and what would be written is let go."""

    def to_push(self) -> Repository:
        return self

    def put_manifest(
        self, manifest: Manifest, identifier: str, *, closing: Callable[[Exchange], None] | None = None
    ) -> None:
        pass


class _Finder(BlobMover):
    """Finds out how blobs would come to their targets."""

    def move_together(self, nodes: Sequence[BlobNode], on_sent: OnSent) -> dict[BlobNode, BlobOutcome]:
        return {node: BlobOutcome.MOUNTED for node in nodes if node.mountable_from}

    def move(self, node: BlobNode, closing: Callable[[Exchange], None]) -> BlobOutcome:
        if node.mountable_from:
            return BlobOutcome.MOUNTED
        with blamed_on(Side.TARGET, node.target, node.blob.digest):
            is_there = node.target.has_blob(node.blob.digest)
        return BlobOutcome.EXISTING if is_there else BlobOutcome.COPIED


class _Look(Job):  # pylint: disable=too-few-public-methods
    """The copier's run, without its effects."""

    mover = _Finder

    def __init__(self, roots: Sequence[Root], settings: CopySettings) -> None:
        super().__init__(roots, settings, ignore)
        self._is_bulk = False  # of many images, a copy does not look for each one: a preview does

    def look(self) -> list[Preview | Exception]:
        """Run, and say what was found."""
        return [self._seen(tally, outcome) for tally, outcome in zip(self._tallies, self.run(), strict=True)]

    def _seen(self, tally: Tally, outcome: CopyResult | Exception) -> Preview | Exception:
        if isinstance(outcome, TagExists):
            return Preview(tally.digest, "", self._tags(tally) + _in_the_way(outcome), Count(), Count(), 0)
        if isinstance(outcome, Exception):
            return outcome
        return Preview(
            digest=outcome.digest,
            media_type=outcome.media_type,
            tags=self._tags(tally),
            manifests=outcome.manifests,
            blobs=outcome.blobs,
            bytes_to_move=outcome.bytes_copied,
            referrers=outcome.referrers,
            original_digest=outcome.original_digest,
        )

    def _tags(self, tally: Tally) -> tuple[TagPreview, ...]:
        return tuple(self._tag(tally, target, tag) for target in tally.root.targets for tag in target.tags)

    def _tag(self, tally: Tally, target: Target, tag: str) -> TagPreview:
        existing = self._survey.target_digest(target.repository, tag)
        change = _change(existing, tally.digest, force=tally.root.force)
        return TagPreview(target.repository.name, tag, existing, change)


def _in_the_way(ex: TagExists) -> tuple[TagPreview, ...]:
    """The tag that is none of the image's own: one of cosign's for what refers to it."""
    if not isinstance(ex, ReferrerTagExists):
        return ()
    return (TagPreview(ex.repository, ex.tag, ex.existing_digest, TagChange.CONFLICT),)


def _to_look_at(root: Root) -> Root:
    targets = (
        target._replace(repository=_Exhibit(target.repository.registry, target.repository.name))
        for target in root.targets
    )
    return root._replace(targets=tuple(targets))


def _change(existing: str | None, wanted: str, *, force: bool) -> TagChange:
    if existing is None:
        return TagChange.WRITE
    if existing == wanted:
        return TagChange.NOTHING
    return TagChange.OVERWRITE if force else TagChange.CONFLICT
