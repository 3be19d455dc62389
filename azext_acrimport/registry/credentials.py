# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""What a registry may be shown. Secrets never appear in a ``repr``."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Union

ACR_AUDIENCE = "https://containerregistry.azure.net"


@dataclass(frozen=True)
class Password:
    """A user with a password: sent as Basic, to the registry or to the realm that it names."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class IdentityToken:
    """An OAuth refresh token, as ``docker login`` keeps it (``identitytoken``) and ACR hands it out."""

    token: str = field(repr=False)


@dataclass(frozen=True)
class BearerToken:
    """A token that the registry itself takes, as it is."""

    token: str = field(repr=False)


@dataclass(frozen=True)
class EntraToken:
    """A Microsoft Entra access token, and the tenant that it is from (where that is known)."""

    token: str = field(repr=False)
    tenant: str | None = None


@dataclass(frozen=True)
class EntraIdentity:
    """An identity that gets Entra tokens, which ACR exchanges for its own (``POST /oauth2/exchange``).

    ``get_token`` takes an audience such as :data:`ACR_AUDIENCE` and may raise anything; ``audiences`` are tried in
    turn. Source: https://github.com/Azure/acr/blob/main/docs/AAD-OAuth.md
    """

    get_token: Callable[[str], EntraToken] = field(repr=False)
    audiences: tuple[str, ...] = (ACR_AUDIENCE,)


def basic_authorization(username: str, password: str) -> str:
    """The value of ``Authorization`` for a user with a password. Source: RFC 7617."""
    return f"Basic {base64.b64encode(f'{username}:{password}'.encode()).decode()}"


Credentials = Union[Password, IdentityToken, BearerToken, EntraIdentity]
