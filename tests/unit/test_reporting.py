# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""What is said of a run on the way, and what is printed of each image in the end."""

from __future__ import annotations

from typing import Any

import pytest

from azext_acrimport import reporting
from azext_acrimport.explain import Surroundings
from azext_acrimport.oci.referrers import ReferrerFilter
from azext_acrimport.outcome import Outcome, Status, Taken
from azext_acrimport.plan import Route
from azext_acrimport.planning import Unready
from azext_acrimport.request import InvalidRequest
from azext_acrimport.run import Ended
from azext_acrimport.transfer.result import CopyResult, Count
from tests.support.orders import digest, order, request

HERE, THERE = Taken(Route.LOCAL, "so it is"), Taken(Route.SERVICE, "so it is")


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found: list[str] = []
    for level in ("warning", "error"):
        monkeypatch.setattr(
            reporting.logger, level, lambda text, *args, level=level, **_: found.append(f"{level}: {text % args}")
        )
    return found


@pytest.mark.parametrize(
    ("routes", "expected"),
    [
        ([Route.SERVICE], ["warning: Importing by the service: so it is."]),
        ([Route.LOCAL], ["warning: Copying from here: so it is."]),
        (
            [Route.LOCAL, Route.SERVICE, Route.SERVICE],
            ["warning: Copying 1 image from here: so it is.", "warning: Importing 2 images by the service: so it is."],
        ),
        ([], []),
    ],
)
def test_the_routes_are_said_once_for_each_reason(said: list[str], routes: list[Route], expected: list[str]) -> None:
    reporting.say_routes([order(f"quay.io/app{n}:v1", route=route) for n, route in enumerate(routes)])

    assert said == expected


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ([Status.IMPORTED], "1 image: 1 imported."),
        (
            [Status.FAILED, Status.EXISTING, Status.IMPORTED, Status.IMPORTED, Status.SKIPPED],
            "5 images: 2 imported, 1 existing, 1 failed, 1 skipped.",
        ),
        (
            [Status.STARTED, Status.STARTED],
            "2 images: 2 started. Of those that have started, the command does not tell whether they fail.",
        ),
        ([], "0 images: none is in this part."),
    ],
)
def test_the_sum_of_many_is_said(said: list[str], statuses: list[Status], expected: str) -> None:
    reporting.say_sum([Outcome(status, "prodreg", "quay.io/app:v1") for status in statuses])

    assert said == [f"warning: {expected}"]


def test_of_many_who_fails_is_said_with_its_line(said: list[str]) -> None:
    reporting.say_end(Ended(order(line=7), HERE, Status.FAILED, failure=InvalidRequest("it cannot be")))
    reporting.say_end(Ended(order(), HERE, Status.IMPORTED))

    assert said == ["error: Line 7: It cannot be."]


COPIED = CopyResult(digest(2), "application/x", Count(copied=1), Count(copied=2), 100, referrers=3)


@pytest.mark.parametrize(
    ("given", "how", "expected"),
    [
        ({}, {}, (None, None)),
        ({}, {"digest": digest(1)}, (digest(1), None)),
        ({"referrers": ReferrerFilter()}, {"referrers": 2}, (None, 2)),
        ({"referrers": ReferrerFilter()}, {"copied": COPIED}, (digest(2), 3)),
        ({}, {"copied": COPIED}, (digest(2), None)),
        ({"source": f"quay.io/app@{digest(4)}"}, {}, (digest(4), None)),
    ],
)
def test_the_result_has_what_is_known(given: Any, how: Any, expected: tuple[str | None, int | None]) -> None:
    result = reporting.outcome_of(Ended(order(**given), THERE, Status.IMPORTED, **how)).as_dict()

    assert (result["digest"], result["referrers"]) == expected
    assert (result["registry"], result["loginServer"]) == ("prodreg", "prodreg.azurecr.io")


def test_what_came_to_no_order_has_failed_before_a_route() -> None:
    unready = Unready(request(line=3), InvalidRequest("it cannot be"), Surroundings())

    result = reporting.outcome_of_unready(unready).as_dict()

    assert (result["status"], result["line"], result["route"], result["images"]) == ("failed", 3, None, [])
    assert result["error"] == {"message": "It cannot be.", "advice": []}
