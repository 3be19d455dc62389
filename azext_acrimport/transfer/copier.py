# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""Copying images: the algorithm.

    resolve     the source's tag to a digest; what do the target's tags name (another image: stop, nothing has moved)
    descend     from the root, each manifest once: what it refers to is wanted at the target before it is
    move        each blob once: there already, mounted from another repository of the registry, or streamed
    ascend      a manifest is put when everything below it is there, what refers to it after it; the tags come last

An interrupted copy leaves blobs and untagged manifests, never a tag, and a second run moves only what is missing.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import closing, suppress
from functools import partial
from typing import TYPE_CHECKING, Union

from azext_acrimport.oci.descriptor import Descriptor
from azext_acrimport.oci.manifest import Manifest
from azext_acrimport.registry.errors import Cancelled, RegistryError, RegistryFailure
from azext_acrimport.registry.repository import Repository
from azext_acrimport.registry.transport import Exchange
from azext_acrimport.transfer import tuning
from azext_acrimport.transfer.blob import Unwanted
from azext_acrimport.transfer.errors import CopyCancelled, CopyError, Side, Skipped, TagExists, blamed_on
from azext_acrimport.transfer.events import (
    BlobFinished,
    BlobsFound,
    ImageFinished,
    ManifestFinished,
    Observer,
    TagWritten,
    Waiting,
    ignore,
)
from azext_acrimport.transfer.executor import Executor, Priority, Task
from azext_acrimport.transfer.fallback import FallbackLists
from azext_acrimport.transfer.fetch import MOST_AT_ONCE, ManifestFetcher
from azext_acrimport.transfer.graph import Graph
from azext_acrimport.transfer.look import LastLook, seen_just_now
from azext_acrimport.transfer.move import BlobMover
from azext_acrimport.transfer.nodes import BlobNode, ManifestNode, Node, Root, Tally, Target
from azext_acrimport.transfer.pending import Pending
from azext_acrimport.transfer.put import ManifestPut
from azext_acrimport.transfer.resolving import plan_target, questions
from azext_acrimport.transfer.result import BlobOutcome, CopyResult
from azext_acrimport.transfer.source import SourceRegistry
from azext_acrimport.transfer.survey import Survey
from azext_acrimport.transfer.tuning import BULK_BYTES, CopySettings, Tuning

if TYPE_CHECKING:
    from azext_acrimport.transfer.gathering import Gatherer

__all__ = ["CopySettings", "Root", "Target", "copy", "copy_all"]

About = Union[Tally, Node, Sequence[Tally], Sequence[Node]]
"""What a task is about: what fails with it."""
_FAREWELL_SECONDS, _LAST_SECONDS = 0.7, 0.2  # a run that is stopped has ended within a second


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
    roots: Sequence[Root],
    *,
    settings: CopySettings | None = None,
    observe: Observer = ignore,
    halted: threading.Event | None = None,
) -> list[CopyResult | Exception]:
    """Copy many images at once, each blob once; return for each what was done, or why it failed.

    Once ``halted`` is set, by whomever, the images that are not complete are given up: :class:`Skipped` is why.

    :raises CopyCancelled: the clock of one of the registries was told to stop.
    """
    try:
        return Job(roots, settings or CopySettings(), observe, halted).run()
    except Cancelled as ex:
        raise CopyCancelled from ex


