# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Single faults of the network and of registries, one by one: what mends, at what price, and what is told."""

from __future__ import annotations

import threading
from email.utils import formatdate
from typing import Any

import pytest

from azext_acrimport.registry.errors import ConnectionFailed, RegistryError
from azext_acrimport.registry.upload import UploadHabits
from azext_acrimport.transfer.copier import copy
from azext_acrimport.transfer.errors import CopyError, Side
from bench.fault_kinds import FlipSentBit, LoseSession
from bench.fault_world import Side as FaultySide
from emulator import content
from emulator.faults import (
    Action,
    Answer,
    CutRequest,
    CutResponse,
    Disconnect,
    Fault,
    FlipBit,
    LoseResponse,
    Reset,
    registry_error,
)
from emulator.http import LogEntry
from tests.support.lab import SERIAL, SOURCE, TARGET, Lab, assert_copied, transport

KIB = 1 << 10
LAYER = 900_000
ONE_PATCH = UploadHabits(put_limit=1000)
ONE_PUT = UploadHabits()


def in_chunks(size: int) -> UploadHabits:
    return UploadHabits(put_limit=1000, patch_limit=1000, chunk_bytes=size)


@pytest.fixture
def image(lab: Lab) -> content.Artifact:
    return lab.put(content.image(layers=(LAYER,)))


@pytest.fixture
def layer(image: content.Artifact) -> str:
    return content.digest_of(image.blobs[1])


def copy_serially(lab: Lab, habits: UploadHabits = ONE_PUT, *, force: bool = False) -> None:
    root = lab.root(force=force)
    root.targets[0].repository.registry.habits = habits
    copy([root], settings=SERIAL, observe=lab.events.append)


def writes(lab: Lab) -> list[LogEntry]:
    """The requests that brought bytes of the layer, as far as they came."""
    asked = lab.asked(lab.target_host, path="/uploads/")
    return [entry for entry in asked if int(entry.headers.get("Content-Length") or 0) > 1000]


def bytes_written(lab: Lab) -> int:
    return sum(entry.received_bytes for entry in writes(lab))


def target_side(lab: Lab) -> FaultySide:
    return FaultySide(lab.target_app, {"registry": lab.target_host})


class TestRetryAfter:
    def busy(self, lab: Lab, value: str, **where: Any) -> Fault:
        refusal = registry_error(429, "TOOMANYREQUESTS", headers=[("Retry-After", value)])
        return Fault(refusal, **{"host": lab.source_host, "path": "/blobs/", **where})

    def test_date(self, lab: Lab, image: content.Artifact) -> None:
        until = lab.clock.today() + 42
        lab.server.faults.add(self.busy(lab, formatdate(until, usegmt=True)))
        lab.copy()
        assert_copied(lab.target_app, image, "v1")
        (wait,) = lab.clock.waits
        assert 41 <= wait < 43

    def test_date_that_has_passed_is_no_long_wait(self, lab: Lab, image: content.Artifact) -> None:
        lab.server.faults.add(self.busy(lab, formatdate(lab.clock.today() - 1000, usegmt=True)))
        lab.copy()
        assert_copied(lab.target_app, image, "v1")
        assert 0 <= max(lab.clock.waits) < 2

    def test_date_hours_ahead_ends_it_at_once(self, lab: Lab, image: content.Artifact) -> None:
        lab.server.faults.add(self.busy(lab, formatdate(lab.clock.today() + 6 * 3600, usegmt=True), times=None))
        with pytest.raises(CopyError, match="429"):
            lab.copy()
        assert lab.clock.waits == []

    @pytest.mark.parametrize("value", ["", "soon", "-5", "1e3", "Mon, 99 Foo 2024"])
    def test_nonsense_is_as_if_nothing_had_been_said(self, lab: Lab, image: content.Artifact, value: str) -> None:
        lab.server.faults.add(self.busy(lab, value))
        lab.copy()
        assert_copied(lab.target_app, image, "v1")
        assert 0 < max(lab.clock.waits) < 2

    def test_upload_waits_as_long_as_asked(self, lab: Lab, image: content.Artifact) -> None:
        where = {"host": lab.target_host, "path": "/uploads/", "method": "PATCH"}
        lab.server.faults.add(self.busy(lab, "33", **where))
        copy_serially(lab, ONE_PATCH)
        assert_copied(lab.target_app, image, "v1")
        assert any(33 <= wait < 34 for wait in lab.clock.waits)


