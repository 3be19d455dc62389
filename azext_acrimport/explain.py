# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""What a failure means to the user: which side, what happened, what to do. Pure, so that every text can be tested."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, NamedTuple

from azext_acrimport.advice import (
    CARRY_AGAIN,
    CONNECTION_ADVICE,
    firewall_advice,
    layout_advice,
    locked_advice,
    missing_advice,
    rights_advice,
    throttled_advice,
    unknown_advice,
)
from azext_acrimport.hosts import is_acr_host, registry_name_of
from azext_acrimport.layout.errors import Fault, LayoutError
from azext_acrimport.oci.errors import OciError, UnknownPlatform, UnsupportedManifest
from azext_acrimport.oci.reference import is_layout
from azext_acrimport.registry.errors import (
    ConnectionFailed,
    ContentMismatch,
    OutOfTime,
    Reason,
    RegistryError,
    RegistryFailure,
)
from azext_acrimport.transfer.errors import CopyError, Side

# Nothing but an address: it becomes part of a command that is advised.
_CLIENT_IP = re.compile(r"client with IP '([0-9A-Fa-f.:]+)' is not allowed access")


class Shown(NamedTuple):
    """An error as it is shown: the name of a class of ``azure.cli.core.azclierror``, a message, lines of advice."""

    kind: str
    message: str
    advice: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The error as it stands in a result."""
        return {"message": self.message, "advice": list(self.advice)}


@dataclass(frozen=True)
class Surroundings:
    """What the explanation of an error draws on.

    ``acr_suffix`` is that of the cloud's login servers; ``unread`` are the hosts of registries that Azure Resource
    Manager did not show to the signed-in identity, in the ``subscription`` nor another; ``credentials_given`` says
    whether the source was shown credentials of its own, ``identity`` which ``--source-identity`` that was, if it was
    one.
    """

    acr_suffix: str | None = None
    unread: tuple[str, ...] = ()
    subscription: str = ""
    credentials_given: bool = False
    identity: str = ""

    def acr_name(self, host: str) -> str | None:
        """The registry's name for ``az acr``, where the host is a login server."""
        return registry_name_of(host) if is_acr_host(host, self.acr_suffix) else None


def explain_copy_error(ex: CopyError, around: Surroundings) -> Shown:
    """What a failed copy means: which side, what it said, what to do."""
    cause = ex.__cause__
    shown = _unknown_registry(ex, around) or _bad_layout(ex)
    if shown:
        return shown
    if isinstance(cause, RegistryError):
        return _refused(ex, cause, around)
    if isinstance(cause, OutOfTime):
        return Shown(
            "AzureResponseError",
            f"The time limit (--timeout) was reached in the middle of the copy, while waiting for {_named(ex)}.",
            ("Run the command again to go on from here: what has been copied is not copied twice.",),
        )
    if isinstance(cause, ConnectionFailed):
        return Shown("AzureConnectionError", f"Cannot reach {_named(ex)}: {cause}", CONNECTION_ADVICE[cause.reason])
    kind, advice = next(
        ((kind, advice) for failure, kind, advice in _OTHERS if isinstance(cause, failure)),
        ("UnclassifiedUserFault", ()),
    )
    return Shown(kind, f"{_verb(ex.side)} {_named(ex)}: {cause}", advice)


def _refused(ex: CopyError, cause: RegistryError, around: Surroundings) -> Shown:
    kind = _KINDS.get(cause.status, "AzureInternalError" if cause.status >= 500 else "AzureResponseError")
    return Shown(kind, f"{_verb(ex.side)} {_named(ex)}: {cause}", _advice(ex, cause, around))


def _advice(ex: CopyError, cause: RegistryError, around: Surroundings) -> tuple[str, ...]:
    name = around.acr_name(ex.registry)
    address = refused_address(cause.message)
    if address and name:
        return firewall_advice(name, address)
    if cause.status in (401, 403):
        return rights_advice(ex, name, identity=around.identity, credentials_given=around.credentials_given)
    if cause.status == 404:
        return missing_advice(name, ex.registry, ex.repository)
    if cause.status == 405 and name:
        return locked_advice(ex, name)
    if cause.status == 429:
        return throttled_advice(ex)
    return ()


