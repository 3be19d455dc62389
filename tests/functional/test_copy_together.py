# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Small blobs that are moved together: what both registries see of it, and that nothing is lost when it goes wrong."""

from __future__ import annotations

import pytest

from azext_acrimport.registry.credentials import Password
from azext_acrimport.registry.retry import RetryPolicy
from azext_acrimport.transfer import tuning
from azext_acrimport.transfer.copier import copy, copy_all
from azext_acrimport.transfer.errors import CopyError, Side, TagExists
from azext_acrimport.transfer.events import BlobAdvanced, BlobFinished
from azext_acrimport.transfer.result import BlobOutcome, Count
from emulator import content
from emulator.auth import BasicAuth, BearerAuth, TokenService
from emulator.faults import (
    Action,
    Answer,
    CloseQuietly,
    CutRequest,
    CutResponse,
    DropHeader,
    Fault,
    FlipBit,
    LoseResponse,
    Reset,
    SetHeader,
    redirect,
    registry_error,
)
from emulator.registry import BlobStorageApp
from tests.support.actions import DoAfter, DoBefore
from tests.support.lab import ONE_WORKER, SERIAL, SOURCE, TARGET, Lab, assert_copied

LAYERS = (90_000, 80_000, 70_000, 300_000, 60_000)
BLOBS = len(LAYERS) + 1  # and the config


@pytest.fixture
def image(lab: Lab) -> content.Artifact:
    return lab.put(content.image("together", layers=LAYERS))


def uploads(lab: Lab) -> list[str]:
    return [entry.method for entry in lab.asked(lab.target_host, path="/uploads/")]


def assert_clean(lab: Lab, image: content.Artifact) -> None:
    assert_copied(lab.target_app, image, "v1")
    assert lab.target_app.store.repository(TARGET).uploads == {}
    assert lab.server.faults.pending == []
    sent = sum(event.size for event in lab.events if isinstance(event, BlobAdvanced))
    done = [event for event in lab.events if isinstance(event, BlobFinished)]
    assert len(done) == BLOBS
    assert sent == sum(event.size for event in done if event.outcome is BlobOutcome.COPIED)


class TestWhenAllGoesWell:
    def test_nothing_is_awaited_in_between(self, lab: Lab, image: content.Artifact) -> None:
        result = lab.copy(settings=ONE_WORKER)
        assert result.blobs == Count(copied=BLOBS)
        assert uploads(lab) == ["POST"] * BLOBS + ["PUT"] * BLOBS
        assert_clean(lab, image)

    def test_one_connection_to_each_side(self, lab: Lab, image: content.Artifact) -> None:
        lab.copy(settings=ONE_WORKER)
        assert lab.server.log.connections(lab.source_host) == 1
        assert lab.server.log.connections(lab.target_host) == 1

    def test_each_alone_where_none_may_travel_together(self, lab: Lab, image: content.Artifact) -> None:
        lab.copy(settings=SERIAL)
        assert uploads(lab) == ["POST", "PUT"] * BLOBS

    def test_what_is_there_is_not_sent(self, lab: Lab, image: content.Artifact) -> None:
        for each in image.blobs[1:3]:
            lab.target_app.store.repository(TARGET).add_blob(each)
        result = lab.copy(settings=ONE_WORKER)
        assert result.blobs == Count(copied=BLOBS - 2, existing=2)
        asked = [entry.path for entry in lab.asked(lab.source_host, "GET", "/blobs/")]
        assert not any(content.digest_of(each) in path for each in image.blobs[1:3] for path in asked)
        assert_copied(lab.target_app, image, "v1")

    def test_wrong_guess_is_passed_over(
        self, lab: Lab, image: content.Artifact, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tuning, "FAR_SECONDS", 0.0)
        for each in image.blobs[2:4]:
            lab.target_app.store.repository(TARGET).add_blob(each)
        result = lab.copy(settings=ONE_WORKER)
        assert result.blobs == Count(copied=BLOBS - 2, existing=2)
        assert_copied(lab.target_app, image, "v1")

    def test_mounted_from_a_repository_of_the_same_registry(self, lab: Lab, image: content.Artifact) -> None:
        lab.target_host = lab.source_host
        result = lab.copy(settings=ONE_WORKER)
        assert result.blobs == Count(mounted=BLOBS)
        assert uploads(lab) == ["POST"] * BLOBS
        assert lab.asked(lab.source_host, "GET", "/blobs/") == []
        assert_copied(lab.source_app, image, "v1")

    def test_mounted_for_the_next_repository(self, lab: Lab, image: content.Artifact) -> None:
        result = lab.copy("v1", (TARGET, ("v1",)), ("dst/other", ("v1",)), settings=ONE_WORKER)
        assert result.blobs == Count(copied=BLOBS, mounted=BLOBS)
        for repository in (TARGET, "dst/other"):
            assert_copied(lab.target_app, image, "v1", repository=repository)


