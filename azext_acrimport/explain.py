# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""What a failure means to the user, and the next command to type: pure, so that every text can be tested."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from azext_acrimport.hosts import is_acr_host, registry_name_of
from azext_acrimport.layout.errors import Fault, LayoutError
from azext_acrimport.layout.reference import is_layout
from azext_acrimport.oci.errors import OciError, UnknownPlatform, UnsupportedManifest
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


@dataclass(frozen=True)
class Shown:
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
        return Shown("AzureConnectionError", f"Cannot reach {_named(ex)}: {cause}", _CONNECTION_ADVICE[cause.reason])
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
        return _rights_advice(ex, name, around)
    if cause.status == 404:
        return missing_advice(name, ex.registry, ex.repository)
    if cause.status == 405 and name:
        return _locked_advice(ex, name)
    if cause.status == 429:
        return _throttled_advice(ex)
    return ()


def refused_address(message: str) -> str | None:
    """The address of this machine as ACR's firewall saw it, where that is what a refusal says."""
    found = _CLIENT_IP.search(message)
    return found.group(1) if found else None


def firewall_advice(name: str, address: str) -> tuple[str, ...]:
    """How to get past a registry's network rules; the address is that which the registry saw."""
    return (
        f"Allow the address: az acr network-rule add -n {name} --ip-address {address}",
        "(while publicNetworkAccess is Disabled, this comes first:",
        f"az acr update -n {name} --public-network-enabled true --default-action Deny),",
        "or run the command inside a network that has a private endpoint of the registry,",
        f"or let the service do it: az acr update -n {name} --allow-trusted-services true",
    )


def identity_advice(identity: str, name: str) -> tuple[str, ...]:
    """What a source identity needs at the registry of this name."""
    return (
        f"The identity of --source-identity {identity} needs AcrPull on {name},",
        "or Container Registry Repository Reader where the registry uses ABAC, and to be from the registry's tenant.",
        "A new assignment takes up to ten minutes to count.",
    )


def _rights_advice(ex: CopyError, name: str | None, around: Surroundings) -> tuple[str, ...]:
    if ex.side is Side.TARGET:
        return (
            f"The signed-in identity (az account show) needs AcrPush on {name or ex.registry},",
            "or Container Registry Repository Writer where the registry uses ABAC.",
            "A new assignment takes up to ten minutes to count.",
        )
    if around.identity:
        return identity_advice(around.identity, name or ex.registry)
    if around.credentials_given:
        return ("Check the source's credentials (--username, --password), and that its repository exists.",)
    if name:
        return (
            f"The signed-in identity (az account show) needs AcrPull on {name};",
            "or give the source's own credentials with --username and --password.",
        )
    return (
        "Check that the repository exists, and give credentials with --username and --password,",
        f"or with `docker login {ex.registry}` beforehand.",
    )


def missing_advice(name: str | None, host: str, repository: str) -> tuple[str, ...]:
    """How to see what a repository has; ``name`` is the registry's name for ``az acr``, where it has one."""
    if name:
        return (f"See what there is: az acr repository show-tags -n {name} --repository {repository}",)
    return (f"Check the name and the tag of {host}/{repository}.",)


def _locked_advice(ex: CopyError, name: str) -> tuple[str, ...]:
    image = f"{ex.repository}:{ex.subject}" if ex.subject and ":" not in ex.subject else ex.repository
    option = "--image" if ":" in image else "--repository"
    return (
        f"The tag or the repository is locked. See: az acr repository show -n {name} {option} {image}",
        f"Unlock it: az acr repository update -n {name} {option} {image} --write-enabled true",
    )


def _throttled_advice(ex: CopyError) -> tuple[str, ...]:
    if ex.side is Side.SOURCE:
        return ("Wait, or give credentials with --username and --password: signed-in users have higher limits.",)
    return ("Wait and run the command again: what has been copied is not copied twice.",)


