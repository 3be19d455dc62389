# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""What a look at a registry finds, on the wire: the step that fails is named, and nothing is changed."""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from knack.util import CLIError

from azext_acrimport.check.findings import BOTH, HERE, Finding, Status
from azext_acrimport.check.probe import Place, gave_no_answer, look_at_source, look_at_target
from azext_acrimport.explain import Surroundings
from azext_acrimport.plan import Route
from azext_acrimport.registry.credentials import EntraIdentity, Password
from azext_acrimport.transfer.errors import Side
from emulator import content
from emulator.auth import BasicAuth, BearerAuth, TokenService
from emulator.faults import Answer, CutResponse, Fault, Reset, registry_error
from emulator.http import Response
from emulator.registry import BlobStorageApp
from tests.support.lab import SOURCE, TARGET, Lab, transport

IMAGE = content.multi_arch("probe")
FIREWALL = "client with IP '203.0.113.7' is not allowed access. Refer https://aka.ms/acr/firewall to grant access."


@pytest.fixture(autouse=True)
def _only_looks(lab: Lab) -> Iterator[None]:
    yield
    assert {entry.method for entry in lab.server.log} <= {"GET", "HEAD"}


def source(lab: Lab, **changes: Any) -> Place:
    place = Place(Side.SOURCE, lab.source, Surroundings(), "as somebody", is_acr=False, repository=SOURCE)
    return replace(place, identifier="v1", **changes) if "identifier" not in changes else replace(place, **changes)


def target(lab: Lab, **changes: Any) -> Place:
    place = Place(Side.TARGET, lab.target, Surroundings(), "as somebody", repository=TARGET)
    return replace(place, assign="az role assignment create --role {}".format, **changes)


def told(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(finding.check, finding.status.value) for finding in findings]


def test_an_image_that_can_be_read(lab: Lab) -> None:
    lab.put(IMAGE)

    found = look_at_source(source(lab))

    assert told(found) == [("connection", "ok"), ("sign-in", "ok"), ("image", "ok"), ("blobs", "ok")]
    assert IMAGE.digest in found[2].detail
    (read,) = lab.asked(lab.source_host, "GET", "/blobs/")
    assert (read.status, read.headers["Range"]) == (206, "bytes=0-0")


def test_a_registry_that_serves_no_ranges_is_not_read_to_the_end(lab: Lab) -> None:
    lab.put(content.image(layers=(5_000_000,)))
    lab.behave(lab.source_app, ranges=False)

    assert told(look_at_source(source(lab)))[-1] == ("blobs", "ok")


def test_a_registry_alone_is_only_knocked_at(lab: Lab) -> None:
    found = look_at_source(source(lab, identifier=None))

    assert told(found) == [("connection", "ok"), ("pull", "unknown")]
    assert [entry.path for entry in lab.asked(lab.source_host)] == ["/v2/"]


def no_such_image(lab: Lab) -> None:
    lab.source_app.store.repository(SOURCE).delete_tag("v1")


def wants_credentials(lab: Lab) -> None:
    lab.source_app.authorise = BasicAuth({"user": "secret"})


def has_a_firewall(lab: Lab) -> None:
    lab.server.faults.add(Fault(registry_error(403, "DENIED", FIREWALL), host=lab.source_host, times=None))


def is_throttled(lab: Lab) -> None:
    lab.server.faults.add(Fault(registry_error(429, "TOOMANYREQUESTS"), host=lab.source_host, times=None))


def is_broken(lab: Lab) -> None:
    lab.server.faults.add(Fault(Answer(500), host=lab.source_host, times=None))


def resets(lab: Lab) -> None:
    lab.server.faults.add(Fault(Reset(), host=lab.source_host, times=None))


