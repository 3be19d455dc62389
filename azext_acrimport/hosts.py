# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""What can be told of a registry from its host name alone."""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Callable

RESOLVE_SECONDS = 2.0  # a resolver that does not answer must not hold up the import

Resolve = Callable[[str], list[str]]


def is_acr_host(host: str, suffix: str | None) -> bool:
    """Whether the host is a login server of the cloud: ``name.azurecr.io``, ``name-hash.azurecr.io``."""
    label = host.lower().removesuffix(suffix.lower()) if suffix else host
    return bool(suffix) and label != host.lower() and bool(label) and "." not in label


def registry_name_of(host: str) -> str:
    """The name of the registry that a login server belongs to: ``name-hash.azurecr.io`` is ``name``.

    Source: https://learn.microsoft.com/azure/container-registry/container-registry-get-started-azure-cli
    ("Domain Name Label (DNL) Scope")
    """
    return host.partition(".")[0].partition("-")[0]


def home_of(host: str, suffix: str | None) -> str | None:
    """The login server of a regional endpoint: ``name.eastus.geo.azurecr.io`` is ``name.azurecr.io``; else None."""
    tail = f".geo{suffix}".lower() if suffix else ""
    if not tail or not host.lower().endswith(tail):
        return None
    name, dot, region = host.lower()[: -len(tail)].partition(".")
    return f"{name}{suffix}" if name and dot and region and "." not in region else None


def is_private_host(host: str, *, resolve: Resolve | None = None, seconds: float = RESOLVE_SECONDS) -> bool:
    """Whether the host, with a port or not, can be reached only from inside a network.

    That is a loopback or private address, a name that resolves to nothing else, or a single-label name. A name that
    does not resolve is not known to be private: behind a proxy names often do not resolve.
    """
    name = _without_port(host)
    address = _address(name)
    if address:
        return _is_private(address)
    if "." not in name:
        return True
    found = _resolved(name, resolve or _resolve, seconds)
    return bool(found) and all(_is_private(each) for each in map(_address, found) if each)


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text.partition("%")[0])  # a link-local address may name its interface
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _is_private(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return address.is_private or address.is_loopback or address.is_link_local


def _resolve(name: str) -> list[str]:
    return [str(entry[4][0]) for entry in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)]


def _resolved(name: str, resolve: Resolve, seconds: float) -> list[str]:
    found: list[str] = []

    def look_up() -> None:
        try:
            found.extend(resolve(name))
        except (OSError, UnicodeError):  # UnicodeError: a label that is too long for DNS
            pass

    # The resolver takes no time limit, so it gets a thread that may outlive its usefulness.
    thread = threading.Thread(target=look_up, name="acrx-resolve", daemon=True)
    thread.start()
    thread.join(seconds)
    return list(found)