class TestPassing:
    @pytest.mark.parametrize("status", [408, 425, 499, 504, 522])
    @pytest.mark.parametrize(
        ("side", "method", "path"),
        [
            ("source", "GET", "/manifests/"),
            ("source", "GET", "/blobs/"),
            ("target", "GET", "/tags/list"),
            ("target", "POST", "/uploads/"),
            ("target", "PATCH", "/uploads/"),
            ("target", "PUT", "/uploads/"),
            ("target", "PUT", "/manifests/"),
        ],
    )
    def test_status_that_passes(
        self, lab: Lab, image: content.Artifact, status: int, side: str, method: str, path: str
    ) -> None:
        host = lab.source_host if side == "source" else lab.target_host
        lab.server.faults.add(Fault(Answer(status), host=host, method=method, path=path))
        copy_serially(lab, ONE_PATCH)
        assert_copied(lab.target_app, image, "v1")
        assert lab.server.faults.pending == []
        assert len(lab.clock.waits) == 1

    def test_two_faults_in_a_row_wait_longer(self, lab: Lab, image: content.Artifact, layer: str) -> None:
        lab.server.faults.add(
            Fault(Answer(502), host=lab.source_host, path=layer), Fault(Answer(503), host=lab.source_host, path=layer)
        )
        lab.copy()
        assert_copied(lab.target_app, image, "v1")
        first, second = lab.clock.waits
        assert second > first

    def test_source_and_target_fail_in_turn(self, lab: Lab, image: content.Artifact, layer: str) -> None:
        """Each breaks more often than one side would be forgiven without a byte in between."""
        lab.server.faults.add(
            Fault(CutResponse(after=150_000, reset=False), host=lab.source_host, path=layer, times=4),
            Fault(CutRequest(after=100_000, reset=False), host=lab.target_host, method="PATCH", times=4),
        )
        copy_serially(lab, ONE_PATCH)
        assert_copied(lab.target_app, image, "v1")


class TestDrops:
    """A byte for each connection is no progress: the budget of tries has an end."""

    def test_source_that_sends_byte_by_byte(self, lab: Lab, image: content.Artifact, layer: str) -> None:
        lab.server.faults.add(
            Fault(CutResponse(after=1, reset=False), host=lab.source_host, path=layer, times=300),
        )
        with pytest.raises(CopyError) as raised:
            copy_serially(lab)
        assert raised.value.side is Side.SOURCE
        assert len(lab.asked(lab.source_host, "GET", layer)) <= 50

    def test_target_that_takes_byte_by_byte(self, lab: Lab, image: content.Artifact) -> None:
        lab.server.faults.add(Fault(CutRequest(after=2, reset=False), host=lab.target_host, method="PATCH", times=300))
        with pytest.raises(CopyError) as raised:
            copy_serially(lab, ONE_PATCH)
        assert raised.value.side is Side.TARGET
        assert len(lab.asked(lab.target_host, "PATCH")) <= 50


class TestManifestReads:
    """A manifest is small: to read it again costs nothing."""

    @pytest.mark.parametrize("after", [0, 1, 200])
    def test_broken_off(self, lab: Lab, image: content.Artifact, after: int) -> None:
        lab.server.faults.add(
            Fault(CutResponse(after=after, reset=False), host=lab.source_host, method="GET", path="/manifests/")
        )
        lab.copy()
        assert_copied(lab.target_app, image, "v1")


