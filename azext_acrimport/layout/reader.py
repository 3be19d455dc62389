# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""Reading blobs of a layout."""

from __future__ import annotations

from collections.abc import Generator, Sequence

from azext_acrimport.layout.errors import Fault, LayoutError
from azext_acrimport.layout.files import Content
from azext_acrimport.layout.store import Layout
from azext_acrimport.oci.descriptor import Descriptor
from azext_acrimport.registry.errors import ContentMismatch


class LayoutReader:
    """A blob's bytes in order, unchecked, from where they are in the layout."""

    def __init__(self, layout: Layout, blob: Descriptor) -> None:
        self._layout = layout
        self._blob = blob
        self._position = 0
        self._content: Content | None = None

    def begin(self) -> None:
        """Nothing is asked for ahead: the bytes are at hand."""

    def read(self, buffer: memoryview) -> memoryview:
        """The next bytes: the buffer full of them, or as many as there are left.

        :raises LayoutError: they are not there, or cannot be read.
        :raises ContentMismatch: there are more or fewer than the blob's descriptor says.
        """
        self._layout.clock.check(self._layout.host)
        content = self._content or self._open()
        view = buffer[: self._blob.size - self._position]
        filled = 0
        while filled < len(view):
            try:
                got = content.read_into(view[filled:], self._position + filled)
            except OSError as ex:
                raise LayoutError(self._layout.host, Fault.UNREADABLE, ex.strerror or str(ex)) from ex
            if not got:
                raise self._mismatch(self._position + filled)
            filled += got
        self._position += filled
        return view

    def seek(self, position: int) -> None:
        """Go on from another position."""
        self._position = position

    def close(self) -> None:
        """Let go of the file; the next read opens it again."""
        content, self._content = self._content, None
        if content:
            content.close()

    def _open(self) -> Content:
        self._content = self._layout.open_blob(self._blob.digest)
        if self._content.size != self._blob.size:
            raise self._mismatch(self._content.size)
        return self._content

    def _mismatch(self, found: int) -> ContentMismatch:
        detail = f"the blob {self._blob.digest} has {found} bytes; its manifest says {self._blob.size} bytes"
        mismatch = ContentMismatch(self._layout.host, detail)
        mismatch.settled = True  # a file has the same bytes the second time
        return mismatch


class LayoutSeries:
    """The bytes of several small blobs, one blob after the other."""

    def __init__(self, layout: Layout, blobs: Sequence[Descriptor]) -> None:
        self._layout = layout
        self._blobs = blobs

    def begin(self) -> None:
        """Nothing is asked for ahead."""

    def blobs(self) -> Generator[LayoutReader, None, None]:
        """The blobs in order."""
        for blob in self._blobs:
            reader = LayoutReader(self._layout, blob)
            try:
                yield reader
            finally:
                reader.close()

    def close(self) -> None:
        """Nothing was begun."""
