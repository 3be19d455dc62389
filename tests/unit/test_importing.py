# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""The import operation, through the installed SDK down to the bytes on the wire, which a fake session answers."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping

import pytest

from azext_acrimport.arm import ResourceId
from azext_acrimport.importing import POLL_SECONDS, ImportRefused, import_image
from tests.support.sdk import Answer, Transport, Wire, registries_of

TARGET = ResourceId("/subscriptions/s/resourceGroups/rg/providers/x/registries/prodreg", "s", "rg", "prodreg")
POLL = "https://management.azure.com/subscriptions/s/operationResults/registries-1?api-version=1"
ACCEPTED = (202, {"Location": POLL, "Retry-After": "1"}, "null")
BODY = {"source": {"sourceImage": "app:v1", "registryUri": "docker.io"}, "mode": "NoForce"}


def run(*answers: Answer, no_wait: bool = False) -> tuple[Wire, Transport, list[Mapping[str, str]]]:
    wire = Wire(list(answers))
    transport = Transport(wire)
    states: list[Mapping[str, str]] = []
    import_image(
        registries_of(transport), TARGET, BODY, follow=states.append, no_wait=no_wait, stopped=threading.Event()
    )
    return wire, transport, states


def test_the_operation_is_followed_to_its_end() -> None:
    progress = {"app@sha256:a": "Succeeded", "app@sha256:b": "Pending", "status": "Accepted"}
    wire, transport, states = run(
        ACCEPTED, (202, {"Location": POLL, "Retry-After": "2"}, json.dumps(progress)), (200, {}, "")
    )

    first, *polls = wire.requests
    assert first.method == "POST"
    assert "/resourceGroups/rg/providers/Microsoft.ContainerRegistry/registries/prodreg/importImage" in str(first.url)
    assert json.loads(first.body or b"") == BODY
    assert [poll.url for poll in polls] == [POLL, POLL]
    assert states == [{"app@sha256:a": "Succeeded", "app@sha256:b": "Pending"}, {}]
    assert transport.slept == [2]


def test_without_retry_after_the_wait_is_ours() -> None:
    _, transport, _ = run((202, {"Location": POLL}, "null"), (202, {"Location": POLL}, ""), (200, {}, ""))

    assert transport.slept == [POLL_SECONDS]


def test_an_import_that_is_done_at_once_needs_no_poll() -> None:
    wire, _, _ = run((200, {}, ""))

    assert len(wire.requests) == 1


def test_no_wait_ends_with_the_acceptance() -> None:
    wire, _, states = run(ACCEPTED, no_wait=True)

    assert (len(wire.requests), states) == (1, [])


def test_a_refusal_of_the_request_keeps_the_services_words() -> None:
    text = {"error": {"code": "AuthorizationFailed", "message": "The client 'me' may not."}}

    with pytest.raises(ImportRefused) as refused:
        run((403, {}, json.dumps(text).replace("'", "\\u0027")))
    assert (refused.value.status, refused.value.code) == (403, "AuthorizationFailed")
    assert refused.value.message == "The client 'me' may not."


def test_a_failure_on_the_way_keeps_the_services_words() -> None:
    text = {"error": {"code": "InvalidParameters", "message": "Operation registries-1 failed. Error copying blobs"}}

    with pytest.raises(ImportRefused) as refused:
        run(ACCEPTED, (400, {}, json.dumps(text)))
    assert (refused.value.status, refused.value.code) == (400, "InvalidParameters")
    assert str(refused.value) == "Operation registries-1 failed. Error copying blobs"


def test_an_existing_tag_is_a_conflict() -> None:
    with pytest.raises(ImportRefused) as refused:
        run((409, {}, json.dumps({"error": {"code": "Conflict", "message": "app:v1 exists"}})))
    assert refused.value.status == 409


def test_a_failure_without_words_has_a_message_all_the_same() -> None:
    with pytest.raises(ImportRefused) as refused:
        run(ACCEPTED, (400, {"Content-Type": "text/html"}, "<html>"))
    assert refused.value.message


def test_what_the_service_quotes_of_a_registry_is_no_command() -> None:
    quoted = "the registry says:\r\n##vso[task.complete]\x1b[2J"

    with pytest.raises(ImportRefused) as refused:
        run((400, {}, json.dumps({"error": {"code": "InvalidParameters", "message": quoted}})))
    assert refused.value.message == "the registry says: # #vso[task.complete] [2J"
