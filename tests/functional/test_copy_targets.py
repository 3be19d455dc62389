# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Where an image goes: tags, several repositories, what is there already, and in which order."""

from __future__ import annotations

import pytest

from azext_acrimport.registry.transport import Exchange
from azext_acrimport.transfer.copier import Root, Target, copy, copy_all
from azext_acrimport.transfer.errors import CopyError, Side, TagExists
from azext_acrimport.transfer.mounts import Mounts
from azext_acrimport.transfer.result import CopyResult, Count
from emulator import content
from emulator.auth import BasicAuth
from emulator.faults import Answer, Fault, Reset, registry_error
from tests.support.lab import SERIAL, SOURCE, TARGET, Lab, artifact_of, assert_copied


def _image_of(*layers: bytes) -> content.Artifact:
    fields = {
        "schemaVersion": 2,
        "mediaType": content.OCI_MANIFEST,
        "config": content.describe(b"{}", content.OCI_CONFIG),
        "layers": [content.describe(layer, content.OCI_LAYER) for layer in layers],
    }
    return artifact_of(fields, content.OCI_MANIFEST, (b"{}", *layers))


def writes(lab: Lab) -> list[str]:
    return [
        f"{entry.method} {entry.path}" for entry in lab.asked(lab.target_host) if entry.method not in ("GET", "HEAD")
    ]


class TestOrder:
    @pytest.mark.parametrize("artifact", [content.nested_index(), content.multi_arch(), content.helm_chart()])
    def test_children_before_parents_and_the_tag_last(self, lab: Lab, artifact: content.Artifact) -> None:
        lab.put(artifact)
        lab.copy()
        puts = [entry.path.rpartition("/")[2] for entry in lab.asked(lab.target_host, "PUT")]
        for part in artifact.walk():
            mine = puts.index("v1" if part.digest == artifact.digest else part.digest)
            for child in part.children:
                assert puts.index(child.digest) < mine
        assert lab.asked(lab.target_host)[-1].path == f"/v2/{TARGET}/manifests/v1"

    def test_manifest_comes_after_its_blobs(self, lab: Lab) -> None:
        lab.put(content.image(layers=(100, 200_000, 5_000_000)))
        lab.copy()
        *blobs, manifest = [entry for entry in lab.asked(lab.target_host) if entry.method == "PUT"]
        assert len(blobs) == 4
        assert all("/blobs/uploads/" in entry.path for entry in blobs)
        assert "/manifests/" in manifest.path

    def test_everything_is_asked_for_by_digest_once_the_tag_is_resolved(self, lab: Lab) -> None:
        artifact = lab.put(content.multi_arch())
        lab.copy()
        by_tag = [entry for entry in lab.asked(lab.source_host) if entry.path.endswith("/v1")]
        assert [entry.method for entry in by_tag] == ["GET"]
        asked = [entry.path.rpartition("/")[2] for entry in lab.asked(lab.source_host, "GET")]
        assert sorted(asked) == sorted(["v1", *artifact.all_blobs, *(set(artifact.manifests) - {artifact.digest})])

    def test_tag_that_moves_meanwhile_does_not_mix_two_images(self, lab: Lab) -> None:
        first = lab.put(content.image("first"))
        second = content.image("second")
        held = lab.source_app.store.repository(SOURCE)

        def move(request: object) -> bool:
            second.put(held, "v1")
            return False

        lab.server.faults.add(Fault(Reset(), host=lab.target_host, method="POST", when=move, times=None))
        assert lab.copy().digest == first.digest
        assert_copied(lab.target_app, first, "v1")


