# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""What a copy asks of the side that it reads from: a repository of a registry, or something else that holds images."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Protocol

from azext_acrimport.oci.descriptor import Descriptor
from azext_acrimport.oci.manifest import Manifest
from azext_acrimport.registry.sender import OnWait


class Bytes(Protocol):  # pylint: disable=too-few-public-methods
    """A blob's bytes in order, unchecked."""

    def read(self, buffer: memoryview) -> memoryview:
        """The next bytes: the buffer full of them, or as many as there are left.

        :raises RegistryFailure: they cannot be had.
        """


class BlobStream(Bytes, Protocol):
    """A blob's bytes, which are tried for again where that may help."""

    def begin(self) -> None:
        """Ask for the bytes before they are read, where that saves time."""

    def seek(self, position: int) -> None:
        """Go on from another position."""

    def close(self) -> None:
        """Let go of what the stream comes from; the next read opens it again."""


class Series(Protocol):
    """The bytes of several small blobs, one blob after the other, without further tries."""

    def begin(self) -> None:
        """Ask for all of them before they are read, where that saves time."""

    def blobs(self) -> Generator[Bytes, None, None]:
        """The blobs in order, for as long as all goes well. What is not read of one is passed over.

        :raises RegistryFailure: the next cannot be had.
        """

    def close(self) -> None:
        """Let go of what was begun."""


class SourceRegistry(Protocol):
    """Where a source's repositories are. ``host`` names it in errors; no two may have the same."""

    @property
    def host(self) -> str:
        """Its name, as the user wrote it."""

    @property
    def round_trip_seconds(self) -> float:
        """How long a question takes at least."""

    @property
    def counts_pulls(self) -> bool:
        """Whether each manifest that is fetched counts against a limit, and a look at its digest does not."""

    @property
    def is_busy(self) -> bool:
        """Whether it has asked for patience just now."""

    def connect_ahead(self, count: int) -> None:
        """Get ready for so many questions at once.

        :raises RegistryFailure: it is not to be reached.
        """

    def listen(self, on_wait: OnWait) -> None:
        """Tell of waits from now on."""

    def interrupt(self) -> None:
        """Break off what is under way, in all threads; only farewells are still said."""

    def stop(self) -> None:
        """Break off what is under way, in all threads."""


class Source(Protocol):
    """A repository to copy from. It is hashed and compared as one of many.

    What fails raises a ``registry.errors.RegistryFailure`` or an ``oci.errors.OciError``.
    """

    @property
    def registry(self) -> SourceRegistry:
        """Where the repository is."""

    @property
    def name(self) -> str:
        """The repository's name within the registry; empty where there is but one."""

    def digest_of(self, identifier: str) -> str | None:
        """The digest of the manifest with this tag or digest; None when there is none."""

    def digests_of(self, identifiers: Sequence[str]) -> dict[str, str | None]:
        """The digests of several manifests; what is not in it must be asked for by :meth:`digest_of`."""

    def manifests(self, identifiers: Sequence[str]) -> dict[str, Manifest]:
        """Several manifests at once; what is not in it must be asked for by :meth:`manifest`."""

    def manifest(self, identifier: str) -> Manifest:
        """The manifest with this tag or digest; what it contains is what the digest says."""

    def tags(self) -> Iterator[str]:
        """The tags; none for a repository that does not exist."""

    def referrers(self, digest: str) -> list[Descriptor] | None:
        """What refers to the manifest with this digest; None where that is not listed."""

    def reader(self, blob: Descriptor, *, lanes: Callable[[], int]) -> BlobStream:
        """Read a blob; ``lanes`` tells how many connections that may take."""

    def series(self, blobs: Sequence[Descriptor]) -> Series:
        """Read several small blobs in order."""
