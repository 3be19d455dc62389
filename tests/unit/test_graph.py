# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""What waits for what: children before parents, each blob once, followers, failures, and bounds."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from azext_acrimport.oci.descriptor import Descriptor
from azext_acrimport.oci.errors import InvalidManifest
from azext_acrimport.oci.manifest import Manifest
from azext_acrimport.registry.repository import Repository
from azext_acrimport.transfer import graph as module
from azext_acrimport.transfer.graph import Graph
from azext_acrimport.transfer.nodes import BlobNode, ManifestNode, Root, Tally, Target
from azext_acrimport.transfer.result import BlobOutcome, Count
from emulator import content


def repository(host: str, name: str) -> Repository:
    return Repository(cast(Any, SimpleNamespace(host=host)), name)


SIGNATURE = Manifest.parse(content.artifact().manifest)
SOURCE = repository("source.io", "app")
TARGET = repository("target.io", "app")
OTHER = repository("target.io", "other")


def blob(number: int, size: int = 5) -> Descriptor:
    return Descriptor(f"sha256:{number:064}", size, "application/octet-stream")


def tally_of(digest: int = 900, source: Repository = SOURCE) -> Tally:
    return Tally(Root(source, "v1", ()), digest=blob(digest).digest)


def root_of(graph: Graph, tally: Tally, target: Repository = TARGET, tags: tuple[str, ...] = ("v1",)) -> ManifestNode:
    node = graph.add_root(tally, Target(target, tags), checks_target=True)
    assert node is not None
    return node


class TestWaiting:
    def test_manifest_is_ready_when_all_below_it_is_there(self) -> None:
        graph = Graph()
        root = root_of(graph, tally_of())
        first, second = graph.add_blob(root, blob(1)), graph.add_blob(root, blob(2))
        child = graph.add_manifest(root, blob(3))
        assert first is not None
        assert second is not None
        assert child is not None
        assert graph.finish(first) == ([], [])
        assert graph.finish(child) == ([], [])
        assert graph.finish(second) == ([root], [])

    def test_child_of_two_parents_is_wanted_once_and_readies_both(self) -> None:
        graph = Graph()
        root = root_of(graph, tally_of())
        left, right = graph.add_manifest(root, blob(1)), graph.add_manifest(root, blob(2))
        assert left is not None
        assert right is not None
        shared = graph.add_manifest(left, blob(3))
        assert shared is not None
        assert graph.add_manifest(right, blob(3)) is None
        assert graph.finish(shared)[0] == [left, right]

    def test_what_is_there_already_is_not_waited_for(self) -> None:
        graph = Graph()
        root = root_of(graph, tally_of())
        layer = graph.add_blob(root, blob(1))
        assert layer is not None
        graph.finish(layer)
        waiting = root.waiting_for
        assert graph.add_blob(root, blob(1)) is None
        assert root.waiting_for == waiting == 0

    def test_same_root_twice_is_wanted_once(self) -> None:
        graph = Graph()
        first, second = tally_of(), tally_of()
        node = root_of(graph, first)
        assert graph.add_root(second, Target(TARGET, ("v1",)), checks_target=True) is None
        graph.finish(node)
        assert (first.waiting_for, second.waiting_for) == (0, 0)

    def test_same_root_under_other_tags_is_another(self) -> None:
        graph = Graph()
        root_of(graph, tally_of())
        root_of(graph, tally_of(), tags=("v2",))
        root_of(graph, tally_of(), target=OTHER)


