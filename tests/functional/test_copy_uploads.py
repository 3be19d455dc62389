# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""The forms in which registries take a blob, and what is remembered of their refusals."""

from __future__ import annotations

from typing import Any

import pytest

from azext_acrimport.registry.upload import MIB, Form, UploadHabits, habits_for
from azext_acrimport.transfer.copier import Root, Target, copy
from azext_acrimport.transfer.errors import CopyError, Side
from emulator import content
from emulator.faults import Answer, DropHeader, Fault, SetHeader, registry_error
from tests.support.lab import SERIAL, SOURCE, TARGET, Lab, assert_copied

BIG = 3 * MIB + 17


def forms(lab: Lab) -> list[tuple[str, int]]:
    """Method and body size of the requests that brought bytes of the big layer."""
    return [
        (entry.method, int(entry.headers["Content-Length"]))
        for entry in lab.asked(lab.target_host, path="/blobs/uploads/")
        if entry.method in ("PATCH", "PUT") and int(entry.headers.get("Content-Length") or 0) > 100_000
    ]


def copy_into(lab: Lab, habits: UploadHabits, *layers: int) -> content.Artifact:
    """Copy an image of these layers into a registry of which something is known."""
    artifact = lab.put(content.image(layers=layers or (BIG,)))
    to = lab.target
    to.habits = habits
    copy([Root(lab.source.repository(SOURCE), "v1", (Target(to.repository(TARGET), ("v1",)),))], settings=SERIAL)
    assert_copied(lab.target_app, artifact, "v1")
    return artifact


class TestForms:
    def test_one_post_and_one_put(self, lab: Lab) -> None:
        copy_into(lab, UploadHabits())
        assert forms(lab) == [("PUT", BIG)]
        assert len(lab.asked(lab.target_host, "POST")) == 2

    def test_one_patch(self, lab: Lab) -> None:
        copy_into(lab, UploadHabits(put_limit=MIB))
        assert forms(lab) == [("PATCH", BIG)]
        patch = lab.asked(lab.target_host, "PATCH")[0]
        assert "Transfer-Encoding" not in patch.headers

    def test_chunks_say_where_they_belong(self, lab: Lab) -> None:
        copy_into(lab, UploadHabits(put_limit=MIB, patch_limit=MIB, chunk_bytes=MIB))
        assert forms(lab) == [("PATCH", MIB)] * 3
        patches = lab.asked(lab.target_host, "PATCH")
        assert [entry.headers["Content-Range"] for entry in patches] == [
            f"0-{MIB - 1}",
            f"{MIB}-{2 * MIB - 1}",
            f"{2 * MIB}-{3 * MIB - 1}",
            f"{3 * MIB}-{BIG - 1}",
        ]

    def test_small_blobs_go_in_one_put_whatever_large_ones_need(self, lab: Lab) -> None:
        copy_into(lab, UploadHabits(put_limit=MIB, patch_limit=MIB, chunk_bytes=MIB), 1000, BIG)
        puts = [entry for entry in lab.asked(lab.target_host, "PUT", "/blobs/") if entry.received_bytes]
        assert 1000 in [entry.received_bytes for entry in puts]

    def test_minimum_of_the_registry_goes_before_our_chunk_size(self, lab: Lab) -> None:
        lab.behave(lab.target_app, min_chunk_bytes=2 * MIB)
        copy_into(lab, UploadHabits(put_limit=1, patch_limit=1, chunk_bytes=MIB))
        assert forms(lab) == [("PATCH", 2 * MIB), ("PATCH", BIG - 2 * MIB)]

    @pytest.mark.parametrize("relative", [True, False])
    def test_locations_relative_and_absolute(self, lab: Lab, relative: bool) -> None:
        lab.behave(lab.target_app, relative_location=relative)
        copy_into(lab, UploadHabits(put_limit=1, patch_limit=1, chunk_bytes=MIB))

    def test_created_in_place_of_accepted(self, lab: Lab) -> None:
        lab.behave(lab.target_app, early_created=True)
        copy_into(lab, UploadHabits(put_limit=1, patch_limit=1, chunk_bytes=MIB))

    def test_registry_that_refuses_chunked_encoding_never_sees_it(self, lab: Lab) -> None:
        lab.behave(lab.target_app, refuse_chunked_transfer_encoding=True)
        copy_into(lab, UploadHabits(put_limit=MIB))
        assert forms(lab) == [("PATCH", BIG)]

    def test_patch_without_a_new_location_goes_on_at_the_old_one(self, lab: Lab) -> None:
        lab.server.faults.add(Fault(DropHeader("Location"), method="PATCH", times=None))
        copy_into(lab, UploadHabits(put_limit=1, patch_limit=1, chunk_bytes=MIB))


