# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""A target that changes while an image is on its way: tags that turn up, blobs that go, manifests without theirs."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from azext_acrimport.registry.errors import RegistryError
from azext_acrimport.transfer.errors import CopyError, Side, TagExists
from emulator import content
from emulator.faults import Answer, DropHeader, Fault, FlipBit, registry_error
from emulator.store import Repository
from tests.support.actions import DoBefore
from tests.support.lab import SERIAL, SOURCE, TARGET, Lab, assert_copied


@pytest.fixture
def image(lab: Lab) -> content.Artifact:
    return lab.put(content.image(layers=(2000, 300_000)))


@pytest.fixture
def held(lab: Lab) -> Repository:
    """The target repository."""
    return lab.target_app.store.repository(TARGET)


class TestTagThatTurnsUp:
    """Somebody else writes the tag while the image is on its way."""

    WHEN = (("source", "GET", "/blobs/"), ("target", "PUT", "/uploads/"), ("source", "GET", "/manifests/"))

    def meanwhile(self, lab: Lab, what: Callable[[], Any], when: tuple[str, str, str], times: int = 1) -> None:
        side, method, path = when
        host = lab.source_host if side == "source" else lab.target_host
        lab.server.faults.add(Fault(DoBefore(what), host=host, method=method, path=path, times=times))

    @pytest.mark.parametrize("when", WHEN)
    def test_it_is_not_overwritten(
        self, lab: Lab, image: content.Artifact, held: Repository, when: tuple[str, str, str]
    ) -> None:
        other = content.image("other")
        self.meanwhile(lab, lambda: other.put(held, "v1"), when)
        with pytest.raises(TagExists) as raised:
            lab.copy()
        assert (raised.value.tag, raised.value.existing_digest) == ("v1", other.digest)
        assert raised.value.source_digest == image.digest
        assert held.tags == {"v1": other.digest}

    def test_none_of_several_tags_is_written(self, lab: Lab, image: content.Artifact, held: Repository) -> None:
        other = content.image("other")
        self.meanwhile(lab, lambda: other.put(held, "stable"), self.WHEN[0])
        with pytest.raises(TagExists):
            lab.copy("v1", (TARGET, ("v1", "stable")))
        assert held.tags == {"stable": other.digest}

    @pytest.mark.parametrize("digests", [True, False])
    def test_it_is_not_overwritten_where_heads_say_no_digest(
        self, lab: Lab, image: content.Artifact, held: Repository, digests: bool
    ) -> None:
        other = content.image("other")
        lab.behave(lab.target_app, docker_content_digest=digests)
        self.meanwhile(lab, lambda: other.put(held, "v1"), self.WHEN[0])
        with pytest.raises(TagExists):
            lab.copy()
        assert held.tags == {"v1": other.digest}

    def test_with_force_it_is_overwritten(self, lab: Lab, image: content.Artifact, held: Repository) -> None:
        self.meanwhile(lab, lambda: content.image("other").put(held, "v1"), self.WHEN[0])
        lab.copy(force=True)
        assert_copied(lab.target_app, image, "v1")

    def test_of_the_same_image_is_success(self, lab: Lab, image: content.Artifact, held: Repository) -> None:
        """Two runs of the same import: both are right."""
        self.meanwhile(lab, lambda: image.put(held, "v1"), self.WHEN[0])
        assert lab.copy().digest == image.digest
        assert_copied(lab.target_app, image, "v1")

    def test_image_that_is_there_untagged_already(self, lab: Lab, image: content.Artifact, held: Repository) -> None:
        image.put(held)
        other = content.image("other")
        self.meanwhile(lab, lambda: other.put(held, "v1"), ("target", "HEAD", "/manifests/sha256:"))
        with pytest.raises(TagExists):
            lab.copy()
        assert held.tags == {"v1": other.digest}


