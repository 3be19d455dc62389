# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""Copying images: the algorithm.

    resolve     the source's tag to a digest; what do the target's tags name (another image: stop, nothing has moved)
    descend     from the root, each manifest once: what it refers to is wanted at the target before it is
    move        each blob once: there already, mounted from another repository of the registry, or streamed
    ascend      a manifest is put when everything below it is there; the tags come last

An interrupted copy leaves blobs and untagged manifests, never a tag, and a second run moves only what is missing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from azext_acrimport.oci.digest import is_digest
from azext_acrimport.oci.manifest import Manifest
from azext_acrimport.registry.errors import Cancelled, RegistryError
from azext_acrimport.registry.repository import Registry, Repository
from azext_acrimport.registry.upload import UploadSession
from azext_acrimport.transfer.blob import BlobCopy
from azext_acrimport.transfer.errors import CopyCancelled, CopyError, Side, TagExists, blamed_on
from azext_acrimport.transfer.events import (
    BlobAdvanced,
    BlobFinished,
    BlobsFound,
    BlobStarted,
    ManifestFinished,
    Observer,
    TagWritten,
    ignore,
)
from azext_acrimport.transfer.executor import Executor, Priority
from azext_acrimport.transfer.graph import BlobNode, Graph, ManifestNode, Root, Tally, Target
from azext_acrimport.transfer.result import BlobOutcome, CopyResult

__all__ = ["CopySettings", "Root", "Target", "copy", "copy_all"]

_BULK_BYTES = 4 << 20  # a blob of more is bound by bandwidth, one of less by round trips
_BUFFER_BYTES = 256 << 10  # larger ones fall out of the processor's cache: docs/benchmarks.md
_SMALL_BUFFER_BYTES = 64 << 10


@dataclass(frozen=True)
class CopySettings:
    """How much goes on at once: connections per registry, and of these how many move big blobs."""

    max_connections: int = 16
    bulk_connections: int = 4


def copy(
    roots: Sequence[Root], *, settings: CopySettings | None = None, observe: Observer = ignore
) -> list[CopyResult]:
    """Copy images to their targets.

    :raises CopyError: one of the registries failed.
    :raises TagExists: a tag names another image there, and ``force`` is not set.
    :raises CopyCancelled: the clock of one of the registries was told to stop.
    """
    results = []
    for outcome in copy_all(roots, settings=settings, observe=observe):
        if isinstance(outcome, Exception):
            raise outcome
        results.append(outcome)
    return results


def copy_all(
    roots: Sequence[Root], *, settings: CopySettings | None = None, observe: Observer = ignore
) -> list[CopyResult | Exception]:
    """Copy many images at once, each blob once; return for each what was done, or why it failed.

    :raises CopyCancelled: the clock of one of the registries was told to stop.
    """
    try:
        return _Job(roots, settings or CopySettings(), observe).run()
    except Cancelled as ex:
        raise CopyCancelled from ex