@pytest.mark.parametrize(
    ("trouble", "check", "blocks", "advice"),
    [
        (no_such_image, "image", BOTH, "Check the name and the tag"),
        (wants_credentials, "pull", BOTH, "--username and --password"),
        (has_a_firewall, "firewall", HERE, ""),
        (is_throttled, "rate limit", HERE, "Wait"),
        (is_broken, "connection", HERE, ""),
        (resets, "connection", HERE, "again"),
    ],
)
def test_what_stands_in_the_way_at_the_source(
    lab: Lab, trouble: Callable[[Lab], None], check: str, blocks: frozenset[Route], advice: str
) -> None:
    lab.put(IMAGE)
    trouble(lab)

    last = look_at_source(source(lab))[-1]

    assert (last.check, last.status, last.blocks) == (check, Status.FAILED, blocks)
    assert advice in last.advice


def test_the_address_that_a_firewall_saw_is_told(lab: Lab) -> None:
    has_a_firewall(lab)

    found = look_at_source(source(lab))

    assert told(found) == [("connection", "ok"), ("firewall", "failed")]
    assert "203.0.113.7" in found[-1].detail


def test_credentials_that_only_this_machine_has_say_nothing_of_the_service(lab: Lab) -> None:
    lab.put(IMAGE)
    wants_credentials(lab)
    lab.source_credentials = Password("user", "wrong")

    (*_, ours) = look_at_source(source(lab, service_has_them=False))
    (*_, given) = look_at_source(source(lab))

    assert (ours.check, ours.blocks) == ("pull", HERE)
    assert (given.check, given.blocks) == ("pull", BOTH)


def test_credentials_that_the_token_service_refuses(lab: Lab) -> None:
    tokens = TokenService({"user": "secret"}, clock=lab.clock.now)
    lab.source_app.authorise = BearerAuth(tokens, realm=f"http://{lab.server.serve_plain(tokens)}/token", service="x")
    lab.source_credentials = Password("user", "wrong")

    found = look_at_source(source(lab))

    assert told(found) == [("connection", "ok"), ("sign-in", "failed")]
    assert "wrong" not in str(found)


@pytest.mark.parametrize(
    ("problem", "advice"), [(CLIError("expired"), "az login"), (OSError("refused"), "login.microsoftonline.com")]
)
def test_an_identity_that_gets_no_token(lab: Lab, problem: Exception, advice: str) -> None:
    def get_token(audience: str) -> Any:
        raise problem

    challenge = f'Bearer realm="http://{lab.target_host}/oauth2/token",service="{lab.target_host}"'
    lab.server.faults.add(Fault(Answer(401, {"WWW-Authenticate": challenge}), host=lab.target_host, times=None))
    lab.target_credentials = EntraIdentity(get_token)

    found = look_at_target(target(lab))

    assert told(found) == [("connection", "ok"), ("sign-in", "failed")]
    assert str(problem) in found[-1].detail
    assert advice in found[-1].advice


def test_blobs_behind_a_firewall(lab: Lab) -> None:
    """The image's manifest can be read, its blobs are elsewhere: the trap behind firewalls."""
    lab.put(IMAGE)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        elsewhere = f"127.0.0.1:{closed.getsockname()[1]}"
        lab.behave(lab.source_app, redirect_blobs_to=f"http://{elsewhere}")
        found = look_at_source(source(lab))

    assert told(found) == [("connection", "ok"), ("sign-in", "ok"), ("image", "ok"), ("blobs", "failed")]
    assert elsewhere in found[-1].detail
    assert found[-1].blocks == HERE


def test_blobs_that_break_off(lab: Lab) -> None:
    lab.put(IMAGE)
    lab.server.faults.add(Fault(CutResponse(), host=lab.source_host, path="/blobs/", times=None))

    assert told(look_at_source(source(lab)))[-1] == ("blobs", "failed")


def test_blobs_that_come_by_a_redirect(lab: Lab) -> None:
    lab.put(IMAGE)
    storage = lab.server.serve_plain(BlobStorageApp(lab.source_app.store))
    lab.behave(lab.source_app, redirect_blobs_to=f"http://{storage}")

    assert told(look_at_source(source(lab)))[-1] == ("blobs", "ok")


