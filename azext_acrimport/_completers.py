# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""What the shell offers while a command is being typed. It comes at once or not at all, and never with an error."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from azure.cli.core.decorators import Completer
from knack.log import get_logger

if TYPE_CHECKING:
    from azext_acrimport.registry.registry import Registry

logger = get_logger(__name__)

LIMIT_SECONDS = 5.0  # of signing in, and of what the registry is asked; who waits longer types the name
_LIMIT = 1000  # names: more are of no help, and one answer of a registry holds as many
_MAX_BYTES = 1 << 20  # of the answer: names are 255 characters long at most, and mostly a tenth of that


@Completer  # type: ignore[untyped-decorator]
def complete_source(cmd: Any, prefix: str, namespace: Any, **_: Any) -> list[str]:
    """The repositories, and behind a colon the tags, of a registry of Azure that the signed-in identity may read.

    The registry is that of ``--registry``, else the login server that the value begins with.
    """
    if getattr(namespace, "source_registry_password", None):
        return []  # whose registry that is, is not for the signed-in identity to find out
    given = getattr(namespace, "source_registry", None)
    suffix = getattr(cmd.cli_ctx.cloud.suffixes, "acr_login_server_endpoint", None)
    lead, host, name = ("", _login_server(given, suffix), prefix) if given else _split(prefix)
    if not _is_acr(host, suffix):
        return []
    subscription = getattr(namespace, "_subscription", None)
    look_up = _names(cmd.cli_ctx, host, subscription)
    return [lead + each for each in _at_once(lambda: look_up(name))]


def _split(value: str) -> tuple[str, str, str]:
    """What stands before the repository, the host in it, and the part of the repository's name, of ``HOST/NAME``."""
    host, slash, name = value.partition("/")
    return (host + slash, host.lower(), name) if slash else ("", "", value)


def _login_server(registry: str, suffix: str | None) -> str:
    """The login server of what ``--registry`` names. Only that: to look it up would take longer than to type."""
    from azext_acrimport.arm import ResourceId

    identity = ResourceId.parse(registry)
    name = (identity.name if identity else registry).lower()
    return name if "." in name else f"{name}{suffix or ''}"


def _is_acr(host: str, suffix: str | None) -> bool:
    from azext_acrimport.hosts import is_acr_host

    return is_acr_host(host, suffix)


def _at_once(names: Callable[[], list[str]]) -> list[str]:
    """The names, if they come in time and without a failure."""
    found: list[str] = []

    def look_up() -> None:
        try:
            found.extend(names())
        except Exception as ex:  # pylint: disable=broad-except  # noqa: BLE001  (an error here is shown to nobody)
            logger.debug("Nothing to offer: %s", ex)

    # The sign-in takes no time limit, so it gets a thread that may outlive its usefulness.
    thread = threading.Thread(target=look_up, name="acrx-complete", daemon=True)
    thread.start()
    thread.join(LIMIT_SECONDS)
    return list(found)


def _names(cli_ctx: Any, host: str, subscription: str | None) -> Callable[[str], list[str]]:
    """What looks names up in a registry. All that it needs is loaded now, before its time begins."""
    from azext_acrimport.connections import transport_settings
    from azext_acrimport.credentials import signed_in_identity
    from azext_acrimport.registry.registry import Registry
    from azext_acrimport.registry.retry import RetryPolicy
    from azext_acrimport.registry.transport import Transport

    identity = signed_in_identity(cli_ctx, subscription)
    settings = transport_settings()._replace(timeout_seconds=LIMIT_SECONDS)

    def look_up(name: str) -> list[str]:
        with Transport(settings) as transport:
            once = RetryPolicy(retries=0)
            return _found(Registry(host, transport=transport, credentials=identity, policy=once), name)

    return look_up


def _found(registry: Registry, name: str) -> list[str]:
    repository, colon, tag = name.partition(":")
    if colon:
        return _tags(registry, repository, tag)
    found = _beginning(_repositories(registry, _just_before(name)), name)
    return found if found != [name] else _tags(registry, name, "")


def _repositories(registry: Registry, after: str) -> list[str]:
    """One page of ACR's own catalog.

    Source: https://learn.microsoft.com/rest/api/containerregistry/repository/get-list
    """
    query = urlencode({"n": _LIMIT, "last": after})
    scope = ("registry:catalog:*",)
    answer = registry.client.call(
        "GET", f"/acr/v1/_catalog?{query}", scope=scope, expect=frozenset({200}), limit=_MAX_BYTES
    )
    listed = json.loads(answer.content).get("repositories")
    return [name for name in listed or [] if isinstance(name, str)]


def _tags(registry: Registry, repository: str, part: str) -> list[str]:
    readable = registry.repository(repository).asking_for("metadata_read")  # what ACR wants of who lists tags
    return [f"{repository}:{tag}" for tag in _beginning(islice(readable.tags(), _LIMIT), part)]


def _beginning(names: Iterable[str], part: str) -> list[str]:
    return [name for name in names if name.startswith(part)]


def _just_before(part: str) -> str:
    """A name that stands in the order of names before all that begin so, and close to them."""
    return f"{part[:-1]}{chr(ord(part[-1]) - 1)}~" if part else ""
