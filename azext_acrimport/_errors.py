# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""The one boundary where our errors become the Azure CLI's, with a next step for the user."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from azext_acrimport.advice import firewall_advice, identity_advice, missing_advice
from azext_acrimport.expansion import NothingChosen
from azext_acrimport.explain import Shown, Surroundings, explain_copy_error
from azext_acrimport.fallback import ServiceFailure
from azext_acrimport.identity.failure import IdentityFailure
from azext_acrimport.importing import ImportRefused
from azext_acrimport.oci.errors import OciError
from azext_acrimport.plan import Obstacle, RouteRefused
from azext_acrimport.refusals import Kind
from azext_acrimport.registry.errors import NoToken
from azext_acrimport.request import InvalidRequest
from azext_acrimport.resolve import RegistryMissing
from azext_acrimport.transfer.errors import CopyCancelled, CopyError, ReferrerTagExists, TagExists


@contextmanager
def cli_errors(around: Callable[[], Surroundings] = Surroundings) -> Iterator[None]:
    """Raise what the CLI knows how to show, exit and count.

    ``around`` is asked only once there is an error: what it tells becomes known on the way.
    """
    try:
        yield
    except _OURS as ex:
        from azure.cli.core import azclierror

        shown = shown_as(ex, around())
        raise getattr(azclierror, shown.kind)(shown.message, recommendation=list(shown.advice)) from ex


def shown_as(ex: Exception, around: Surroundings) -> Shown:
    """How an error is shown, be it one of ours or one of the Azure CLI's and its SDK's."""
    for kind, explain in _EXPLANATIONS.items():
        if isinstance(ex, kind):
            return explain(ex, around)
    if isinstance(ex, _OURS):
        return Shown("InvalidArgumentValueError", _sentence(str(ex)))
    text = str(ex) or type(ex).__name__
    return Shown("UnclassifiedUserFault", _sentence(text), tuple(getattr(ex, "recommendations", ())))


def _copy_error(ex: CopyError, around: Surroundings) -> Shown:
    cause = ex.__cause__
    return _without_token(ex, cause) if isinstance(cause, NoToken) else explain_copy_error(ex, around)


def _without_token(ex: CopyError, cause: NoToken) -> Shown:
    """The identity's own words: who gives it its tokens knows best why there are none."""
    why = cause.__cause__
    if isinstance(why, IdentityFailure):
        return _identity_failure(why)
    advice = tuple(getattr(why, "recommendations", ()))
    if isinstance(why, OSError):
        advice = ("Check HTTPS_PROXY, and that this machine reaches login.microsoftonline.com",)
    message = f"Cannot sign in to {ex.side.value} {ex.registry}: {why}"
    return Shown("AuthenticationError", _sentence(message), advice or ("Sign in again: az login",))


def _identity_failure(ex: IdentityFailure, _: Surroundings | None = None) -> Shown:
    return Shown(ex.kind, ex.message, ex.advice)


def _tag_exists(text: str) -> Shown:
    advice = "Add --force to overwrite it, or choose another name with --image."
    return Shown("BadRequestError", f"Nothing was imported: {text}.", (advice,))


def _referrer_tag_exists(ex: ReferrerTagExists, _: Surroundings) -> Shown:
    advice = "Add --force to overwrite it, or leave --referrers out to import the image alone."
    return Shown("BadRequestError", f"The image was not tagged: {ex}.", (advice,))


def _route_refused(ex: RouteRefused, _: Surroundings) -> Shown:
    advice = {
        Obstacle.EXPORT_POLICY: (
            "An administrator has decided so. If you may copy from it all the same: add --via local",
        ),
        Obstacle.TARGET_NOT_IN_ARM: ("Leave --via out to copy from here, or have Reader assigned on the registry.",),
        Obstacle.LOCAL_OPTION: ("Leave one of them out.",),
    }[ex.obstacle]
    kind = "ForbiddenError" if ex.obstacle is Obstacle.EXPORT_POLICY else "ArgumentUsageError"
    return Shown(kind, f"No route: {ex.reason}.", advice)


