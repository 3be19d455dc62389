# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""Which of the places that a registry names are followed: redirects, uploads, further pages, token services.

A registry may send us elsewhere, but not from https to plain http, and not into a network that it is outside of.
"""

from __future__ import annotations

from urllib.parse import unquote

from azext_acrimport.registry.address import BadUrl, Origin, is_private, split_url
from azext_acrimport.registry.errors import ProtocolError


def redirect_target(host: str, location: str, base: Origin, path: str) -> tuple[Origin, str]:
    """Where a redirect leads that was met at ``path``. ``host`` is the registry's name for errors, here and below.

    :raises ProtocolError: there, no registry has any business to send us.
    """
    try:
        found, target = split_url(location, base, path)
    except BadUrl as ex:
        raise ProtocolError(host, f"the registry redirects to {ex}") from ex
    if not location or (found.scheme == "http" and not (base.scheme == "http" and found.is_loopback)):
        raise ProtocolError(host, f"the registry redirects to {found}, which is not followed")
    return found, target


def upload_location(host: str, location: str | None, own: Origin, path: str) -> tuple[Origin, str]:
    """Where an upload session goes on, of a registry whose ``own`` origin that is.

    :raises ProtocolError: it does not say, or it leads where a registry has no business to send us.
    """
    if not location:
        raise ProtocolError(host, "the registry began an upload and did not say where it goes on")
    try:
        found, target = split_url(location, own, path)
    except BadUrl as ex:
        raise ProtocolError(host, f"the registry sent {ex} for an upload") from ex
    if found != own:
        if found.host == own.host and found.scheme == "http":
            return own, target  # a registry behind a TLS proxy that thinks it is spoken to in plain http
        if found.scheme != "https" or (is_private(found.host) and not is_private(own.host)):
            raise ProtocolError(host, f"the registry sends uploads to {found}, which is not followed")
    return found, target


def next_page(host: str, link: str, own: Origin, path: str, what: str) -> str:
    """The path of the next page of a list: at the registry itself. ``what`` the list is of, for errors.

    :raises ProtocolError: it is elsewhere.
    """
    try:
        found, target = split_url(link, own, path)
    except BadUrl as ex:
        raise ProtocolError(host, f"the registry's list of {what} goes on at {ex}") from ex
    if (found.host, found.port) != (own.host, own.port):
        raise ProtocolError(host, f"the registry's list of {what} goes on at {found}")
    return target


def token_service(host: str, realm: str, own: Origin) -> tuple[Origin, str]:
    """Where tokens come from: over https, or on this machine when the registry itself is.

    :raises ProtocolError: it is not said, or reached in another way.
    """
    try:
        found, path = split_url(realm, own)
    except BadUrl as ex:
        raise ProtocolError(host, f"the registry names a token service by {ex}") from ex
    if not realm or (found.scheme != "https" and not (found.is_loopback and own.scheme == "http")):
        raise ProtocolError(host, "the registry names a token service that is not reached over https")
    return found, _without_scope(path)


def _without_scope(path: str) -> str:
    """The realm's path; a query of its own may stay, but not ask for more than we do."""
    path, mark, query = path.partition("?")
    kept = [each for each in query.split("&") if unquote(each.partition("=")[0]).lower() != "scope"]
    return f"{path}?{'&'.join(kept)}" if mark and kept else path
