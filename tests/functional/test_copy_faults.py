# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Broken connections, wrong bytes and busy registries: what mends, what is told, and of whom."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from azext_acrimport.registry.errors import (
    ConnectionFailed,
    ContentMismatch,
    OutOfTime,
    ProtocolError,
    Reason,
    RegistryError,
)
from azext_acrimport.registry.retry import RetryPolicy
from azext_acrimport.transfer.copier import copy
from azext_acrimport.transfer.errors import CopyCancelled, CopyError, Side
from azext_acrimport.transfer.events import BlobAdvanced
from emulator import content
from emulator.faults import (
    Answer,
    CloseQuietly,
    CutRequest,
    CutResponse,
    Fault,
    FlipBit,
    Hold,
    LoseResponse,
    Reset,
    SetHeader,
    Stall,
    redirect,
    registry_error,
)
from tests.support.lab import SERIAL, SOURCE, TARGET, Lab, artifact_of, assert_copied, transport

LAYER = 900_000


@pytest.fixture
def image(lab: Lab) -> content.Artifact:
    return lab.put(content.image(layers=(LAYER,)))


@pytest.fixture
def layer(image: content.Artifact) -> str:
    return content.digest_of(image.blobs[1])


def failure(lab: Lab, **arguments: Any) -> CopyError:
    with pytest.raises(CopyError) as raised:
        lab.copy(**arguments)
    assert lab.target_app.store.repository(TARGET).tags == {}
    return raised.value


class TestReads:
    @pytest.mark.parametrize("after", [0, 1, 500_000, LAYER - 1])
    @pytest.mark.parametrize("reset", [True, False])
    def test_broken_download_goes_on_where_it_broke(
        self, lab: Lab, image: content.Artifact, layer: str, after: int, reset: bool
    ) -> None:
        lab.server.faults.add(Fault(CutResponse(after=after, reset=reset), host=lab.source_host, path=layer))
        lab.copy()
        assert_copied(lab.target_app, image, "v1")
        again = lab.asked(lab.source_host, "GET", layer)[1]
        start = int((again.headers.get("Range") or "bytes=0-").removeprefix("bytes=").rstrip("-"))
        assert start <= after
        assert reset or start == after

    def test_uploaded_bytes_are_not_sent_again(self, lab: Lab, image: content.Artifact, layer: str) -> None:
        lab.server.faults.add(Fault(CutResponse(after=500_000, reset=False), host=lab.source_host, path=layer))
        lab.copy()
        assert sum(e.received_bytes for e in lab.asked(lab.target_host, path="/uploads/")) == sum(map(len, image.blobs))

    def test_source_without_ranges_is_read_from_the_start(self, lab: Lab, image: content.Artifact, layer: str) -> None:
        lab.behave(lab.source_app, ranges=False)
        lab.server.faults.add(Fault(CutResponse(after=500_000, reset=False), host=lab.source_host, path=layer))
        lab.copy()
        assert_copied(lab.target_app, image, "v1")

    def test_progress_restores_patience(self, lab: Lab, image: content.Artifact, layer: str) -> None:
        lab.server.faults.add(Fault(CutResponse(after=60_000, reset=False), host=lab.source_host, path=layer, times=10))
        lab.copy()
        assert_copied(lab.target_app, image, "v1")

    def test_without_progress_it_ends_with_the_sources_name(
        self, lab: Lab, image: content.Artifact, layer: str
    ) -> None:
        lab.server.faults.add(Fault(Reset(), host=lab.source_host, path=layer, times=None))
        error = failure(lab)
        assert (error.side, error.registry, error.repository) == (Side.SOURCE, lab.source_host, SOURCE)
        assert error.subject == layer
        assert isinstance(error.__cause__, ConnectionFailed)
        assert error.__cause__.reason is Reason.BROKEN
        assert len(lab.clock.waits) == lab.policy.retries

    @pytest.mark.parametrize(
        "value", ["bytes 0-899999/900000", "bytes 400000-899999/5", "bytes 500000-", "lines 1-2/3"]
    )
    def test_range_other_than_asked_for_is_not_taken(
        self, lab: Lab, image: content.Artifact, layer: str, value: str
    ) -> None:
        lab.server.faults.add(
            Fault(CutResponse(after=500_000, reset=False), host=lab.source_host, path=layer),
            Fault(SetHeader("Content-Range", value), host=lab.source_host, path=layer, times=None),
        )
        error = failure(lab)
        assert error.side is Side.SOURCE
        assert isinstance(error.__cause__, ContentMismatch)

    def test_refused_range_is_an_error_of_the_source(self, lab: Lab, image: content.Artifact, layer: str) -> None:
        lab.server.faults.add(
            Fault(CutResponse(after=500_000, reset=False), host=lab.source_host, path=layer),
            Fault(Answer(416), host=lab.source_host, path=layer, times=None),
        )
        assert failure(lab).side is Side.SOURCE

    def test_stalled_source_is_given_up_in_time(self, lab: Lab, image: content.Artifact, layer: str) -> None:
        lab.transport = transport(timeout_seconds=0.05)
        lab.server.faults.add(Fault(Stall(after=1000), host=lab.source_host, path=layer))
        lab.copy()
        assert_copied(lab.target_app, image, "v1")

    def test_connection_closed_without_a_word_is_replaced(self, lab: Lab) -> None:
        artifact = lab.put(content.multi_arch())
        lab.server.faults.add(Fault(CloseQuietly(), times=None))
        lab.copy()
        assert_copied(lab.target_app, artifact, "v1")


