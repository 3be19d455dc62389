# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""What a user is told of a failure: the CLI's class of error, the side, and the next command to type."""

from __future__ import annotations

from dataclasses import replace

import pytest
from azure.cli.core import azclierror
from knack.util import CLIError

from azext_acrimport._errors import cli_errors, shown_as
from azext_acrimport.explain import Surroundings
from azext_acrimport.fallback import ServiceFailure
from azext_acrimport.identity.failure import IdentityFailure
from azext_acrimport.importing import ImportRefused
from azext_acrimport.oci.errors import InvalidManifest, InvalidReference, UnknownPlatform, UnsupportedManifest
from azext_acrimport.plan import Obstacle, RouteRefused
from azext_acrimport.refusals import classify
from azext_acrimport.registry.errors import (
    ConnectionFailed,
    ContentMismatch,
    NoToken,
    OutOfTime,
    ProtocolError,
    Reason,
    RegistryError,
)
from azext_acrimport.request import InvalidRequest
from azext_acrimport.resolve import RegistryMissing
from azext_acrimport.transfer.errors import CopyCancelled, CopyError, ReferrerTagExists, Side, TagExists

AROUND = Surroundings(".azurecr.io", (), "sub-1")
AS_MANAGED = Surroundings(".azurecr.io", (), "", credentials_given=True, identity="managed")
ACR, HUB = "prodreg.azurecr.io", "docker.io"
FIREWALL = "client with IP '20.1.2.3' is not allowed access. Refer https://aka.ms/acr/firewall to grant access."


def shown(ex: Exception, around: Surroundings = AROUND) -> tuple[str, str, str]:
    """The class, the message and the advice that an exception becomes."""
    with pytest.raises(azclierror.AzCLIError) as raised, cli_errors(lambda: around):
        raise ex
    assert raised.value.__cause__ is ex
    return type(raised.value).__name__, raised.value.error_msg, "\n".join(raised.value.recommendations)


def copy_error(side: Side, cause: Exception, host: str = ACR, subject: str = "v1") -> CopyError:
    error = CopyError(side, host, "team/app", subject)
    error.__cause__ = cause
    return error


def refusal(status: int, message: str = "", host: str = ACR) -> RegistryError:
    return RegistryError(host, f"GET https://{host}/v2/team/app/manifests/v1", status, codes=("CODE",), message=message)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "BadRequestError"),
        (401, "UnauthorizedError"),
        (403, "ForbiddenError"),
        (404, "ResourceNotFoundError"),
        (405, "ForbiddenError"),
        (413, "AzureResponseError"),
        (429, "AzureResponseError"),
        (500, "AzureInternalError"),
        (503, "AzureInternalError"),
    ],
)
@pytest.mark.parametrize("side", list(Side))
def test_a_refusal_names_its_side_and_keeps_the_registrys_words(side: Side, status: int, kind: str) -> None:
    found, message, _ = shown(copy_error(side, refusal(status, "the registry's words")))

    assert found == kind
    assert f"{side.value} {ACR}/team/app:v1: " in message
    assert "the registry's words" in message


def test_a_firewall_is_answered_with_the_commands_that_open_it() -> None:
    kind, message, advice = shown(copy_error(Side.TARGET, refusal(403, FIREWALL)))

    assert kind == "ForbiddenError"
    assert "client with IP '20.1.2.3'" in message
    assert "az acr network-rule add -n prodreg --ip-address 20.1.2.3" in advice
    assert "private endpoint" in advice
    assert "az acr update -n prodreg --allow-trusted-services true" in advice


def test_no_word_of_a_registry_becomes_part_of_a_command() -> None:
    _, _, advice = shown(copy_error(Side.TARGET, refusal(403, FIREWALL.replace("20.1.2.3", "1; reboot"))))

    assert "reboot" not in advice


@pytest.mark.parametrize(
    ("side", "host", "around", "expected"),
    [
        (Side.TARGET, ACR, AROUND, "AcrPush on prodreg"),
        (Side.SOURCE, ACR, AROUND, "AcrPull on prodreg"),
        (Side.SOURCE, HUB, AROUND, "docker login docker.io"),
        (Side.SOURCE, ACR, Surroundings(".azurecr.io", (), "", credentials_given=True), "Check the source's cred"),
        (Side.TARGET, ACR, Surroundings(".azurecr.io", (), "", credentials_given=True), "AcrPush on prodreg"),
        (Side.SOURCE, ACR, AS_MANAGED, "The identity of --source-identity managed needs AcrPull on prodreg"),
        (Side.TARGET, ACR, AS_MANAGED, "The signed-in identity (az account show) needs AcrPush on prodreg"),
    ],
)
@pytest.mark.parametrize("status", [401, 403])
def test_a_missing_right_is_named(side: Side, host: str, around: Surroundings, expected: str, status: int) -> None:
    assert expected in shown(copy_error(side, refusal(status, host=host), host), around)[2]