class TestStorage:
    @pytest.fixture(autouse=True)
    def _storage(self, lab: Lab) -> None:
        self.host = lab.server.serve_plain(BlobStorageApp(lab.source_app.store))
        lab.behave(lab.source_app, redirect_blobs_to=f"http://{self.host}")

    def test_redirects_are_followed_together(self, lab: Lab, image: content.Artifact) -> None:
        lab.copy(settings=ONE_WORKER)
        assert_clean(lab, image)
        assert len(lab.asked(lab.source_host, path="/blobs/")) == BLOBS
        assert len(lab.asked(self.host)) == BLOBS
        assert lab.server.log.connections(self.host) == 1

    def test_authorization_stays_with_the_registry(self, lab: Lab, image: content.Artifact) -> None:
        lab.source_app.authorise = BasicAuth({"user": "s3cret-word"})
        lab.source_credentials = Password("user", "s3cret-word")
        lab.copy(settings=ONE_WORKER)
        assert_clean(lab, image)
        assert all("Authorization" not in entry.headers and entry.status == 200 for entry in lab.asked(self.host))

    @pytest.mark.parametrize("skip", range(BLOBS))
    @pytest.mark.parametrize("fault", [Answer(503), CutResponse(after=100), FlipBit(50), Reset()], ids=repr)
    def test_storage_that_fails(self, lab: Lab, image: content.Artifact, fault: Action, skip: int) -> None:
        lab.server.faults.add(Fault(fault, host=self.host, method="GET", skip=skip))
        lab.copy(settings=ONE_WORKER)
        assert_clean(lab, image)

    def test_redirect_into_another_network_is_not_followed(self, lab: Lab, image: content.Artifact) -> None:
        lab.server.faults.add(
            Fault(redirect("http://192.0.2.1/blob"), host=lab.source_host, path="/blobs/", times=None)
        )
        with pytest.raises(CopyError, match="not followed") as raised:
            lab.copy(settings=ONE_WORKER)
        assert raised.value.side is Side.SOURCE
        assert lab.target_app.store.repository(TARGET).uploads == {}


SOURCE_FAULTS: list[Action] = [
    Answer(503),
    Answer(404),
    Reset(),
    CloseQuietly(),
    CutResponse(after=5_000),
    CutResponse(after=5_000, reset=False),
    FlipBit(4_000),
    SetHeader("Content-Length", "17"),
    SetHeader("Connection", "close"),
]
# With how many uploads stay behind at the most: those whose place was not told, or told in answers that were lost with
# the connection.
BEGIN_FAULTS: list[tuple[Action, int]] = [
    (Answer(503), 0),
    (Answer(429), 0),
    (registry_error(405, "UNSUPPORTED"), 0),
    (DropHeader("Location"), 1),
    (SetHeader("Location", "ftp://elsewhere/"), 1),
    (Reset(), BLOBS),
    (LoseResponse(), BLOBS),
    (SetHeader("Connection", "close"), BLOBS),
]
PUT_FAULTS: list[Action] = [
    Answer(503),
    registry_error(404, "BLOB_UPLOAD_UNKNOWN"),
    registry_error(400, "DIGEST_INVALID"),
    Answer(413),
    Reset(),
    CutRequest(after=20_000),
    LoseResponse(),
    SetHeader("Connection", "close"),
]


