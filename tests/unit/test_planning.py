# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""From requests to orders: registries found once, tags chosen, names given, parts taken, and what fails by itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from azext_acrimport.arm import AzureRegistry, Directory
from azext_acrimport.connections import Connections
from azext_acrimport.expansion import NothingChosen
from azext_acrimport.identity.failure import IdentityFailure
from azext_acrimport.lists.errors import InvalidList
from azext_acrimport.lists.selection import TagFilter
from azext_acrimport.lists.shard import Shard
from azext_acrimport.oci.platform import Platform
from azext_acrimport.oci.referrers import ReferrerFilter
from azext_acrimport.orders import Effort, Login, Order, Request
from azext_acrimport.plan import Route, RouteRefused, Via
from azext_acrimport.planning import Prepared, Unready, prepare
from azext_acrimport.registry.errors import Cancelled, ProtocolError
from azext_acrimport.request import TargetName
from azext_acrimport.resolve import RegistryMissing, Resolver
from azext_acrimport.transfer.errors import CopyError
from emulator import content
from tests.support.layouts import layout_files, write_directory
from tests.support.orders import Answers, Told, azure_registry, digest, request

ALL = TagFilter(all_tags=True)
ONE, TWO = digest(1), digest(2)


class Known(Directory):
    """Some registries of Azure, and what was looked for."""

    def __init__(self) -> None:
        super().__init__(lambda subscription: None, "sub-1", list)
        self.looked_for: list[str] = []
        self.registries = [azure_registry("prodreg"), azure_registry("srcreg"), azure_registry("otherreg")]

    def find(self, name_or_host: str, *, everywhere: bool = True) -> AzureRegistry | None:
        self.looked_for.append(name_or_host)
        return next((each for each in self.registries if name_or_host in (each.name, each.login_server)), None)


@pytest.fixture(autouse=True)
def _nobody_resolves_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("azext_acrimport.resolve.is_private_host", lambda host: False)


def plan(
    *requests: Request,
    sources: Mapping[str, Mapping[str, str]] | None = None,
    answers: Answers | None = None,
    shard: Shard | None = None,
    directory: Known | None = None,
) -> list[Prepared]:
    connections = cast(Connections, answers or Answers(sources))
    return prepare(requests, Resolver(directory or Known(), ".azurecr.io"), connections, shard)


def orders(prepared: Sequence[Prepared]) -> list[Order]:
    assert all(isinstance(each, Order) for each in prepared), prepared
    return [each for each in prepared if isinstance(each, Order)]


def names(prepared: Sequence[Prepared]) -> list[list[str]]:
    return [list(each.images.names) for each in orders(prepared)]


@pytest.mark.parametrize(
    ("source", "given", "tagged", "untagged"),
    [
        ("docker.io/library/app:v1", {}, ["library/app:v1"], ()),
        ("docker.io/library/app", {}, ["library/app:latest"], ()),
        ("docker.io/nginx:1", {"images": ("prod/{repository}:{tag}",)}, ["prod/library/nginx:1"], ()),
        ("docker.io/library/app:v1", {"images": ("{name}", "{registry}/{name}:x")}, ["app:v1", "docker.io/app:x"], ()),
        ("docker.io/library/app:v1", {"repositories": ("bare/{name}",)}, [], ("bare/app",)),
        (f"docker.io/library/app@{ONE}", {"images": ("{name}:x",)}, ["app:x"], ()),
    ],
)
def test_an_image_gets_the_names_that_were_asked_for(
    source: str, given: Any, tagged: list[str], untagged: tuple[str, ...]
) -> None:
    prepared = plan(request(source, **given))

    assert names(prepared) == [tagged]
    assert orders(prepared)[0].images.untagged == untagged