class TestSessions:
    @pytest.mark.parametrize("after", [0, 1, 300_000, LAYER - 1])
    @pytest.mark.parametrize("habits", [ONE_PUT, ONE_PATCH, in_chunks(256 * KIB)], ids=["PUT", "PATCH", "chunks"])
    def test_lost_in_the_middle_of_a_write(
        self, lab: Lab, image: content.Artifact, habits: UploadHabits, after: int
    ) -> None:
        lab.server.faults.add(
            Fault(LoseSession(target_side(lab), after), host=lab.target_host, path="/uploads/", when=_brings_bytes)
        )
        copy_serially(lab, habits)
        assert_copied(lab.target_app, image, "v1")
        assert bytes_written(lab) <= 2 * LAYER

    def test_lost_between_two_chunks(self, lab: Lab, image: content.Artifact) -> None:
        lab.server.faults.add(Fault(LoseSession(target_side(lab)), host=lab.target_host, method="PATCH", skip=2))
        copy_serially(lab, in_chunks(256 * KIB))
        assert_copied(lab.target_app, image, "v1")
        assert bytes_written(lab) <= 2 * LAYER + 256 * KIB

    def test_lost_before_it_is_closed(self, lab: Lab, image: content.Artifact) -> None:
        lab.server.faults.add(
            Fault(LoseSession(target_side(lab)), host=lab.target_host, method="PUT", path="/uploads/")
        )
        copy_serially(lab, ONE_PATCH)
        assert_copied(lab.target_app, image, "v1")

    def test_that_is_lost_again_and_again_ends_with_the_targets_name(self, lab: Lab, image: content.Artifact) -> None:
        lab.server.faults.add(
            Fault(LoseSession(target_side(lab)), host=lab.target_host, path="/uploads/", when=_brings_bytes, times=None)
        )
        with pytest.raises(CopyError) as raised:
            copy_serially(lab, ONE_PATCH)
        assert raised.value.side is Side.TARGET
        assert isinstance(raised.value.__cause__, RegistryError)
        assert raised.value.__cause__.status == 404
        assert lab.target_app.store.repository(TARGET).uploads == {}

    @pytest.mark.parametrize("times", [1, None])
    def test_that_refuses_to_go_on_is_begun_anew(self, lab: Lab, image: content.Artifact, times: int | None) -> None:
        """416 to the PATCH that resumes, although the session has just said how far it got."""
        refusal = registry_error(416, "BLOB_UPLOAD_INVALID", "out of order")
        lab.server.faults.add(
            Fault(CutRequest(after=300_000), host=lab.target_host, method="PATCH"),
            Fault(refusal, host=lab.target_host, method="PATCH", when=_goes_on, times=times),
        )
        copy_serially(lab, ONE_PATCH)
        assert_copied(lab.target_app, image, "v1")
        assert bytes_written(lab) <= 300_000 + 2 * LAYER

    def test_that_turns_out_not_to_be_needed_is_cancelled(self, lab: Lab, image: content.Artifact, layer: str) -> None:
        """Its first request breaks, and meanwhile somebody else has brought the blob."""
        lab.server.faults.add(Fault(_Bring(lab, image.blobs[1]), path="/uploads/", when=_brings_bytes))
        copy_serially(lab, ONE_PATCH)
        assert_copied(lab.target_app, image, "v1")

    def test_that_was_opened_beside_a_question_that_fails_is_cancelled(
        self, lab: Lab, image: content.Artifact, layer: str
    ) -> None:
        """A large blob is asked for in two ways at once."""
        lab.server.faults.add(Fault(Answer(403), host=lab.target_host, method="HEAD", path=layer, times=None))
        with pytest.raises(CopyError, match="403"):
            lab.copy()
        assert lab.target_app.store.repository(TARGET).uploads == {}

    def test_opened_by_an_answer_that_was_lost_is_no_loss(self, lab: Lab, image: content.Artifact) -> None:
        lab.server.faults.add(Fault(LoseResponse(), host=lab.target_host, method="POST"))
        copy_serially(lab)
        held = lab.target_app.store.repository(TARGET)
        assert held.tags == {"v1": image.digest}
        assert len(held.uploads) == 1  # nobody was told where it is

    def test_cancellation_that_fails_does_not_hide_why(self, lab: Lab, image: content.Artifact, layer: str) -> None:
        lab.server.faults.add(
            Fault(Answer(404), host=lab.source_host, path=layer, times=None),
            Fault(Reset(), host=lab.target_host, method="DELETE", times=None),
        )
        with pytest.raises(CopyError) as raised:
            lab.copy()
        assert raised.value.side is Side.SOURCE
        assert "404" in str(raised.value)


class TestMinimumOfChunks:
    MIN = 300 * KIB

    def chunks(self, lab: Lab) -> list[int]:
        patches = lab.asked(lab.target_host, "PATCH")
        return [int(entry.headers["Content-Length"]) for entry in patches if entry.status == 202]

    def test_only_the_last_one_is_smaller(self, lab: Lab, image: content.Artifact) -> None:
        lab.behave(lab.target_app, min_chunk_bytes=self.MIN)
        copy_serially(lab, in_chunks(64 * KIB))
        assert_copied(lab.target_app, image, "v1")
        assert all(size >= self.MIN for size in self.chunks(lab)[:-2])  # the image's config is the last but one

    @pytest.mark.parametrize("after", [1, 100_000])
    def test_chunk_that_breaks_off(self, lab: Lab, image: content.Artifact, after: int) -> None:
        lab.behave(lab.target_app, min_chunk_bytes=self.MIN)
        lab.server.faults.add(Fault(CutRequest(after=after), host=lab.target_host, method="PATCH", when=_goes_on))
        copy_serially(lab, in_chunks(64 * KIB))
        assert_copied(lab.target_app, image, "v1")

    @pytest.mark.parametrize("value", ["0", "-1", "many", "9" * 30, "\xb2"])
    def test_nonsense(self, lab: Lab, image: content.Artifact, value: str) -> None:
        lab.server.faults.add(Fault(_AddHeader("OCI-Chunk-Min-Length", value), method="POST", times=None))
        copy_serially(lab, in_chunks(256 * KIB))
        assert_copied(lab.target_app, image, "v1")


