# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""A run over many orders, with both routes played: who ends how, and what the others have of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, cast

import pytest
from azure.core.exceptions import ServiceRequestError
from knack.util import CLIError

from azext_acrimport import run
from azext_acrimport.connections import Connections
from azext_acrimport.fallback import ServiceFailure
from azext_acrimport.importing import ImportRefused
from azext_acrimport.oci.referrers import ReferrerFilter
from azext_acrimport.orders import Effort, Order
from azext_acrimport.outcome import Status
from azext_acrimport.plan import Obstacle, Route, RouteRefused
from azext_acrimport.registry.errors import Cancelled, ProtocolError
from azext_acrimport.request import Images
from azext_acrimport.run import Ended, Run
from azext_acrimport.service import IN_FLIGHT, Service
from azext_acrimport.transfer.errors import CopyCancelled, CopyError, Side, Skipped
from azext_acrimport.transfer.events import ImageFinished
from azext_acrimport.transfer.result import CopyResult, Count
from tests.support.orders import Answers, digest, order

COPIED = CopyResult(digest(1), "application/x", Count(copied=1), Count(copied=2), 100)
NO_RIGHT = ImportRefused(403, "AuthorizationFailed", "no authorization to perform action 'x/importImage/action'")
MISSING = ImportRefused(400, "", "manifest unknown")
EXISTS = ImportRefused(409, "Conflict", "Tag v1 already exists")


def broken(side: Side = Side.SOURCE) -> CopyError:
    error = CopyError(side, "docker.io", "library/app")
    error.__cause__ = ProtocolError("docker.io", "no sense")
    return error


class Played:
    """Both routes. ``answers`` are by the source's name: of the service one after the other, of a copy its outcome."""

    def __init__(self) -> None:
        self.service: dict[str, list[Exception | Callable[[], None] | None]] = {}
        self.copy: dict[str, Any] = {}
        self.imported: list[tuple[str, tuple[str, ...]]] = []
        self.batches: list[list[str]] = []
        self.said: list[str] = []
        self.told: list[tuple[str, Status]] = []
        self.connections = Answers()
        self.stopped, self.failed = threading.Event(), threading.Event()
        self.lock = threading.Lock()

    def prepare(self, orders: Sequence[Order]) -> None:
        assert all(each.plan.route is Route.SERVICE for each in orders)

    def stop(self) -> None:
        self.stopped.set()

    def import_order(self, order: Order, images: Images, *, follow: Any) -> None:
        with self.lock:
            self.imported.append((images.source, images.tags))
            answers = self.service.get(images.source, [])
            answer = answers.pop(0) if answers else None
        if isinstance(answer, Exception):
            raise answer
        if answer:
            answer()

    def copy_from_here(self, roots: Sequence[Order], *_: Any, observe: Any, halted: threading.Event) -> list[Any]:
        self.batches.append([each.images.source for each in roots])
        outcomes = []
        for root in roots:
            outcome = self.copy.get(root.images.source, COPIED)
            if isinstance(outcome, (KeyboardInterrupt, CopyCancelled)):
                raise outcome
            outcome = Skipped() if halted.is_set() else outcome
            if not isinstance(outcome, Skipped):
                observe(ImageFinished(root, outcome if isinstance(outcome, Exception) else None))  # type: ignore[arg-type]
            outcomes.append(outcome)
        return outcomes

    def __call__(self, *orders: Order, **options: Any) -> list[Ended]:
        def tell(ended: Ended) -> None:
            self.told.append((ended.order.images.source, ended.status))
            if ended.failure:
                self.failed.set()

        made = Run(
            cast(Service, self),
            cast(Connections, self.connections),
            Effort(),
            tell=tell,
            shows_progress=False,
            **options,
        )
        return made(orders)


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch) -> Played:
    played = Played()
    monkeypatch.setattr(run, "copy_from_here", played.copy_from_here)
    monkeypatch.setattr(run, "root_of", lambda order, connections: order)
    monkeypatch.setattr(run.logger, "warning", lambda text, *args, **_: played.said.append(text % args))
    return played


def here(name: str) -> Order:
    return order(f"docker.io/{name}:v1", route=Route.LOCAL)


def there(name: str, **given: Any) -> Order:
    return order(f"docker.io/{name}:v1", **given)


def ends(ended: Sequence[Ended]) -> list[tuple[Status, Route, bool]]:
    return [(each.status, each.taken.route, each.taken.fallback) for each in ended]


IMPORTED_THERE = (Status.IMPORTED, Route.SERVICE, False)
IMPORTED_HERE = (Status.IMPORTED, Route.LOCAL, False)


