# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""What follows from the findings of ``az acrx check``, and how they are told."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from knack.events import EVENT_CLI_POST_EXECUTE, EVENT_CLI_SUCCESSFUL_EXECUTE
from knack.util import CLIError

from azext_acrimport._exit import exit_after_output
from azext_acrimport._format import check_table
from azext_acrimport.arm import AzureRegistry, ResourceId
from azext_acrimport.check import command, rights
from azext_acrimport.check.findings import (
    BOTH,
    HERE,
    SERVICE,
    Finding,
    Report,
    Status,
    Verdict,
    conclude,
    in_one_line,
)
from azext_acrimport.check.rights import IMPORT_ACTION, Assignee, Permission, import_right
from azext_acrimport.check.settings import shown_by_azure
from azext_acrimport.check.survey import side_by_side
from azext_acrimport.plan import NetworkFacts, NetworkSettings, Plan, Route
from azext_acrimport.request import InvalidRequest
from azext_acrimport.resolve import Endpoint
from azext_acrimport.transfer.errors import Side

NAMES = {Side.TARGET: "prodreg", Side.SOURCE: "docker.io"}
ID = "/subscriptions/s/resourceGroups/g/providers/Microsoft.ContainerRegistry/registries/prodreg"
BY_SERVICE = Plan(Route.SERVICE, "both are open", may_fall_back=True)
FROM_HERE = Plan(Route.LOCAL, "it is closed")
FINE = Finding(Side.TARGET, "push", Status.OK, "allowed")
NO_IMPORT = Finding(Side.TARGET, "import right", Status.FAILED, "no right", blocks=SERVICE)
NO_PUSH = Finding(Side.TARGET, "push", Status.FAILED, "may not push", blocks=HERE)
NO_IMAGE = Finding(Side.SOURCE, "image", Status.FAILED, "no such image", blocks=BOTH)
WARNED = Finding(Side.TARGET, "network settings", Status.WARNING, "closed", blocks=BOTH)


def azure(name: str = "prodreg", **settings: str) -> AzureRegistry:
    identity = ResourceId.parse(ID.replace("prodreg", name))
    assert identity
    return AzureRegistry(identity, f"{name}.azurecr.io", "Premium", NetworkSettings(**settings))


@pytest.mark.parametrize(
    ("plan", "findings", "route", "reason"),
    [
        (BY_SERVICE, [FINE, WARNED], Route.SERVICE, "both are open"),
        (BY_SERVICE, [NO_PUSH], Route.SERVICE, "both are open"),
        (FROM_HERE, [NO_IMPORT], Route.LOCAL, "it is closed"),
        (BY_SERVICE, [NO_IMPORT], Route.LOCAL, "target prodreg: no right, so the service cannot do it"),
        (BY_SERVICE, [NO_IMAGE], None, "source docker.io: no such image"),
        (
            FROM_HERE,
            [NO_PUSH],
            None,
            "it is closed; and a copy from here would fail: target prodreg: may not push",
        ),
        (
            BY_SERVICE,
            [NO_IMPORT, NO_PUSH],
            None,
            "target prodreg: no right; and a copy from here would fail: target prodreg: may not push",
        ),
        (
            Plan(Route.SERVICE, "--via is service"),
            [NO_IMPORT],
            None,
            "--via is service; and the service would fail: target prodreg: no right",
        ),
    ],
)
def test_the_route_is_the_one_that_nothing_closes(
    plan: Plan, findings: list[Finding], route: Route | None, reason: str
) -> None:
    assert conclude(plan, findings, names=NAMES) == Verdict(route, reason)


@pytest.mark.parametrize(
    ("route", "statuses"),
    [
        (Route.SERVICE, ["ok", "warning", "failed"]),
        (Route.LOCAL, ["ok", "failed", "warning"]),
        (None, ["ok", "failed", "failed"]),
    ],
)
def test_what_does_not_concern_the_route_is_a_warning(route: Route | None, statuses: list[str]) -> None:
    report = Report("prodreg", None, Verdict(route, "so it is"), (FINE, NO_PUSH, NO_IMPORT)).as_dict()

    assert [check["status"] for check in report["checks"]] == statuses
    assert report["route"] == (route.value if route else "none")
    assert report["checks"][1] == {
        "side": "target",
        "check": "push",
        "status": statuses[1],
        "detail": "may not push",
        "advice": "",
    }