def _service_failure(ex: ServiceFailure, around: Surroundings) -> Shown:
    refusal, said = ex.refusal, ex.__cause__
    if refusal.kind is Kind.TAG_EXISTS and ex.is_referrer:
        there = f"target {ex.target_host}: {' or '.join(ex.tags)} exists"
        advice = ("Add --force to overwrite it, or leave --referrers out: the image itself is there.",)
        return Shown("BadRequestError", f"Not all that refers to the image was imported: {there}.", advice)
    if refusal.kind is Kind.TAG_EXISTS:
        if len(ex.tags) == 1:
            return _tag_exists(f"target {ex.target_host}/{ex.tags[0]} exists")
        return _tag_exists(f"target {ex.target_host}: one of {', '.join(ex.tags)} exists")
    source = f"source {ex.source_host}/{ex.source_image}"
    side = {"source": source, "target": f"target {ex.target_host}"}.get(refusal.side)
    where = f" at {side}" if side else f" ({source} into target {ex.target_host})"
    meaning = f": {refusal.meaning}" if refusal.meaning else ""
    kind = _SERVICE_KINDS.get(refusal.kind) or _kind_of_status(said)
    return Shown(kind, f"The import failed{where}{meaning}. The service says: {said}", _service_advice(ex, around))


def _kind_of_status(said: BaseException | None) -> str:
    status = said.status if isinstance(said, ImportRefused) else None
    by_status = {400: "BadRequestError", 401: "UnauthorizedError", 403: "ForbiddenError", 404: "ResourceNotFoundError"}
    return by_status.get(status or 0, "AzureInternalError" if (status or 0) >= 500 else "AzureResponseError")


def _service_advice(ex: ServiceFailure, around: Surroundings) -> tuple[str, ...]:
    refusal = ex.refusal
    name = around.acr_name(ex.source_host if refusal.side == "source" else ex.target_host)
    if refusal.kind is Kind.NETWORK and name:
        return ("Copy from here instead: add --via local", *firewall_advice(name, "ADDRESS")[-1:])
    if refusal.kind is Kind.LOCKED and name:
        return (f"See: az acr repository show -n {name} --repository REPOSITORY",)
    if refusal.kind is Kind.EXPORT_POLICY:
        return ("An administrator has decided so. If you may copy from it all the same: add --via local",)
    if refusal.kind is Kind.CREDENTIALS:
        check = ("Check the repository's name, and the source's credentials (--username, --password).",)
        return identity_advice(around.identity, name or ex.source_host) if around.identity else check
    if refusal.kind is Kind.NOT_FOUND:
        return ("Check the name, and the tag or digest, in --source.",)
    return ("Copy from here instead: add --via local",) if refusal.curable else ()


def _sentence(text: str) -> str:
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "?", "!")) else f"{text}."


_SERVICE_KINDS = {
    Kind.NETWORK: "ForbiddenError",
    Kind.UNREACHABLE: "AzureConnectionError",
    Kind.RIGHTS: "ForbiddenError",
    Kind.SOURCE_RIGHTS: "ForbiddenError",
    Kind.CREDENTIALS: "UnauthorizedError",
    Kind.NOT_FOUND: "ResourceNotFoundError",
    Kind.EXPORT_POLICY: "ForbiddenError",
    Kind.LOCKED: "ForbiddenError",
}

_EXPLANATIONS: dict[type[Exception], Callable[[Any, Surroundings], Shown]] = {
    CopyError: _copy_error,
    ReferrerTagExists: _referrer_tag_exists,
    TagExists: lambda ex, around: _tag_exists(str(ex)),
    CopyCancelled: lambda ex, around: Shown(
        "ManualInterrupt", "The copy was stopped. Run the command again to go on where it ended."
    ),
    RouteRefused: _route_refused,
    IdentityFailure: _identity_failure,
    RegistryMissing: lambda ex, around: Shown("ResourceNotFoundError", ex.message, ex.advice),
    NothingChosen: lambda ex, around: Shown(
        "ResourceNotFoundError", _sentence(str(ex)), missing_advice(around.acr_name(ex.host), ex.host, ex.repository)
    ),
    ServiceFailure: _service_failure,
}
_OURS: tuple[type[Exception], ...] = (*_EXPLANATIONS, OciError, InvalidRequest)