class TestWhenItGoesWrong:
    """What fails is moved alone, with all the patience that it needs; what has arrived is not sent again."""

    @pytest.mark.parametrize("skip", range(BLOBS))
    @pytest.mark.parametrize("fault", SOURCE_FAULTS, ids=repr)
    def test_source(self, lab: Lab, image: content.Artifact, fault: Action, skip: int) -> None:
        lab.server.faults.add(Fault(fault, host=lab.source_host, method="GET", path="/blobs/", skip=skip))
        lab.copy(settings=ONE_WORKER)
        assert_clean(lab, image)

    @pytest.mark.parametrize("skip", range(BLOBS))
    @pytest.mark.parametrize(("fault", "most_left"), BEGIN_FAULTS, ids=repr)
    def test_beginning_of_an_upload(
        self, lab: Lab, image: content.Artifact, fault: Action, most_left: int, skip: int
    ) -> None:
        lab.server.faults.add(Fault(fault, host=lab.target_host, method="POST", path="/uploads/", skip=skip))
        lab.copy(settings=ONE_WORKER)
        assert lab.server.faults.pending == []
        held = lab.target_app.store.repository(TARGET)
        assert held.tags == {"v1": image.digest}
        assert set(held.blobs) == set(image.all_blobs)
        assert len(held.uploads) <= min(most_left, BLOBS - skip)

    @pytest.mark.parametrize("skip", range(BLOBS))
    @pytest.mark.parametrize("fault", PUT_FAULTS, ids=repr)
    def test_end_of_an_upload(self, lab: Lab, image: content.Artifact, fault: Action, skip: int) -> None:
        lab.server.faults.add(Fault(fault, host=lab.target_host, method="PUT", path="/uploads/", skip=skip))
        lab.copy(settings=ONE_WORKER)
        assert_clean(lab, image)

    def test_what_was_sent_before_a_broken_blob_is_not_sent_again(self, lab: Lab, image: content.Artifact) -> None:
        lab.server.faults.add(Fault(FlipBit(40), host=lab.source_host, method="GET", path="/blobs/", skip=BLOBS - 1))
        lab.copy(settings=ONE_WORKER)
        assert_clean(lab, image)
        assert len(lab.asked(lab.source_host, "GET", "/blobs/")) == BLOBS + 1
        assert uploads(lab).count("PUT") == BLOBS

    @pytest.mark.parametrize("skip", [0, BLOBS - 1], ids=["several left", "one left"])
    @pytest.mark.parametrize("fault", [Reset(), CloseQuietly(), Answer(401)], ids=repr)
    def test_uploads_are_given_up_once_more(self, lab: Lab, image: content.Artifact, fault: Action, skip: int) -> None:
        refused = registry_error(404, "BLOB_UPLOAD_UNKNOWN")
        lab.server.faults.add(
            Fault(refused, host=lab.target_host, method="PUT", path="/uploads/", skip=skip),
            Fault(fault, host=lab.target_host, method="DELETE", path="/uploads/"),
        )
        lab.copy(settings=ONE_WORKER)
        assert_clean(lab, image)

    def test_uploads_are_given_up_with_another_token(self, lab: Lab, image: content.Artifact) -> None:
        tokens = TokenService({"user": "s3cret-word"}, clock=lab.clock.now)
        realm = f"http://{lab.server.serve_plain(tokens)}/token"
        lab.target_app.authorise = BearerAuth(tokens, realm=realm, service="registry.example")
        lab.target_credentials = Password("user", "s3cret-word")
        lab.server.faults.add(
            Fault(FlipBit(40), host=lab.source_host, method="GET", path="/blobs/", skip=1),
            Fault(DoBefore(tokens.revoke_all), host=lab.target_host, method="DELETE", path="/uploads/"),
        )
        lab.copy(settings=ONE_WORKER)
        assert_clean(lab, image)

    def test_source_that_stays_broken_is_told_of(self, lab: Lab, image: content.Artifact) -> None:
        broken = content.digest_of(image.blobs[2])
        lab.server.faults.add(Fault(Answer(404), host=lab.source_host, method="GET", path=broken, times=None))
        with pytest.raises(CopyError) as raised:
            lab.copy(settings=ONE_WORKER)
        assert (raised.value.side, raised.value.subject) == (Side.SOURCE, broken)
        held = lab.target_app.store.repository(TARGET)
        assert held.tags == held.uploads == {}

    def test_target_that_does_not_mount_takes_them_all_the_same(self, lab: Lab, image: content.Artifact) -> None:
        lab.target_host = lab.source_host
        lab.server.faults.add(
            Fault(registry_error(405, "UNSUPPORTED"), method="POST", query=f"from={SOURCE}$", times=None)
        )
        result = lab.copy(settings=ONE_WORKER)
        assert result.blobs == Count(copied=BLOBS)
        assert_copied(lab.source_app, image, "v1")

    @pytest.mark.parametrize("count", [2, 5])
    def test_images_that_fail_do_not_take_others_along(self, lab: Lab, count: int) -> None:
        images = {f"v{n}": lab.put(content.image(f"image-{n}", layers=(9_000, 8_000)), f"v{n}") for n in range(count)}
        broken = content.digest_of(images["v1"].blobs[1])
        lab.server.faults.add(Fault(Answer(404), host=lab.source_host, method="GET", path=broken, times=None))
        roots = [lab.root(tag, (TARGET, (tag,))) for tag in images]
        with pytest.raises(CopyError):
            copy(roots, settings=ONE_WORKER)
        held = lab.target_app.store.repository(TARGET)
        assert set(held.tags) == set(images) - {"v1"}
        assert held.uploads == {}


