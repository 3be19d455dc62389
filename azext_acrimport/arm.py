# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""Azure Resource Manager: find registries and read their settings.

The one place that knows the models of azure-mgmt-containerregistry, whose shape differs between the versions of the
Azure CLI (2.75: 14.1.0b1, flat; 2.91: 15.1.0b3, under ``properties``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any, NamedTuple

from knack.log import get_logger
from knack.util import CLIError

from azext_acrimport.plan import NetworkFacts, NetworkSettings

logger = get_logger(__name__)

MANAGED_SKUS = frozenset({"basic", "standard", "premium"})
_LIST_WORKERS = 8  # subscriptions asked at once: a tenant may have hundreds, and each answer takes a round trip or two

_RESOURCE_ID = re.compile(
    r"/subscriptions/(?P<subscription>[^/]+)/resourceGroups/(?P<group>[^/]+)"
    r"/providers/Microsoft\.ContainerRegistry/registries/(?P<name>[^/]+)/?\Z",
    re.IGNORECASE,
)

ClientFor = Callable[[str], Any]


class ResourceId(NamedTuple):
    """A registry's place in Azure Resource Manager."""

    text: str
    subscription: str
    group: str
    name: str

    @staticmethod
    def parse(text: str) -> ResourceId | None:
        """Read a registry's resource ID; None where the text is something else."""
        found = _RESOURCE_ID.match(text.strip())
        return ResourceId(text.strip().rstrip("/"), **found.groupdict()) if found else None


class AzureRegistry(NamedTuple):
    """A registry as Azure Resource Manager shows it. ``has_own_key``: it is encrypted with a customer-managed key."""

    id: ResourceId
    login_server: str
    sku: str | None
    network: NetworkSettings
    has_own_key: bool = False

    @property
    def name(self) -> str:
        """Its name, as it was created."""
        return self.id.name

    @property
    def is_managed(self) -> bool:
        """Whether it has a SKU that can import: all but the retired Classic."""
        return self.sku is None or self.sku.lower() in MANAGED_SKUS

    def facts(self, *, by_resource_id: bool = False) -> NetworkFacts:
        """What the choice of the route depends on."""
        return NetworkFacts(self.name, self.network, by_resource_id=by_resource_id)

    @staticmethod
    def of_model(model: Any) -> AzureRegistry | None:
        """Read the SDK's model, of whichever version; None where it is not of a registry that can be spoken to."""
        identity = ResourceId.parse(_text(model, "id") or "")
        login_server = _text(model, "login_server")
        if not identity or not login_server:
            return None  # one that is still being created has no login server yet
        rules, policies = _get(model, "network_rule_set"), _get(model, "policies")
        return AzureRegistry(
            id=identity,
            login_server=login_server.lower(),
            sku=_text(_get(model, "sku"), "name"),
            has_own_key=(_text(_get(model, "encryption"), "status") or "").lower() == "enabled",
            network=NetworkSettings(
                public_network_access=_text(model, "public_network_access"),
                default_action=_text(rules, "default_action"),
                bypass=_text(model, "network_rule_bypass_options"),
                export_policy=_text(_get(policies, "export_policy"), "status"),
            ),
        )


class Directory:
    """The registries that the signed-in identity may read. Each subscription is listed once at most.

    ``client_for`` gives the SDK's registry operations of a subscription, or raises CLIError for one that `az login` has
    not found; ``others`` are the identity's other subscriptions of the same tenant.
    """

    def __init__(self, client_for: ClientFor, current: str, others: Callable[[], Iterable[str]]) -> None:
        self._client_for = client_for
        self._current = current
        self._others = others
        self._listed: dict[str, list[AzureRegistry]] = {}

    @property
    def current_subscription(self) -> str:
        """The subscription that the command runs in."""
        return self._current

    def in_group(self, group: str, name: str) -> AzureRegistry | None:
        """The registry of that name in a resource group of the current subscription."""
        return self._get(self._client_for(self._current), group, name)

    def by_id(self, identity: ResourceId) -> AzureRegistry | None:
        """The registry with that resource ID; None where Azure Resource Manager does not show it."""
        try:
            client = self._client_for(identity.subscription)
        except CLIError as ex:  # the subscription is none of those that `az login` found
            logger.debug("Registry %s cannot be read: %s", identity.text, ex)
            return None
        return self._get(client, identity.group, identity.name)

    def find(self, name_or_host: str, *, everywhere: bool = True) -> AzureRegistry | None:
        """The registry with that name or login server: in the current subscription, then in all the others."""
        found = _match(self._list(self._current, self._client_for(self._current)), name_or_host)
        return found or (self._find_elsewhere(name_or_host) if everywhere else None)

    def _find_elsewhere(self, name_or_host: str) -> AzureRegistry | None:
        others = [each for each in self._others() if each.lower() != self._current.lower()]
        if not others:
            return None
        clients = {each: self._client_for(each) for each in others}  # made here: the CLI's profile is not for threads
        pool = ThreadPoolExecutor(_LIST_WORKERS, thread_name_prefix="acrx-arm")
        try:
            running = [pool.submit(self._list, each, client) for each, client in clients.items()]
            for done in as_completed(running):
                found = _match(done.result(), name_or_host)
                if found:
                    return found
            return None
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _list(self, subscription: str, client: Any) -> list[AzureRegistry]:
        """The registries of a subscription that may be read. None at all is no error: it may be one's right to none."""
        from azure.core.exceptions import HttpResponseError

        if subscription not in self._listed:
            try:
                models = [AzureRegistry.of_model(model) for model in client.list()]
                self._listed[subscription] = [each for each in models if each]
            except HttpResponseError as ex:
                if subscription == self._current and ex.status_code not in (403, 404):
                    raise
                logger.debug("The registries of subscription %s cannot be listed: %s", subscription, ex.message)
                self._listed[subscription] = []
        return self._listed[subscription]

    @staticmethod
    def _get(client: Any, group: str, name: str) -> AzureRegistry | None:
        from azure.core.exceptions import HttpResponseError

        try:
            return AzureRegistry.of_model(client.get(group, name))
        except HttpResponseError as ex:
            if ex.status_code not in (403, 404):
                raise
            logger.debug("Registry %s in resource group %s cannot be read: %s", name, group, ex.message)
            return None


def open_directory(cli_ctx: Any) -> Directory:
    """The directory of the identity that is signed in to the Azure CLI."""
    from azure.cli.core.commands.client_factory import get_subscription_id

    from azext_acrimport._client_factory import cf_registries

    current = get_subscription_id(cli_ctx)
    return Directory(
        lambda subscription: cf_registries(cli_ctx, subscription),
        current,
        lambda: _subscriptions_of_tenant(cli_ctx, current),
    )


def _subscriptions_of_tenant(cli_ctx: Any, current: str) -> list[str]:
    from azure.cli.core._profile import Profile

    profile = Profile(cli_ctx=cli_ctx)
    tenant = profile.get_subscription(current)["tenantId"]
    return [
        each["id"]
        for each in profile.load_cached_subscriptions()
        if each.get("tenantId") == tenant and each.get("state") == "Enabled"
    ]


def _match(registries: Iterable[AzureRegistry], name_or_host: str) -> AzureRegistry | None:
    wanted = name_or_host.lower()
    return next((each for each in registries if wanted in (each.name.lower(), each.login_server)), None)


def _get(model: Any, name: str) -> Any:
    """An attribute of a model, be it flat or under ``properties``; None where the model has none of that name."""
    if model is None:
        return None
    value = getattr(model, name, None)
    return value if value is not None else getattr(getattr(model, "properties", None), name, None)


def _text(model: Any, name: str) -> str | None:
    value = _get(model, name)
    if value is None:
        return None
    return str(getattr(value, "value", value))  # an enum in some versions, its text in others
