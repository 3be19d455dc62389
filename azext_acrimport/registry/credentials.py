# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""What a registry may be shown. Secrets never appear in a ``repr``."""

# pylint: disable=too-few-public-methods
from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Final, Union

ACR_AUDIENCE = "https://containerregistry.azure.net"


class _Secret:
    """A value that shows nothing of itself."""

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and vars(other) == vars(self)

    def __hash__(self) -> int:
        return hash(tuple(vars(self).values()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"


class Password(_Secret):
    """A user with a password: sent as Basic, to the registry or to the realm that it names."""

    def __init__(self, username: str, password: str) -> None:
        self.username: Final = username
        self.password: Final = password


class IdentityToken(_Secret):
    """An OAuth refresh token, as ``docker login`` keeps it (``identitytoken``) and ACR hands it out."""

    def __init__(self, token: str) -> None:
        self.token: Final = token


class BearerToken(_Secret):
    """A token that the registry itself takes, as it is."""

    def __init__(self, token: str) -> None:
        self.token: Final = token


class EntraToken(_Secret):
    """A Microsoft Entra access token, and the tenant that it is from (where that is known)."""

    def __init__(self, token: str, tenant: str | None = None) -> None:
        self.token: Final = token
        self.tenant: Final = tenant


class EntraIdentity(_Secret):
    """An identity that gets Entra tokens, which ACR exchanges for its own (``POST /oauth2/exchange``).

    ``get_token`` takes an audience such as :data:`ACR_AUDIENCE` and may raise anything; ``audiences`` are tried in
    turn. Source: https://github.com/Azure/acr/blob/main/docs/AAD-OAuth.md
    """

    def __init__(self, get_token: Callable[[str], EntraToken], audiences: tuple[str, ...] = (ACR_AUDIENCE,)) -> None:
        self.get_token: Final = get_token
        self.audiences: Final = audiences


def basic_authorization(username: str, password: str) -> str:
    """The value of ``Authorization`` for a user with a password. Source: RFC 7617."""
    return f"Basic {base64.b64encode(f'{username}:{password}'.encode()).decode()}"


Credentials = Union[Password, IdentityToken, BearerToken, EntraIdentity]
