# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""This machine's own way to the registries of a run: one transport, one clock, and each registry once."""

from __future__ import annotations

import os
import threading
import urllib.request
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any

from azext_acrimport.credentials import given_credentials, saved_credentials, signed_in_identity
from azext_acrimport.docker_config import asked_once
from azext_acrimport.identity.failure import IdentityFailure
from azext_acrimport.identity.sign_in import sign_in, token_for_service
from azext_acrimport.orders import Effort, Login, Order
from azext_acrimport.registry.credentials import Credentials, EntraIdentity
from azext_acrimport.registry.registry import Registry
from azext_acrimport.registry.repository import Repository
from azext_acrimport.registry.retry import Clock, RetryPolicy
from azext_acrimport.registry.transport import Transport, TransportSettings
from azext_acrimport.resolve import Endpoint

if TYPE_CHECKING:
    from azext_acrimport.layout.repository import LayoutRepository, Layouts

Hide = Callable[[str], None]
"""Takes a secret that is to be in no log."""


class Connections:  # pylint: disable=too-many-instance-attributes
    """The registries as they are reached from here. Safe for several threads.

    ``hide`` is given every token that an identity gets.

    Who asks for the same registry with the same credentials gets the same object, and with it its tokens, its
    connections and what is remembered of its habits.
    """

    def __init__(self, cli_ctx: Any, effort: Effort, *, hide: Hide = lambda secret: None) -> None:
        self.clock = Clock()
        self.policy = RetryPolicy(retries=effort.retries)
        self._cli_ctx = cli_ctx
        self._hide = hide
        self._signed_in: dict[tuple[str, str], EntraIdentity | IdentityFailure] = {}
        self._layouts: Layouts | None = None
        self._lock = threading.Lock()
        self._transport: Transport | None = None
        self._registries: dict[tuple[str, Credentials | None], Registry] = {}
        self._identities: dict[str | None, EntraIdentity] = {}
        self._given: dict[tuple[str, Login], Credentials | None] = {}
        self._saved: dict[tuple[str, str], Credentials | None] = {}
        self._ask_helper = asked_once()

    def __enter__(self) -> Connections:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._layouts:
            self._layouts.__exit__(kind, value, trace)
        if self._transport:
            self._transport.close()

    @property
    def transport(self) -> Transport:
        """The connections themselves, made when they are first needed."""
        if self._transport is None:
            self._transport = Transport(transport_settings())
        return self._transport

    def interrupt(self) -> None:
        """Break off whatever is asked of a registry, in all threads."""
        self.clock.cancelled.set()
        if self._transport:
            self._transport.interrupt()

    def sign_in(self, order: Order) -> EntraIdentity | None:
        """Sign in to the source as the identity that the order names; None where it names none.

        :raises InvalidRequest: the source is no registry of Azure.
        :raises IdentityFailure: there is no token for it.
        """
        with self._lock:
            return self._identity_at(order.source, order.request.login)

    def password_for_service(self, order: Order) -> str | None:
        """The password, or the token in its place, that the service is to show the source."""
        return order.request.login.password or token_for_service(self.sign_in(order))

    def target(self, target: Endpoint) -> Registry:
        """The target, signed in to as `az login` says."""
        with self._lock:
            return self._registry(target.host, self._identity(target.subscription))

    def source(self, order: Order) -> Repository | LayoutRepository:
        """The repository or the layout that an order's image is in.

        One registry object for both sides lets the copier mount blobs instead of moving them.
        """
        if order.layout:
            from azext_acrimport.layout.repository import Layouts

            with self._lock:
                self._layouts = self._layouts or Layouts(self.clock)
                return self._layouts.repository(order.layout)
        reference = order.reference
        if order.source.host == order.target.host and not order.request.login:
            return self.target(order.target).repository(reference.repository)
        with self._lock:
            shown = self._source_credentials(order.source, reference.repository, order.request.login)
            return self._registry(reference.registry, shown).repository(reference.repository)

    def saved(self, host: str, repository: str) -> Credentials | None:
        """What this machine keeps for a repository."""
        with self._lock:
            return self._saved_once(host, repository)

    def _registry(self, host: str, credentials: Credentials | None) -> Registry:
        key = (host, credentials)
        if key not in self._registries:
            self._registries[key] = Registry(
                host, transport=self.transport, credentials=credentials, policy=self.policy, clock=self.clock
            )
        return self._registries[key]

    def _identity(self, subscription: str | None) -> EntraIdentity:
        if subscription not in self._identities:
            self._identities[subscription] = signed_in_identity(self._cli_ctx, subscription)
        return self._identities[subscription]

    def _identity_at(self, source: Endpoint, login: Login) -> EntraIdentity | None:
        if not login.identity:
            return None
        key = (str(login.identity), source.host)
        if key not in self._signed_in:
            try:
                self._signed_in[key] = sign_in(self._cli_ctx, login.identity, source, hide=self._hide)
            except IdentityFailure as ex:
                self._signed_in[key] = ex  # asking again for the next image of a list would take as long, and fail too
        found = self._signed_in[key]
        if isinstance(found, IdentityFailure):
            raise found
        return found

    def _source_credentials(self, source: Endpoint, repository: str, login: Login) -> Credentials | None:
        if login.identity:
            return self._identity_at(source, login)
        key = (source.host, login)
        if key in self._given:
            return self._given[key]
        shown = source_credentials(source, repository, login, identity=self._identity, saved=self._saved_once)
        if login:
            self._given[key] = shown
        return shown

    def _saved_once(self, host: str, repository: str) -> Credentials | None:
        if (host, repository) not in self._saved:
            self._saved[host, repository] = saved_credentials(host, repository, self._ask_helper)
        return self._saved[host, repository]


def source_credentials(
    source: Endpoint,
    repository: str,
    login: Login,
    *,
    identity: Callable[[str | None], EntraIdentity],
    saved: Callable[[str, str], Credentials | None],
) -> Credentials | None:
    """What the source is shown: what was given, else the signed-in identity for ACR, else what this machine keeps."""
    if login.password:
        return given_credentials(login.username, login.password, is_acr=source.facts.is_acr)
    if source.azure:
        return identity(source.subscription)
    # An ACR that is in no subscription one sees may still know the identity: AcrPull alone does not show it.
    return saved(source.host, repository) or (identity(None) if source.facts.is_acr else None)


def transport_settings() -> TransportSettings:
    """The connection settings of the Azure CLI: its environment variables, as everywhere in ``az``."""
    import requests
    from azure.cli.core import __version__ as core_version
    from azure.cli.core.util import should_disable_connection_verify

    return TransportSettings(
        # Without a variable it is the bundle that every other command of the Azure CLI trusts.
        ca_bundle=os.environ.get("REQUESTS_CA_BUNDLE")
        or os.environ.get("CURL_CA_BUNDLE")
        or requests.utils.DEFAULT_CA_BUNDLE_PATH,
        verify=not should_disable_connection_verify(),
        proxies=urllib.request.getproxies(),
        user_agent=f"acrimport AzureCLI/{core_version}",
    )