def _bad_layout(ex: CopyError) -> Shown | None:
    """The source is an image layout, and what failed is about that."""
    cause = ex.__cause__
    message = f"{_verb(ex.side)} {_named(ex)}: {cause}"
    if isinstance(cause, LayoutError):
        return Shown(_LAYOUT_KINDS[cause.fault], message, _layout_advice(ex, cause))
    if isinstance(cause, ContentMismatch) and is_layout(ex.registry):
        return Shown("FileOperationError", message, _CARRY_AGAIN)
    return None


def _layout_advice(ex: CopyError, cause: LayoutError) -> tuple[str, ...]:
    path = ex.registry.partition(":")[2]
    if cause.fault is Fault.DOCKER_ARCHIVE:
        return (
            f"Convert it: skopeo copy docker-archive:{path} oci-archive:NEW.tar",
            "or save it with Docker 25 or later, which writes image layouts.",
        )
    if cause.fault is Fault.COMPRESSED:
        return (f"Decompress it first, with gunzip, unxz or unzstd: {path}",)
    if cause.fault is Fault.SEVERAL_IMAGES:
        return (f"Say which one: --source {ex.registry}:NAME, or --source {ex.registry}@sha256:DIGEST",)
    if cause.fault is Fault.INCOMPLETE:
        return (
            *_CARRY_AGAIN,
            "`docker save` leaves out the platforms that were not pulled: import one that is there, with --platform,",
            f"or save all of them: skopeo copy --all docker://IMAGE {ex.registry}:TAG",
        )
    return _LAYOUT_ADVICE.get(cause.fault, ())


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
        return Shown("ResourceNotFoundError", message, _unknown_advice(ex.side, name))
    if ex.side is Side.SOURCE and around.credentials_given:
        return None
    if isinstance(cause, RegistryError) and cause.status in (401, 403) and not refused_address(cause.message):
        message = f"{_verb(ex.side)} {_named(ex)}: {hidden}, and the registry does not let it in ({cause})."
        return Shown(_KINDS[cause.status], message, _unknown_advice(ex.side, name))
    return None


def _unknown_advice(side: Side, name: str) -> tuple[str, ...]:
    names = 'Check the name: az acr list --query "[].name"; and the subscription: az account set -s SUBSCRIPTION'
    if side is Side.SOURCE:
        return (
            names,
            f"Without credentials, the signed-in identity needs AcrPull on {name}.",
            "A registry of another tenant needs its own: --username and --password, a token as --password alone,",
            "or an identity of that tenant: --source-identity cli:TENANT",
        )
    return (
        names,
        "AcrPush alone is enough for a copy from here, but cannot read the registry in Azure Resource Manager:",
        f"Reader on {name} adds that, and Container Registry Data Importer and Data Reader the service route.",
    )


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

_CONNECTION_ADVICE = {
    Reason.DNS: ("Check the registry's name; a registry on a private network has a name only inside of it.",),
    Reason.REFUSED: ("Check the address and the port, and that the registry is running.",),
    Reason.TLS: (
        "Where a proxy or a private certificate authority is in between, name its certificates in REQUESTS_CA_BUNDLE:",
        "https://learn.microsoft.com/cli/azure/use-azure-cli-successfully-troubleshooting#work-behind-a-proxy",
    ),
    Reason.PROXY: ("Check HTTPS_PROXY and NO_PROXY, and that the proxy lets the registry's host by.",),
    Reason.TIMEOUT: ("Check that a firewall lets this machine reach the registry, then run the command again.",),
    Reason.BROKEN: ("Run the command again: what has been copied is not copied twice.",),
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
_CARRY_AGAIN = ("Compare its checksum with that of the original, and carry it over again if they differ.",)
_LAYOUT_ADVICE = {
    Fault.NOT_A_LAYOUT: ("Write one: skopeo copy --all docker://IMAGE oci-archive:FILE.tar:TAG",),
    Fault.NO_SUCH_IMAGE: ("Give one of these as --source LAYOUT:NAME, or another by its digest: LAYOUT@sha256:DIGEST",),
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
