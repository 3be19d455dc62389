# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""What happens during a copy, as it happens. Observers are called from the threads that do the work."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Union

from azext_acrimport.transfer.nodes import Root
from azext_acrimport.transfer.result import BlobOutcome


class BlobsFound(NamedTuple):
    """More blobs have become known: how many, and their bytes. The counts of several events add up."""

    blobs: int
    size: int


class BlobStarted(NamedTuple):
    """The bytes of a blob begin to move, or, of small blobs that move together, have moved. ``size`` in bytes."""

    digest: str
    size: int


class BlobAdvanced(NamedTuple):
    """So many more bytes of the blob have arrived at the target; negative when some must be sent again."""

    digest: str
    size: int


class BlobFinished(NamedTuple):
    """The blob is at the target, in ``repository``.

    ``origin`` is where it was copied or mounted from: ``registry/repository``, or a repository of the same registry.
    """

    digest: str
    size: int
    outcome: BlobOutcome
    repository: str = ""
    origin: str = ""


class ManifestFinished(NamedTuple):
    """The manifest is at the target; ``copied`` is False when it had been there before."""

    digest: str
    copied: bool


class TagWritten(NamedTuple):
    """The tag at the target names the image from now on."""

    repository: str
    tag: str


class ImageFinished(NamedTuple):
    """Everything of one image is done, or will not be: ``failure`` says why."""

    root: Root
    failure: Exception | None = None


class Waiting(NamedTuple):
    """A registry asked for patience, or could not be reached; the request is sent again after so many seconds."""

    host: str
    seconds: float
    cause: str


Event = Union[BlobsFound, BlobStarted, BlobAdvanced, BlobFinished, ManifestFinished, TagWritten, ImageFinished, Waiting]
Observer = Callable[[Event], None]


def ignore(_event: Event) -> None:
    """An observer that looks away."""
