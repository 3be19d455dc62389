# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""What is to be moved: manifests and blobs at their targets, who waits for whom, and how it stands.

No I/O in here, and no locks: the copier asks and tells under its own.
"""

from __future__ import annotations

from azext_acrimport.oci.descriptor import Descriptor
from azext_acrimport.oci.errors import InvalidManifest
from azext_acrimport.oci.manifest import Manifest
from azext_acrimport.registry.repository import Repository
from azext_acrimport.transfer.nodes import BlobNode, ManifestNode, Node, Tally, Target, ancestors

MAX_DEPTH = 8  # indexes in indexes; real ones go two deep
MAX_NODES = 100_000  # manifests and blobs below one root: bounds what a hostile index makes us do

_Key = tuple[str, str, str]


class Graph:
    """All nodes of a run, each manifest and each blob once for each repository that it goes to."""

    def __init__(self) -> None:
        self._manifests: dict[_Key, ManifestNode] = {}
        self._blobs: dict[_Key, BlobNode] = {}
        self._by_registry: dict[tuple[str, str], BlobNode] = {}

    def add_root(self, tally: Tally, target: Target, *, checks_target: bool) -> ManifestNode | None:
        """Want the root's manifest at the target; None when it is on its way there and will be waited for."""
        tally.waiting_for += 1
        key = _key(target.repository, _root_name(tally.digest, target.tags))
        known = self._known(key)
        if known and not known.done:
            known.roots.append(tally)
            return None
        source, repository = tally.root.source, target.repository
        node = ManifestNode(
            source, repository, tally.digest, tally, tags=target.tags, checks_target=checks_target, manifest=tally.given
        )
        node.roots.append(tally)
        self._manifests[key] = node
        return node

    def add_gathering(self, tally: Tally, target: Target) -> ManifestNode:
        """Want the root's tags at the target, after the root's manifest and all that refers to it."""
        tally.waiting_for += 1
        source, repository = tally.root.source, target.repository
        node = ManifestNode(
            source, repository, tally.digest, tally, tags=target.tags, manifest=tally.given, gathers=True
        )
        node.held, node.waiting_for = True, 1
        node.roots.append(tally)
        return node

    def add_image(self, gathering: ManifestNode, *, checks_target: bool) -> tuple[ManifestNode, bool]:
        """Want the root's manifest, without a tag; say whether that is new, or it is there or on its way already."""
        tally, target = gathering.tally, gathering.target
        node = ManifestNode(
            gathering.source, target, gathering.digest, tally, checks_target=checks_target, manifest=gathering.manifest
        )
        return self._gather(gathering, node, _root_name(node.digest, ()), None)

    def add_referrer(
        self, gathering: ManifestNode, referrer: Manifest, tags: tuple[str, ...], after: ManifestNode | None
    ) -> tuple[ManifestNode, bool]:
        """Want a referrer, put after its subject; say whether that is new, or it is there or on its way already.

        It is another node than the same manifest below an index, and waits only for nodes that were there before it:
        so no two wait for each other. Images share it where they share what it comes after.

        :raises InvalidManifest: there are too many.
        """
        tally, target = gathering.tally, gathering.target
        self._count(tally)
        node = ManifestNode(gathering.source, target, referrer.digest, tally, tags=tags, manifest=referrer)
        name = " ".join((referrer.digest, *tags, "after", after.digest if after else ""))
        return self._gather(gathering, node, name, after)

    def _gather(
        self, gathering: ManifestNode, node: ManifestNode, name: str, after: ManifestNode | None
    ) -> tuple[ManifestNode, bool]:
        key = _key(gathering.target, name)
        known = self._known(key) or node
        if known is node:
            self._manifests[key] = node
            node.name, node.held, node.waiting_for = name, True, 1
            if after and not after.done:
                _wait(node, after)
        if not known.done:
            _wait(gathering, known)
        return known, known is node

    def add_manifest(self, parent: ManifestNode, child: Descriptor) -> ManifestNode | None:
        """Want a manifest below its index; None when it is there or on its way.

        :raises InvalidManifest: that would go too deep, or be too much.
        """
        if parent.depth >= MAX_DEPTH:
            raise InvalidManifest(f"indexes are nested more than {MAX_DEPTH} deep")
        self._count(parent.tally)
        key = _key(parent.target, child.digest)
        node = self._known(key)
        if node is None:
            node = ManifestNode(parent.source, parent.target, child.digest, parent.tally, depth=parent.depth + 1)
            self._manifests[key] = node
            _wait(parent, node)
            return node
        if not node.done:
            _wait(parent, node)
        return None

    def add_blob(self, parent: ManifestNode, blob: Descriptor) -> BlobNode | None:
        """Want a blob below its manifest; None when it is there, on its way, or will follow its way elsewhere.

        :raises InvalidManifest: there are too many, or its size is told in two ways.
        """
        self._count(parent.tally)
        key = _key(parent.target, blob.digest)
        known = self._blobs.get(key)
        if known:
            if known.blob.size != blob.size:
                raise InvalidManifest(f"the blob {blob.digest} is said to have {known.blob.size} and {blob.size} bytes")
            if not known.done:
                _wait(parent, known)
            return None
        node = BlobNode(parent.source, parent.target, blob, parent.tally)
        self._blobs[key] = node
        _wait(parent, node)
        return self._route(node)

    def send(self, node: Node) -> list[ManifestNode]:
        """The last of the node is on its way; return the manifests of which nothing is left to be sent.

        Not those that gather, or are held: more may yet come to them.
        """
        if node.sent:
            return []
        node.sent = True
        for parent in node.parents:
            parent.unsent -= 1
        return [each for each in node.parents if not (each.unsent or each.gathers or each.held)]

    def finish(self, node: Node) -> tuple[list[ManifestNode], list[BlobNode]]:
        """The node is at its target; return the manifests that can be put now, and the blobs that can be mounted."""
        self.send(node)
        node.done = True
        ready = []
        for parent in node.parents:
            parent.waiting_for -= 1
            if not parent.waiting_for:
                ready.append(parent)
        if isinstance(node, ManifestNode):
            for tally in node.roots:
                tally.waiting_for -= 1
            return ready, []
        followers, node.followers = node.followers, []
        for follower in followers:
            follower.mount_from = node.target.name
        return ready, followers

    def fail(self, node: Node, ex: Exception) -> tuple[list[Tally], list[BlobNode]]:
        """The node cannot be had, nor what waits for it.

        Return the images that fail by it, and the blobs that must now find their own way.
        """
        failed = []
        for above in ancestors(node):
            self._forget(above)
            for tally in above.roots:
                if not tally.failure:
                    tally.failure = ex
                    failed.append(tally)
        return failed, self.abandon(node) if isinstance(node, BlobNode) else []

    def abandon(self, node: BlobNode) -> list[BlobNode]:
        """Nobody waits for the blob any more; return those that counted on it to be there."""
        by_host, key = (node.target.registry.host, node.blob.digest), _key(node.target, node.blob.digest)
        if self._by_registry.get(by_host) is node:
            del self._by_registry[by_host]
        if self._blobs.get(key) is node:
            del self._blobs[key]
        followers, node.followers = node.followers, []
        for follower in followers[:1]:
            self._by_registry[follower.target.registry.host, follower.blob.digest] = follower
            follower.followers = followers[1:]
        return followers[:1]

    def _known(self, key: _Key) -> ManifestNode | None:
        """The node of a manifest; one that nobody waited for any more was dropped on its way, and does not count."""
        node = self._manifests.get(key)
        return None if node is None or (node.failed and not node.done) else node

    def _forget(self, node: ManifestNode) -> None:
        """Let a manifest that failed be tried anew for the next image that wants it."""
        name = node.name or (node.digest if node.depth else _root_name(node.digest, node.tags))
        self._manifests.pop(_key(node.target, name), None)

    def _route(self, node: BlobNode) -> BlobNode | None:
        """Let the blob come from another repository of the same registry, if it is there or on its way there."""
        registry = node.target.registry.host
        if node.source.registry.host == registry:
            node.mount_from = node.source.name
            return node
        first = self._by_registry.setdefault((registry, node.blob.digest), node)
        if first is node:
            return node
        if first.done:
            node.mount_from = first.target.name
            return node
        first.followers.append(node)
        return None

    @staticmethod
    def _count(tally: Tally) -> None:
        tally.nodes += 1
        if tally.nodes > MAX_NODES:
            raise InvalidManifest(f"the image refers to more than {MAX_NODES} manifests and blobs")


def _wait(parent: ManifestNode, child: Node) -> None:
    parent.waiting_for += 1
    parent.unsent += not child.sent
    child.parents.append(parent)


def _root_name(digest: str, tags: tuple[str, ...]) -> str:
    return " ".join((digest, *tags, "as a root"))


def _key(target: Repository, name: str) -> _Key:
    return target.registry.host, target.name, name
