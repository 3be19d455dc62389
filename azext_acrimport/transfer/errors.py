# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""What can go wrong in a copy: a failure of one registry, with the side that it is on.

The side is what people miss most in the errors of `az acr import`: https://github.com/Azure/azure-cli/issues/31412
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum

from azext_acrimport.oci.errors import OciError
from azext_acrimport.registry.errors import RegistryFailure
from azext_acrimport.transfer.source import Source


class Side(str, Enum):
    """Which end of a copy."""

    SOURCE = "source"
    TARGET = "target"


class CopyError(Exception):
    """A copy failed at one side.

    ``registry`` and ``repository`` name that side; ``subject`` is the tag or digest it was about, or empty.
    The cause (``__cause__``) is a ``registry.errors.RegistryFailure`` or an ``oci.errors.OciError``.
    """

    def __init__(self, side: Side, registry: str, repository: str, subject: str = "") -> None:
        super().__init__(side, registry, repository, subject)
        self.side = side
        self.registry = registry
        self.repository = repository
        self.subject = subject

    @property
    def place(self) -> str:
        """The registry with the repository, where there is more than one."""
        return f"{self.registry}/{self.repository}" if self.repository else self.registry

    def __str__(self) -> str:
        name = self.place + (f" ({self.subject})" if self.subject else "")
        return f"{self.side.value} {name}: {self.__cause__}"


class TagExists(Exception):
    """The target's tag names another image, and overwriting was not asked for. Nothing was moved."""

    def __init__(self, registry: str, repository: str, tag: str, existing_digest: str, source_digest: str) -> None:
        super().__init__(registry, repository, tag)
        self.registry = registry
        self.repository = repository
        self.tag = tag
        self.existing_digest = existing_digest
        self.source_digest = source_digest

    def __str__(self) -> str:
        return (
            f"target {self.registry}/{self.repository}:{self.tag} exists with digest {self.existing_digest}, "
            f"the source has {self.source_digest}"
        )


class Skipped(Exception):
    """An image was given up because the run was halted before it was complete. It has no tag yet."""


class ReferrerTagExists(TagExists):
    """A tag of cosign's names something else at the target. The image's own tags have not been written."""


class CopyCancelled(Exception):
    """The copy was stopped from outside before it was complete."""


@contextmanager
def blamed_on(side: Side, repository: Source, subject: str = "") -> Iterator[None]:
    """Say of what goes wrong inside which side it was on. ``subject`` is the tag or digest it is about."""
    try:
        yield
    except (RegistryFailure, OciError) as ex:
        raise CopyError(side, repository.registry.host, repository.name, subject) from ex