class TestWrongContent:
    def test_damaged_once_is_read_again(self, lab: Lab, image: content.Artifact, layer: str) -> None:
        lab.server.faults.add(Fault(FlipBit(700_000), host=lab.source_host, path=layer))
        lab.copy()
        assert_copied(lab.target_app, image, "v1")

    @pytest.mark.parametrize("offset", [0, 700_000, LAYER - 1])
    def test_wrong_twice_is_the_sources_fault(self, lab: Lab, image: content.Artifact, layer: str, offset: int) -> None:
        lab.server.faults.add(Fault(FlipBit(offset), host=lab.source_host, path=layer, times=None))
        error = failure(lab)
        assert (error.side, error.registry, error.subject) == (Side.SOURCE, lab.source_host, layer)
        assert isinstance(error.__cause__, ContentMismatch)
        held = lab.target_app.store.repository(TARGET)
        assert layer not in held.blobs
        assert held.uploads == {}

    @pytest.mark.parametrize("size", [1, LAYER - 1, LAYER + 1, 2 * LAYER])
    def test_blob_of_another_size_is_the_sources_fault(
        self, lab: Lab, image: content.Artifact, layer: str, size: int
    ) -> None:
        lab.source_app.store.repository(SOURCE).add_blob(bytes(size), layer)
        error = failure(lab)
        assert error.side is Side.SOURCE
        assert isinstance(error.__cause__, ContentMismatch)
        assert layer not in lab.target_app.store.repository(TARGET).blobs

    def test_chunked_body_that_goes_on_is_noticed(self, lab: Lab, image: content.Artifact, layer: str) -> None:
        lab.server.faults.add(
            Fault(_Chunked(bytes(image.blobs[1]) + b"more"), host=lab.source_host, path=layer, times=None)
        )
        error = failure(lab)
        assert isinstance(error.__cause__, ContentMismatch)

    def test_wrong_manifest_names_the_source(self, lab: Lab, image: content.Artifact) -> None:
        lab.server.faults.add(Fault(FlipBit(5), host=lab.source_host, path="/manifests/", method="GET", times=None))
        error = failure(lab)
        assert error.side is Side.SOURCE
        assert isinstance(error.__cause__, ContentMismatch)
        assert error.subject in ("v1", image.digest)

    def test_bytes_damaged_on_their_way_to_the_target_are_sent_again(self, lab: Lab, image: content.Artifact) -> None:
        lab.server.faults.add(
            Fault(registry_error(400, "DIGEST_INVALID"), host=lab.target_host, method="PUT", path="/uploads/")
        )
        lab.copy()
        assert_copied(lab.target_app, image, "v1")

    def test_target_that_never_takes_the_digest_is_told_of(self, lab: Lab, image: content.Artifact) -> None:
        lab.server.faults.add(
            Fault(
                registry_error(400, "DIGEST_INVALID"), host=lab.target_host, method="PUT", path="/uploads/", times=None
            )
        )
        error = failure(lab)
        assert error.side is Side.TARGET
        assert "DIGEST_INVALID" in str(error)

    def test_target_that_reports_another_digest_for_a_manifest(self, lab: Lab, image: content.Artifact) -> None:
        other = "sha256:" + "0" * 64
        said = SetHeader("Docker-Content-Digest", other)
        lab.server.faults.add(Fault(said, host=lab.target_host, method="PUT", path="/manifests/", times=None))
        with pytest.raises(CopyError) as raised:
            lab.copy()
        assert raised.value.side is Side.TARGET
        assert isinstance(raised.value.__cause__, ContentMismatch)

    def test_blob_whose_size_is_told_in_two_ways(self, lab: Lab) -> None:
        one = content.image("one", layers=(500,))
        fields = one.json
        fields["layers"].append({**fields["layers"][0], "size": 501})
        lab.put(artifact_of(fields, content.OCI_MANIFEST, one.blobs))
        error = failure(lab)
        assert error.side is Side.SOURCE
        assert "500 and 501" in str(error)


