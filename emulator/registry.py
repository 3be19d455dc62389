# --------------------------------------------------------------------------------------------
# Copyright (c) The acrimport authors. All rights reserved.
# Licensed under the MIT License. See LICENSE in the project root for license information.
# --------------------------------------------------------------------------------------------
"""The registry API of the OCI distribution specification, version 1.1, over a store."""

from __future__ import annotations

from emulator.auth import Authoriser
from emulator.auth import anyone
from emulator.behaviour import Behaviour
from emulator.messages import Request
from emulator.messages import Response
from emulator.store import Store


class RegistryApp:
    """A registry. ``behaviour`` and ``authorise`` may be replaced at any time; ``store`` is what it holds."""

    def __init__(
        self, store: Store | None = None, *, behaviour: Behaviour | None = None, authorise: Authoriser = anyone
    ) -> None:
        self.store = store if store is not None else Store()
        self.behaviour = behaviour if behaviour is not None else Behaviour()
        self.authorise = authorise

    def __call__(self, request: Request) -> Response:
        return Response.text(404, "not yet\n")


class BlobStorageApp:
    """The storage behind a registry with ``redirect_blobs_to``; refuses any request that has an ``Authorization`` field."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def __call__(self, request: Request) -> Response:
        return Response.text(404, "not yet\n")
