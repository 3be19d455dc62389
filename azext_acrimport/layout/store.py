# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""An image layout, open: its index, and its blobs by digest."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from azext_acrimport.layout.errors import Fault, LayoutError
from azext_acrimport.layout.files import DOCKER_MANIFEST, INDEX, LAYOUT, ArchiveFiles, Content, DirectoryFiles, Files
from azext_acrimport.layout.index import Image, read_index
from azext_acrimport.layout.reference import LayoutReference
from azext_acrimport.oci.descriptor import Descriptor
from azext_acrimport.oci.digest import printable
from azext_acrimport.oci.errors import OciError
from azext_acrimport.registry.client import OnWait
from azext_acrimport.registry.errors import ContentMismatch
from azext_acrimport.registry.retry import Clock

_MAX_INDEX_BYTES = 4 << 20
_MAX_LAYOUT_BYTES = 64 << 10


class Layout:
    """An image layout, opened when something of it is first asked for. Safe for several threads.

    ``host`` is its name in errors, as the user wrote it.
    """

    round_trip_seconds = 0.0

    def __init__(self, reference: LayoutReference, clock: Clock | None = None) -> None:
        self.host = reference.layout
        self.clock = clock or Clock()
        self._open = ArchiveFiles if reference.is_archive else DirectoryFiles
        self._path = os.path.expanduser(reference.path)
        self._lock = threading.Lock()
        self._files: Files | None = None
        self._images: tuple[Image, ...] | None = None

    def listen(self, on_wait: OnWait) -> None:
        """A file asks nobody to wait: there is nothing to tell."""

    def interrupt(self) -> None:
        """Break off what is under way, in all threads."""
        self.clock.cancelled.set()

    def stop(self) -> None:
        """Break off what is under way, in all threads."""
        self.clock.cancelled.set()

    def close(self) -> None:
        """Close what is open."""
        with self._lock:
            files, self._files = self._files, None
        if files:
            files.close()

    def images(self) -> tuple[Image, ...]:
        """The images that it lists, once for each name.

        :raises LayoutError: it is no image layout, or it cannot be read.
        """
        with self._lock:
            if self._images is None:
                with self._explained():
                    self._images = self._read_images(self._opened())
            return self._images

    def find_blob(self, digest: str) -> Content | None:
        """Open the blob with this digest; None when it is not there.

        :raises LayoutError: it cannot be read.
        """
        with self._explained():
            with self._lock:
                files = self._opened()
            return files.open(f"blobs/{digest.replace(':', '/')}")

    def open_blob(self, digest: str) -> Content:
        """Open the blob with this digest.

        :raises LayoutError: it is not there, or it cannot be read.
        """
        content = self.find_blob(digest)
        if content is None:
            raise LayoutError(self.host, Fault.INCOMPLETE, f"the layout is incomplete: {digest} is not in it")
        return content

    def _opened(self) -> Files:
        if self._files is None:
            self._files = self._open(self.host, self._path)
        return self._files

    def _read_images(self, files: Files) -> tuple[Image, ...]:
        layout = self._read(files, LAYOUT, _MAX_LAYOUT_BYTES)
        if layout is not None:
            self._check_version(layout)
        index = self._read(files, INDEX, _MAX_INDEX_BYTES)
        if index is None:
            docker = self._read(files, DOCKER_MANIFEST, _MAX_INDEX_BYTES)
            if docker is not None:
                detail = f"it is in docker's own format ({DOCKER_MANIFEST} without {INDEX}), not an image layout"
                raise LayoutError(self.host, Fault.DOCKER_ARCHIVE, detail)
            raise LayoutError(self.host, Fault.NOT_A_LAYOUT, f"it is no image layout: there is no {INDEX} in it")
        try:
            return read_index(index)
        except OciError as ex:
            raise LayoutError(self.host, Fault.NOT_A_LAYOUT, f"{INDEX}: {ex}") from ex

    def _read(self, files: Files, name: str, most: int) -> bytes | None:
        content = files.open(name)
        if content is None:
            return None
        try:
            if content.size > most:
                raise LayoutError(self.host, Fault.NOT_A_LAYOUT, f"its {name} is larger than {most >> 10} KiB")
            return content.read()
        finally:
            content.close()

    def _check_version(self, content: bytes) -> None:
        try:
            version = json.loads(content)["imageLayoutVersion"]
        except (ValueError, RecursionError, TypeError, KeyError) as ex:
            raise LayoutError(self.host, Fault.NOT_A_LAYOUT, f"its {LAYOUT} does not tell a version") from ex
        if not isinstance(version, str) or version.partition(".")[0] != "1":
            raise LayoutError(self.host, Fault.NOT_A_LAYOUT, f"it has the version {printable(version)} of layouts")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as ex:
            raise LayoutError(self.host, Fault.UNREADABLE, ex.strerror or str(ex)) from ex


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
