# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""What to do about a failed copy: the next commands to type. Pure, so that every text can be tested."""

from __future__ import annotations

from azext_acrimport.layout.errors import Fault, LayoutError
from azext_acrimport.registry.errors import Reason
from azext_acrimport.transfer.errors import CopyError, Side

CONNECTION_ADVICE = {
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
CARRY_AGAIN = ("Compare its checksum with that of the original, and carry it over again if they differ.",)
_LAYOUT_ADVICE = {
    Fault.NOT_A_LAYOUT: ("Write one: skopeo copy --all docker://IMAGE oci-archive:FILE.tar:TAG",),
    Fault.NO_SUCH_IMAGE: ("Give one of these as --source LAYOUT:NAME, or another by its digest: LAYOUT@sha256:DIGEST",),
}


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


def rights_advice(ex: CopyError, name: str | None, *, identity: str, credentials_given: bool) -> tuple[str, ...]:
    """How to be let in; ``identity`` and ``credentials_given`` tell what the source was shown."""
    if ex.side is Side.TARGET:
        return (
            f"The signed-in identity (az account show) needs AcrPush on {name or ex.registry},",
            "or Container Registry Repository Writer where the registry uses ABAC.",
            "A new assignment takes up to ten minutes to count.",
        )
    if identity:
        return identity_advice(identity, name or ex.registry)
    if credentials_given:
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


def locked_advice(ex: CopyError, name: str) -> tuple[str, ...]:
    """How to unlock what an import would write to."""
    image = f"{ex.repository}:{ex.subject}" if ex.subject and ":" not in ex.subject else ex.repository
    option = "--image" if ":" in image else "--repository"
    return (
        f"The tag or the repository is locked. See: az acr repository show -n {name} {option} {image}",
        f"Unlock it: az acr repository update -n {name} {option} {image} --write-enabled true",
    )


def throttled_advice(ex: CopyError) -> tuple[str, ...]:
    """What to do about a registry that wants fewer requests."""
    if ex.side is Side.SOURCE:
        return ("Wait, or give credentials with --username and --password: signed-in users have higher limits.",)
    return ("Wait and run the command again: what has been copied is not copied twice.",)


def unknown_advice(side: Side, name: str) -> tuple[str, ...]:
    """What to do about a registry that Azure Resource Manager does not show."""
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


def layout_advice(ex: CopyError, cause: LayoutError) -> tuple[str, ...]:
    """What to do about an image layout."""
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
            *CARRY_AGAIN,
            "`docker save` leaves out the platforms that were not pulled: import one that is there, with --platform,",
            f"or save all of them: skopeo copy --all docker://IMAGE {ex.registry}:TAG",
        )
    return _LAYOUT_ADVICE.get(cause.fault, ())
