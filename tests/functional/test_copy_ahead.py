# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Slow sources: a big blob over several connections, and content that is asked for before it is known to be wanted."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from azext_acrimport.registry import download, stripes
from azext_acrimport.registry.credentials import Password
from azext_acrimport.transfer import copier, tuning
from azext_acrimport.transfer.errors import CopyError, Side
from azext_acrimport.transfer.result import Count
from emulator import content
from emulator.auth import BasicAuth
from emulator.faults import Action, Answer, CutRequest, CutResponse, Fault, FlipBit, Reset, SetHeader
from emulator.http import Request
from emulator.registry import BlobStorageApp
from tests.support.lab import ONE_WORKER, SOURCE, TARGET, Lab, assert_copied

LAYER = 900_000
STRIPE = 50_000


class TestStripes:
    @pytest.fixture(autouse=True)
    def _every_source_is_slow(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(download.Pace, "is_slow", True)
        monkeypatch.setattr(download, "_WORTH_STRIPING_BYTES", 100_000)
        monkeypatch.setattr(stripes, "STRIPE_BYTES", STRIPE)

    @pytest.fixture
    def image(self, lab: Lab) -> content.Artifact:
        return lab.put(content.image(layers=(LAYER,)))

    @pytest.fixture
    def layer(self, image: content.Artifact) -> str:
        return content.digest_of(image.blobs[1])

    def ranges(self, lab: Lab, host: str = "") -> list[str]:
        asked = lab.asked(host or lab.source_host, "GET", "/blobs/")
        return [entry.headers["Range"] for entry in asked if "Range" in entry.headers]

    def test_rest_of_a_big_blob_comes_in_parts(self, lab: Lab, image: content.Artifact) -> None:
        assert lab.copy().bytes_copied == sum(map(len, image.blobs))
        assert_copied(lab.target_app, image, "v1")
        parts = [part for part in self.ranges(lab) if not part.endswith("-")]
        assert len(parts) >= (LAYER - 300_000) // STRIPE

    def test_no_part_is_asked_for_twice(self, lab: Lab, image: content.Artifact) -> None:
        lab.copy()
        parts = [part for part in self.ranges(lab) if _length(part) > 1]
        assert len(parts) == len(set(parts))

    def test_source_without_ranges_is_read_as_before(self, lab: Lab, image: content.Artifact, layer: str) -> None:
        lab.behave(lab.source_app, ranges=False)
        lab.copy()
        assert_copied(lab.target_app, image, "v1")

    @pytest.mark.parametrize("after", [0, 1, STRIPE - 1])
    def test_broken_part_goes_on_where_it_broke(self, lab: Lab, image: content.Artifact, after: int) -> None:
        lab.server.faults.add(
            Fault(CutResponse(after=after, reset=False), host=lab.source_host, when=_asks_for_a_part, times=3)
        )
        lab.copy()
        assert_copied(lab.target_app, image, "v1")

    def test_part_that_cannot_be_had_is_the_sources_fault(self, lab: Lab, image: content.Artifact, layer: str) -> None:
        lab.server.faults.add(Fault(Reset(), host=lab.source_host, when=_asks_for_a_part, skip=3, times=None))
        with pytest.raises(CopyError) as raised:
            lab.copy()
        assert (raised.value.side, raised.value.subject) == (Side.SOURCE, layer)
        assert [each.name for each in threading.enumerate() if each.name.startswith("acrx")] == []
        assert lab.target_app.store.repository(TARGET).uploads == {}

    def test_damaged_part_is_read_again_with_all_the_rest(self, lab: Lab, image: content.Artifact) -> None:
        lab.server.faults.add(Fault(FlipBit(100), host=lab.source_host, when=_asks_for_a_part, skip=2))
        lab.copy()
        assert_copied(lab.target_app, image, "v1")

    @pytest.mark.parametrize("value", ["bytes 0-49999/900000", "nonsense"])
    def test_part_other_than_asked_for_is_not_taken(self, lab: Lab, image: content.Artifact, value: str) -> None:
        lab.server.faults.add(
            Fault(SetHeader("Content-Range", value), host=lab.source_host, when=_asks_for_a_part, skip=3, times=None)
        )
        with pytest.raises(CopyError) as raised:
            lab.copy()
        assert raised.value.side is Side.SOURCE
        assert lab.target_app.store.repository(TARGET).tags == {}

    def test_broken_upload_reads_again_from_where_the_target_got_to(self, lab: Lab, image: content.Artifact) -> None:
        lab.server.faults.add(Fault(CutRequest(after=600_000), method="PUT", path="/uploads/", when=_is_large))
        lab.copy()
        assert_copied(lab.target_app, image, "v1")

    def test_parts_from_a_storage_get_no_credentials(self, lab: Lab, image: content.Artifact) -> None:
        storage = lab.server.serve_plain(BlobStorageApp(lab.source_app.store))
        lab.behave(lab.source_app, redirect_blobs_to=f"http://{storage}")
        lab.source_app.authorise = BasicAuth({"user": "secret"})
        lab.source_credentials = Password("user", "secret")
        lab.copy()
        assert_copied(lab.target_app, image, "v1")
        assert len(self.ranges(lab, storage)) > 5
        assert all("Authorization" not in entry.headers for entry in lab.asked(storage))

    def test_one_connection_alone_is_never_split(self, lab: Lab, image: content.Artifact) -> None:
        lab.copy(settings=ONE_WORKER)
        assert self.ranges(lab) == []
        assert_copied(lab.target_app, image, "v1")


class TestGuesses:
    """Asking the source before the target has said that it does not have the content."""

    @pytest.fixture(autouse=True)
    def _always_guess(self, never_guess: None, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(tuning, "FAR_SECONDS", -1.0)

    @pytest.mark.parametrize(
        "artifact",
        [content.image(layers=(0, 100, LAYER)), content.nested_index(), content.windows_image(), content.index()],
    )
    def test_copy_is_the_same(self, lab: Lab, artifact: content.Artifact) -> None:
        lab.put(artifact)
        result = lab.copy()
        assert_copied(lab.target_app, artifact, "v1")
        assert result.blobs == Count(copied=len(artifact.all_blobs))
        assert lab.asked(lab.target_host)[-1].path == f"/v2/{TARGET}/manifests/v1"

    def test_nothing_is_asked_for_twice(self, lab: Lab) -> None:
        artifact = lab.put(content.multi_arch(layers=(1000, LAYER)))
        lab.copy()
        asked = [entry.path for entry in lab.asked(lab.source_host, "GET")]
        assert len(asked) == len(set(asked)) == len(artifact.all_blobs) + len(artifact.manifests)

    def test_wrong_guess_moves_nothing_to_the_target(self, lab: Lab) -> None:
        artifact = lab.put(content.image(layers=(1000, LAYER)))
        for blob in artifact.blobs:
            lab.target_app.store.repository(TARGET).add_blob(blob)
        result = lab.copy()
        assert result.blobs == Count(existing=3)
        assert result.bytes_copied == 0
        assert_copied(lab.target_app, artifact, "v1")

    @pytest.mark.parametrize("action", [Reset(), CutResponse(after=10, reset=False), Answer(503), FlipBit(50)])
    def test_blob_that_fails_is_asked_for_again(self, lab: Lab, action: Action) -> None:
        artifact = lab.put(content.image(layers=(LAYER,)))
        lab.server.faults.add(Fault(action, host=lab.source_host, method="GET", path="/blobs/"))
        lab.copy()
        assert_copied(lab.target_app, artifact, "v1")

    @pytest.mark.parametrize("action", [Reset(), CutResponse(after=10, reset=False), Answer(503)])
    def test_manifest_that_fails_is_asked_for_again(self, lab: Lab, action: Action) -> None:
        artifact = lab.put(content.image(layers=(LAYER,)))
        lab.server.faults.add(Fault(action, host=lab.source_host, method="GET", path="/manifests/sha256"))
        lab.copy()
        assert_copied(lab.target_app, artifact, "v1")

    def test_missing_content_is_still_the_sources_fault(self, lab: Lab) -> None:
        artifact = lab.put(content.image(layers=(LAYER,)))
        missing = content.digest_of(artifact.blobs[1])
        lab.source_app.store.repository(SOURCE).delete_blob(missing)
        with pytest.raises(CopyError) as raised:
            lab.copy()
        assert (raised.value.side, raised.value.subject) == (Side.SOURCE, missing)
        assert lab.target_app.store.repository(TARGET).uploads == {}

    def test_credentials_are_renewed_for_what_was_asked_ahead(self, lab: Lab) -> None:
        artifact = lab.put(content.image(layers=(LAYER, 1000)))
        lab.source_app.authorise = lab.target_app.authorise = BasicAuth({"user": "secret"})
        lab.source_credentials = lab.target_credentials = Password("user", "secret")
        lab.copy()
        assert_copied(lab.target_app, artifact, "v1")

    def test_refusing_target_ends_what_was_asked_ahead(self, lab: Lab) -> None:
        lab.put(content.image(layers=(LAYER,)))
        lab.behave(lab.target_app, read_only=True)
        with pytest.raises(CopyError) as raised:
            lab.copy()
        assert raised.value.side is Side.TARGET


class TestManyTags:
    """Many images of one repository: their tags are asked for together."""

    @pytest.mark.parametrize("head", [True, False])
    @pytest.mark.parametrize("digests", [True, False])
    def test_each_tag_gets_its_own_image(self, lab: Lab, head: bool, digests: bool) -> None:
        tags = [f"v{number}" for number in range(7)]
        images = {tag: lab.put(content.image(tag, layers=(100,)), tag) for tag in tags}
        lab.behave(lab.source_app, docker_content_digest=digests)
        if not head:
            lab.server.faults.add(Fault(Answer(405), host=lab.source_host, method="HEAD", times=None))
        results = copier.copy([lab.root(tag, (TARGET, (tag,))) for tag in tags])
        assert [result.digest for result in results] == [images[tag].digest for tag in tags]
        for tag, image in images.items():
            assert_copied(lab.target_app, image, tag)

    def test_server_that_answers_only_the_first_of_them(self, lab: Lab) -> None:
        tags = [f"v{number}" for number in range(7)]
        images = {tag: lab.put(content.image(tag, layers=(100,)), tag) for tag in tags}
        lab.server.faults.add(Fault(SetHeader("Connection", "close"), method="HEAD", times=None))
        copier.copy([lab.root(tag, (TARGET, (tag,))) for tag in tags])
        for tag, image in images.items():
            assert_copied(lab.target_app, image, tag)

    def test_absent_tags_and_taken_tags_fail_alone(self, lab: Lab) -> None:
        for tag in ("good", "taken"):
            lab.put(content.image(tag), tag)
        content.image("other").put(lab.target_app.store.repository(TARGET), "taken", "more")
        names = ("good", "taken", "absent")
        outcomes = copier.copy_all([lab.root(tag, (TARGET, (tag,))) for tag in names])
        assert [type(outcome).__name__ for outcome in outcomes] == ["CopyResult", "TagExists", "CopyError"]

    def test_tags_beyond_the_first_page_are_seen(self, lab: Lab) -> None:
        lab.put(content.image(), "v1", "z")
        held = lab.target_app.store.repository(TARGET)
        content.image("other").put(held, *(f"a{number}" for number in range(20)), "z")
        lab.target_app.behaviour = replace(lab.target_app.behaviour, max_tags_page=5)
        outcomes = copier.copy_all([lab.root("v1", (TARGET, ("v1",))), lab.root("z", (TARGET, ("z",)))])
        assert [type(outcome).__name__ for outcome in outcomes] == ["CopyResult", "TagExists"]

    @pytest.mark.parametrize("status", [400, 401, 403, 404, 405])
    def test_target_that_lists_no_tags(self, lab: Lab, status: int) -> None:
        """ACR's repository tokens may write without being allowed to list."""
        artifact = lab.put(content.image())
        content.image("other").put(lab.target_app.store.repository(TARGET), "taken")
        if status != 404:
            lab.server.faults.add(Fault(Answer(status), host=lab.target_host, path="/tags/list", times=None))
        outcomes = copier.copy_all([lab.root("v1", (TARGET, ("v1",))), lab.root("v1", (TARGET, ("taken",)))])
        assert [type(outcome).__name__ for outcome in outcomes] == ["CopyResult", "TagExists"]
        assert_copied(lab.target_app, artifact, "v1")


def _asks_for_a_part(request: Request) -> bool:
    return _length(request.headers.get("Range") or "") > 1


def _length(part: str) -> int:
    first, _, last = part.removeprefix("bytes=").partition("-")
    return int(last) - int(first) + 1 if first and last else 0


def _is_large(request: Request) -> bool:
    return int(request.headers.get("Content-Length") or 0) >= LAYER