class TestLadder:
    @pytest.mark.parametrize(
        "limits",
        [
            {"monolithic_limit_bytes": MIB},
            {"monolithic_limit_bytes": MIB, "chunk_limit_bytes": 2 * MIB},
            {"monolithic_limit_bytes": MIB, "chunk_limit_bytes": MIB},
            {"monolithic_limit_bytes": 0, "chunk_limit_bytes": MIB},
        ],
    )
    def test_refused_form_is_replaced_by_a_smaller_one(self, lab: Lab, limits: dict[str, Any]) -> None:
        lab.behave(lab.target_app, **limits)
        copy_into(lab, UploadHabits())
        assert lab.clock.waits == []

    def test_early_413_is_heard_while_sending(self, lab: Lab) -> None:
        lab.server.faults.add(
            Fault(Answer(413, early="close"), method="PUT", path="/uploads/", when=_is_large, times=None)
        )
        copy_into(lab, UploadHabits(), 8 * MIB)
        assert ("PATCH", 8 * MIB) in forms(lab)
        assert lab.clock.waits == []

    @pytest.mark.parametrize(
        "refusal",
        [
            registry_error(400, "CONTENT_LENGTH_INVALID"),
            registry_error(400, "SIZE_INVALID"),
            registry_error(400, "BLOB_UPLOAD_INVALID"),
            registry_error(405, "UNSUPPORTED"),
            registry_error(411, "SIZE_INVALID"),
            registry_error(413, "SIZE_INVALID"),
            registry_error(416, "RANGE_INVALID"),
            Answer(501),
        ],
    )
    @pytest.mark.parametrize("method", ["PUT", "PATCH"])
    def test_words_for_not_in_this_form(self, lab: Lab, refusal: Answer, method: str) -> None:
        lab.server.faults.add(Fault(refusal, method=method, path="/uploads/", when=_is_large, times=None))
        habits = UploadHabits() if method == "PUT" else UploadHabits(put_limit=0, chunk_bytes=MIB // 2)
        copy_into(lab, habits, 2 * MIB)

    def test_refusal_is_remembered_for_the_rest_of_the_run(self, lab: Lab) -> None:
        lab.behave(lab.target_app, monolithic_limit_bytes=MIB)
        copy_into(lab, UploadHabits(), BIG, BIG, BIG)
        assert len([method for method, _ in forms(lab) if method == "PUT"]) == 1

    def test_refusals_do_not_add_up_with_the_number_of_blobs(self, lab: Lab) -> None:
        """The largest go first, and each is a little smaller than the one that was refused before it."""
        lab.behave(lab.target_app, monolithic_limit_bytes=MIB)
        copy_into(lab, UploadHabits(), *(BIG - number for number in range(5)))
        assert len(lab.server.log.matching(method="PUT", status=413)) <= 2

    def test_smaller_blobs_still_go_in_the_form_that_larger_ones_were_refused(self) -> None:
        habits = UploadHabits()
        assert habits.refused(Form.PUT, 100)
        assert habits.form_for(10) is Form.PUT
        assert habits.form_for(100) is Form.PATCH
        assert habits.refused(Form.PATCH, 100)
        assert habits.form_for(100) is Form.CHUNKS

    def test_ladder_has_an_end(self) -> None:
        habits = UploadHabits()
        tries = 0
        while habits.refused(Form.CHUNKS, BIG):
            tries += 1
        assert habits.chunk_bytes == MIB
        assert tries < 10

    def test_registry_that_takes_no_form_is_told_of(self, lab: Lab) -> None:
        lab.put(content.image(layers=(BIG,)))
        lab.behave(lab.target_app, monolithic_limit_bytes=1000, chunk_limit_bytes=1000)
        with pytest.raises(CopyError) as raised:
            lab.copy()
        assert raised.value.side is Side.TARGET
        assert "416" in str(raised.value)
        assert lab.target_app.store.repository(TARGET).uploads == {}

    def test_storage_full_is_no_question_of_form(self, lab: Lab) -> None:
        lab.put(content.image(layers=(BIG,)))
        lab.server.faults.add(
            Fault(registry_error(403, "DENIED", "quota exceeded"), method="PUT", path="/uploads/", times=None)
        )
        with pytest.raises(CopyError, match="quota exceeded"):
            lab.copy(settings=SERIAL)
        assert lab.asked(lab.target_host, "PATCH") == []


class TestHabits:
    def test_acr_gets_patches_above_four_mib(self) -> None:
        habits = habits_for("my.azurecr.io")
        assert habits.form_for(4 * MIB) is Form.PUT
        assert habits.form_for(4 * MIB + 1) is Form.PATCH
        assert habits.chunk_bytes == 4 * MIB

    def test_sovereign_clouds_are_acr_too(self) -> None:
        assert habits_for("my.azurecr.cn").form_for(BIG * 10) is Form.PATCH

    def test_ghcr_has_small_chunks(self) -> None:
        assert habits_for("ghcr.io").chunk_bytes == 4 * MIB
        assert habits_for("ghcr.io").form_for(1 << 40) is Form.PUT

    def test_others_get_one_put(self) -> None:
        assert habits_for("registry.example").form_for(1 << 40) is Form.PUT


class TestSession:
    def test_location_elsewhere_over_plain_http_is_not_followed(self, lab: Lab) -> None:
        lab.put(content.image())
        lab.server.faults.add(Fault(SetHeader("Location", "http://evil.example/u"), method="POST", times=None))
        with pytest.raises(CopyError, match="not followed") as raised:
            lab.copy()
        assert raised.value.side is Side.TARGET

    def test_session_without_a_location_is_no_session(self, lab: Lab) -> None:
        lab.put(content.image())
        lab.server.faults.add(Fault(DropHeader("Location"), method="POST", times=None))
        with pytest.raises(CopyError, match="did not say where"):
            lab.copy()

    def test_failed_upload_is_cancelled(self, lab: Lab) -> None:
        artifact = lab.put(content.image(layers=(BIG,)))
        lab.source_app.store.repository(SOURCE).delete_blob(content.digest_of(artifact.blobs[1]))
        with pytest.raises(CopyError):
            lab.copy()
        assert lab.asked(lab.target_host, "DELETE", "/uploads/")
        assert lab.target_app.store.repository(TARGET).uploads == {}


def _is_large(request: Any) -> bool:
    return int(request.headers.get("Content-Length") or 0) > MIB
