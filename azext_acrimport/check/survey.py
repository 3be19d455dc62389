# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""Both sides of an import, looked at at the same time: from this machine, and in Azure Resource Manager."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from azext_acrimport.check.findings import Finding
from azext_acrimport.check.probe import PLACEHOLDER, Place, gave_no_answer, look_at_source, look_at_target
from azext_acrimport.check.rights import Assignee, import_right, not_told
from azext_acrimport.check.settings import shown_by_azure
from azext_acrimport.connections import source_credentials, transport_settings
from azext_acrimport.credentials import audiences_of, saved_credentials, signed_in_identity
from azext_acrimport.explain import Surroundings
from azext_acrimport.identity.form import SourceIdentity
from azext_acrimport.identity.sign_in import sign_in
from azext_acrimport.oci.reference import Reference
from azext_acrimport.orders import Login
from azext_acrimport.registry.credentials import Credentials, EntraIdentity, EntraToken
from azext_acrimport.registry.registry import Registry
from azext_acrimport.registry.retry import Clock, RetryPolicy
from azext_acrimport.registry.transport import Transport
from azext_acrimport.resolve import Endpoint
from azext_acrimport.transfer.errors import Side

STEP_SECONDS = 10.0  # for a connection, and for an answer
LIMIT_SECONDS = 30.0  # for all that is asked of one side
_POLICY = RetryPolicy(retries=1)

Look = Callable[[], "list[Finding]"]


@dataclass(frozen=True)
class Source:
    """The source as it was named: the registry, the image where there is one, and the credentials for it."""

    endpoint: Endpoint
    reference: Reference
    has_image: bool
    login: Login

    @property
    def name(self) -> str:
        """What the result calls it."""
        return str(self.reference) if self.has_image else self.endpoint.host

    @property
    def repository(self) -> str:
        """The repository of the image, or one that stands for any."""
        return self.reference.repository if self.has_image else PLACEHOLDER


def look_around(
    cli_ctx: Any, target: Endpoint, source: Source | None, around: Surroundings, *, hide: Callable[[str], None]
) -> list[Finding]:
    """All that can be found out about both sides, the target first. What gives no answer in time is not reached.

    ``hide`` is given every token that a source identity gets.

    :raises InvalidRequest: a source identity is given for a source outside Azure.
    """
    assignee = Assignee(_account(cli_ctx))
    settings = transport_settings()._replace(connect_timeout_seconds=STEP_SECONDS, timeout_seconds=STEP_SECONDS)
    with Transport(settings) as transport:
        here = _Here(cli_ctx, around, assignee, transport, hide)
        to, origin = here.target(target, source), here.source(target, source) if source else None
        at_target, at_source, right = side_by_side(
            [
                lambda: look_at_target(to),
                lambda: look_at_source(origin) if origin else [],
                lambda: [import_right(cli_ctx, target.azure, assignee)] if target.azure else [],
            ],
            LIMIT_SECONDS,
        )
        transport.abort()  # what is still on its way
    found = shown_by_azure(Side.TARGET, target, assignee, leaves=False)
    found += [not_told()] if right is None else right
    found += gave_no_answer(to, LIMIT_SECONDS) if at_target is None else at_target
    if source and origin:
        leaves = source.endpoint.host != target.host
        found += shown_by_azure(Side.SOURCE, source.endpoint, assignee, leaves=leaves)
        found += gave_no_answer(origin, LIMIT_SECONDS) if at_source is None else at_source
    return found


def side_by_side(looks: Sequence[Look], seconds: float) -> list[list[Finding] | None]:
    """Look at several things at once; None stands for what took longer than so many seconds, and is left behind."""
    found: list[list[Finding] | None] = [None] * len(looks)
    defects: list[BaseException] = []

    def run(index: int) -> None:
        try:
            found[index] = looks[index]()
        except BaseException as ex:  # noqa: BLE001 # pylint: disable=broad-exception-caught # raised below
            defects.append(ex)

    clock = Clock()
    over = clock.now() + seconds
    # A look-up of a name, and the core's own requests, take no time limit: so the threads may outlive their use.
    threads = [threading.Thread(target=run, args=(index,), daemon=True) for index in range(len(looks))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, over - clock.now()))
    if defects:
        raise defects[0]
    return list(found)


@dataclass(frozen=True)
class _Here:
    """This machine: who is signed in to the Azure CLI on it, and its connections."""

    cli_ctx: Any
    around: Surroundings
    assignee: Assignee
    transport: Transport
    hide: Callable[[str], None]

    def target(self, target: Endpoint, source: Source | None) -> Place:
        """The target, as an import into the repository of the source's name meets it."""
        return Place(
            Side.TARGET,
            self._registry(target.host, self._identity(target.subscription)),
            self.around,
            self._signed_in,
            repository=source.repository if source else PLACEHOLDER,
            assign=lambda role: self.assignee.assign(role, target.azure),
        )

    def source(self, target: Endpoint, source: Source) -> Place:
        """The source, with the credentials that a copy from here would show it."""
        endpoint, reference, login = source.endpoint, source.reference, source.login
        if login.identity:
            shown: Credentials | None = self._other_identity(endpoint, login.identity)
        elif endpoint.host == target.host and not login:
            shown = self._identity(target.subscription)
        else:
            shown = source_credentials(
                endpoint, reference.repository, login, identity=self._identity, saved=saved_credentials
            )
        is_ours = isinstance(shown, EntraIdentity) and not login
        return Place(
            Side.SOURCE,
            self._registry(reference.registry, shown),
            self.around,
            self._signed_in if is_ours else _in_words(shown is not None, source),
            service_has_them=bool(login) or is_ours or shown is None,
            is_acr=endpoint.facts.is_acr,
            repository=source.repository,
            identifier=reference.identifier if source.has_image else None,
            assign=(lambda role: self.assignee.assign(role, endpoint.azure)) if is_ours else None,
        )

    def _identity(self, subscription: str | None) -> EntraIdentity:
        return signed_in_identity(self.cli_ctx, subscription)

    def _other_identity(self, source: Endpoint, identity: SourceIdentity) -> EntraIdentity:
        """It signs in when it is first asked for a token, so that what fails then is one of the findings."""

        def get_token(audience: str) -> EntraToken:
            return sign_in(self.cli_ctx, identity, source, hide=self.hide).get_token(audience)

        return EntraIdentity(get_token, audiences_of(self.cli_ctx))

    def _registry(self, host: str, shown: Credentials | None) -> Registry:
        return Registry(host, transport=self.transport, credentials=shown, policy=_POLICY)

    @property
    def _signed_in(self) -> str:
        return f"as {self.assignee.name or 'a managed identity'} (az login)"


def _in_words(has_any: bool, source: Source) -> str:
    if source.login.identity:
        return f"as --source-identity {source.login.identity}"
    if source.login:
        return f"with the credentials that were given ({source.login.username or 'an access token'})"
    if has_any:
        return "with what docker login or podman login left on this machine; the service does not have it"
    return "without credentials: none were given, and this machine keeps none for it"


def _account(cli_ctx: Any) -> str:
    """The name of the signed-in identity; empty for a managed identity, which the core knows by no name of its own."""
    from azure.cli.core._profile import Profile

    name = str(Profile(cli_ctx=cli_ctx).get_current_account_user())
    return "" if name.endswith("AssignedIdentity") else name