class TestWrites:
    @pytest.mark.parametrize("after", [0, 2, 500_000, LAYER - 1])
    @pytest.mark.parametrize("put_limit", [1 << 62, 0])
    def test_broken_upload_goes_on_where_the_target_got_to(
        self, lab: Lab, image: content.Artifact, after: int, put_limit: int
    ) -> None:
        lab.server.faults.add(Fault(CutRequest(after=after), path="/uploads/", when=_brings_layer))
        root = lab.root()
        root.targets[0].repository.registry.habits.put_limit = put_limit
        copy([root], settings=SERIAL, observe=lab.events.append)
        assert_copied(lab.target_app, image, "v1")
        bytes_sent = sum(e.received_bytes for e in lab.asked(lab.target_host, path="/uploads/"))
        assert bytes_sent <= sum(map(len, image.blobs))
        advanced = [event.size for event in lab.events if isinstance(event, BlobAdvanced)]
        assert sum(advanced) == sum(map(len, image.blobs))

    def test_upload_that_broke_behind_its_first_byte(self, lab: Lab) -> None:
        """The range of one byte reads like that of none: that byte is sent twice, and the blob has to be begun anew."""
        artifact = lab.put(content.image(layers=(200_000,)))
        lab.server.faults.add(Fault(CutRequest(after=1), method="PUT", path="/uploads/", when=_has_100_000_bytes))
        lab.copy(settings=SERIAL)
        assert_copied(lab.target_app, artifact, "v1")

    def test_lost_answer_does_not_send_the_blob_twice(self, lab: Lab, image: content.Artifact) -> None:
        lab.server.faults.add(Fault(LoseResponse(), method="PUT", path="/uploads/", when=_brings_layer))
        lab.copy()
        assert_copied(lab.target_app, image, "v1")
        assert sum(e.received_bytes for e in lab.asked(lab.target_host, path="/uploads/")) < LAYER * 1.5

    def test_session_that_is_gone_begins_anew(self, lab: Lab, image: content.Artifact) -> None:
        lab.server.faults.add(
            Fault(CutRequest(after=1000), path="/uploads/", when=_brings_layer),
            Fault(registry_error(404, "BLOB_UPLOAD_UNKNOWN"), method="GET", path="/uploads/"),
        )
        lab.copy()
        assert_copied(lab.target_app, image, "v1")

    @pytest.mark.parametrize("status", [500, 502, 503, 429])
    def test_busy_target_is_asked_again(self, lab: Lab, image: content.Artifact, status: int) -> None:
        lab.server.faults.add(Fault(Answer(status), path="/uploads/", when=_brings_layer))
        lab.copy()
        assert_copied(lab.target_app, image, "v1")

    def test_upload_that_never_works_ends_with_the_targets_name(self, lab: Lab, image: content.Artifact) -> None:
        lab.server.faults.add(Fault(CutRequest(after=0), path="/uploads/", when=_brings_layer, times=None))
        error = failure(lab)
        assert (error.side, error.registry, error.repository) == (Side.TARGET, lab.target_host, TARGET)
        assert len(lab.asked(lab.target_host, "PUT", "/uploads/")) <= 2 * lab.policy.retries + 2

    def test_stalled_target_is_given_up_in_time(self, lab: Lab, image: content.Artifact) -> None:
        lab.transport = transport(timeout_seconds=0.05)
        lab.server.faults.add(Fault(Stall(), method="PUT", path="/uploads/", when=_brings_layer))
        lab.copy()
        assert_copied(lab.target_app, image, "v1")

    def test_lost_answer_to_a_manifest_is_no_loss(self, lab: Lab, image: content.Artifact) -> None:
        lab.server.faults.add(Fault(LoseResponse(), method="PUT", path="/manifests/"))
        lab.copy()
        assert_copied(lab.target_app, image, "v1")