class TestDamage:
    @pytest.mark.parametrize("offset", [0, 500_000, LAYER - 1])
    @pytest.mark.parametrize("habits", [ONE_PUT, ONE_PATCH, in_chunks(256 * KIB)], ids=["PUT", "PATCH", "chunks"])
    def test_bit_flipped_on_its_way_to_the_target(
        self, lab: Lab, image: content.Artifact, habits: UploadHabits, offset: int
    ) -> None:
        lab.server.faults.add(
            Fault(FlipSentBit(min(offset, 200_000)), host=lab.target_host, path="/uploads/", when=_brings_bytes)
        )
        copy_serially(lab, habits)
        assert_copied(lab.target_app, image, "v1")
        assert lab.clock.waits == []

    def test_once_at_each_side(self, lab: Lab, image: content.Artifact, layer: str) -> None:
        """The second damage may end it, but not with anything stored."""
        lab.server.faults.add(
            Fault(FlipBit(1000), host=lab.source_host, path=layer),
            Fault(FlipSentBit(2000), host=lab.target_host, path="/uploads/", when=_brings_bytes, skip=1),
        )
        try:
            copy_serially(lab)
        except CopyError:
            held = lab.target_app.store.repository(TARGET)
            assert layer not in held.blobs
            assert held.tags == held.uploads == {}


def test_two_copies_of_the_same_image_at_once(lab: Lab) -> None:
    artifact = lab.put(content.multi_arch(layers=(LAYER, 3000)))
    failures: list[BaseException] = []

    def run() -> None:
        mine = Lab.__new__(Lab)
        another = transport()
        lab._transports.insert(0, another)  # to be closed with the others
        mine.__dict__.update(lab.__dict__, _transports=[another])
        try:
            copy([mine.root()])
        except CopyError as ex:
            failures.append(ex)
        finally:
            mine.close()

    runs = [threading.Thread(target=run) for _ in range(2)]
    for each in runs:
        each.start()
    for each in runs:
        each.join()
    assert failures == []
    assert_copied(lab.target_app, artifact, "v1")


def test_dead_host_behind_a_redirect_does_not_count_as_progress(lab: Lab, image: content.Artifact, layer: str) -> None:
    location = ("Location", "http://127.0.0.1:1/dead")
    lab.server.faults.add(Fault(Answer(307, (location,)), host=lab.source_host, path=layer, times=None))
    with pytest.raises(CopyError) as raised:
        copy_serially(lab)
    assert raised.value.side is Side.SOURCE
    assert isinstance(raised.value.__cause__, ConnectionFailed)
    assert len(lab.asked(lab.source_host, "GET", layer)) == lab.policy.retries + 1
    assert SOURCE in str(raised.value)


class _Bring(Action):
    """Break a write off before its first byte, the blob having come from elsewhere."""

    def __init__(self, lab: Lab, blob: bytes) -> None:
        self._held = lab.target_app.store.repository(TARGET)
        self._blob = blob

    def on_request(self, request: Any, line: Any) -> None:
        self._held.add_blob(self._blob)
        raise Disconnect(reset=True)


class _AddHeader(Action):
    """Add a field to an answer."""

    def __init__(self, name: str, value: str) -> None:
        self._field = (name, value)

    def on_response(self, response: Any, line: Any) -> Any:
        response.headers.add(*self._field)
        return response


def _brings_bytes(request: Any) -> bool:
    return request.method in ("PATCH", "PUT") and int(request.headers.get("Content-Length") or 0) > 10_000


def _goes_on(request: Any) -> bool:
    """A PATCH that is not the first of its session."""
    return request.method == "PATCH" and not request.headers.get("Content-Range", "0-").startswith("0-")
