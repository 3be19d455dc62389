# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""Where a URL points to, and which of those places are this machine or a private network."""

from __future__ import annotations

import ipaddress
import re
import socket
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

_DEFAULT_PORTS = {"https": 443, "http": 80}
_UNSAFE = re.compile(r"[^\x21-\x7e]")


class Origin(NamedTuple):
    """Scheme, host and port: what a connection is made to, and what a credential belongs to."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}"

    @property
    def authority(self) -> str:
        """The host, with the port where it is not the scheme's own: the value of the ``Host`` header."""
        with_port = self.host_and_port
        return with_port.rpartition(":")[0] if self.port == _DEFAULT_PORTS[self.scheme] else with_port

    @property
    def host_and_port(self) -> str:
        """The host with its port in any case: what a proxy is asked for."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether it is this machine, by its name or address alone."""
        return is_loopback(self.host)


class BadUrl(ValueError):
    """A URL that we do not follow."""


def origin_of(host: str, scheme: str) -> Origin:
    """The origin of ``host[:port]``."""
    parts = _split(f"{scheme}://{host}")
    return Origin(scheme, (parts.hostname or "").lower(), parts.port or _DEFAULT_PORTS[scheme])


def split_url(url: str, base: Origin, base_path: str = "/") -> tuple[Origin, str]:
    """Read a URL that a registry sent, absolute or relative to ``base``, as an origin and a path with its query.

    :raises BadUrl: it is malformed, or neither http nor https.
    """
    if len(url) > 16 << 10 or _UNSAFE.search(url):
        raise BadUrl("a malformed URL")
    parts = _split(url)
    if parts.scheme and parts.scheme not in _DEFAULT_PORTS:
        raise BadUrl("a URL that is neither http nor https")
    if (parts.scheme or url.startswith("//")) and not parts.hostname:
        raise BadUrl("a URL without a host")
    if parts.username is not None or parts.password is not None:
        raise BadUrl("a URL with a user in it")
    origin = base
    if parts.netloc:
        scheme = parts.scheme or base.scheme
        origin = Origin(scheme, (parts.hostname or "").lower(), parts.port or _DEFAULT_PORTS[scheme])
    path = parts.path or ("/" if parts.netloc else base_path)
    if not path.startswith("/"):
        path = f"{base_path.rpartition('/')[0]}/{path}"
    return origin, path + (f"?{parts.query}" if parts.query else "")


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        if parts.port == 0:
            raise ValueError("port 0")
        return parts
    except ValueError as ex:
        raise BadUrl("a malformed URL") from ex


def is_loopback(host: str) -> bool:
    """Whether the host is this machine, by its name or address alone."""
    name = host.rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    address = _address(name)
    return address is not None and address.is_loopback


def is_private(host: str) -> bool:
    """Whether the host is an address that only this machine or its network can reach, or this machine's name."""
    if is_loopback(host):
        return True
    address = _address(host.rstrip("."))
    return address is not None and (not address.is_global or address.is_multicast)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The host as an address, in all the ways that systems read one: 127.1 and 0x7f000001 are 127.0.0.1."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        pass
    try:
        return ipaddress.IPv4Address(socket.inet_aton(host))
    except (OSError, ValueError):
        return None