def test_a_missing_image_is_answered_with_how_to_list_what_there_is() -> None:
    _, _, advice = shown(copy_error(Side.SOURCE, refusal(404)))
    assert advice == "See what there is: az acr repository show-tags -n prodreg --repository team/app"

    assert "docker.io/team/app" in shown(copy_error(Side.SOURCE, refusal(404, host=HUB), HUB))[2]


@pytest.mark.parametrize(
    ("subject", "option"), [("v1", "--image team/app:v1"), ("", "--repository team/app"), ("sha256:0", "--repository")]
)
def test_a_lock_is_answered_with_how_to_unlock_it(subject: str, option: str) -> None:
    advice = shown(copy_error(Side.TARGET, refusal(405), subject=subject))[2]

    assert f"az acr repository update -n prodreg {option}" in advice
    assert "--write-enabled true" in advice


def test_a_rate_limit_is_answered_by_side() -> None:
    assert "--username" in shown(copy_error(Side.SOURCE, refusal(429, host=HUB), HUB))[2]
    assert "not copied twice" in shown(copy_error(Side.TARGET, refusal(429)))[2]


@pytest.mark.parametrize("reason", list(Reason))
def test_a_registry_that_is_not_reached_has_advice_for_each_reason(reason: Reason) -> None:
    cause = ConnectionFailed(HUB, "registry-1.docker.io", reason, "it did not work")

    kind, message, advice = shown(copy_error(Side.SOURCE, cause, HUB))

    assert kind == "AzureConnectionError"
    assert message == "Cannot reach source docker.io/team/app:v1: registry-1.docker.io: it did not work"
    assert advice


@pytest.mark.parametrize("reason", [Reason.DNS, Reason.PROXY])
def test_an_unknown_registry_is_told_from_one_that_is_down(reason: Reason) -> None:
    cause = ConnectionFailed(ACR, ACR, reason, "no such name")
    around = Surroundings(".azurecr.io", (ACR,), "sub-1")

    kind, message, advice = shown(copy_error(Side.TARGET, cause), around)

    assert kind == "ResourceNotFoundError"
    assert "Cannot find target registry prodreg" in message
    assert "subscription sub-1" in message
    assert "AcrPush alone" in advice
    assert "az acr list" in advice


def test_an_identity_that_is_not_let_in_is_told_that_resource_manager_is_silent_too() -> None:
    around = Surroundings(".azurecr.io", (ACR,), "sub-1")

    kind, message, advice = shown(copy_error(Side.SOURCE, refusal(401)), around)

    assert kind == "UnauthorizedError"
    assert "Azure Resource Manager does not show it" in message
    assert "another tenant" in advice


def test_wrong_credentials_are_not_taken_for_an_unknown_registry() -> None:
    around = Surroundings(".azurecr.io", (ACR,), "sub-1", credentials_given=True)

    _, message, advice = shown(copy_error(Side.SOURCE, refusal(401)), around)

    assert "Azure Resource Manager" not in message
    assert "--password" in advice


def test_a_firewall_of_an_unread_registry_is_a_firewall() -> None:
    around = Surroundings(".azurecr.io", (ACR,), "sub-1")

    assert "network-rule" in shown(copy_error(Side.TARGET, refusal(403, FIREWALL)), around)[2]


@pytest.mark.parametrize(
    ("cause", "kind"),
    [
        (UnsupportedManifest("the image is stored as Docker schema 1"), "ValidationError"),
        (UnknownPlatform("there is no image for linux/s390x; there is linux/amd64"), "InvalidArgumentValueError"),
        (InvalidManifest("the manifest has 5000000 bytes, over the limit of 4194304"), "ValidationError"),
        (ContentMismatch(ACR, "expected sha256:a, received sha256:b"), "AzureResponseError"),
        (ProtocolError(ACR, "no Location"), "AzureResponseError"),
    ],
)
def test_an_image_that_cannot_be_copied_says_why(cause: Exception, kind: str) -> None:
    found, message, _ = shown(copy_error(Side.SOURCE, cause))

    assert found == kind
    assert message == f"Cannot import from source {ACR}/team/app:v1: {cause}"