def test_the_table_has_the_advice_below_the_detail_and_the_route_at_the_end() -> None:
    finding = Finding(Side.TARGET, "push", Status.FAILED, "word " * 30, "az role assignment create", HERE)

    *rows, last = check_table(Report("prodreg", None, Verdict(None, "so it is"), (finding,)).as_dict())

    detail = rows[0].pop("Detail").splitlines()
    assert dict(rows[0]) == {"Side": "target", "Check": "push", "Status": "failed"}
    assert detail[-1] == "-> az role assignment create"
    assert max(map(len, detail)) <= 90
    assert dict(last) == {"Side": "", "Check": "route", "Status": "none", "Detail": "so it is"}


def test_advice_of_several_lines_becomes_one() -> None:
    lines = ("Check the name", "Or so,", "or else", "(first this)", "Done.")

    assert in_one_line(lines) == "Check the name; Or so, or else (first this); Done."
    assert in_one_line(()) == ""


@pytest.mark.parametrize(
    ("permission", "allows"),
    [
        (Permission(("*",)), True),
        (Permission(("Microsoft.ContainerRegistry/registries/*",)), True),
        (Permission(("microsoft.containerregistry/*/ACTION",)), True),
        (Permission((IMPORT_ACTION,)), True),
        (Permission(("*/read", "Microsoft.ContainerRegistry/registries/push/write")), False),
        (Permission(("Microsoft.ContainerRegistry/registries/importImage/action/more",)), False),
        (Permission(("Microsoft?ContainerRegistry/registries/importImage/action",)), False),
        (Permission(("*",), ("Microsoft.ContainerRegistry/registries/importImage/*",)), False),
        (Permission(("*",), ("Microsoft.Authorization/*/Write",)), True),
        (Permission(()), False),
    ],
)
def test_a_permission_allows_what_its_patterns_do(permission: Permission, allows: bool) -> None:
    assert permission.allows(IMPORT_ACTION) == allows


Answer = Callable[[str], Any]


def asked(monkeypatch: pytest.MonkeyPatch, answer: Answer) -> list[str]:
    urls: list[str] = []

    def send(_cli: Any, method: str, url: str) -> Any:
        assert method == "GET"
        urls.append(url)
        return SimpleNamespace(json=lambda: answer(url))

    monkeypatch.setattr("azure.cli.core.util.send_raw_request", send)
    return urls


def test_the_right_to_import_may_come_from_any_assignment_on_any_page(monkeypatch: pytest.MonkeyPatch) -> None:
    pages = {
        "first": {"value": [{"actions": ["*/read"], "notActions": []}], "nextLink": "second"},
        "second": {"value": [{"actions": [IMPORT_ACTION]}]},
    }
    urls = asked(monkeypatch, lambda url: pages[url if url in pages else "first"])

    found = import_right(None, azure(), Assignee("me"))

    assert (found.status, found.advice) == (Status.OK, "")
    assert urls == [f"{ID}/providers/Microsoft.Authorization/permissions?api-version=2022-04-01", "second"]


def test_without_the_right_to_import_the_role_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    asked(monkeypatch, lambda url: {"value": [{"actions": ["*/read"], "notActions": None}]})

    found = import_right(None, azure(), Assignee("me@contoso.com"))

    assert (found.status, found.blocks) == (Status.FAILED, SERVICE)
    assert found.advice == (
        f'az role assignment create --assignee me@contoso.com --role "{rights.IMPORTER}" --scope {ID}'
    )


@pytest.mark.parametrize("problem", [CLIError("Forbidden"), OSError("no way"), ValueError("no JSON")])
def test_permissions_that_cannot_be_read_leave_the_right_open(
    monkeypatch: pytest.MonkeyPatch, problem: Exception
) -> None:
    def refuse(url: str) -> Any:
        raise problem

    asked(monkeypatch, refuse)

    assert import_right(None, azure(), Assignee("me")).status is Status.UNKNOWN


@pytest.mark.parametrize("answer", [None, [], {}, {"value": [None]}, {"value": None}])
def test_permissions_of_another_shape_leave_the_right_open(monkeypatch: pytest.MonkeyPatch, answer: Any) -> None:
    asked(monkeypatch, lambda url: answer)

    assert import_right(None, azure(), Assignee("me")).status is Status.UNKNOWN


def shown(side: Side, registry: AzureRegistry | None, **facts: Any) -> list[tuple[str, str, str]]:
    known = registry.facts() if registry else NetworkFacts("prodreg", in_arm=False, **facts)
    found = shown_by_azure(side, Endpoint("prodreg.azurecr.io", registry, known), Assignee(""), leaves=True)
    return [(finding.check, finding.status.value, finding.detail) for finding in found]


