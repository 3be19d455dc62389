# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""Which registries are meant, where they are, and what is known of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeVar

from knack.log import get_logger

from azext_acrimport.arm import AzureRegistry, Directory, ResourceId
from azext_acrimport.hosts import home_of, is_acr_host, is_private_host
from azext_acrimport.oci.errors import InvalidReference
from azext_acrimport.oci.reference import check_registry
from azext_acrimport.plan import NetworkFacts, goes_by_resource_id
from azext_acrimport.request import InvalidRequest, TargetName, split_source, within_registry

logger = get_logger(__name__)

K = TypeVar("K")
V = TypeVar("V")


@dataclass(eq=False)
class RegistryMissing(Exception):
    """A registry that cannot be found or used; the text says which and why."""

    message: str
    advice: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.message


class Endpoint(NamedTuple):
    """A registry of the import: its host, what Azure Resource Manager shows of it, and what the route depends on.

    ``resource_id`` is what the service is to be given instead of the host.
    """

    host: str
    azure: AzureRegistry | None
    facts: NetworkFacts
    resource_id: str | None = None

    @property
    def subscription(self) -> str | None:
        """The subscription that it is in, where that is known."""
        return self.azure.id.subscription if self.azure else None


class SourceArguments(NamedTuple):
    """The arguments that name the source."""

    source: str
    registry: str | None
    has_credentials: bool


def find_target(directory: Directory, name: TargetName, group: str | None) -> Endpoint:
    """The target. One that Azure Resource Manager does not show is known by its login server alone.

    :raises RegistryMissing: there is no login server to try either.
    :raises InvalidRequest: it is one of the retired kind that cannot import.
    """
    azure = _in_group(directory, group, name.name) if group else directory.find(name.name)
    if azure and not azure.is_managed:
        raise InvalidRequest(
            f"target {azure.name} has the SKU {azure.sku}; images can be imported into managed ones only"
        )
    if azure:
        if azure.id.subscription.lower() != directory.current_subscription.lower():
            logger.warning(
                "Registry %s is in subscription %s, not in the current one.", name.name, azure.id.subscription
            )
        return Endpoint(azure.login_server, azure, azure.facts(by_resource_id=True), azure.id.text)
    if not name.login_server:
        raise RegistryMissing(
            f"Cannot find target registry {name.name}: Azure Resource Manager does not show it to the signed-in "
            f"identity in subscription {directory.current_subscription}.",
            ('Check the name: az acr list --query "[].name"',),
        )
    return Endpoint(name.login_server, None, NetworkFacts(name=name.name, in_arm=False))


def _in_group(directory: Directory, group: str, name: str) -> AzureRegistry | None:
    azure = directory.in_group(group, name)
    elsewhere = None if azure else directory.find(name)
    if elsewhere:
        raise RegistryMissing(
            f"Cannot find target registry {name} in resource group {group}: it is in resource group "
            f"{elsewhere.id.group} of subscription {elsewhere.id.subscription}.",
            ("Leave --resource-group out: the name alone is enough.",),
        )
    return azure


class Resolver:
    """The registries that a command names. Each is looked for once, however often it is named."""

    def __init__(self, directory: Directory, suffix: str | None) -> None:
        self.directory = directory
        self.suffix = suffix
        self._targets: dict[tuple[str, str | None], Endpoint | RegistryMissing] = {}
        self._sources: dict[tuple[str, bool, bool], tuple[Endpoint, tuple[str, ...]] | RegistryMissing] = {}

    def target(self, name: TargetName, group: str | None) -> Endpoint:
        """The target, as :func:`find_target` finds it."""
        return _once(self._targets, (name.name, group), lambda: find_target(self.directory, name, group))

    def source(self, given: SourceArguments) -> tuple[Endpoint, str]:
        """The source, and the image within it.

        :raises RegistryMissing: ``--registry`` names none that can be found.
        :raises InvalidRequest: ``--source`` or ``--registry`` is malformed.
        """
        if not given.registry:
            host, image = split_source(given.source)
            return self._endpoint(host, given.has_credentials, named_by_registry=False)[0], image
        source, names = self._endpoint(given.registry, given.has_credentials, named_by_registry=True)
        image, trimmed = within_registry(given.source, names)
        if trimmed:
            logger.warning(
                'The login server in "--source %s" is left out: "--registry" says the same already.', given.source
            )
        return source, image

    def _endpoint(
        self, registry: str, has_credentials: bool, *, named_by_registry: bool
    ) -> tuple[Endpoint, tuple[str, ...]]:
        """A source, and the login servers that ``--source`` may repeat."""
        find = _named if named_by_registry else _in_full
        return _once(
            self._sources,
            (registry, has_credentials, named_by_registry),
            lambda: find(self.directory, registry, self.suffix, has_credentials),
        )