CHOSEN = {"1.0": ONE, "1.1": TWO, "1": TWO, "gone": "", "sha256-" + "0" * 64 + ".sig": digest(9)}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, [["app:1.0"], ["app:1.1", "app:1"]]),
        ({"images": ("prod/{name}",)}, [["prod/app:1.0"], ["prod/app:1.1", "prod/app:1"]]),
        ({"images": ("prod/{name}:v{tag}",)}, [["prod/app:v1.0"], ["prod/app:v1.1", "prod/app:v1"]]),
        ({"repositories": ("bare",)}, [[], []]),
        ({"images": ("a", "b:{tag}")}, [["a:1.0", "b:1.0"], ["a:1.1", "b:1.1", "a:1", "b:1"]]),
    ],
)
@pytest.mark.parametrize("one_by_one", [False, True])
def test_tags_of_one_digest_go_together_and_by_it(given: Any, expected: list[list[str]], one_by_one: bool) -> None:
    answers = Answers({"quay.io/app": CHOSEN})
    answers.sources["quay.io/app"].one_by_one = one_by_one

    prepared = plan(request("quay.io/app", tags=ALL, **given), answers=answers)

    assert names(prepared) == expected
    assert [each.images.source for each in orders(prepared)] == [f"app@{ONE}", f"app@{TWO}"]


def test_a_short_name_of_docker_hub_is_asked_for_in_full_and_kept_as_written() -> None:
    prepared = plan(request("docker.io/nginx", tags=ALL), sources={"docker.io/library/nginx": {"1": ONE}})

    assert names(prepared) == [["nginx:1"]]
    assert orders(prepared)[0].images.source == f"nginx@{ONE}"


def test_tags_are_chosen_beside_registry_too() -> None:
    prepared = plan(request("app", registry="srcreg", tags=ALL), sources={"srcreg.azurecr.io/app": {"1": ONE}})

    assert names(prepared) == [["app:1"]]
    assert orders(prepared)[0].source.resource_id == azure_registry("srcreg").id.text


@pytest.mark.parametrize(
    ("source", "given", "expected"),
    [
        ("quay.io/app:1", {}, ["app:1", "app:1.1"]),
        ("quay.io/app:1", {"images": ("a:x", "b:y"), "repositories": ("c",)}, ["a:x", "b:y", "a:1.1", "b:1.1"]),
        (f"quay.io/app@{TWO}", {}, ["app:1.1", "app:1"]),
        (f"quay.io/app@{TWO}", {"images": ("a:x",)}, ["a:x", "a:1.1", "a:1"]),
        (f"quay.io/app@{digest(7)}", {}, ["app:latest"]),
        ("quay.io/app:absent", {}, ["app:absent"]),
    ],
)
def test_the_other_tags_of_the_image_come_along(source: str, given: Any, expected: list[str]) -> None:
    prepared = plan(request(source, with_aliases=True, **given), sources={"quay.io/app": CHOSEN})

    assert names(prepared) == [expected]


def failing(failure: Exception) -> Answers:
    answers = Answers({"quay.io/bad": {}, "quay.io/app": {"1": ONE}})
    answers.sources["quay.io/bad"] = Told("quay.io", "bad", failure=failure)
    return answers