class TestSeveralTargets:
    def test_several_tags_of_one_repository(self, lab: Lab) -> None:
        artifact = lab.put(content.multi_arch())
        lab.copy("v1", (TARGET, ("v1", "v1.0", "latest")))
        assert_copied(lab.target_app, artifact, "v1", "v1.0", "latest")
        assert len(lab.asked(lab.target_host, "PUT", "/blobs/")) == len(artifact.all_blobs)

    def test_several_repositories_share_one_download(self, lab: Lab) -> None:
        artifact = lab.put(content.multi_arch())
        result = lab.copy("v1", ("a", ("v1",)), ("b/c", ("v2",)), ("d", ()))
        for repository, tags in (("a", ("v1",)), ("b/c", ("v2",)), ("d", ())):
            assert_copied(lab.target_app, artifact, *tags, repository=repository)
        assert len(lab.asked(lab.source_host, "GET", "/blobs/")) == len(artifact.all_blobs)
        assert result.blobs == Count(copied=len(artifact.all_blobs), mounted=2 * len(artifact.all_blobs))

    def test_registry_without_mounts_gets_the_bytes_for_each_repository(self, lab: Lab) -> None:
        artifact = lab.put(content.image())
        lab.behave(lab.target_app, mount=False)
        result = lab.copy("v1", ("a", ("v1",)), ("b", ("v1",)))
        assert result.blobs == Count(copied=2 * len(artifact.all_blobs))
        assert_copied(lab.target_app, artifact, "v1", repository="a")
        assert_copied(lab.target_app, artifact, "v1", repository="b")

    def test_manifest_only_writes_no_tag(self, lab: Lab) -> None:
        artifact = lab.put(content.multi_arch())
        lab.copy("v1", (TARGET, ()))
        assert_copied(lab.target_app, artifact)
        assert lab.target_app.store.repository(TARGET).tags == {}
        assert lab.asked(lab.target_host)[-1].path.endswith(artifact.digest)

    def test_manifest_only_and_tagged_side_by_side(self, lab: Lab) -> None:
        artifact = lab.put(content.image())
        lab.copy("v1", ("a", ()), ("b", ("x",)))
        assert lab.target_app.store.repository("a").tags == {}
        assert lab.target_app.store.repository("b").tags == {"x": artifact.digest}


class TestSameRegistry:
    @pytest.fixture(autouse=True)
    def _one_registry(self, lab: Lab) -> None:
        lab.target_host, lab.target_app = lab.source_host, lab.source_app

    def test_blobs_are_mounted_and_no_byte_moves(self, lab: Lab) -> None:
        artifact = lab.put(content.multi_arch())
        result = lab.copy()
        assert_copied(lab.source_app, artifact, "v1")
        assert result.blobs == Count(mounted=len(artifact.all_blobs))
        assert result.bytes_copied == 0
        assert lab.asked(lab.source_host, "GET", "/blobs/") == []
        mounts = lab.asked(lab.source_host, "POST")
        assert {entry.arg("from") for entry in mounts} == {SOURCE}

    def test_where_mounts_are_not_known_the_bytes_go_through(self, lab: Lab) -> None:
        artifact = lab.put(content.image())
        lab.behave(lab.source_app, mount=False)
        assert lab.copy().blobs == Count(copied=3)
        assert_copied(lab.source_app, artifact, "v1")

    @pytest.mark.parametrize("status", [401, 403, 404, 405])
    def test_where_a_mount_is_refused_the_bytes_go_through(self, lab: Lab, status: int) -> None:
        artifact = lab.put(content.image())
        lab.server.faults.add(
            Fault(registry_error(status, "DENIED"), method="POST", query=f"from={SOURCE}$", times=None)
        )
        assert lab.copy().blobs == Count(copied=3)
        assert_copied(lab.source_app, artifact, "v1")

    def test_another_tag_in_the_same_repository_is_one_put(self, lab: Lab) -> None:
        artifact = lab.put(content.multi_arch())
        lab.copy("v1", (SOURCE, ("v2",)))
        assert lab.source_app.store.repository(SOURCE).tags == {"v1": artifact.digest, "v2": artifact.digest}
        assert writes(lab) == [f"PUT /v2/{SOURCE}/manifests/v2"]


