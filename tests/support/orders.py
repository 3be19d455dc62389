# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""Orders as the command makes them, and registries that answer from a table."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from azext_acrimport.arm import AzureRegistry, ResourceId
from azext_acrimport.expansion import images_of
from azext_acrimport.oci.descriptor import Descriptor
from azext_acrimport.oci.manifest import Manifest
from azext_acrimport.orders import Order, Request
from azext_acrimport.plan import NetworkFacts, NetworkSettings, Plan, Route
from azext_acrimport.request import TargetName, split_source
from azext_acrimport.resolve import Endpoint


def digest(number: int) -> str:
    return f"sha256:{number:064x}"


def azure_registry(name: str, subscription: str = "sub-1", **network: str) -> AzureRegistry:
    text = f"/subscriptions/{subscription}/resourceGroups/rg/providers/Microsoft.ContainerRegistry/registries/{name}"
    identity = ResourceId.parse(text)
    assert identity
    settings = {"public_network_access": "Enabled", "bypass": "AzureServices", "export_policy": "enabled"} | network
    return AzureRegistry(identity, f"{name}.azurecr.io", "Premium", NetworkSettings(**settings))


def request(source: str = "docker.io/library/app:v1", **given: Any) -> Request:
    return Request(TargetName("prodreg", "prodreg.azurecr.io"), source, **given)


def order(
    source: str = "docker.io/library/app:v1",
    *,
    route: Route = Route.SERVICE,
    may_fall_back: bool = True,
    is_acr: bool = False,
    **given: Any,
) -> Order:
    """An order for prodreg, which Azure Resource Manager shows."""
    wanted = request(source, **given)
    host, image = split_source(source)
    target = azure_registry("prodreg")
    return Order(
        wanted,
        Endpoint(target.login_server, target, target.facts(by_resource_id=True), target.id.text),
        Endpoint(host, None, NetworkFacts(host, is_acr=is_acr, in_arm=False)),
        images_of(wanted, host, image),
        Plan(route, "so it is", may_fall_back=may_fall_back),
    )


@dataclass(eq=False)
class Told:
    """A repository with these tags, by digest. ``failure`` is raised by whatever is asked."""

    host: str
    name: str
    by_tag: Mapping[str, str] = field(default_factory=dict)
    failure: BaseException | None = None
    one_by_one: bool = False
    asked: list[str] = field(default_factory=list)

    @property
    def registry(self) -> Any:
        return SimpleNamespace(host=self.host)

    def tags(self) -> Iterator[str]:
        self._check()
        yield from self.by_tag

    def digest_of(self, identifier: str) -> str | None:
        self._check()
        self.asked.append(identifier)
        return identifier if identifier in self.by_tag.values() else self.by_tag.get(identifier)

    def digests_of(self, identifiers: Sequence[str]) -> dict[str, str | None]:
        self._check()
        return {} if self.one_by_one else {each: self.by_tag.get(each) for each in identifiers}

    def manifest(self, identifier: str) -> Manifest:
        raise NotImplementedError

    def referrers(self, digest: str) -> list[Descriptor] | None:
        raise NotImplementedError

    def reader(self, blob: Descriptor, *, lanes: Any) -> Any:
        raise NotImplementedError

    def _check(self) -> None:
        if self.failure:
            raise self.failure


class Answers:
    """Connections to repositories that are told: those of sources by their full names, those of the target by name."""

    def __init__(
        self,
        sources: Mapping[str, Mapping[str, str]] | None = None,
        target: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        self.sources = {name: Told(*name.split("/", 1), tags) for name, tags in (sources or {}).items()}
        self.targets = {name: Told("prodreg.azurecr.io", name, tags) for name, tags in (target or {}).items()}
        self.no_token: dict[str, Exception] = {}
        self.interrupted = threading.Event()

    def interrupt(self) -> None:
        self.interrupted.set()

    def saved(self, host: str, repository: str) -> None:
        return None

    def sign_in(self, order: Order) -> None:
        if order.source.host in self.no_token:
            raise self.no_token[order.source.host]

    def source(self, order: Order) -> Told:
        reference = order.reference
        return self.sources[f"{reference.registry}/{reference.repository}"]

    def target(self, target: Endpoint) -> Any:
        return SimpleNamespace(repository=lambda name: self.targets.get(name) or Told(target.host, name))