@pytest.mark.parametrize("side", Side)
def test_a_run_out_of_time_says_who_was_waited_for_and_that_it_can_go_on(side: Side) -> None:
    kind, message, advice = shown(copy_error(side, OutOfTime(ACR)))

    assert kind == "AzureResponseError"
    assert "--timeout" in message
    assert message.endswith(f"waiting for {side.value} {ACR}/team/app:v1.")
    assert "Run the command again to go on from here" in advice


def test_a_digest_is_joined_as_one_writes_it() -> None:
    assert f"{ACR}/team/app@sha256:0: " in shown(copy_error(Side.SOURCE, refusal(500), subject="sha256:0"))[1]


def test_an_existing_tag_names_both_digests() -> None:
    kind, message, advice = shown(TagExists(ACR, "app", "v1", "sha256:a", "sha256:b"))

    assert kind == "BadRequestError"
    assert f"target {ACR}/app:v1 exists with digest sha256:a, the source has sha256:b" in message
    assert "--force" in advice


def test_an_existing_tag_of_a_signature_is_not_the_images() -> None:
    kind, message, advice = shown(ReferrerTagExists(ACR, "app", "sha256-aa.sig", "sha256:a", "sha256:b"))

    assert kind == "BadRequestError"
    assert message.startswith("The image was not tagged: ")
    assert f"{ACR}/app:sha256-aa.sig" in message
    assert "--force" in advice
    assert "--referrers" in advice


def test_a_copy_that_was_stopped_can_be_resumed() -> None:
    assert shown(CopyCancelled())[0] == "ManualInterrupt"


@pytest.mark.parametrize(
    ("ex", "message"),
    [
        (InvalidReference("'X' is not a repository name"), "'X' is not a repository name."),
        (InvalidRequest("--source 'x' names no registry"), "--source 'x' names no registry."),
        (InvalidRequest("the configured acrimport.via is 'x'"), "The configured acrimport.via is 'x'."),
    ],
)
def test_a_malformed_argument_is_the_arguments_fault(ex: Exception, message: str) -> None:
    assert shown(ex)[:2] == ("InvalidArgumentValueError", message)


@pytest.mark.parametrize(
    ("obstacle", "kind"),
    [
        (Obstacle.EXPORT_POLICY, "ForbiddenError"),
        (Obstacle.TARGET_NOT_IN_ARM, "ArgumentUsageError"),
        (Obstacle.LOCAL_OPTION, "ArgumentUsageError"),
    ],
)
def test_a_route_that_may_not_be_taken_is_refused_with_the_reason(obstacle: Obstacle, kind: str) -> None:
    found, message, advice = shown(RouteRefused(obstacle, "source srcreg: exportPolicy is disabled"))

    assert (found, message) == (kind, "No route: source srcreg: exportPolicy is disabled.")
    assert advice


def test_a_registry_that_is_missing_ends_with_the_exit_code_for_that() -> None:
    assert shown(RegistryMissing("Cannot find it.", ("Look.",))) == (
        "ResourceNotFoundError",
        "Cannot find it.",
        "Look.",
    )


def service_failure(text: str, status: int = 400, tags: tuple[str, ...] = ("app:v1",)) -> ServiceFailure:
    failure = ServiceFailure(classify(text, status=status, target_host=ACR), HUB, "library/app:v1", ACR, tags)
    failure.__cause__ = ImportRefused(status, "InvalidParameters", text)
    return failure