class TestBusy:
    @pytest.mark.parametrize("method", ["HEAD", "GET", "POST", "PUT"])
    def test_429_waits_as_long_as_asked(self, lab: Lab, image: content.Artifact, method: str) -> None:
        refusal = registry_error(429, "TOOMANYREQUESTS", headers=[("Retry-After", "17")])
        lab.server.faults.add(Fault(refusal, method=method))
        lab.copy()
        assert_copied(lab.target_app, image, "v1")
        assert any(17 <= seconds < 18 for seconds in lab.clock.waits)

    def test_wait_is_announced_with_its_cause(self, lab: Lab, image: content.Artifact) -> None:
        refusal = registry_error(429, "TOOMANYREQUESTS", "slow down", headers=[("Retry-After", "17")])
        lab.server.faults.add(Fault(refusal, method="GET", host=lab.source_host, path="/blobs/"))
        lab.copy()
        ((host, seconds, cause),) = lab.waits
        assert host == lab.source_host
        assert 17 <= seconds < 18
        assert "slow down" in str(cause)

    def test_asked_to_wait_for_hours_it_gives_up_at_once(self, lab: Lab, image: content.Artifact) -> None:
        refusal = registry_error(429, "TOOMANYREQUESTS", "pull rate limit", headers=[("Retry-After", "21600")])
        lab.server.faults.add(Fault(refusal, host=lab.source_host, method="GET", times=None))
        error = failure(lab)
        assert lab.clock.waits == []
        assert isinstance(error.__cause__, RegistryError)
        assert error.__cause__.retry_after == 21600
        assert "pull rate limit" in str(error)

    def test_waits_grow_and_end(self, lab: Lab, image: content.Artifact) -> None:
        lab.policy = RetryPolicy(retries=4, base_seconds=1)
        lab.server.faults.add(Fault(Answer(503), host=lab.source_host, path="/manifests/", times=None))
        error = failure(lab)
        assert isinstance(error.__cause__, RegistryError)
        assert error.__cause__.status == 503
        assert lab.clock.waits == sorted(lab.clock.waits)
        assert len(lab.clock.waits) == 4

    def test_answer_that_is_final_is_not_asked_for_again(self, lab: Lab, image: content.Artifact, layer: str) -> None:
        lab.server.faults.add(Fault(Answer(404), host=lab.source_host, path=layer, times=None))
        failure(lab)
        assert len(lab.asked(lab.source_host, "GET", layer)) == 1
        assert lab.clock.waits == []

    def test_no_retries_means_none(self, lab: Lab, image: content.Artifact, layer: str) -> None:
        lab.policy = RetryPolicy(retries=0)
        lab.server.faults.add(Fault(Answer(503), host=lab.source_host, path=layer, times=None))
        failure(lab)
        assert len(lab.asked(lab.source_host, "GET", layer)) == 1