class Job:  # pylint: disable=too-many-instance-attributes,too-few-public-methods
    """One run of the algorithm over all its roots. ``mover`` is what sees to the blobs: a preview has another."""

    mover = BlobMover

    def __init__(
        self,
        roots: Sequence[Root],
        settings: CopySettings,
        observe: Observer,
        halted: threading.Event | None = None,
    ) -> None:
        self._tallies = [Tally(root) for root in roots]
        self._registries = _registries_of(roots)
        self._observe = observe
        self._halted = halted or threading.Event()
        self._tuning = Tuning(settings)
        workers, bulk_workers = self._tuning.workers(0.0)
        self._executor = Executor(workers=workers, bulk_workers=bulk_workers)
        self._graph = Graph()
        self._pending = Pending(settings.blobs_together)
        self._lock = threading.Lock()  # guards the graph and the tallies
        self._survey = Survey()
        self._is_bulk = len(roots) > 1
        self._is_connected = False
        self._fetcher = ManifestFetcher(self._survey, is_bulk=self._is_bulk)
        self._fallback_lists = FallbackLists()
        self._gatherer = self._new_gatherer() if any(root.referrers is not None for root in roots) else None
        self._mover = self.mover(
            self._survey, self._tuning, observe, lanes=self._lanes, is_bulk=self._is_bulk, halted=self._halted
        )

    def _new_gatherer(self) -> Gatherer:
        from azext_acrimport.transfer.gathering import Gatherer

        return Gatherer(
            self._graph,
            self._lock,
            self._survey,
            submit=partial(self._executor.submit, Priority.GET_MANIFEST),
            guard=self._guard,
            descend=self._submit_descent,
            ascend=self._submit_ready,
        )

    def run(self) -> list[CopyResult | Exception]:
        for registry in self._registries:
            self._listen(registry)
        self._ask()
        try:
            self._executor.run()
        except BaseException:  # Ctrl-C arrives here too
            for registry in self._registries:
                registry.interrupt()
            self._executor.stop(_FAREWELL_SECONDS)  # workers cancel their uploads meanwhile
            for registry in self._registries:
                registry.stop()
            self._executor.stop(_LAST_SECONDS)  # what hangs in a look-up of a name is left behind
            raise
        self._executor.stop()
        return [self._outcome(tally) for tally in self._tallies]

    def _outcome(self, tally: Tally) -> CopyResult | Exception:
        if self._halted.is_set() and not (tally.is_complete or tally.failure):
            return Skipped()
        if not (tally.is_complete or tally.failure):  # a defect of ours: better said than taken for success
            return RuntimeError(f"the copy of {tally.root.source}:{tally.root.identifier} was left incomplete")
        return tally.failure or tally.result

    # Resolve

    def _ask(self) -> None:
        """Ask both sides at once what the tags name."""
        for tallies, question in questions(self._tallies, self._survey):
            self._submit_question(tallies, question)
        if not self._is_bulk:
            self._connect_ahead()

    def _submit_question(self, tallies: list[Tally], question: Task) -> None:
        def task() -> None:
            question()
            slowest = max(registry.round_trip_seconds for registry in self._registries)
            self._executor.widen(*self._tuning.workers(slowest))
            with self._lock:
                for tally in tallies:
                    tally.questions -= 1
                answered = [tally for tally in tallies if not tally.questions and not tally.failure]
            for tally in answered:
                self._submit(Priority.GET_MANIFEST, tally, partial(self._resolve, tally))

        self._executor.submit(Priority.GET_MANIFEST, partial(self._guard, tallies, task))

    def _connect_ahead(self) -> None:
        """Have connections ready: for one image from the beginning, for many on far lines when there is work."""
        count = self._tuning.connections_ahead(len(self._tallies))
        if self._is_connected or count < 2:
            return
        self._is_connected = True
        for registry in self._registries:
            if not self._is_bulk or registry.round_trip_seconds > tuning.FAR_SECONDS:
                self._executor.submit(Priority.GET_MANIFEST, partial(self._connect_to, registry, count))

    @staticmethod
    def _connect_to(registry: SourceRegistry, count: int) -> None:
        with suppress(RegistryFailure):  # whoever wants a connection is told
            registry.connect_ahead(count)

    def _resolve(self, tally: Tally) -> None:
        """Fix the digest, compare with the targets, and want the image where it is not."""
        root = tally.root
        tally.digest = self._survey.source_digest(root.source, root.identifier)
        tally.given = self._survey.take_manifest(root.source, root.identifier)
        if root.platforms:
            from azext_acrimport.transfer.platforms import choose

            choice = choose(root.source, tally.digest, root.platforms, named=root.identifier)
            tally.digest, tally.given, tally.original_digest = choice.digest, choice.manifest, choice.original_digest
        plans = [plan_target(tally, target, self._survey) for target in root.targets]
        if root.referrers is not None:
            self._resolve_with_referrers(tally, plans)
            return
        missing = [plan for plan in plans if plan is not None]
        if not missing:
            self._finish_existing(tally)
            return
        self._connect_ahead()
        with self._lock:
            nodes = [self._graph.add_root(tally, target, checks_target=checks) for target, checks in missing]
            tally.given = None  # the nodes have it
        for node in nodes:
            if node:
                self._submit_descent(node)

    def _resolve_with_referrers(self, tally: Tally, plans: Sequence[tuple[Target, bool] | None]) -> None:
        """Want the image where it is not, and what refers to it everywhere, before any tag."""
        root = tally.root
        if not tally.given:
            with blamed_on(Side.SOURCE, root.source, root.identifier):
                tally.given = root.source.manifest(tally.digest)
        fresh: list[ManifestNode] = []
        images: dict[ManifestNode, ManifestNode | None] = {}
        with self._lock:
            for target, plan in zip(root.targets, plans, strict=True):
                goal, checks = plan or (Target(target.repository.to_push()), False)
                top = self._graph.add_gathering(tally, goal)
                below, is_new = self._graph.add_image(top, checks_target=checks) if plan else (None, False)
                images[top] = below
                fresh += [below] if below and is_new else []
            tally.manifests_existing += plans.count(None)
        image, tally.given = tally.given, None  # the nodes have it
        for node in fresh:
            self._submit_descent(node)
        assert self._gatherer is not None
        self._gatherer.begin(tally, image, images)

    def _finish_existing(self, tally: Tally) -> None:
        """Everything is there already. Its type is asked for where there is but one image: nobody else looks at it."""
        manifest, tally.given = tally.given, None
        if not manifest and not self._is_bulk:
            manifest = self._fetch_existing(tally.root.targets[0].repository.to_push(), tally.digest)
        tally.media_type = manifest.media_type if manifest else ""
        tally.manifests_existing += 1
        self._observe(ManifestFinished(tally.digest, copied=False))
        self._observe(ImageFinished(tally.root))

    # Descend

    def _submit_descent(self, node: ManifestNode) -> None:
        self._submit(Priority.GET_MANIFEST, node, partial(self._descend, node))

    def _submit_children(self, nodes: list[ManifestNode]) -> None:
        """Descend into manifests of one index, some together."""
        for start in range(0, len(nodes), MOST_AT_ONCE):
            some = nodes[start : start + MOST_AT_ONCE]
            self._submit(Priority.GET_MANIFEST, some, partial(self._descend_together, some))

    def _descend_together(self, nodes: list[ManifestNode]) -> None:
        if len(nodes) > 1:
            self._fetcher.fetch_at_once(nodes)
        for node in nodes:
            self._guard(node, partial(self._descend, node))

    def _descend(self, node: ManifestNode) -> None:
        """Fetch a manifest, and want what it refers to."""
        manifest = self._fetcher.fetch(node)
        if manifest is None:
            self._finish_there(node)
            return
        node.manifest = manifest
        with self._lock, blamed_on(Side.SOURCE, node.source, node.digest):
            node.waiting_for += not node.held  # holds the node back until all its children are known
            manifests = [self._graph.add_manifest(node, child) for child in manifest.manifests]
            blobs = [self._graph.add_blob(node, blob) for blob in manifest.blobs]
            node.waiting_for -= 1
            is_ready = not node.waiting_for
        self._announce([blob for blob in blobs if blob])
        self._submit_children([child for child in manifests if child])
        for blob in blobs:
            if blob:
                self._submit_blob(blob)
        if is_ready:
            self._submit(Priority.PUT_MANIFEST, node, partial(self._ascend, node))

    def _finish_there(self, node: ManifestNode) -> None:
        """The target has the manifest already, and so all that is below it; its tags are written."""
        if node.tags:
            node.manifest = node.manifest or self._fetch_existing(node.target, node.digest)
            self._put(node, node.manifest)
        self._finish_manifest(node, copied=False)

    @staticmethod
    def _fetch_existing(target: Repository, digest: str) -> Manifest:
        with blamed_on(Side.TARGET, target, digest):
            return target.manifest(digest)

    def _announce(self, blobs: Sequence[BlobNode]) -> None:
        if blobs:
            self._observe(BlobsFound(len(blobs), sum(node.blob.size for node in blobs)))

    # Move

    def _submit_blob(self, node: BlobNode) -> None:
        if node.blob.size > BULK_BYTES:
            self._submit(Priority.BIG_BLOB, node, partial(self._move, node), size=node.blob.size)
            return
        self._pending.add(node)
        self._executor.submit(Priority.SMALL_BLOB, self._move_some)

    def _move_some(self) -> None:
        """Move small blobs: some together where more wait than there are workers."""
        nodes = self._pending.take(self._executor.workers)
        wanted = [node for node in nodes if not (node.failed or self._halted.is_set())]
        if len(wanted) > 1:
            self._move_together(wanted)
        for node in nodes:
            if not node.done:
                self._guard(node, partial(self._move, node))

    def _move_together(self, nodes: Sequence[BlobNode]) -> None:
        """Move small blobs as far as all goes well. Nothing fails here: what does is moved alone after it."""
        sent: list[BlobNode] = []

        def under_way(exchange: Exchange, blobs: Sequence[BlobNode]) -> None:
            sent.extend(blobs)
            look.begin(exchange)

        with self._last_look(sent) as look:
            outcomes = self._mover.move_together(nodes, under_way)
            if outcomes.keys() >= set(sent):
                look.end()
        for node, outcome in outcomes.items():
            self._finish_blob(node, outcome)

    def _move(self, node: BlobNode) -> None:
        """See to it that a blob is at its target."""
        try:
            if node.failed:
                raise Unwanted
            with self._last_look([node]) as look:
                outcome = self._mover.move(node, look.begin)
                look.end()
            self._finish_blob(node, outcome)
        except Unwanted:
            with self._lock:
                # Meanwhile another image may have come to wait for it.
                heirs = self._graph.abandon(node) if node.failed else [node]
            for heir in heirs:
                self._submit_blob(heir)

    def _send_again(self, node: ManifestNode, blob: Descriptor) -> None:
        """Send a blob that the target had and has lost."""
        self._mover.send(BlobNode(node.source, node.target, blob, node.tally))
        with self._lock:
            node.tally.blobs[BlobOutcome.COPIED] += 1
            node.tally.bytes_copied += blob.size

    def _finish_blob(self, node: BlobNode, outcome: BlobOutcome) -> None:
        tally = node.tally
        with self._lock:
            tally.blobs[outcome] += 1
            tally.bytes_copied += node.blob.size if outcome is BlobOutcome.COPIED else 0
            ready, followers = self._graph.finish(node)
        origin = node.mount_from if outcome is BlobOutcome.MOUNTED else str(node.source)
        self._observe(BlobFinished(node.blob.digest, node.blob.size, outcome, node.target.name, origin))
        for follower in followers:
            self._announce([follower])
            self._submit_blob(follower)
        self._submit_ready(ready)

    def _lanes(self) -> int:
        return self._tuning.lanes(self._executor.bulk_running)

    # Ascend

    def _submit_ready(self, nodes: Sequence[ManifestNode]) -> None:
        for node in nodes:
            self._submit(Priority.PUT_MANIFEST, node, partial(self._ascend, node))

    def _ascend(self, node: ManifestNode) -> None:
        """Put a manifest whose children are all there, under its tags or its digest."""
        with self._lock:
            is_dropped = node.failed
        manifest = node.manifest
        if is_dropped or manifest is None:  # there is none where it turned out to be there already
            return
        if node.gathers:
            self._fallback_lists.note(node.target, node.listed)
        if node.tags or not node.gathers:
            self._put(node, manifest)
        self._finish_manifest(node, copied=True)

    def _put(self, node: ManifestNode, manifest: Manifest) -> None:
        put = ManifestPut(node.source, node.target, manifest, partial(self._send_again, node))
        if node.tags:
            put.under_tags(node.tags, force=node.tally.root.force, seen=seen_just_now(node))
        else:
            with self._last_look([node]) as look:
                put.under(manifest.digest, look.begin)
                look.end()
        node.tally.wrote = True
        for tag in node.tags:
            self._observe(TagWritten(node.target.name, tag))

    def _last_look(self, nodes: Sequence[Node]) -> closing[LastLook]:
        def roots() -> list[ManifestNode]:
            with self._lock:
                return [root for node in nodes for root in self._graph.send(node)]

        return closing(LastLook(roots))

    def _finish_manifest(self, node: ManifestNode, *, copied: bool) -> None:
        with self._lock:
            if not node.gathers:  # else it has been counted without its tags
                node.tally.manifests_copied += copied
                node.tally.manifests_existing += not copied
            for tally in node.roots:
                tally.media_type = node.manifest.media_type if node.manifest else ""
            node.manifest = None  # its bytes are of no further use
            ready, _ = self._graph.finish(node)
            complete = [tally for tally in node.roots if tally.is_complete]
        if not node.gathers:
            self._observe(ManifestFinished(node.digest, copied))
        for tally in complete:
            self._observe(ImageFinished(tally.root))
        self._submit_ready(ready)

    # Tasks

    def _listen(self, registry: SourceRegistry) -> None:
        """Tell of waits; a registry that had too many requests gets fewer at once from then on."""

        def waits(host: str, seconds: float, cause: RegistryFailure) -> None:
            if isinstance(cause, RegistryError) and cause.status == 429:
                self._executor.narrow()
            self._observe(Waiting(host, seconds, str(cause)))

        registry.listen(waits)

    def _submit(self, priority: Priority, about: About, task: Task, *, size: int = 0) -> None:
        self._executor.submit(priority, partial(self._guard, about, task), size=size)

    def _guard(self, about: About, task: Task) -> None:
        """Run a task; what fails fails the images that need it, and no others."""
        if self._halted.is_set():
            return
        try:
            task()
        except (CopyError, TagExists) as ex:
            self._fail(about, ex)

    def _fail(self, about: About, ex: Exception) -> None:
        failed: list[Tally] = []
        heirs: list[BlobNode] = []
        with self._lock:
            for each in about if isinstance(about, Sequence) else [about]:
                if isinstance(each, Tally):
                    failed += [] if each.failure else [each]
                    each.failure = each.failure or ex
                else:
                    fallen, orphans = self._graph.fail(each, ex)
                    failed += fallen
                    heirs += orphans
        for tally in failed:
            self._observe(ImageFinished(tally.root, ex))
        for heir in heirs:
            self._submit_blob(heir)


def _registries_of(roots: Sequence[Root]) -> set[SourceRegistry]:
    registries: set[SourceRegistry] = {root.source.registry for root in roots}
    return registries | {target.repository.registry for root in roots for target in root.targets}