@pytest.mark.parametrize(
    ("text", "status", "kind", "side"),
    [
        (FIREWALL, 400, "ForbiddenError", "at source docker.io/library/app:v1"),
        (f"Access to {ACR} denied.", 400, "ForbiddenError", f"at target {ACR}"),
        ("No such host is known.", 400, "AzureConnectionError", "at source docker.io/library/app:v1"),
        ("AuthorizationFailed for importImage", 403, "ForbiddenError", f"at target {ACR}"),
        ("UNAUTHORIZED", 400, "UnauthorizedError", "at source docker.io/library/app:v1"),
        ("manifest unknown", 400, "ResourceNotFoundError", "at source docker.io/library/app:v1"),
        ("The export policy is disabled.", 400, "ForbiddenError", "at source docker.io/library/app:v1"),
        ("The operation is disallowed", 400, "ForbiddenError", f"at target {ACR}"),
        ("Something new.", 400, "BadRequestError", f"(source docker.io/library/app:v1 into target {ACR})"),
        ("Something new.", 418, "AzureResponseError", "(source docker.io"),
        ("Something new.", 500, "AzureInternalError", "(source docker.io"),
    ],
)
def test_the_services_refusal_names_the_side_that_is_to_blame(text: str, status: int, kind: str, side: str) -> None:
    found, message, _ = shown(service_failure(text, status))

    assert found == kind
    assert f"The import failed {side}" in message
    assert message.endswith(f"The service says: {text}")


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        (f"Access to {ACR} denied.", "az acr update -n prodreg --allow-trusted-services true"),
        ("Error copying blobs", "--via local"),
        ("UNAUTHORIZED", "--password"),
        ("manifest unknown", "--source"),
        ("The export policy is disabled.", "--via local"),
        ("The operation is disallowed", "az acr repository show -n prodreg"),
    ],
)
def test_the_services_refusal_comes_with_a_next_step(text: str, advice: str) -> None:
    assert advice in shown(service_failure(text))[2]


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        (("app:v1",), f"Nothing was imported: target {ACR}/app:v1 exists."),
        (("app:v1", "app:v2"), f"Nothing was imported: target {ACR}: one of app:v1, app:v2 exists."),
    ],
)
def test_an_existing_tag_is_the_same_error_on_both_routes(tags: tuple[str, ...], message: str) -> None:
    found = shown(service_failure("Tag app:v1 already exists in target registry.", 409, tags))

    assert found == ("BadRequestError", message, "Add --force to overwrite it, or choose another name with --image.")


def test_an_existing_tag_of_a_referrer_leaves_the_image_imported() -> None:
    failure = service_failure("Tag already exists in target registry.", 409, ("app:sha256-0.sig",))

    kind, message, advice = shown(replace(failure, is_referrer=True))

    assert kind == "BadRequestError"
    assert message == f"Not all that refers to the image was imported: target {ACR}: app:sha256-0.sig exists."
    assert "--force" in advice
    assert "--referrers" in advice


@pytest.mark.parametrize(
    ("why", "kind", "message", "advice"),
    [
        (
            azclierror.AuthenticationError("AADSTS700082: The token has expired.", recommendation="az logout"),
            "AuthenticationError",
            f"Cannot sign in to source {ACR}: AADSTS700082: The token has expired.",
            "az logout",
        ),
        (
            CLIError("Please sign in"),
            "AuthenticationError",
            f"Cannot sign in to source {ACR}: Please sign in.",
            "az login",
        ),
        (ConnectionError("reset"), "AuthenticationError", f"Cannot sign in to source {ACR}: reset.", "HTTPS_PROXY"),
        (
            IdentityFailure("No token.", ("Do so",), "UnclassifiedUserFault"),
            "UnclassifiedUserFault",
            "No token.",
            "Do so",
        ),
    ],
)
def test_an_identity_without_a_token_speaks_for_itself(why: Exception, kind: str, message: str, advice: str) -> None:
    cause = NoToken(ACR)
    cause.__cause__ = why

    found = shown(copy_error(Side.SOURCE, cause))

    assert found[:2] == (kind, message)
    assert advice in found[2]


def test_what_is_not_ours_passes_through() -> None:
    with pytest.raises(KeyError), cli_errors():
        raise KeyError("a bug")


@pytest.mark.parametrize(
    ("ex", "message", "advice"),
    [
        (azclierror.ValidationError("so not", recommendation="so"), "So not.", ("so",)),
        (CLIError("Please run az login"), "Please run az login.", ()),
        (TimeoutError(), "TimeoutError.", ()),
    ],
)
def test_what_is_not_ours_is_shown_in_its_own_words_in_a_list(
    ex: Exception, message: str, advice: tuple[str, ...]
) -> None:
    found = shown_as(ex, AROUND)

    assert (found.message, found.advice) == (message, advice)


def test_nothing_is_asked_of_the_surroundings_without_an_error() -> None:
    def around() -> Surroundings:
        raise AssertionError("asked")

    with cli_errors(around):
        pass