def test_both_routes_go_on_at_once_and_the_answer_is_in_the_orders_order(
    play: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    copying = threading.Event()

    def wait() -> None:
        assert copying.wait(10)

    def copy(*args: Any, **options: Any) -> Any:
        copying.set()
        return play.copy_from_here(*args, **options)

    monkeypatch.setattr(run, "copy_from_here", copy)
    play.service["one:v1"] = [wait]

    ended = play(there("one"), here("two"), there("three"))

    assert ends(ended) == [IMPORTED_THERE, IMPORTED_HERE, IMPORTED_THERE]
    assert [each.order.images.source for each in ended] == ["one:v1", "two:v1", "three:v1"]
    assert sorted(play.told) == sorted((each.order.images.source, each.status) for each in ended)


def test_what_the_service_refuses_and_a_copy_can_do_is_copied_together_in_the_end(play: Played) -> None:
    play.service = {"one:v1": [NO_RIGHT], "three:v1": [NO_RIGHT]}

    ended = play(there("one"), there("two"), there("three", line=7), here("four"))

    fallen = (Status.IMPORTED, Route.LOCAL, True)
    assert ends(ended) == [fallen, IMPORTED_THERE, fallen, IMPORTED_HERE]
    assert [sorted(batch) for batch in play.batches] == [["four:v1"], ["one:v1", "three:v1"]]
    reason = "The service could not import it, copying from here instead: target prodreg: the signed-in identity"
    assert sum(reason in text for text in play.said) == 2
    assert any(text.startswith("Line 7: The service") for text in play.said)


@pytest.mark.parametrize(
    "failure", [ServiceRequestError("no way"), CLIError("az login"), broken(), KeyError("a defect")], ids=type
)
def test_whatever_fails_an_import_fails_that_image_alone(play: Played, failure: Exception) -> None:
    play.service["one:v1"] = [failure]

    ended = play(there("one"), there("two"), here("three"))

    assert ends(ended) == [(Status.FAILED, Route.SERVICE, False), IMPORTED_THERE, IMPORTED_HERE]
    assert ended[0].failure is failure


def test_a_refusal_that_a_copy_does_not_cure_is_the_images_end(play: Played) -> None:
    play.service["one:v1"] = [MISSING]
    play.copy["two:v1"] = broken()

    first, second, third = play(there("one"), here("two"), there("three"))

    assert isinstance(first.failure, ServiceFailure)
    assert first.failure.__cause__ is MISSING
    assert (second.status, second.failure) == (Status.FAILED, play.copy["two:v1"])
    assert third.status is Status.IMPORTED
    assert play.told.count(("two:v1", Status.FAILED)) == 1  # the copier tells of it, and returns it


def test_after_a_failure_nothing_further_is_begun_if_so_asked(play: Played) -> None:
    play.service = {f"app{number}:v1": [MISSING] for number in range(30)}

    ended = play(*(there(f"app{number}") for number in range(30)), fail_fast=True)

    failed = [each for each in ended if each.status is Status.FAILED]
    assert 1 <= len(failed) == len(play.imported) <= IN_FLIGHT
    assert {each.status for each in ended} == {Status.FAILED, Status.SKIPPED}


def test_what_is_complete_when_another_fails_stays_imported(play: Played) -> None:
    play.copy["two:v1"] = broken()

    ended = play(here("one"), here("two"), here("three"), fail_fast=True)

    assert [each.status for each in ended] == [Status.IMPORTED, Status.FAILED, Status.SKIPPED]


def test_what_is_to_be_copied_after_all_is_left_once_another_has_failed(play: Played) -> None:
    def refuse() -> None:
        assert play.failed.wait(10)
        raise NO_RIGHT

    play.service["one:v1"] = [refuse]
    play.copy["two:v1"] = broken()

    ended = play(there("one"), here("two"), fail_fast=True)

    assert [each.status for each in ended] == [Status.SKIPPED, Status.FAILED]
    assert (play.batches, play.said) == ([["two:v1"]], [])


@pytest.mark.parametrize(
    ("there_already", "again", "status"),
    [
        ({"app": {"v1": digest(1)}, "b": {"v1": digest(1)}}, None, Status.EXISTING),
        ({"app": {"v1": digest(1)}}, ("b:v1",), Status.IMPORTED),
        ({"app": {"v1": digest(2)}}, None, Status.FAILED),
    ],
)
def test_an_existing_tag_of_the_same_image_is_no_failure(
    play: Played, there_already: Any, again: tuple[str, ...] | None, status: Status
) -> None:
    play.service["app:v1"] = [EXISTS]
    play.connections = Answers({"docker.io/library/app": {"v1": digest(1)}}, there_already)

    (ended,) = play(there("app", images=("app:v1", "b:v1")))

    assert ended.status is status
    tags = [("app:v1", ("app:v1", "b:v1"))] + ([("app:v1", again)] if again else [])
    assert play.imported == tags


def test_without_waiting_an_import_has_started_and_one_that_is_there_has_not(play: Played) -> None:
    play.service["two:v1"] = [EXISTS]
    play.connections = Answers({"docker.io/library/two": {"v1": digest(1)}}, {"two": {"v1": digest(1)}})
    play.service["three:v1"] = [NO_RIGHT]

    ended = play(there("one"), there("two"), there("three"), here("four"), no_wait=True)

    assert [each.status for each in ended] == [Status.STARTED, Status.EXISTING, Status.IMPORTED, Status.IMPORTED]
    assert sum("--no-wait does not apply" in text for text in play.said) == 1


def referring(*tags: tuple[str, ...]) -> Callable[[Order, Any], Iterator[Order]]:
    """What an order takes: the image by its digest, and for each of the tags a referrer."""

    def parts(order: Order, _: Any) -> Iterator[Order]:
        yield replace(order, images=replace(order.images, source=f"app@{digest(1)}"))
        for number, names in enumerate(tags, 2):
            images = replace(
                order.images, source=f"app@{digest(number)}", tags=names, untagged=() if names else ("app",)
            )
            yield replace(order, images=images)

    return parts


def test_what_refers_to_an_image_is_imported_after_it_and_counted(
    play: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "parts_of", referring((), ("app:sha256-1.sig",)))

    (ended,) = play(there("app", referrers=ReferrerFilter()))

    assert [source for source, _ in play.imported] == [f"app@{digest(number)}" for number in (1, 2, 3)]
    assert (ended.status, ended.digest, ended.referrers) == (Status.IMPORTED, digest(1), 2)


def test_a_referrer_that_the_service_refuses_is_told_by_its_own_name(
    play: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "parts_of", referring(("app:sha256-1.sig",)))
    play.service[f"app@{digest(2)}"] = [EXISTS]
    play.connections = Answers({"docker.io/library/app": {"v1": digest(1)}}, {"app": {"sha256-1.sig": digest(9)}})

    (ended,) = play(there("app", referrers=ReferrerFilter()))

    assert isinstance(ended.failure, ServiceFailure)
    assert (ended.failure.tags, ended.failure.is_referrer) == (("app:sha256-1.sig",), True)


def test_of_a_source_that_does_not_tell_what_refers_to_it_the_image_fails(
    play: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    failure = broken()

    def parts(order: Order, _: Any) -> Iterator[Order]:
        yield order
        raise failure

    monkeypatch.setattr(run, "parts_of", parts)

    assert [each.failure for each in play(there("app", referrers=ReferrerFilter()))] == [failure]


@pytest.mark.parametrize(
    ("may_fall_back", "end"),
    [(True, (Status.IMPORTED, Route.LOCAL, True)), (False, (Status.FAILED, Route.SERVICE, False))],
)
def test_what_only_a_copy_can_make_is_copied_unless_the_service_was_asked_for(
    play: Played, monkeypatch: pytest.MonkeyPatch, may_fall_back: bool, end: Any
) -> None:
    refused = RouteRefused(Obstacle.LOCAL_OPTION, "several images are for linux")

    def parts(order: Order, _: Any) -> Iterator[Order]:
        raise refused
        yield order

    monkeypatch.setattr(run, "parts_of", parts)

    ended = play(there("app", may_fall_back=may_fall_back))

    assert ends(ended) == [end]
    assert ended[0].failure is (None if may_fall_back else refused)


def test_a_copy_ends_when_its_image_is_complete_not_when_the_last_is(play: Played) -> None:
    ended = play(here("one"), here("two"))

    assert all(each.copied is COPIED for each in ended)
    assert ended[0].seconds <= ended[1].seconds


@pytest.mark.parametrize("stop", [CopyCancelled(), KeyboardInterrupt()], ids=type)
def test_who_stops_a_run_hears_that_the_service_goes_on(play: Played, stop: BaseException) -> None:
    def wait() -> None:
        assert play.stopped.wait(10)
        raise Cancelled

    play.service = {"one:v1": [wait], "two:v1": [wait]}
    play.copy["three:v1"] = stop

    with pytest.raises(type(stop)):
        play(there("one"), there("two"), here("three"))

    assert [text for text in play.said if "goes on" in text] == [
        "The service goes on with the imports that it has begun; see `az acr repository show-tags`."
    ]


def test_who_stops_a_copy_that_came_after_the_service_hears_nothing_of_that(play: Played) -> None:
    play.service["one:v1"] = [NO_RIGHT]
    play.copy["one:v1"] = CopyCancelled()

    with pytest.raises(CopyCancelled):
        play(there("one"))

    assert not any("goes on" in text for text in play.said)


def test_no_orders_are_no_work(play: Played) -> None:
    assert play() == []
    assert (play.imported, play.batches, play.said) == ([], [], [])