class TestOddRegistries:
    @pytest.mark.parametrize("side", ["source", "target", "both"])
    def test_no_digest_in_any_answer(self, lab: Lab, side: str) -> None:
        artifact = lab.put(content.multi_arch())
        for app in [lab.source_app] * (side != "target") + [lab.target_app] * (side != "source"):
            lab.behave(app, docker_content_digest=False)
        assert lab.copy().digest == artifact.digest
        assert_copied(lab.target_app, artifact, "v1")

    @pytest.mark.parametrize("status", [400, 405, 501])
    def test_head_refused(self, lab: Lab, status: int) -> None:
        artifact = lab.put(content.multi_arch())
        lab.server.faults.add(Fault(Answer(status), method="HEAD", path="/manifests/", times=None))
        lab.copy()
        assert_copied(lab.target_app, artifact, "v1")

    def test_storage_that_is_dead_is_told_of(self, lab: Lab, image: content.Artifact, layer: str) -> None:
        lab.server.faults.add(Fault(redirect(), host=lab.source_host, path=layer, times=None))
        error = failure(lab)
        assert error.side is Side.SOURCE
        assert isinstance(error.__cause__, ConnectionFailed)
        assert error.__cause__.reason is Reason.REFUSED
        assert error.__cause__.peer == "127.0.0.1:1"

    @pytest.mark.parametrize("location", ["", "ftp://x/", "http://storage.example/x", "https://u:secret@x.example/"])
    def test_redirect_that_is_not_followed(self, lab: Lab, image: content.Artifact, layer: str, location: str) -> None:
        lab.server.faults.add(Fault(redirect(location), host=lab.source_host, path=layer, times=None))
        error = failure(lab)
        assert isinstance(error.__cause__, ProtocolError)
        assert "secret" not in str(error)

    def test_redirects_in_a_circle_end(self, lab: Lab, image: content.Artifact, layer: str) -> None:
        lab.server.faults.add(
            Fault(redirect(f"/v2/{SOURCE}/blobs/{layer}"), host=lab.source_host, path=layer, times=None)
        )
        assert "redirects" in str(failure(lab))
        assert len(lab.asked(lab.source_host, "GET", layer)) < 20

    def test_redirected_manifest(self, lab: Lab, image: content.Artifact) -> None:
        lab.server.faults.add(
            Fault(redirect(f"/v2/{SOURCE}/manifests/{image.digest}"), host=lab.source_host, path="/manifests/", times=2)
        )
        lab.copy()
        assert_copied(lab.target_app, image, "v1")

    def test_html_page_as_an_error_is_not_shown(self, lab: Lab, image: content.Artifact) -> None:
        page = b"<!DOCTYPE html><html><body>" + b"x" * 100_000
        lab.server.faults.add(Fault(Answer(403, body=page), host=lab.source_host, times=None))
        error = failure(lab)
        assert "403" in str(error)
        assert "<" not in str(error)

    def test_error_text_is_harmless_on_a_terminal(self, lab: Lab, image: content.Artifact) -> None:
        refusal = registry_error(403, "DENIED\x1b[2J", "line\r\nbreak \x1b]0;x\x07" + "y" * 5000)
        lab.server.faults.add(Fault(refusal, host=lab.source_host, times=None))
        text = str(failure(lab))
        assert text.isprintable()
        assert len(text) < 1000


class TestStopping:
    def test_cancelled_run_ends_and_leaves_no_tag(self, lab: Lab, image: content.Artifact) -> None:
        release = threading.Event()
        lab.server.faults.add(Fault(Hold(release), host=lab.source_host, method="GET", path="/blobs/", times=None))
        root = lab.root()

        def stop() -> None:
            lab.server.log.wait_for(host=lab.source_host, method="GET", path="/blobs/")
            root.source.registry.stop()

        stopping = threading.Thread(target=stop)
        stopping.start()
        with pytest.raises(CopyCancelled):
            copy([root])
        stopping.join()
        release.set()
        assert lab.target_app.store.repository(TARGET).tags == {}

    def test_run_out_of_time_says_who_was_waited_for(self, lab: Lab, image: content.Artifact) -> None:
        lab.clock.deadline = lab.clock.now() + 60
        refusal = registry_error(429, "TOOMANYREQUESTS", headers=[("Retry-After", "100")])
        lab.server.faults.add(Fault(refusal, host=lab.source_host, method="GET", times=None))
        error = failure(lab)
        assert error.side is Side.SOURCE
        assert isinstance(error.__cause__, OutOfTime)
        assert "time limit" in str(error)

    def test_ctrl_c_stops_all_threads(self, lab: Lab, image: content.Artifact) -> None:
        before = set(threading.enumerate())
        root = lab.root()

        def interrupt(event: object) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            copy([root], observe=interrupt)
        assert {each for each in set(threading.enumerate()) - before if each.name.startswith("acrx")} == set()
        assert lab.target_app.store.repository(TARGET).tags == {}


class _Chunked(Answer):
    """An answer without a length."""

    def __init__(self, body: bytes) -> None:
        super().__init__(200, (("Transfer-Encoding", "chunked"),), body)

    def on_request(self, request: Any, line: Any) -> Any:
        response = super().on_request(request, line)
        assert response is not None
        response.headers.remove("Transfer-Encoding")
        response.body = iter([self.body[:1000], self.body[1000:]])
        return response


def _brings_layer(request: Any) -> bool:
    return request.method in ("PUT", "PATCH") and int(request.headers.get("Content-Length") or 0) >= LAYER


def _has_100_000_bytes(request: Any) -> bool:
    return int(request.headers.get("Content-Length") or 0) > 100_000