class TestManners:
    """Batches are for when all goes well: who is not suited by them, or has had enough, gets no more of them."""

    @pytest.fixture
    def many(self, lab: Lab) -> content.Artifact:
        return lab.put(content.image("many", layers=tuple(range(20_000, 20_047))))

    def test_nothing_is_asked_for_an_image_that_has_failed(self, lab: Lab, many: content.Artifact) -> None:
        denied = registry_error(403, "DENIED")
        lab.server.faults.add(Fault(denied, host=lab.target_host, method="POST", path="/uploads/", times=None))
        with pytest.raises(CopyError, match="403"):
            lab.copy(settings=ONE_WORKER)
        assert len(uploads(lab)) <= 8 + 2

    @pytest.mark.parametrize("side", ["source", "target"])
    def test_registry_that_has_had_too_many_requests_is_asked_one_by_one(
        self, lab: Lab, many: content.Artifact, side: str
    ) -> None:
        host = lab.source_host if side == "source" else lab.target_host
        method, path = ("GET", "/blobs/") if side == "source" else ("POST", "/uploads/")
        busy = Answer(429, (("Retry-After", "7"),))
        lab.policy = RetryPolicy(retries=20)
        lab.server.faults.add(Fault(busy, host=host, method=method, path=path, skip=3, times=12))
        lab.copy(settings=ONE_WORKER)
        assert_copied(lab.target_app, many, "v1")
        assert len(lab.clock.waits) >= 12 - 5  # no more than one batch was refused
        assert min(lab.clock.waits) >= 7.0

    def test_source_that_closes_after_each_answer(self, lab: Lab, many: content.Artifact) -> None:
        closes = Fault(SetHeader("Connection", "close"), host=lab.source_host, path="/blobs/", times=None)
        lab.server.faults.add(closes)
        lab.copy(settings=ONE_WORKER)
        assert_copied(lab.target_app, many, "v1")
        assert uploads(lab).count("DELETE") <= 3 * 8

    def test_storage_that_closes_after_each_answer(self, lab: Lab, many: content.Artifact) -> None:
        storage = lab.server.serve_plain(BlobStorageApp(lab.source_app.store))
        lab.behave(lab.source_app, redirect_blobs_to=f"http://{storage}")
        lab.server.faults.add(Fault(SetHeader("Connection", "close"), host=storage, times=None))
        lab.copy(settings=ONE_WORKER)
        assert_copied(lab.target_app, many, "v1")
        assert uploads(lab).count("DELETE") <= 3 * 8

    def test_breaks_that_have_nothing_to_do_with_each_other_do_not_add_up(
        self, lab: Lab, many: content.Artifact
    ) -> None:
        for skip in (7, 23, 39):
            lab.server.faults.add(Fault(Reset(), host=lab.source_host, method="GET", path="/blobs/", skip=skip))
        lab.copy(settings=ONE_WORKER)
        assert_copied(lab.target_app, many, "v1")
        tail = uploads(lab)[-20:]
        assert "PUT PUT PUT PUT" in " ".join(tail)


class TestOutcomes:
    def test_tag_that_is_taken_while_the_rest_is_moved_alone(self, lab: Lab, image: content.Artifact) -> None:
        """The look at the tags that goes behind a batch does not count where a part of the image was not in it."""
        other = content.image("other")

        def push_another() -> None:
            other.put(lab.target_app.store.repository(TARGET), "v1")

        failing = Fault(Answer(503), host=lab.target_host, method="POST", path="/uploads/", skip=2)
        lab.server.faults.add(failing, Fault(DoAfter(push_another), method="PUT", path="/uploads/", skip=BLOBS - 1))
        with pytest.raises(TagExists):
            lab.copy(settings=ONE_WORKER)
        assert lab.target_app.store.repository(TARGET).tags == {"v1": other.digest}

    def test_blob_whose_answer_was_lost_counts_as_copied(self, lab: Lab, image: content.Artifact) -> None:
        lab.server.faults.add(
            Fault(LoseResponse(), host=lab.target_host, method="PUT", path="/uploads/", skip=BLOBS - 1)
        )
        result = lab.copy(settings=ONE_WORKER)
        assert result.blobs == Count(copied=BLOBS)
        assert result.bytes_copied == sum(map(len, image.blobs))
        assert_clean(lab, image)

    def test_another_tag_in_the_same_repository(self, lab: Lab, image: content.Artifact) -> None:
        lab.target_host = lab.source_host
        result = lab.copy("v1", (SOURCE, ("v2",)), force=True, settings=ONE_WORKER)
        assert result.blobs == Count(existing=BLOBS)

    def test_time_that_is_up_fails_each_image_for_itself(self, lab: Lab) -> None:
        tags = [f"v{number}" for number in range(3)]
        for tag in tags:
            lab.put(content.image(tag, layers=(3_000, 2_000, 1_000)), tag)

        lab.clock.deadline = lab.clock.seconds + 500
        lab.server.faults.add(Fault(DoAfter(lambda: lab.clock.sleep(1000)), method="POST", path="/uploads/", skip=1))
        outcomes = copy_all([lab.root(tag, (TARGET, (tag,))) for tag in tags], settings=ONE_WORKER)
        assert [type(outcome) for outcome in outcomes] == [CopyError] * 3
        assert lab.target_app.store.repository(TARGET).tags == {}