class TestCollectedBlob:
    """The registry deletes a blob that nothing refers to yet, after the copy has seen it or sent it."""

    def collect(self, lab: Lab, held: Repository, *digests: str, times: int | None = 1) -> None:
        def delete() -> None:
            for digest in digests:
                held.delete_blob(digest)

        lab.server.faults.add(
            Fault(DoBefore(delete), host=lab.target_host, method="PUT", path="/manifests/", times=times)
        )

    def sent(self, lab: Lab, blob: bytes) -> int:
        """How often the bytes of a blob went to the target."""
        writes = lab.asked(lab.target_host, "PUT", "/uploads/")
        return len([each for each in writes if each.arg("digest") == content.digest_of(blob) and each.received_bytes])

    @pytest.mark.parametrize("place", [0, 1, 2])
    def test_it_is_copied_once_more_and_the_manifest_is_put_again(
        self, lab: Lab, image: content.Artifact, held: Repository, place: int
    ) -> None:
        self.collect(lab, held, content.digest_of(image.blobs[place]))
        lab.copy()
        assert_copied(lab.target_app, image, "v1")
        assert [self.sent(lab, blob) for blob in image.blobs] == [2 if at == place else 1 for at in range(3)]
        assert len(lab.asked(lab.target_host, "PUT", "/manifests/")) == 2

    def test_that_was_there_before(self, lab: Lab, image: content.Artifact, held: Repository) -> None:
        for blob in image.blobs:
            held.add_blob(blob)
        self.collect(lab, held, content.digest_of(image.blobs[1]))
        lab.copy()
        assert_copied(lab.target_app, image, "v1")
        assert [self.sent(lab, blob) for blob in image.blobs] == [0, 1, 0]

    def test_of_a_child_of_an_index(self, lab: Lab, held: Repository) -> None:
        artifact = lab.put(content.multi_arch())
        self.collect(lab, held, *(content.digest_of(child.blobs[1]) for child in artifact.children))
        lab.copy(settings=SERIAL)
        assert_copied(lab.target_app, artifact, "v1")

    def test_by_a_registry_that_does_not_say_which(self, lab: Lab, image: content.Artifact, held: Repository) -> None:
        self.collect(lab, held, content.digest_of(image.blobs[1]))
        missing = registry_error(400, "MANIFEST_BLOB_UNKNOWN", "blob unknown to registry")
        lab.server.faults.add(
            Fault(missing, host=lab.target_host, method="PUT", path="/manifests/", when=lambda _: _lacks(held, image))
        )
        lab.copy()
        assert_copied(lab.target_app, image, "v1")

    def test_all_of_them(self, lab: Lab, image: content.Artifact, held: Repository) -> None:
        """Registries name one at a time, or all: either way it ends, and a second run completes."""
        self.collect(lab, held, *image.all_blobs)
        with suppress(CopyError):
            lab.copy()
        assert held.uploads == {}
        assert held.tags == {} or set(held.blobs) == set(image.all_blobs)
        lab.copy()
        assert_copied(lab.target_app, image, "v1")

    def test_again_and_again_ends_with_the_targets_words(
        self, lab: Lab, image: content.Artifact, held: Repository
    ) -> None:
        self.collect(lab, held, content.digest_of(image.blobs[1]), times=None)
        with pytest.raises(CopyError) as raised:
            lab.copy()
        assert raised.value.side is Side.TARGET
        assert _code(raised.value) == "MANIFEST_BLOB_UNKNOWN"
        assert len(lab.asked(lab.target_host, "PUT", "/manifests/")) <= 3
        assert held.tags == held.uploads == {}

    def test_that_is_gone_at_the_source_too(self, lab: Lab, image: content.Artifact, held: Repository) -> None:
        digest = content.digest_of(image.blobs[1])
        self.collect(lab, held, digest)
        gone = DoBefore(lambda: lab.source_app.store.repository(SOURCE).delete_blob(digest))
        lab.server.faults.add(Fault(gone, host=lab.target_host, method="POST", path="/uploads/"))
        lab.server.faults.add(Fault(gone, host=lab.target_host, method="PUT", path="/uploads/", times=None))
        with pytest.raises(CopyError):
            lab.copy(settings=SERIAL)
        assert held.tags == held.uploads == {}

    def test_registry_that_says_it_has_what_it_never_read(
        self, lab: Lab, image: content.Artifact, held: Repository
    ) -> None:
        """201 to a PUT without a look at its body: the manifest brings it to light."""
        lab.server.faults.add(Fault(Answer(201), host=lab.target_host, method="PUT", path="/uploads/"))
        lab.copy()
        assert held.tags == {"v1": image.digest}
        assert {digest: held.read_blob(digest) for digest in held.blobs} == image.all_blobs


class TestIncomplete:
    """A manifest at the target whose blobs are not: a cache rule of ACR leaves them so."""

    def test_force_completes_below_indexes(self, lab: Lab, held: Repository) -> None:
        artifact = lab.put(content.nested_index())
        for part in artifact.walk():
            held.add_manifest(part.manifest, part.media_type)
        held.tag("v1", artifact.digest)
        lab.copy(force=True)
        assert_copied(lab.target_app, artifact, "v1")

    def test_force_moves_only_what_is_missing(self, lab: Lab, image: content.Artifact, held: Repository) -> None:
        image.put(held, "v1")
        held.delete_blob(content.digest_of(image.blobs[2]))
        result = lab.copy(force=True)
        assert_copied(lab.target_app, image, "v1")
        assert result.bytes_copied == len(image.blobs[2])

    def test_without_force_it_is_left_as_it_is(self, lab: Lab, image: content.Artifact, held: Repository) -> None:
        held.add_manifest(image.manifest, image.media_type, tags=["v1"])
        lab.copy()
        assert held.blobs == {}

    def test_force_to_another_tag(self, lab: Lab, image: content.Artifact, held: Repository) -> None:
        held.add_manifest(image.manifest, image.media_type, tags=["old"])
        lab.copy("v1", (TARGET, ("new",)), force=True)
        assert_copied(lab.target_app, image, "new", "old")


class TestOnce:
    """What a wire or a proxy spoils once is had by asking again, manifests as well as blobs."""

    def test_manifest_with_a_flipped_bit(self, lab: Lab, image: content.Artifact) -> None:
        lab.server.faults.add(Fault(FlipBit(40), host=lab.source_host, method="GET", path="/manifests/"))
        lab.copy()
        assert_copied(lab.target_app, image, "v1")

    def test_session_without_a_location(self, lab: Lab, image: content.Artifact, held: Repository) -> None:
        lab.server.faults.add(Fault(DropHeader("Location"), host=lab.target_host, method="POST"))
        lab.copy()
        assert held.tags == {"v1": image.digest}


def _lacks(held: Repository, image: content.Artifact) -> bool:
    return not set(image.all_blobs) <= set(held.blobs)


def _code(ex: CopyError) -> str:
    assert isinstance(ex.__cause__, RegistryError)
    return ", ".join(ex.__cause__.codes)
