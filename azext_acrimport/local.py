# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""The local route: copy from registry to registry through this machine."""

from __future__ import annotations

import os
import signal
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from azext_acrimport._progress import CopyTally, Display
from azext_acrimport.credentials import given_credentials, saved_credentials, signed_in_identity
from azext_acrimport.oci.reference import Reference
from azext_acrimport.registry.credentials import Credentials, EntraIdentity
from azext_acrimport.registry.retry import Clock, RetryPolicy
from azext_acrimport.registry.transport import Transport, TransportSettings
from azext_acrimport.request import Images
from azext_acrimport.resolve import Endpoint
from azext_acrimport.transfer.errors import CopyCancelled
from azext_acrimport.transfer.result import CopyResult

_FAREWELL_SECONDS = 0.7


@dataclass(frozen=True)
class Effort:
    """How long a copy goes on where it does not get through, and how much goes on at once.

    That is further tries of each request, seconds in all, and connections to each registry.
    """

    retries: int
    timeout_seconds: float | None = None
    max_connections: int | None = None


def source_credentials(
    cli_ctx: Any,
    source: Endpoint,
    repository: str,
    username: str | None,
    password: str | None,
    *,
    identity: EntraIdentity | None = None,
) -> Credentials | None:
    """What the source is shown: what was given, else the signed-in identity for ACR, else what this machine keeps."""
    if identity:
        return identity
    if password:
        return given_credentials(username, password, is_acr=source.facts.is_acr)
    if source.azure:
        return signed_in_identity(cli_ctx, source.subscription)
    saved = saved_credentials(source.host, repository)
    # An ACR that is in no subscription one sees may still know the identity: AcrPull alone does not show it.
    return saved or (signed_in_identity(cli_ctx) if source.facts.is_acr else None)


def copy_from_here(
    cli_ctx: Any,
    *,
    source: Endpoint,
    target: Endpoint,
    images: Images,
    username: str | None,
    password: str | None,
    effort: Effort,
    identity: EntraIdentity | None = None,
) -> CopyResult:
    """Copy the image to all its names in the target.

    :raises CopyError: a registry failed, or the time was up (with ``OutOfTime`` as its cause).
    :raises TagExists: a tag names another image, and overwriting was not asked for.
    :raises CopyCancelled: Ctrl-C was pressed, or the process was told to end.
    """
    from azext_acrimport.registry.repository import Registry
    from azext_acrimport.transfer.copier import CopySettings, Root, Target, copy

    reference = Reference.within(source.host, images.source)
    tally = CopyTally()

    # One registry object for both sides lets the copier mount blobs instead of moving them.
    same = source.host == target.host and not password and not identity
    signed_in = signed_in_identity(cli_ctx, target.subscription)
    # Before anything is drawn: the look-up may warn.
    shown: Credentials | None = signed_in
    if not same:
        shown = source_credentials(cli_ctx, source, reference.repository, username, password, identity=identity)
    clock, policy = Clock(), RetryPolicy(retries=effort.retries)
    with (
        _stopped_by_signals(),
        Transport(transport_settings()) as transport,
        _time_limit(effort.timeout_seconds, clock, transport),
        Display(tally, sys.stderr, enabled=shows_progress(cli_ctx)),
    ):
        to = Registry(target.host, transport=transport, credentials=signed_in, policy=policy, clock=clock)
        origin = to
        if not same:
            origin = Registry(reference.registry, transport=transport, credentials=shown, policy=policy, clock=clock)
        root = Root(
            source=origin.repository(reference.repository),
            identifier=reference.identifier,
            targets=tuple(Target(to.repository(name), tags) for name, tags in images.targets.items()),
            force=images.force,
        )
        settings = CopySettings(max_connections=effort.max_connections) if effort.max_connections else None
        return copy([root], settings=settings, observe=tally.observe)[0]


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """Have SIGTERM stop a copy as Ctrl-C does, and both end in ``CopyCancelled``."""
    # Python lets the main thread alone set handlers; whoever has set one already knows what it is for.
    is_ours = threading.current_thread() is threading.main_thread() and (
        signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    )
    if is_ours:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt as ex:
        raise CopyCancelled from ex
    finally:
        if is_ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextmanager
def _time_limit(seconds: float | None, clock: Clock, transport: Transport) -> Iterator[None]:
    """Let the clock run out after so many seconds, and wake up who waits for a registry then."""
    if seconds is None:
        yield
        return
    clock.deadline = clock.now() + seconds
    limit, over = seconds, threading.Event()

    def watch() -> None:
        # The clock is asked between requests, and a request may wait long for its answer.
        if over.wait(limit + 0.01):
            return
        transport.interrupt()
        if not over.wait(_FAREWELL_SECONDS):  # time for workers to cancel their uploads
            transport.abort()

    threading.Thread(target=watch, name="acrx-time-limit", daemon=True).start()
    try:
        yield
    finally:
        over.set()


def transport_settings() -> TransportSettings:
    """The connection settings of the Azure CLI: its environment variables, as everywhere in ``az``."""
    import requests
    from azure.cli.core import __version__ as core_version
    from azure.cli.core.util import should_disable_connection_verify

    return TransportSettings(
        # Without a variable it is the bundle that every other command of the Azure CLI trusts.
        ca_bundle=os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or requests.certs.where(),
        verify=not should_disable_connection_verify(),
        proxies=urllib.request.getproxies(),
        user_agent=f"acrimport AzureCLI/{core_version}",
    )


def shows_progress(cli_ctx: Any) -> bool:
    """Whether the user has not turned progress off."""
    disabled = cli_ctx.config.getboolean("core", "disable_progress_bar", fallback=False)
    return not disabled and not cli_ctx.only_show_errors