class TestSharing:
    def test_second_repository_of_a_registry_waits_and_mounts(self) -> None:
        graph = Graph()
        tally = tally_of()
        first = graph.add_blob(root_of(graph, tally), blob(1))
        assert first is not None
        assert graph.add_blob(root_of(graph, tally, OTHER), blob(1)) is None
        _, (follower,) = graph.finish(first)
        assert (follower.target, follower.mount_from) == (OTHER, TARGET.name)

    def test_blob_that_is_in_another_repository_already_is_mounted_from_there(self) -> None:
        graph = Graph()
        tally = tally_of()
        first = graph.add_blob(root_of(graph, tally), blob(1))
        assert first is not None
        graph.finish(first)
        second = graph.add_blob(root_of(graph, tally, OTHER), blob(1))
        assert second is not None
        assert second.mount_from == TARGET.name

    def test_source_in_the_same_registry_is_mounted_from(self) -> None:
        graph = Graph()
        source = repository(TARGET.registry.host, "source")
        node = graph.add_blob(root_of(graph, tally_of(source=source)), blob(1))
        assert node is not None
        assert node.mount_from == "source"

    def test_other_registries_share_nothing(self) -> None:
        graph = Graph()
        tally = tally_of()
        assert graph.add_blob(root_of(graph, tally), blob(1)) is not None
        elsewhere = graph.add_blob(root_of(graph, tally, repository("else.io", "app")), blob(1))
        assert elsewhere is not None
        assert elsewhere.mount_from == ""


class TestFailing:
    def test_everything_above_fails_and_nothing_else(self) -> None:
        graph = Graph()
        first, second = tally_of(901), tally_of(902)
        root, other = root_of(graph, first), root_of(graph, second)
        child = graph.add_manifest(root, blob(1))
        assert child is not None
        layer = graph.add_blob(child, blob(2))
        assert layer is not None
        assert graph.add_blob(other, blob(3)) is not None
        error = ValueError("x")
        assert graph.fail(layer, error) == ([first], [])
        assert first.failure is error
        assert second.failure is None
        assert root.failed
        assert child.failed
        assert not other.failed

    def test_first_failure_is_kept(self) -> None:
        graph = Graph()
        tally = tally_of()
        root = root_of(graph, tally)
        first, second = ValueError("first"), ValueError("second")
        graph.fail(root, first)
        graph.fail(root, second)
        assert tally.failure is first

    def test_followers_find_their_own_way(self) -> None:
        graph = Graph()
        tallies = [tally_of(901), tally_of(902), tally_of(903)]
        targets = [TARGET, OTHER, repository("target.io", "third")]
        first = graph.add_blob(root_of(graph, tallies[0]), blob(1))
        assert first is not None
        for tally, target in zip(tallies[1:], targets[1:], strict=True):
            assert graph.add_blob(root_of(graph, tally, target), blob(1)) is None
        _, (heir,) = graph.fail(first, ValueError("x"))
        assert heir.target == OTHER
        assert [follower.target for follower in graph.finish(heir)[1]] == [targets[2]]
        assert tallies[0].failure is not None
        assert tallies[1].failure is None

    def test_blob_that_failed_may_be_tried_again_for_another_image(self) -> None:
        graph = Graph()
        first = graph.add_blob(root_of(graph, tally_of(901)), blob(1))
        assert first is not None
        graph.fail(first, ValueError("x"))
        again = graph.add_blob(root_of(graph, tally_of(902)), blob(1))
        assert isinstance(again, BlobNode)
        assert again is not first

    def test_manifest_that_was_dropped_is_wanted_anew_by_the_next_image(self) -> None:
        graph = Graph()
        first = root_of(graph, tally_of(901))
        shared, broken = graph.add_manifest(first, blob(1)), graph.add_manifest(first, blob(2))
        assert shared is not None
        assert broken is not None
        graph.fail(broken, ValueError("x"))
        assert shared.failed
        again = graph.add_manifest(root_of(graph, tally_of(902)), blob(1))
        assert again not in (None, shared)