@pytest.mark.parametrize(
    ("bad", "kind"),
    [
        (request("quay.io/empty", tags=ALL), NothingChosen),
        (request("quay.io/app", tags=TagFilter(patterns=("9*",))), NothingChosen),
        (request("quay.io/bad", tags=ALL), CopyError),
        (request("quay.io/bad:v1", with_aliases=True), CopyError),
        (request("app:v1", registry="no.such.registry"), RegistryMissing),
        (replace(request(), target=TargetName("nosuch", None)), RegistryMissing),
        (
            request(
                "docker.io/app:1", platforms=(Platform("linux", "a"), Platform("linux", "b")), via=(Via.SERVICE, "")
            ),
            RouteRefused,
        ),
        (request("closed.azurecr.io/app:v1", login=Login()), IdentityFailure),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_what_fails_of_one_is_not_the_failure_of_another(bad: Request, kind: type[Exception]) -> None:
    answers = failing(ProtocolError("quay.io", "no sense"))
    answers.sources["quay.io/empty"] = Told("quay.io", "empty")
    answers.no_token["closed.azurecr.io"] = IdentityFailure("no token")

    unready, order = plan(replace(bad, line=3), request("quay.io/app", tags=ALL), answers=answers)

    assert isinstance(unready, Unready)
    assert isinstance(unready.failure, kind)
    assert unready.request.line == 3
    assert isinstance(order, Order)


def test_who_stops_does_not_wait_for_what_is_being_asked() -> None:
    answers = Answers({"quay.io/slow": {}, "quay.io/app": {}})

    class Slow(Told):
        def tags(self) -> Iterator[str]:
            assert answers.interrupted.wait(10)
            raise Cancelled

    answers.sources["quay.io/slow"] = Slow("quay.io", "slow")
    answers.sources["quay.io/app"].failure = KeyboardInterrupt()

    with pytest.raises(KeyboardInterrupt):
        plan(request("quay.io/app", tags=ALL), request("quay.io/slow", tags=ALL), answers=answers)

    assert answers.interrupted.is_set()


def test_each_registry_is_looked_for_once() -> None:
    directory = Known()

    plan(*(request(f"srcreg.azurecr.io/app:{n}", images=(f"app:{n}",)) for n in range(50)), directory=directory)

    assert sorted(directory.looked_for) == ["prodreg", "srcreg.azurecr.io"]


def test_what_is_asked_for_twice_is_done_once() -> None:
    assert names(plan(request(line=1), request(line=2), request("docker.io/library/app:v2"))) == [
        ["library/app:v1"],
        ["library/app:v2"],
    ]


def test_what_refers_to_an_image_is_not_lost_where_the_image_alone_is_asked_for_as_well() -> None:
    asked = [None, ReferrerFilter(), ReferrerFilter(("sig",)), ReferrerFilter()]

    prepared = orders(plan(*(request(referrers=each) for each in asked)))

    assert [each.request.referrers for each in prepared] == asked[:3]


@pytest.mark.parametrize(
    "second",
    [
        request("docker.io/library/other:v1", images=("app:v1",), line=2),
        request("docker.io/library/app:v1", images=("app:v1",), platforms=(Platform("linux", "arm64"),), line=2),
    ],
)
def test_two_images_for_one_name_are_refused_before_anything_moves(second: Request) -> None:
    with pytest.raises(InvalidList, match=r"line 2: 'prodreg\.azurecr\.io/app:v1' .* on line 1"):
        plan(request("docker.io/library/app:v1", images=("app:v1",), line=1), second)


def test_parts_are_disjoint_and_together_the_whole() -> None:
    requests = [request(f"docker.io/library/app{number}:v1") for number in range(40)]

    parts = [names(plan(*requests, shard=Shard(index, 3))) for index in (1, 2, 3)]

    assert all(parts)
    assert sorted(name for part in parts for name in part) == sorted(names(plan(*requests)))


def test_a_part_may_be_empty_and_holds_what_fails_of_itself() -> None:
    assert plan(request(), shard=Shard(2, 2)) + plan(request(), shard=Shard(1, 2)) == plan(request())


@pytest.mark.parametrize(
    ("given", "route"),
    [
        ({}, Route.SERVICE),
        ({"platforms": (Platform("linux", "amd64"),)}, Route.SERVICE),
        ({"platforms": (Platform("linux", "amd64"), Platform("linux", "arm64"))}, Route.LOCAL),
        ({"via": (Via.LOCAL, "--via")}, Route.LOCAL),
    ],
)
def test_the_route_is_one_that_can_do_what_is_asked(given: Any, route: Route) -> None:
    (order,) = orders(plan(request(**given)))

    assert order.plan.route is route


@pytest.mark.parametrize(
    ("named", "given", "expected"),
    [
        ("quay.io/team/app:v1", {}, ["team/app:v1"]),
        ("quay.io/team/app:v1", {"images": ("prod/{name}:{tag}",)}, ["prod/app:v1"]),
        ("v1", {"images": ("app",)}, ["app:v1"]),
        ("v1", {"images": ("app:{tag}",)}, ["app:v1"]),
        ("v1", {}, None),
    ],
)
def test_an_image_layout_may_know_its_name(tmp_path: Path, named: str, given: Any, expected: list[str] | None) -> None:
    write_directory(tmp_path / "layout", layout_files((content.image("one"), named)))
    with Connections(None, Effort()) as connections:
        (found,) = prepare(
            [request(f"oci:{tmp_path / 'layout'}:{named}", **given)],
            Resolver(Known(), ".azurecr.io"),
            connections,
            None,
        )

    if expected is None:
        assert isinstance(found, Unready)
        assert "give it one with --image" in str(found.failure)
    else:
        assert names([found]) == [expected]
        assert isinstance(found, Order)
        assert found.plan.route is Route.LOCAL


def test_a_name_that_begins_with_the_registry_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr("azext_acrimport.planning.logger.warning", lambda text, *args: said.append(text % args))

    plan(request(images=("prodreg.azurecr.io/app:v1",)))

    assert said == ["The repository will be named prodreg.azurecr.io/app, within the registry of that name."]