def _once(known: dict[K, V | RegistryMissing], key: K, find: Callable[[], V]) -> V:
    """What was found before, or is found now; what is missing is not looked for again."""
    if key not in known:
        try:
            known[key] = find()
        except RegistryMissing as ex:
            known[key] = ex
    found = known[key]
    if isinstance(found, RegistryMissing):
        raise found.with_traceback(None)
    return found


def find_source(directory: Directory, given: SourceArguments, suffix: str | None) -> tuple[Endpoint, str]:
    """The one source of a command: see :meth:`Resolver.source`."""
    return Resolver(directory, suffix).source(given)


def _in_full(
    directory: Directory, written: str, suffix: str | None, has_credentials: bool
) -> tuple[Endpoint, tuple[str, ...]]:
    """The source whose host stands in ``--source``."""
    host = _home(written, suffix)
    is_acr = is_acr_host(host, suffix)
    azure = directory.find(host, everywhere=is_acr) if is_acr or not suffix else None
    if azure:
        return _in_azure(azure, named_by_registry=False, has_credentials=has_credentials), ()
    return Endpoint(host, None, _facts_outside(host, is_acr)), ()


def _named(
    directory: Directory, registry: str, suffix: str | None, has_credentials: bool
) -> tuple[Endpoint, tuple[str, ...]]:
    """The source that ``--registry`` names, and the login servers that ``--source`` may repeat."""
    identity = ResourceId.parse(registry)
    if identity:
        azure = directory.by_id(identity)
    elif "/" in registry:
        raise InvalidRequest(f"--registry {registry} is not the resource ID of a container registry, nor its name")
    else:
        registry = _home(registry.strip(), suffix)
        azure = directory.find(registry)
    if azure:
        return _in_azure(azure, named_by_registry=True, has_credentials=has_credentials), (azure.login_server,)
    host = _derived_host(identity.name if identity else registry, suffix)
    if not host:
        raise RegistryMissing(
            f"Cannot find source registry {registry}: it is no container registry of Azure that the signed-in identity "
            "sees in a subscription of its tenant.",
            ("Give a registry outside Azure in --source: --source docker.io/library/hello-world:latest",),
        )
    by_id = identity.text if identity and not has_credentials else None
    facts = replace(_facts_outside(host, True), by_resource_id=bool(by_id))
    return Endpoint(host, None, facts, by_id), (host,)


def _in_azure(azure: AzureRegistry, *, named_by_registry: bool, has_credentials: bool) -> Endpoint:
    facts = azure.facts()
    if not goes_by_resource_id(facts, named_by_registry=named_by_registry, has_credentials=has_credentials):
        return Endpoint(azure.login_server, azure, facts)
    if has_credentials:
        logger.warning(
            "The service reaches source %s by its resource ID only, which takes no credentials: "
            "those that are given count only should the image be copied from here.",
            azure.name,
        )
    return Endpoint(azure.login_server, azure, replace(facts, by_resource_id=True), azure.id.text)


def _facts_outside(host: str, is_acr: bool) -> NetworkFacts:
    return NetworkFacts(name=host, is_acr=is_acr, in_arm=False, is_private_host=not is_acr and is_private_host(host))


def _derived_host(name: str, suffix: str | None) -> str | None:
    try:
        host = check_registry(name if "." in name else f"{name}{suffix or ''}")
    except InvalidReference as ex:
        raise InvalidRequest(f"--registry: {ex}") from ex
    return host if is_acr_host(host, suffix) else None


def _home(host: str, suffix: str | None) -> str:
    home = home_of(host, suffix)
    if home:
        logger.warning("An import cannot choose a region: %s is read through %s.", host, home)
    return home or host