def test_an_open_registry_is_fine() -> None:
    assert [(check, status) for check, status, _ in shown(Side.SOURCE, azure())] == [
        ("resource manager", "ok"),
        ("network settings", "ok"),
        ("export policy", "ok"),
    ]


@pytest.mark.parametrize(
    ("bypass", "status", "says"),
    [("AzureServices", "ok", "the service gets past that"), ("None", "warning", "the service cannot reach it")],
)
def test_a_closed_registry_is_told_with_what_the_service_can_do(bypass: str, status: str, says: str) -> None:
    closed = azure(public_network_access="Disabled", bypass=bypass)

    _, (check, found, detail), _ = shown(Side.TARGET, closed)

    assert (check, found) == ("network settings", status)
    assert "publicNetworkAccess is Disabled" in detail
    assert says in detail


def test_images_that_are_not_to_leave_are_told_of() -> None:
    assert shown(Side.SOURCE, azure(export_policy="disabled"))[-1] == (
        "export policy",
        "failed",
        "exportPolicy is disabled, its images are not to leave it",
    )


def test_a_registry_that_is_not_shown_is_a_warning() -> None:
    ((check, status, _),) = shown(Side.TARGET, None)

    assert (check, status) == ("resource manager", "warning")


def test_a_registry_outside_azure_is_told_of_where_it_is_private() -> None:
    assert shown(Side.SOURCE, None, is_acr=False) == []
    assert [check for check, _, _ in shown(Side.SOURCE, None, is_acr=False, is_private_host=True)] == ["address"]


@pytest.mark.parametrize(
    ("source", "registry", "expected"),
    [
        (None, None, None),
        (None, "prodreg", ("acrx-check", "prodreg", False)),
        ("docker.io", None, ("docker.io/acrx-check", None, False)),
        ("docker.io/", None, ("docker.io/acrx-check", None, False)),
        ("registry.corp:5000", None, ("registry.corp:5000/acrx-check", None, False)),
        ("localhost:5000", None, ("localhost:5000/acrx-check", None, False)),
        ("docker.io/app:v1", None, ("docker.io/app:v1", None, True)),
        ("localhost:5000/app", None, ("localhost:5000/app", None, True)),
        ("app:v1", "prodreg", ("app:v1", "prodreg", True)),
    ],
)
def test_a_source_is_an_image_or_a_registry(source: str | None, registry: str | None, expected: Any) -> None:
    given, has_image = command._named(source, registry, has_credentials=False)

    assert (given and (given.source, given.registry, has_image)) == expected


@pytest.mark.parametrize("source", ["app", "app:v1", "my.app:v1", "Docker.io/App:v1", "/app", "app@sha256:12"])
def test_a_source_that_is_neither_is_an_error(source: str) -> None:
    with pytest.raises(InvalidRequest, match="--source"):
        command._named(source, None, has_credentials=False)


def test_what_takes_too_long_is_left_behind() -> None:
    never = threading.Event()
    try:
        found = side_by_side([lambda: [FINE], lambda: [NO_PUSH] if never.wait() else []], 0.2)
    finally:
        never.set()

    assert found == [[FINE], None]


def test_a_defect_is_not_hidden() -> None:
    def defect() -> list[Finding]:
        raise RuntimeError("a defect")

    with pytest.raises(RuntimeError, match="a defect"):
        side_by_side([defect, lambda: [FINE]], 5)


class Cli:
    """As much of the core as raises events."""

    def __init__(self) -> None:
        self.handlers: dict[str, list[Any]] = defaultdict(list)

    def register_event(self, name: str, handler: Any) -> None:
        self.handlers[name].append(handler)

    def unregister_event(self, name: str, handler: Any) -> None:
        self.handlers[name].remove(handler)

    def raise_event(self, name: str, **event: Any) -> None:
        for handler in list(self.handlers[name]):
            handler(self, **event)


def test_the_exit_code_comes_after_the_output_and_once() -> None:
    cli = Cli()

    exit_after_output(cli, 1)
    with pytest.raises(SystemExit) as raised:
        cli.raise_event(EVENT_CLI_SUCCESSFUL_EXECUTE, result=None)
    cli.raise_event(EVENT_CLI_POST_EXECUTE)

    assert raised.value.code == 1
    cli.raise_event(EVENT_CLI_SUCCESSFUL_EXECUTE, result=None)