class TestAlreadyThere:
    def test_same_digest_under_the_same_tag_is_success_and_writes_nothing(self, lab: Lab) -> None:
        artifact = lab.put(content.multi_arch())
        artifact.put(lab.target_app.store.repository(TARGET), "v1")
        result = lab.copy()
        assert writes(lab) == []
        assert (result.digest, result.media_type) == (artifact.digest, artifact.media_type)
        assert result.manifests.copied == 0
        assert result.manifests.existing >= 1
        assert result.bytes_copied == 0

    def test_untagged_manifest_only_gets_its_tag(self, lab: Lab) -> None:
        artifact = lab.put(content.multi_arch())
        artifact.put(lab.target_app.store.repository(TARGET))
        result = lab.copy()
        assert writes(lab) == [f"PUT /v2/{TARGET}/manifests/v1"]
        assert_copied(lab.target_app, artifact, "v1")
        assert (result.digest, result.media_type, result.bytes_copied) == (artifact.digest, artifact.media_type, 0)

    def test_manifest_only_that_is_there_writes_nothing(self, lab: Lab) -> None:
        artifact = lab.put(content.image())
        artifact.put(lab.target_app.store.repository(TARGET))
        result = lab.copy("v1", (TARGET, ()))
        assert writes(lab) == []
        assert result.media_type == artifact.media_type

    def test_only_the_missing_one_of_several_tags_is_written(self, lab: Lab) -> None:
        artifact = lab.put(content.image())
        artifact.put(lab.target_app.store.repository(TARGET), "a")
        lab.copy("v1", (TARGET, ("a", "b")))
        assert writes(lab) == [f"PUT /v2/{TARGET}/manifests/b"]

    def test_blobs_that_are_there_are_not_sent(self, lab: Lab) -> None:
        artifact = lab.put(content.image(layers=(1000, 2000)))
        lab.target_app.store.repository(TARGET).add_blob(artifact.blobs[1])
        result = lab.copy()
        assert result.blobs == Count(copied=2, existing=1)
        assert result.bytes_copied == len(artifact.blobs[0]) + len(artifact.blobs[2])
        assert_copied(lab.target_app, artifact, "v1")
        assert content.digest_of(artifact.blobs[1]) not in str(lab.asked(lab.source_host, "GET"))

    def test_child_that_is_there_is_not_descended_into(self, lab: Lab) -> None:
        artifact = lab.put(content.multi_arch())
        artifact.children[0].put(lab.target_app.store.repository(TARGET))
        result = lab.copy()
        assert result.manifests == Count(copied=3, existing=1)
        assert lab.asked(lab.source_host, "GET", artifact.children[0].digest) == []
        assert_copied(lab.target_app, artifact, "v1")