class TestGathering:
    @staticmethod
    def gathering_of(graph: Graph, tally: Tally) -> tuple[ManifestNode, ManifestNode]:
        top = graph.add_gathering(tally, Target(TARGET, ("v1",)))
        image, _ = graph.add_image(top, checks_target=True)
        return top, image

    def test_tags_come_after_referrers_and_these_after_their_subject(self) -> None:
        graph = Graph()
        tally = tally_of()
        top, image = self.gathering_of(graph, tally)
        referrer, is_new = graph.add_referrer(top, SIGNATURE, (), image)
        assert is_new
        for held in (top, referrer):  # as when all that they wait for has become known
            held.waiting_for -= 1
        assert graph.finish(image)[0] == [referrer]
        assert graph.finish(referrer)[0] == [top]
        assert tally.waiting_for == 1
        graph.finish(top)
        assert tally.waiting_for == 0

    def test_referrer_that_fails_fails_the_image_and_not_its_manifest(self) -> None:
        graph = Graph()
        tally = tally_of()
        top, image = self.gathering_of(graph, tally)
        referrer, _ = graph.add_referrer(top, SIGNATURE, (), image)
        error = ValueError("x")
        graph.fail(referrer, error)
        assert tally.failure is error

    def test_child_of_an_index_that_is_a_referrer_too_does_not_wait_for_itself(self) -> None:
        graph = Graph()
        top, image = self.gathering_of(graph, tally_of())
        referrer, _ = graph.add_referrer(top, SIGNATURE, (), image)
        child = graph.add_manifest(image, Descriptor(SIGNATURE.digest, len(SIGNATURE.content), SIGNATURE.media_type))
        assert child is not None
        image.waiting_for -= 1
        assert graph.finish(child)[0] == [image]
        assert child is not referrer

    def test_images_share_what_comes_after_the_same(self) -> None:
        graph = Graph()
        first, image = self.gathering_of(graph, tally_of())
        second, same = self.gathering_of(graph, tally_of())
        assert same is image
        one, _ = graph.add_referrer(first, SIGNATURE, (), image)
        assert graph.add_referrer(second, SIGNATURE, (), image) == (one, False)
        other, other_image = self.gathering_of(graph, tally_of(901))
        assert graph.add_referrer(other, SIGNATURE, (), other_image)[1]


class TestBounds:
    def test_question_whether_all_above_failed_is_cheap_for_indexes_that_share_children(self) -> None:
        """A hostile image of a few hundred entries must not keep the processor busy for hours once it fails."""
        reads = 0

        class Watched(Tally):
            def __getattribute__(self, name: str) -> Any:
                nonlocal reads
                reads += name == "failure"
                return super().__getattribute__(name)

        graph = Graph()
        tally = Watched(Root(SOURCE, "v1", ()), digest=blob(900).digest)
        level = [root_of(graph, tally)]
        for depth in range(module.MAX_DEPTH - 1):
            children = {}
            for parent in level:
                for number in range(5):
                    child = graph.add_manifest(parent, blob(depth * 10 + number))
                    if child:
                        children[number] = child
            level = list(children.values())
        graph.fail(level[0], ValueError("x"))
        reads = 0
        assert level[0].failed
        assert reads < 1000

    def test_nesting(self) -> None:
        graph = Graph()
        node = root_of(graph, tally_of())
        for depth in range(module.MAX_DEPTH):
            child = graph.add_manifest(node, blob(depth))
            assert child is not None
            node = child
        with pytest.raises(InvalidManifest, match="nested"):
            graph.add_manifest(node, blob(99))

    def test_number(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "MAX_NODES", 3)
        graph = Graph()
        root = root_of(graph, tally_of())
        for number in range(3):
            graph.add_blob(root, blob(number))
        with pytest.raises(InvalidManifest, match="more than 3"):
            graph.add_blob(root, blob(9))

    def test_one_blob_has_one_size(self) -> None:
        graph = Graph()
        root = root_of(graph, tally_of())
        graph.add_blob(root, blob(1, 5))
        with pytest.raises(InvalidManifest, match="5 and 6"):
            graph.add_blob(root, blob(1, 6))


def test_result_counts_what_was_done() -> None:
    tally = tally_of()
    tally.manifests_copied, tally.manifests_existing, tally.bytes_copied = 2, 1, 77
    tally.blobs[BlobOutcome.COPIED] = 3
    tally.blobs[BlobOutcome.MOUNTED] = 4
    tally.blobs[BlobOutcome.EXISTING] = 5
    result = tally.result
    assert result.manifests == Count(copied=2, existing=1)
    assert result.blobs == Count(copied=3, mounted=4, existing=5)
    assert result.bytes_copied == 77
