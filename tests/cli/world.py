# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""The local Azure as one test sees it."""

from __future__ import annotations

import itertools
from types import TracebackType
from typing import Any

from emulator.azure import Emulator
from emulator.content import Artifact
from emulator.resources import AzureRegistry
from emulator.store import Store

_numbers = itertools.count(1)


class World:
    """A running local Azure, without what other tests left in it."""

    def __init__(self, azure: Emulator) -> None:
        self.azure = azure
        self._registries: list[AzureRegistry] = []

    def __enter__(self) -> World:
        self.azure.server.faults.clear()
        self.azure.server.log.clear()
        self.azure.operations.clear()
        self.azure.imports.unreachable.clear()
        self.azure.hub.limited.clear()
        self.azure.hub.remaining = self.azure.hub.limit
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for registry in self._registries:
            self.azure.registries.remove(registry)

    def registry(self, **settings: Any) -> AzureRegistry:
        """Add a registry with a name of its own; ``settings`` are those of ``Emulator.add_registry``."""
        registry = self.azure.add_registry(f"registry{next(_numbers)}", **settings)
        self._registries.append(registry)
        return registry

    def put(self, image: Artifact, store: Store, repository: str, *tags: str) -> Artifact:
        """Put an image into a repository, alone and under these tags, and return it."""
        store.delete(repository)
        image.put(store.repository(repository), *tags)
        return image