class TestNoMounts:
    """Registries that know no mounts: Amazon's by default, and those that refuse the question."""

    @pytest.mark.parametrize("status", [400, 403, 404, 405])
    def test_registry_that_refuses_the_question_is_simply_sent_the_blobs(self, lab: Lab, status: int) -> None:
        artifact = lab.put(content.image())
        refusal = registry_error(status, "UNSUPPORTED")
        lab.server.faults.add(Fault(refusal, host=lab.target_host, method="POST", query="mount=", times=None))
        lab.copy()
        assert_copied(lab.target_app, artifact, "v1")

    def test_blobs_that_are_there_are_not_sent_again(self, lab: Lab) -> None:
        artifact = lab.put(content.image(layers=(1_000_000,)))
        lab.behave(lab.target_app, mount=False)
        lab.target_app.store.repository(TARGET).add_blob(artifact.blobs[1])
        result = lab.copy()
        assert_copied(lab.target_app, artifact, "v1")
        assert result.bytes_copied < 1_000_000

    def test_refusal_that_becomes_known_while_a_question_is_under_way(
        self, lab: Lab, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """One thread has asked for a mount when another one learns that there are none."""
        target = lab.registry(lab.target_host).repository(TARGET)
        target.digest_of("v1")  # so that questions can be asked ahead
        refusal = registry_error(405, "UNSUPPORTED")
        lab.server.faults.add(Fault(refusal, host=lab.target_host, method="POST", query="from=elsewhere"))
        mounts, begin_has_blob = Mounts(), target.begin_has_blob

        def meanwhile(digest: str, *, behind: Exchange | None = None) -> Exchange | None:
            other = mounts.ask(target, content.digest_of(b"another"), "elsewhere")
            assert other
            other.cancel()
            return begin_has_blob(digest, behind=behind)

        monkeypatch.setattr(target, "begin_has_blob", meanwhile)
        session = mounts.know(target, content.digest_of(b"large"), 1 << 20)

        assert session
        session.cancel()
        assert lab.target_app.store.repository(TARGET).uploads == {}


class TestTagExists:
    def test_without_force_nothing_moves(self, lab: Lab) -> None:
        artifact = lab.put(content.multi_arch())
        other = content.image("other")
        other.put(lab.target_app.store.repository(TARGET), "v1")
        with pytest.raises(TagExists) as raised:
            lab.copy()
        assert writes(lab) == []
        assert [entry.path for entry in lab.asked(lab.source_host)] == [f"/v2/{SOURCE}/manifests/v1"]
        assert (raised.value.tag, raised.value.existing_digest, raised.value.source_digest) == (
            "v1",
            other.digest,
            artifact.digest,
        )
        assert raised.value.registry == lab.target_host
        assert f"{TARGET}:v1" in str(raised.value)

    def test_any_of_several_targets_stops_all(self, lab: Lab) -> None:
        lab.put(content.image())
        content.image("other").put(lab.target_app.store.repository("b"), "old")
        with pytest.raises(TagExists):
            lab.copy("v1", ("a", ("new",)), ("b", ("new", "old")))
        assert writes(lab) == []

    def test_with_force_the_tag_moves(self, lab: Lab) -> None:
        artifact = lab.put(content.multi_arch())
        content.image("other").put(lab.target_app.store.repository(TARGET), "v1")
        lab.copy(force=True)
        assert_copied(lab.target_app, artifact, "v1")

    def test_with_force_what_is_incomplete_below_is_completed(self, lab: Lab) -> None:
        """A cache rule of ACR leaves manifests whose blobs are missing."""
        artifact = lab.put(content.multi_arch())
        held = lab.target_app.store.repository(TARGET)
        artifact.put(held, "v1")
        held.delete_blob(content.digest_of(artifact.children[0].blobs[1]))
        held.delete_manifest(artifact.children[1].digest)
        lab.copy(force=True)
        assert_copied(lab.target_app, artifact, "v1")


class TestSecondRun:
    def test_moves_only_what_is_missing(self, lab: Lab) -> None:
        artifact = lab.put(content.image(layers=(1000, 2000, 3000)))
        missing = content.digest_of(artifact.blobs[1])
        lab.server.faults.add(Fault(Answer(404), host=lab.source_host, method="GET", path=missing))
        with pytest.raises(CopyError):
            lab.copy(settings=SERIAL)
        assert lab.target_app.store.repository(TARGET).tags == {}
        assert lab.target_app.store.repository(TARGET).manifests == {}
        there = lab.target_app.store.repository(TARGET).blobs
        lab.server.log.clear()
        result = lab.copy()
        assert_copied(lab.target_app, artifact, "v1")
        fetched = {entry.path.rpartition("/")[2] for entry in lab.asked(lab.source_host, "GET", "/blobs/")}
        assert fetched == set(artifact.all_blobs) - set(there)
        assert missing in fetched
        assert result.blobs.existing == len(there)

    def test_interrupted_multi_arch_copy_leaves_no_tag(self, lab: Lab) -> None:
        artifact = lab.put(content.multi_arch())
        last = content.digest_of(artifact.children[2].blobs[1])
        lab.server.faults.add(Fault(Answer(404), host=lab.source_host, method="GET", path=last))
        with pytest.raises(CopyError):
            lab.copy()
        held = lab.target_app.store.repository(TARGET)
        assert held.tags == {}
        assert artifact.digest not in held.manifests
        assert held.uploads == {}
        done = set(held.manifests)
        lab.server.log.clear()
        assert lab.copy().manifests == Count(copied=4 - len(done), existing=len(done))
        assert_copied(lab.target_app, artifact, "v1")


class TestManyImages:
    def test_one_that_fails_does_not_stop_the_others(self, lab: Lab) -> None:
        good = lab.put(content.image("good"), "good")
        bad = lab.put(content.image("bad"), "bad")
        lab.source_app.store.repository(SOURCE).delete_blob(content.digest_of(bad.blobs[1]))
        first, second, third = copy_all(
            [
                lab.root("bad", (TARGET, ("bad",))),
                lab.root("good", (TARGET, ("good",))),
                lab.root("absent", (TARGET, ("absent",))),
            ]
        )
        assert isinstance(first, CopyError)
        assert isinstance(third, CopyError)
        assert isinstance(second, CopyResult)
        assert second.digest == good.digest
        assert_copied(lab.target_app, good, "good")
        assert set(lab.target_app.store.repository(TARGET).tags) == {"good"}

    def test_what_they_share_moves_once(self, lab: Lab) -> None:
        shared = content.image("shared")
        lab.put(content.index(shared), "a")
        lab.put(content.index(shared, content.image("other")), "b")
        results = copy([lab.root("a", (TARGET, ("a",))), lab.root("b", (TARGET, ("b",)))], settings=SERIAL)
        blobs = [entry.path for entry in lab.asked(lab.source_host, "GET", "/blobs/")]
        assert len(blobs) == len(set(blobs)) == 6
        assert sum(result.blobs.copied for result in results) == 6
        assert set(lab.target_app.store.repository(TARGET).tags) == {"a", "b"}

    def test_missing_child_fails_every_image_above_it(self, lab: Lab) -> None:
        """One of the images comes to the child only when that has failed already."""
        child = content.image("child")
        lab.put(content.index(child), "a")
        lab.put(content.index(content.index(child, content.image("other"))), "b")
        lab.source_app.store.repository(SOURCE).delete_manifest(child.digest)
        outcomes = copy_all([lab.root("a", (TARGET, ("a",))), lab.root("b", (TARGET, ("b",)))], settings=SERIAL)
        assert lab.target_app.store.repository(TARGET).tags == {}
        assert [type(outcome) for outcome in outcomes] == [CopyError, CopyError]

    def test_blob_that_a_failed_image_was_to_bring_comes_for_the_other(self, lab: Lab) -> None:
        """It goes to two repositories of one registry, and the image that was first in line fails by another blob."""
        shared, broken, fine = b"s" * 3000, b"x" * 9000, b"y" * 100
        first = lab.put(_image_of(shared, broken), "a")
        second = lab.put(_image_of(shared, fine), "b")
        lab.source_app.store.repository(SOURCE).delete_blob(content.digest_of(broken))
        source, to = lab.source.repository(SOURCE), lab.target
        outcomes = copy_all(
            [
                Root(source, "a", (Target(to.repository("one"), ("a",)),)),
                Root(source, "b", (Target(to.repository("two"), ("b",)),)),
            ],
            settings=SERIAL,
        )
        assert isinstance(outcomes[0], CopyError)
        assert isinstance(outcomes[1], CopyResult)
        assert first.digest != second.digest
        assert_copied(lab.target_app, second, "b", repository="two")

    def test_same_image_asked_for_twice_is_told_of_twice(self, lab: Lab) -> None:
        artifact = lab.put(content.image())
        results = copy([lab.root(), lab.root()], settings=SERIAL)
        assert {result.digest for result in results} == {artifact.digest}
        assert {result.media_type for result in results} == {artifact.media_type}

    def test_from_several_registries(self, lab: Lab) -> None:
        first = lab.put(content.image("first"))
        second = content.image("second")
        second.put(lab.target_app.store.repository("elsewhere"), "v1")
        to = lab.registry(lab.server.serve_plain(lab.target_app))
        roots = [
            Root(lab.source.repository(SOURCE), "v1", (Target(to.repository("a"), ("v1",)),)),
            Root(lab.target.repository("elsewhere"), "v1", (Target(to.repository("b"), ("v1",)),)),
        ]
        assert [result.digest for result in copy(roots)] == [first.digest, second.digest]
        assert_copied(lab.target_app, first, "v1", repository="a")
        assert_copied(lab.target_app, second, "v1", repository="b")


class TestLocked:
    @pytest.mark.parametrize(
        "behaviour",
        [{"read_only": True}, {"locked_repositories": frozenset({TARGET})}, {"locked_tags": frozenset({"v1"})}],
    )
    def test_locked_target_is_named_with_the_registrys_words(self, lab: Lab, behaviour: dict[str, object]) -> None:
        lab.put(content.image())
        lab.behave(lab.target_app, **behaviour)
        with pytest.raises(CopyError) as raised:
            lab.copy()
        assert raised.value.side is Side.TARGET
        assert "405" in str(raised.value)
        assert "REGISTRY_DISALLOWED_OPERATION" in str(raised.value)
        assert lab.target_app.store.repository(TARGET).tags == {}

    def test_push_without_the_right_is_the_targets_refusal(self, lab: Lab) -> None:
        lab.put(content.image())
        lab.target_app.authorise = BasicAuth({"u": "p"}, grants={"": {"*": "pull"}})
        with pytest.raises(CopyError) as raised:
            lab.copy()
        assert raised.value.side is Side.TARGET
        assert "401" in str(raised.value)
