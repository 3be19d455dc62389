# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""Images, manifests and blobs on their way: the values that the graph is made of, and how each of them stands."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Union

from azext_acrimport.oci.descriptor import Descriptor
from azext_acrimport.oci.manifest import Manifest
from azext_acrimport.oci.platform import Platform
from azext_acrimport.oci.referrers import ReferrerFilter
from azext_acrimport.registry.repository import Repository
from azext_acrimport.transfer.result import BlobOutcome, CopyResult, Count
from azext_acrimport.transfer.source import Source


class Target(NamedTuple):
    """Where an image goes: a repository, and the tags that will name it there (none: the manifest only)."""

    repository: Repository
    tags: tuple[str, ...] = ()


class Root(NamedTuple):
    """An image to copy: the manifest ``identifier`` (a tag or digest) of the source with all that is below it.

    With ``platforms`` only what is for these; with ``referrers`` also what refers to what is copied.
    """

    source: Source
    identifier: str
    targets: tuple[Target, ...]
    force: bool = False
    referrers: ReferrerFilter | None = None
    platforms: tuple[Platform, ...] = ()

    def tags_in(self, repository: Repository) -> list[str]:
        """The tags that will name the image in one of the target repositories."""
        return [tag for target in self.targets if target.repository == repository for tag in target.tags]


class Tally:  # pylint: disable=too-many-instance-attributes
    """How one root stands: what was done for it, what is still to do, and why it failed if it did."""

    original_digest: str | None = None
    given: Manifest | None = None  # the root's manifest, where it is at hand already
    media_type = ""
    referrers = 0
    questions = 0  # what the registries have yet to tell before it can be planned
    waiting_for = 0
    nodes = 0
    manifests_copied = 0
    manifests_existing = 0
    wrote = False  # whether a manifest or a tag was written
    bytes_copied = 0
    failure: Exception | None = None

    def __init__(self, root: Root, digest: str = "") -> None:
        self.root = root
        self.digest = digest
        self.blobs = dict.fromkeys(BlobOutcome, 0)

    @property
    def is_complete(self) -> bool:
        """Whether all that was to be done is done."""
        return bool(self.digest) and not (self.waiting_for or self.questions or self.failure)

    @property
    def result(self) -> CopyResult:
        """What the copy of this root did."""
        counts = self.blobs
        return CopyResult(
            digest=self.digest,
            media_type=self.media_type,
            manifests=Count(copied=self.manifests_copied, existing=self.manifests_existing),
            blobs=Count(counts[BlobOutcome.COPIED], counts[BlobOutcome.MOUNTED], counts[BlobOutcome.EXISTING]),
            bytes_copied=self.bytes_copied,
            unchanged=not self.wrote,
            referrers=self.referrers,
            original_digest=self.original_digest,
        )


class BlobNode:  # pylint: disable=too-many-instance-attributes
    """A blob that is to be in a target repository."""

    mount_from = ""
    sent = False
    done = False

    def __init__(self, source: Source, target: Repository, blob: Descriptor, tally: Tally) -> None:
        self.source = source
        self.target = target
        self.blob = blob
        self.tally = tally
        self.parents: list[ManifestNode] = []
        self.followers: list[BlobNode] = []  # the same blob for other repositories of the registry

    @property
    def mountable_from(self) -> str:
        """Another repository of the registry that has the blob; empty where none is known."""
        return "" if self.mount_from == self.target.name else self.mount_from

    @property
    def failed(self) -> bool:
        """Whether nobody waits for it any more."""
        return bool(self.parents) and all(parent.failed for parent in self.parents)


class Look(NamedTuple):
    """What tags named at a target (None: nothing), and when that was, in seconds on the run's clock."""

    seconds: float
    digests: dict[str, str | None]


class ManifestNode:  # pylint: disable=too-many-instance-attributes
    """A manifest that is to be in a target repository, after everything that it refers to.

    One that ``gathers`` is there already, or below itself: its tags are written after everything that refers to it.
    ``listed`` is then what of that a list of referrers may have to name. One that is ``held`` counts itself among what
    it waits for, until all that it waits for is known.
    """

    held = False
    name = ""  # what the graph knows it by, where that is neither its digest nor a root's name
    is_there: bool | None = None  # whether the target has it, as far as it was asked
    look: Look | None = None  # what its tags were last seen to name at the target
    waiting_for = 0
    unsent = 0  # of those waited for
    sent = False
    done = False

    def __init__(
        self,
        source: Source,
        target: Repository,
        digest: str,
        tally: Tally,
        *,
        depth: int = 0,
        tags: tuple[str, ...] = (),
        checks_target: bool = True,
        manifest: Manifest | None = None,
        gathers: bool = False,
    ) -> None:
        self.source = source
        self.target = target
        self.digest = digest
        self.tally = tally
        self.depth = depth
        self.tags = tags
        self.checks_target = checks_target  # whether it may be there already
        self.manifest = manifest  # once it is known, until it is put
        self.gathers = gathers
        self.listed: list[Manifest] = []
        self.parents: list[ManifestNode] = []
        self.roots: list[Tally] = []

    @property
    def named(self) -> str:
        """What the user calls it: the root's tag, or the digest below."""
        return self.digest if self.depth else self.tally.root.identifier

    @property
    def failed(self) -> bool:
        """Whether nobody waits for it any more."""
        return all(tally.failure for above in ancestors(self) for tally in above.roots)


Node = Union[ManifestNode, BlobNode]


def ancestors(node: Node) -> Iterator[ManifestNode]:
    """The manifests that wait for the node, and itself if it is one."""
    seen: set[int] = set()
    todo: list[Node] = [node]
    while todo:
        each = todo.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        if isinstance(each, ManifestNode):
            yield each
        todo += each.parents