def test_blobs_that_their_storage_refuses_name_the_data_endpoint(lab: Lab) -> None:
    lab.put(IMAGE)
    storage = lab.server.serve_plain(lambda request: Response(403, {}, b""))
    lab.behave(lab.source_app, redirect_blobs_to=f"http://{storage}")
    here = replace(source(lab), around=Surroundings(acr_suffix=f".0.0.1:{lab.source_host.rpartition(':')[2]}"))

    last = look_at_source(here)[-1]

    assert storage in last.detail
    assert "az acr update -n 127 --data-endpoint-enabled true" in last.advice


def test_a_closed_port_a_wrong_name_and_a_certificate_are_told_apart(lab: Lab) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        hosts = {
            f"127.0.0.1:{port}": "connection",
            "nowhere.example": "name",
            lab.server.serve_tls(lab.source_app): "tls",
        }
        found = {
            check: look_at_source(replace(source(lab), registry=lab.registry(host))) for host, check in hosts.items()
        }

    for check, findings in found.items():
        assert told(findings) == [(check, "failed")]
        assert findings[0].advice
        assert findings[0].blocks == HERE


def test_a_proxy_that_is_not_there_is_named(lab: Lab) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        proxy = f"127.0.0.1:{closed.getsockname()[1]}"
        lab.transport = transport(proxies={"https": f"http://{proxy}"})
        (found,) = look_at_source(replace(source(lab), registry=lab.registry("registry.example")))

    assert (found.check, found.status) == ("proxy", Status.FAILED)
    assert proxy in found.detail
    assert "NO_PROXY" in found.advice


def test_a_black_hole_ends_in_time(lab: Lab) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        lab.transport = transport(timeout_seconds=0.2)
        place = replace(source(lab), registry=lab.registry(f"127.0.0.1:{silent.getsockname()[1]}"))
        (found,) = look_at_source(place)

    assert (found.check, found.status) == ("connection", Status.FAILED)
    assert "no answer in time" in found.detail


def test_a_side_that_was_given_up_counts_as_not_reached(lab: Lab) -> None:
    (found,) = gave_no_answer(target(lab), 30)

    assert (found.check, found.status, found.blocks) == ("connection", Status.FAILED, HERE)
    assert "no answer within 30 seconds" in found.detail
    assert "firewall" in found.advice


def test_a_target_that_does_not_tell(lab: Lab) -> None:
    found = look_at_target(target(lab))

    assert told(found) == [("connection", "ok"), ("sign-in", "ok"), ("pull", "unknown"), ("push", "unknown")]
    assert lab.target_app.store.names() == []


@pytest.mark.parametrize(
    ("granted", "pull", "push"),
    [(["pull", "push"], "ok", "ok"), (["pull"], "ok", "failed"), ([], "failed", "failed"), (["push"], "failed", "ok")],
)
def test_a_token_tells_what_it_was_granted(lab: Lab, granted: list[str], pull: str, push: str) -> None:
    claims = json.dumps({"access": [{"type": "repository", "name": TARGET, "actions": granted}]}).encode()
    token = f"e30.{base64.urlsafe_b64encode(claims).decode().rstrip('=')}.c2ln"
    realm = lab.server.serve_plain(lambda request: Response.json(200, {"token": token}))

    def authorise(request: Any, needed: Any) -> Response | None:
        if "pull" in granted and "Authorization" in request.headers:
            return None
        return Response(401, {"WWW-Authenticate": f'Bearer realm="http://{realm}/token",service="x"'}, b"")

    lab.target_app.authorise = authorise

    found = look_at_target(target(lab))

    assert told(found) == [("connection", "ok"), ("sign-in", "ok"), ("pull", pull), ("push", push)]
    needed = [f"az role assignment create --role {role}" for role in ("AcrPull", "AcrPush")]
    assert [each.advice for each in found[2:]] == [
        advice if each.status is Status.FAILED else "" for each, advice in zip(found[2:], needed, strict=True)
    ]
    (asked,) = lab.asked(realm)
    assert asked.arg("scope") == f"repository:{TARGET}:pull,push"
    assert lab.target_app.store.names() == []