def refused_address(message: str) -> str | None:
    """The address of this machine as ACR's firewall saw it, where that is what a refusal says."""
    found = _CLIENT_IP.search(message)
    return found.group(1) if found else None


def _bad_layout(ex: CopyError) -> Shown | None:
    """The source is an image layout, and what failed is about that."""
    cause = ex.__cause__
    message = f"{_verb(ex.side)} {_named(ex)}: {cause}"
    if isinstance(cause, LayoutError):
        return Shown(_LAYOUT_KINDS[cause.fault], message, layout_advice(ex, cause))
    if isinstance(cause, ContentMismatch) and is_layout(ex.registry):
        return Shown("FileOperationError", message, CARRY_AGAIN)
    return None


def _unknown_registry(ex: CopyError, around: Surroundings) -> Shown | None:
    """The registry was not in Azure Resource Manager, and its own address does not answer for it either."""
    cause, name = ex.__cause__, around.acr_name(ex.registry)
    if not name or ex.registry not in around.unread:
        return None
    hidden = (
        f"Azure Resource Manager does not show it to the signed-in identity in subscription {around.subscription} "
        "or another of the tenant"
    )
    if isinstance(cause, ConnectionFailed) and cause.reason in (Reason.DNS, Reason.PROXY):
        message = f"Cannot find {ex.side.value} registry {name}: {hidden}, and there is no way to {cause}."
        return Shown("ResourceNotFoundError", message, unknown_advice(ex.side, name))
    if ex.side is Side.SOURCE and around.credentials_given:
        return None
    if isinstance(cause, RegistryError) and cause.status in (401, 403) and not refused_address(cause.message):
        message = f"{_verb(ex.side)} {_named(ex)}: {hidden}, and the registry does not let it in ({cause})."
        return Shown(_KINDS[cause.status], message, unknown_advice(ex.side, name))
    return None


def _named(ex: CopyError) -> str:
    separator = "@" if ":" in ex.subject else ":"
    return f"{ex.side.value} {ex.place}" + (f"{separator}{ex.subject}" if ex.subject else "")


def _verb(side: Side) -> str:
    return "Cannot import from" if side is Side.SOURCE else "Cannot import into"


_KINDS = {
    400: "BadRequestError",
    401: "UnauthorizedError",
    403: "ForbiddenError",
    404: "ResourceNotFoundError",
    405: "ForbiddenError",
}

_LAYOUT_KINDS = {
    Fault.UNREADABLE: "FileOperationError",
    Fault.COMPRESSED: "InvalidArgumentValueError",
    Fault.DOCKER_ARCHIVE: "InvalidArgumentValueError",
    Fault.NOT_A_LAYOUT: "InvalidArgumentValueError",
    Fault.INCOMPLETE: "FileOperationError",
    Fault.NO_SUCH_IMAGE: "ResourceNotFoundError",
    Fault.SEVERAL_IMAGES: "InvalidArgumentValueError",
}
# The narrow ones first: the rest of RegistryFailure is content that does not match its digest, or answers that make
# no sense.
_OTHERS: tuple[tuple[type[Exception], str, tuple[str, ...]], ...] = (
    (
        UnsupportedManifest,
        "ValidationError",
        ("Pull the image with an old client, push it again to convert it, and import the result.",),
    ),
    (
        UnknownPlatform,
        "InvalidArgumentValueError",
        ("Name one of those with --platform, or leave --platform out to import what there is.",),
    ),
    (OciError, "ValidationError", ()),
    (
        RegistryFailure,
        "AzureResponseError",
        ("Run the command again; if it stays, the registry or a proxy before it is at fault.",),
    ),
)