class _Job:
    """One run of the algorithm over all its roots."""

    def __init__(self, roots: Sequence[Root], settings: CopySettings, observe: Observer) -> None:
        self._tallies = [Tally(root) for root in roots]
        self._observe = observe
        self._executor = Executor(workers=settings.max_connections, bulk_workers=settings.bulk_connections)
        self._graph = Graph()
        self._lock = threading.Lock()  # guards the graph and the tallies
        self._buffers = threading.local()
        self._no_mounts: set[str] = set()  # registries that refused a mount

    def run(self) -> list[CopyResult | Exception]:
        for tally in self._tallies:
            self._submit(Priority.GET_MANIFEST, tally, partial(self._resolve, tally))
        try:
            self._executor.run()
        except BaseException:  # Ctrl-C arrives here too
            for registry in self._registries():
                registry.stop()
            raise
        finally:
            self._executor.stop()
        return [tally.failure or tally.result for tally in self._tallies]

    def _registries(self) -> set[Registry]:
        roots = [tally.root for tally in self._tallies]
        return {root.source.registry for root in roots} | {
            target.repository.registry for root in roots for target in root.targets
        }

    # Resolve

    def _resolve(self, tally: Tally) -> None:
        """Fix the digest, look at the targets, and want the image where it is not."""
        root = tally.root
        tally.digest = self._source_digest(root)
        plans = [self._plan_target(tally, target) for target in root.targets]
        missing = [plan for plan in plans if plan is not None]
        if not missing:
            with blamed_on(Side.TARGET, root.targets[0].repository, tally.digest):
                tally.media_type = root.targets[0].repository.to_push().manifest(tally.digest).media_type
            tally.manifests_existing += 1
            self._observe(ManifestFinished(tally.digest, copied=False))
            return
        with self._lock:
            nodes = [self._graph.add_root(tally, target, checks_target=checks) for target, checks in missing]
        for node in nodes:
            if node:
                self._submit(Priority.GET_MANIFEST, node, partial(self._descend, node))

    def _source_digest(self, root: Root) -> str:
        if is_digest(root.identifier):
            return root.identifier
        with blamed_on(Side.SOURCE, root.source, root.identifier):
            digest = root.source.digest_of(root.identifier)
            if digest is None:
                root.source.manifest(root.identifier)  # raises what the registry says of it
                raise RegistryError(root.source.registry.host, f"GET {root.source}", 404, ("MANIFEST_UNKNOWN",))
            return digest

    def _plan_target(self, tally: Tally, target: Target) -> tuple[Target, bool] | None:
        """What is left to do at a target, and whether the image may be there already; None when nothing is.

        :raises TagExists: a tag names another image.
        """
        repository = target.repository.to_push()
        to_write = []
        for tag in target.tags:
            with blamed_on(Side.TARGET, repository, tag):
                existing = repository.digest_of(tag)
            if existing is not None and existing != tally.digest and not tally.root.force:
                raise TagExists(repository.registry.host, repository.name, tag, existing, tally.digest)
            if existing != tally.digest:
                to_write.append(tag)
        if target.tags and not to_write and not tally.root.force:
            return None
        if not target.tags and not tally.root.force:
            with blamed_on(Side.TARGET, repository, tally.digest):
                if repository.digest_of(tally.digest):
                    return None
        # With force, what is below an existing manifest is checked too: a cache rule may have left it incomplete.
        tags = tuple(to_write) if not tally.root.force else target.tags
        return Target(repository, tags), bool(target.tags) and not tally.root.force

    # Descend

    def _descend(self, node: ManifestNode) -> None:
        """Fetch a manifest, and want what it refers to."""
        if node.checks_target and not self._forced(node) and self._is_there(node):
            return
        manifest = self._fetch(node.source, node.digest, Side.SOURCE)
        node.manifest = manifest
        if not node.depth:
            node.tally.media_type = manifest.media_type
        with self._lock, blamed_on(Side.SOURCE, node.source, node.digest):
            node.waiting_for += 1  # holds the node back until all its children are known
            manifests = [self._graph.add_manifest(node, child) for child in manifest.manifests]
            blobs = [self._graph.add_blob(node, blob) for blob in manifest.blobs]
            node.waiting_for -= 1
            is_ready = not node.waiting_for
        self._announce([blob for blob in blobs if blob])
        for child in manifests:
            if child:
                self._submit(Priority.GET_MANIFEST, child, partial(self._descend, child))
        for blob in blobs:
            if blob:
                self._submit_blob(blob)
        if is_ready:
            self._submit(Priority.PUT_MANIFEST, node, partial(self._ascend, node))

    def _is_there(self, node: ManifestNode) -> bool:
        """Whether the target has the manifest already, and so all that is below it; its tags are written then."""
        with blamed_on(Side.TARGET, node.target, node.digest):
            if node.target.digest_of(node.digest) is None:
                return False
        if node.tags:
            node.manifest = self._fetch(node.target, node.digest, Side.TARGET)
            node.tally.media_type = node.manifest.media_type
            self._put_tags(node, node.manifest)
        self._finish_manifest(node, copied=False)
        return True

    def _forced(self, node: ManifestNode) -> bool:
        return node.tally.root.force

    @staticmethod
    def _fetch(repository: Repository, digest: str, side: Side) -> Manifest:
        with blamed_on(side, repository, digest):
            return repository.manifest(digest)

    def _announce(self, blobs: Sequence[BlobNode]) -> None:
        if blobs:
            self._observe(BlobsFound(len(blobs), sum(node.blob.size for node in blobs)))

    # Move

    def _submit_blob(self, node: BlobNode) -> None:
        is_big = node.blob.size > _BULK_BYTES
        priority = Priority.BIG_BLOB if is_big else Priority.SMALL_BLOB
        self._submit(priority, node, partial(self._move, node), size=node.blob.size)

    def _move(self, node: BlobNode) -> None:
        """See to it that a blob is at its target."""
        if all(parent.failed for parent in node.parents):
            return
        blob = node.blob
        session, outcome = self._begin_upload(node)
        if session:
            self._observe(BlobStarted(blob.digest, blob.size))
            BlobCopy(
                node.source,
                node.target,
                blob,
                session,
                buffer=self._buffer(blob.size),
                advanced=lambda count: self._observe(BlobAdvanced(blob.digest, count)),
            ).run()
        self._finish_blob(node, outcome)

    def _begin_upload(self, node: BlobNode) -> tuple[UploadSession | None, BlobOutcome]:
        """Ask for the blob to be mounted, or known, or else sent: all in one request."""
        target, digest = node.target, node.blob.digest
        mount_from = node.mount_from if target.registry.host not in self._no_mounts else ""
        with blamed_on(Side.TARGET, target, digest):
            if mount_from and mount_from != target.name:
                try:
                    session = target.start_upload(mount=digest, mount_from=mount_from)
                    return session, BlobOutcome.COPIED if session else BlobOutcome.MOUNTED
                except RegistryError as ex:
                    if ex.retryable:
                        raise
                    # Not allowed, or not known: https://github.com/goharbor/harbor/issues/17097
                    self._no_mounts.add(target.registry.host)
            session = target.start_upload(mount=digest, mount_from=target.name)
            return session, BlobOutcome.COPIED if session else BlobOutcome.EXISTING

    def _finish_blob(self, node: BlobNode, outcome: BlobOutcome) -> None:
        tally = node.tally
        with self._lock:
            tally.blobs[outcome] += 1
            tally.bytes_copied += node.blob.size if outcome is BlobOutcome.COPIED else 0
            ready, followers = self._graph.finish(node)
        self._observe(BlobFinished(node.blob.digest, node.blob.size, outcome))
        for follower in followers:
            self._announce([follower])
            self._submit_blob(follower)
        self._submit_ready(ready)

    def _buffer(self, size: int) -> memoryview:
        """This thread's own buffer, of a size that fits the blob."""
        wanted = _BUFFER_BYTES if size > _SMALL_BUFFER_BYTES else _SMALL_BUFFER_BYTES
        buffer: memoryview | None = getattr(self._buffers, "view", None)
        if buffer is None or len(buffer) < wanted:
            buffer = self._buffers.view = memoryview(bytearray(wanted))
        return buffer

    # Ascend

    def _submit_ready(self, nodes: Sequence[ManifestNode]) -> None:
        for node in nodes:
            self._submit(Priority.PUT_MANIFEST, node, partial(self._ascend, node))

    def _ascend(self, node: ManifestNode) -> None:
        """Put a manifest whose children are all there, under its tags or its digest."""
        manifest = node.manifest
        if node.failed or manifest is None:
            return
        if node.tags:
            self._put_tags(node, manifest)
        else:
            with blamed_on(Side.TARGET, node.target, node.digest):
                node.target.put_manifest(manifest, manifest.digest)
        self._finish_manifest(node, copied=True)

    def _put_tags(self, node: ManifestNode, manifest: Manifest) -> None:
        for tag in node.tags:
            with blamed_on(Side.TARGET, node.target, tag):
                node.target.put_manifest(manifest, tag)
            self._observe(TagWritten(node.target.name, tag))

    def _finish_manifest(self, node: ManifestNode, *, copied: bool) -> None:
        with self._lock:
            node.tally.manifests_copied += copied
            node.tally.manifests_existing += not copied
            node.manifest = None  # its bytes are of no further use
            ready, _ = self._graph.finish(node)
        self._observe(ManifestFinished(node.digest, copied))
        self._submit_ready(ready)

    # Tasks

    def _submit(
        self, priority: Priority, about: Tally | ManifestNode | BlobNode, task: Callable[[], None], *, size: int = 0
    ) -> None:
        self._executor.submit(priority, partial(self._guard, about, task), size=size)

    def _guard(self, about: Tally | ManifestNode | BlobNode, task: Callable[[], None]) -> None:
        """Run a task; what fails fails the images that need it, and no others."""
        try:
            task()
        except (CopyError, TagExists) as ex:
            self._fail(about, ex)

    def _fail(self, about: Tally | ManifestNode | BlobNode, ex: Exception) -> None:
        with self._lock:
            if isinstance(about, Tally):
                about.failure = about.failure or ex
                return
            heirs = self._graph.fail(about, ex)
        for heir in heirs:
            self._submit_blob(heir)
