# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""What all requests about one repository have in common: where they go, and what their token is for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from azext_acrimport.registry.claims import granted_actions
from azext_acrimport.registry.sender import Answer
from azext_acrimport.registry.transport import Exchange

if TYPE_CHECKING:
    from azext_acrimport.registry.registry import Registry

OK = frozenset({200})
FOUND = frozenset({200, 404})

T = TypeVar("T", bound="RepositoryBase")


class RepositoryBase:
    """A repository by its name. ``actions`` is what the token is asked for: ``pull``, or ``pull,push`` at a target."""

    def __init__(self, registry: Registry, name: str, actions: str = "pull") -> None:
        self.registry: Final = registry
        self.name: Final = name
        self.actions: Final = actions

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and vars(other) == vars(self)

    def __hash__(self) -> int:
        return hash((self.registry, self.name, self.actions))

    def __str__(self) -> str:
        return f"{self.registry.host}/{self.name}"

    def asking_for(self: T, actions: str) -> T:
        """The same repository, with a token for these actions."""
        return type(self)(self.registry, self.name, actions)

    @property
    def scope(self) -> tuple[str, ...]:
        """What this repository's token is for."""
        return (f"repository:{self.name}:{self.actions}",)

    @property
    def granted(self) -> frozenset[str] | None:
        """What its token allows, once a request has been sent with it; None where it does not tell."""
        token = self.registry.client.shown_token(self.scope)
        return granted_actions(token, self.name) if token else None

    def _path(self, kind: str, identifier: str) -> str:
        return f"/v2/{self.name}/{kind}/{identifier}"

    def _call(
        self,
        method: str,
        path: str,
        *,
        expect: frozenset[int],
        headers: dict[str, str] | None = None,
        body: bytes = b"",
        limit: int = 64 << 10,
        begun: Exchange | None = None,
    ) -> Answer:
        return self.registry.client.call(
            method, path, scope=self.scope, expect=expect, headers=headers, body=body, limit=limit, begun=begun
        )
