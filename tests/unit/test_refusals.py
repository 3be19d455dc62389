# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""The service's refusals: the texts that users have posted, word for word, and what they mean."""

from __future__ import annotations

import pytest

from azext_acrimport.refusals import Kind, classify

RESOURCE = (
    "Operation registries-5f1ad6f5-9c3f-11ea-8a39-0a580af4012e failed. Resource /subscriptions/s/resourceGroups/rg"
    "/providers/Microsoft.ContainerRegistry/registries/prodreg "
)
CLIENT = (
    "The client 'me' with object id '0' has permission to perform action 'Microsoft.ContainerRegistry/registries/"
    "importImage/action' on scope '/subscriptions/s/target'; however, "
)
E1 = (
    RESOURCE + 'Invalid message Forbidden Forbidden {"errors":[{"code":"DENIED","message":"client with IP '
    "'20.1.2.3' is not allowed access. Refer https://aka.ms/acr/firewall to grant access.\"}]}"
)
E2 = (
    RESOURCE + 'Invalid message Forbidden Forbidden {"errors":[{"code":"DENIED","message":"requested access to the '
    'resource is denied"}]}'
)
E4 = (
    RESOURCE + 'Invalid message Unauthorized Unauthorized {"errors":[{"code":"UNAUTHORIZED","message":"authentication '
    'required","detail":[{"Type":"repository","Class":"","Name":"app","Action":"pull"}]}]}'
)
E5 = (
    RESOURCE + 'Invalid message Unauthorized Unauthorized {"errors":[{"code":"UNAUTHORIZED","message":"Access to the '
    'requested resource is not authorized"}]}'
)
E6 = CLIENT + "it does not have permission to perform action 'read' on the linked scope(s) '/subscriptions/s/source'."
E6_TENANT = CLIENT + "the current tenant '1' is not authorized to access linked subscription '2'."
E9 = (
    RESOURCE + "An error occurred when getting manifest. StatusCode: 429, Reason: Too Many Requests, Details: "
    '{"errors":[{"code":"TOOMANYREQUESTS","message":"You have reached your unauthenticated pull rate limit. '
    'https://www.docker.com/increase-rate-limit"}]}'
)
E11 = RESOURCE + 'No value specified for Docker-Content-Digest OK OK {"schemaVersion":2}'
NO_RIGHT = (
    "AuthorizationFailed: The client 'me' with object id '0' does not have authorization to perform action "
    "'Microsoft.ContainerRegistry/registries/importImage/action' over scope '/subscriptions/s' or the scope is invalid."
)
NOT_RANGED = RESOURCE + "The remote server may not be RFC 7233 compliant"


@pytest.mark.parametrize(
    ("text", "kind", "side", "curable"),
    [
        (E1, Kind.NETWORK, "source", True),
        (E2, Kind.NETWORK, "source", True),
        (RESOURCE + "Access to prodreg.azurecr.io denied.", Kind.NETWORK, "target", True),  # E3
        (RESOURCE + "Access to srcreg.azurecr.io denied.", Kind.NETWORK, "source", True),
        (RESOURCE + "Access to other.azurecr.io denied.", Kind.NETWORK, "", True),
        (E4, Kind.CREDENTIALS, "source", False),
        (E5, Kind.CREDENTIALS, "source", False),
        (E6, Kind.SOURCE_RIGHTS, "source", True),
        ("LinkedAuthorizationFailed: " + E6_TENANT, Kind.SOURCE_RIGHTS, "source", True),
        (RESOURCE + "Error copying blobs", Kind.OPAQUE, "", True),  # E8
        (E9, Kind.THROTTLED, "source", True),
        (
            RESOURCE + "Invalid message 429 Too Many Requests Too Many Requests (HAP429).",  # E10
            Kind.THROTTLED,
            "target",
            True,
        ),
        (E11, Kind.SOURCE_PROTOCOL, "source", True),
        (RESOURCE + "Unable to find manifest digest  Repo: a Tag: b Manifest:", Kind.SOURCE_PROTOCOL, "source", True),
        (
            "Invalid value docker.io:443 for property parameters.Source.RegistryUri",  # E13
            Kind.SOURCE_PROTOCOL,
            "source",
            True,
        ),
        (NOT_RANGED, Kind.SOURCE_PROTOCOL, "source", True),  # E14
        (RESOURCE + "Unexpected response status code", Kind.SOURCE_PROTOCOL, "source", True),
        (RESOURCE + "Unexpected length of body in response", Kind.SOURCE_PROTOCOL, "source", True),
        (NO_RIGHT, Kind.RIGHTS, "target", True),
        (RESOURCE + "The image has 60 manifests, the maximum is 50.", Kind.TOO_MANY_MANIFESTS, "source", True),
        (RESOURCE + "Number of manifests exceeds the limit.", Kind.TOO_MANY_MANIFESTS, "source", True),
        (RESOURCE + "No such host is known. (registry.corp:443)", Kind.UNREACHABLE, "source", True),
        (
            RESOURCE + "A connection attempt failed because the connected party did not properly respond after a "
            "period of time",
            Kind.UNREACHABLE,
            "source",
            True,
        ),
        (RESOURCE + "manifest unknown: manifest sha256:0 is not found", Kind.NOT_FOUND, "source", False),
        (RESOURCE + '{"errors":[{"code":"NAME_UNKNOWN"}]}', Kind.NOT_FOUND, "source", False),
        (RESOURCE + "Tag app:v1 already exists in target registry.", Kind.TAG_EXISTS, "target", False),
        (RESOURCE + "The export policy of registry x is disabled.", Kind.EXPORT_POLICY, "source", False),
        (RESOURCE + "The operation is disallowed on this registry", Kind.LOCKED, "target", False),
        (RESOURCE + "Something new.", Kind.UNKNOWN, "", False),
    ],
)
def test_a_text_of_the_service_is_understood(text: str, kind: Kind, side: str, curable: bool) -> None:
    found = classify(text, status=400, target_host="prodreg.azurecr.io", source_host="srcreg.azurecr.io")

    assert (found.kind, found.side, found.curable) == (kind, side, curable)


@pytest.mark.parametrize(
    ("status", "kind", "curable"),
    [
        (404, Kind.NOT_FOUND, False),
        (409, Kind.TAG_EXISTS, False),
        (429, Kind.THROTTLED, True),
        (500, Kind.UNKNOWN, False),
        (None, Kind.UNKNOWN, False),
    ],
)
def test_without_a_known_text_the_status_decides(status: int | None, kind: Kind, curable: bool) -> None:
    found = classify("Whatever it says.", status=status)

    assert (found.kind, found.curable) == (kind, curable)


def test_a_conflict_is_an_existing_tag_whatever_it_says() -> None:
    assert classify("Conflict: manifest unknown", status=409).kind is Kind.TAG_EXISTS


def test_the_name_of_an_operation_is_not_taken_for_a_number_of_manifests() -> None:
    text = "Operation registries-50 failed. Resource r The manifests are gone."

    assert classify(text).kind is Kind.UNKNOWN
