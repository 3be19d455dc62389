# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""What a dry run tells: of every request the same keys, and one word for what would come of it."""

from __future__ import annotations

from typing import Any, cast

import pytest

from azext_acrimport import dryrun
from azext_acrimport._format import import_table
from azext_acrimport.connections import Connections
from azext_acrimport.dryrun import Forecast, forecast
from azext_acrimport.explain import Surroundings
from azext_acrimport.orders import Effort, Order
from azext_acrimport.plan import Route
from azext_acrimport.planning import Prepared, Unready
from azext_acrimport.registry.errors import RegistryError
from azext_acrimport.resolve import RegistryMissing
from azext_acrimport.transfer.errors import CopyError, Side
from azext_acrimport.transfer.preview import Preview, TagChange, TagPreview
from azext_acrimport.transfer.result import Count
from tests.support.orders import Answers, digest, order, request


def preview(*changes: TagChange, copied: int = 1, **more: Any) -> Preview:
    tags = tuple(TagPreview("library/app", f"v{number}", None, change) for number, change in enumerate(changes, 1))
    manifests, blobs = Count(copied=copied, existing=2), Count(copied=3, mounted=4, existing=5)
    return Preview(digest(1), "application/x", tags, manifests, blobs, 1234, **more)


def refused() -> CopyError:
    error = CopyError(Side.SOURCE, "docker.io", "library/app", "v1")
    error.__cause__ = RegistryError("docker.io", f"GET https://docker.io/v2/{'x' * 90}", 404)
    return error


def unready() -> Unready:
    return Unready(request("docker.io/library/bad:v1", line=4), RegistryMissing("No such."), Surroundings())


@pytest.mark.parametrize(
    ("route", "seen", "status"),
    [
        (Route.SERVICE, preview(TagChange.WRITE), "planned"),
        (Route.SERVICE, preview(TagChange.OVERWRITE, copied=0), "planned"),
        (Route.LOCAL, preview(TagChange.NOTHING, copied=1), "planned"),
        (Route.LOCAL, preview(TagChange.NOTHING, copied=0), "existing"),
        (Route.LOCAL, preview(copied=0), "existing"),
        (Route.LOCAL, preview(TagChange.NOTHING, TagChange.CONFLICT, copied=0), "conflict"),
        (Route.LOCAL, None, "failed"),
        (Route.SERVICE, None, "unknown"),
    ],
)
def test_one_word_says_what_would_come_of_it(route: Route, seen: Preview | None, status: str) -> None:
    assert Forecast(request(), order(route=route), seen).status == status


def test_what_comes_to_no_order_would_fail() -> None:
    assert Forecast(request()).status == "failed"


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """A forecast of one that would be imported, one that cannot be looked at, and one that comes to nothing."""
    seen = {
        "app:v1": preview(TagChange.WRITE, TagChange.NOTHING),
        "other:v1": refused(),
    }
    monkeypatch.setattr(dryrun, "root_of", lambda order, connections: seen[order.images.source])
    monkeypatch.setattr(dryrun, "preview_from_here", lambda roots, connections, effort: roots)
    prepared: list[Prepared] = [
        order("quay.io/app:v1", images=("library/app:v1", "library/app:v2"), repositories=("bare",), line=1),
        unready(),
        order("quay.io/other:v1", line=5),
    ]
    found = forecast(prepared, cast(Connections, Answers()), Effort())
    return [each.as_dict() for each in found]


def test_every_request_has_the_same_keys_in_its_place(shown: list[dict[str, Any]]) -> None:
    first, second, third = shown

    assert list(first) == list(second) == list(third)
    assert [each["line"] for each in shown] == [1, 4, 5]
    assert [each["status"] for each in shown] == ["planned", "failed", "unknown"]
    assert (first["manifests"], first["bytesToMove"]) == ({"toCopy": 1, "existing": 2}, 1234)
    assert first["blobs"] == {"toCopy": 3, "mountable": 4, "existing": 5}
    assert first["facts"]["target"]["publicNetworkAccess"] == "Enabled"
    assert first["error"] is None
    assert second["error"]["message"] == "No such."
    assert (second["route"], second["facts"]) == (None, {"target": None, "source": None})
    assert "404" in third["error"]["message"]
    assert third["route"] == "service"


def test_nothing_is_looked_at_where_nothing_comes_to_an_order() -> None:
    (found,) = forecast([unready()], cast(Connections, None), Effort())

    assert found.status == "failed"


def test_the_table_has_the_same_columns_for_all_and_no_count_twice(shown: list[dict[str, Any]]) -> None:
    rows = import_table(shown)

    assert len({tuple(row) for row in rows}) == 1
    assert [(row["Image"], row["Tag"], row["Manifests"], row["BytesToMove"]) for row in rows] == [
        ("library/app:v1", "write", 1, 1234),
        ("library/app:v2", "nothing", "", ""),
        ("bare (untagged)", "", "", ""),
        ("", "", "", ""),
        ("other:v1", "", "", ""),
    ]
    assert [row["Why"].split("\n")[0] for row in rows] == [
        "so it is",
        "",
        "",
        "No such.",
        rows[4]["Why"].split("\n")[0],
    ]
    assert all(len(line) <= 60 for row in rows for line in row["Why"].split("\n"))


def test_the_table_says_what_a_conflict_is_about() -> None:
    found = Forecast(request(), order(), preview(TagChange.CONFLICT, copied=0)).as_dict()

    assert "--force" in import_table(found)[0]["Why"]


def test_orders_are_looked_at_together(monkeypatch: pytest.MonkeyPatch) -> None:
    batches: list[list[Order]] = []

    def look(roots: list[Order], connections: Any, effort: Any) -> list[Preview]:
        batches.append(roots)
        return [preview(TagChange.WRITE) for _ in roots]

    monkeypatch.setattr(dryrun, "root_of", lambda order, connections: order)
    monkeypatch.setattr(dryrun, "preview_from_here", look)
    wanted = [order("quay.io/a:v1"), order("quay.io/b:v1", route=Route.LOCAL)]

    forecast(wanted, cast(Connections, Answers()), Effort())

    assert batches == [wanted]
