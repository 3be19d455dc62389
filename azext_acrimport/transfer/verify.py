# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""The digest of a blob that is read in order, and sometimes from an earlier place again."""

from __future__ import annotations

from typing import Any

from azext_acrimport.oci.descriptor import Descriptor
from azext_acrimport.oci.digest import algorithm_of, digester
from azext_acrimport.registry.errors import ContentMismatch

_SPACING = 4 << 20
_MOST = 32


class Verifier:
    """Hashes a blob's bytes, and remembers the state at some places so as to go back there.

    Going back costs at most 1/16 of what was read: the places are thinned out as the blob goes on.
    """

    def __init__(self, blob: Descriptor) -> None:
        self.position = 0
        self._blob = blob
        self._hash = digester(blob.digest)
        self._spacing = _SPACING
        self._places: list[tuple[int, Any]] = [(0, self._hash.copy())]

    def update(self, data: memoryview) -> None:
        """Take in the next bytes."""
        if self.position - self._places[-1][0] >= self._spacing:
            self._remember()
        self._hash.update(data)
        self.position += len(data)

    def rewind(self, position: int) -> int:
        """Go back to the last remembered place at or before ``position``; return where that is."""
        while self._places[-1][0] > position:
            self._places.pop()
        self.position, state = self._places[-1]
        self._hash = state.copy()
        return self.position

    def check(self, host: str) -> None:
        """See that all bytes together are the blob. ``host`` is where they came from.

        :raises ContentMismatch: they are not.
        """
        found = f"{algorithm_of(self._blob.digest)}:{self._hash.hexdigest()}"
        if (found, self.position) != (self._blob.digest, self._blob.size):
            detail = f"the blob {self._blob.digest} was sent with other content ({found}, {self.position} bytes)"
            raise ContentMismatch(host, detail)

    def _remember(self) -> None:
        self._places.append((self.position, self._hash.copy()))
        if len(self._places) > _MOST:
            self._places = self._places[::2]
            self._spacing *= 2
