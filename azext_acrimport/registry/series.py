# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""Reading several small blobs in order over one connection, all asked for at once.

This is for when all goes well. Whatever does not ends the series: what is left of it is to be read one by one.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from azext_acrimport.oci.descriptor import Descriptor
from azext_acrimport.registry.causes import failure
from azext_acrimport.registry.errors import ConnectionFailed, Reason
from azext_acrimport.registry.pipeline import Pipeline
from azext_acrimport.registry.response import HttpViolation, Response, Truncated

if TYPE_CHECKING:
    from azext_acrimport.registry.blobs import Blobs

_SLOW_SECONDS = 30.0  # for one small blob: whoever reads it alone has more patience


class BlobSeries:
    """The bytes of several blobs, one blob after the other. They are not checked here."""

    def __init__(self, repository: Blobs, blobs: Sequence[Descriptor]) -> None:
        self._repository = repository
        self._blobs = blobs
        self._begun: Pipeline | None = None

    def begin(self) -> None:
        """Send the requests, so that the bytes are on their way when they are first read."""
        self._begun = self._repository.begin_blobs([blob.digest for blob in self._blobs])

    def blobs(self) -> Generator[SmallBlob, None, None]:
        """The blobs in order, for as long as all goes well. What is not read of one is passed over.

        :raises RegistryFailure: a registry sends us where it has no business to.
        """
        begun, self._begun = self._begun, None
        digests = [blob.digest for blob in self._blobs]
        with closing(self._repository.open_blobs(digests, begun)) as answers:
            for blob, response in zip(self._blobs, answers, strict=False):
                if response.length != blob.size:
                    response.close()
                    return
                try:
                    yield SmallBlob(self._repository, blob, response)
                finally:
                    response.drain()

    def close(self) -> None:
        """Let go of what was begun."""
        begun, self._begun = self._begun, None
        if begun:
            begun.close()


class SmallBlob:  # pylint: disable=too-few-public-methods
    """One blob of a series."""

    def __init__(self, repository: Blobs, blob: Descriptor, response: Response) -> None:
        self._registry = repository.registry
        self._left = blob.size
        self._response = response
        self._until = self._registry.client.clock.now() + _SLOW_SECONDS

    def read(self, buffer: memoryview) -> memoryview:
        """The next bytes: the buffer full of them, or as many as there are left.

        :raises RegistryFailure: they do not come, or not in time.
        """
        view = buffer[: self._left]
        filled = 0
        while filled < len(view):
            filled += self._receive(view[filled:])
        self._left -= filled
        return view

    def _receive(self, view: memoryview) -> int:
        clock, origin = self._registry.client.clock, self._registry.client.origin
        clock.check(self._registry.host)
        if clock.now() > self._until:
            self._response.close()
            raise ConnectionFailed(self._registry.host, origin.authority, Reason.TIMEOUT, "a small blob took too long")
        try:
            count = self._response.fill(view)
        except (OSError, HttpViolation) as ex:
            self._response.close()
            raise failure(self._registry.host, origin, ex) from ex
        if not count:
            raise failure(self._registry.host, origin, Truncated("the blob ended early"))
        return count
