# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""An image layout: its index, its manifests, and its blobs by digest."""

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
from azext_acrimport.oci.digest import algorithm_of, digest_of, printable
from azext_acrimport.oci.errors import OciError
from azext_acrimport.oci.manifest import MAX_MANIFEST_BYTES, Manifest, too_large
from azext_acrimport.registry.errors import ContentMismatch
from azext_acrimport.registry.retry import Clock
from azext_acrimport.registry.sender import OnWait

_MAX_INDEX_BYTES = 4 << 20
_MAX_LAYOUT_BYTES = 64 << 10


class Layout:  # pylint: disable=too-many-instance-attributes
    """An image layout, opened when something of it is first asked for. Safe for several threads.

    ``host`` is its name in errors, as the user wrote it.
    """

    round_trip_seconds = 0.0
    counts_pulls = False
    is_busy = False

    def __init__(self, reference: LayoutReference, clock: Clock | None = None) -> None:
        self.host = reference.layout
        self.clock = clock or Clock()
        self._open = ArchiveFiles if reference.is_archive else DirectoryFiles
        self._path = os.path.expanduser(reference.path)
        self._lock = threading.Lock()
        self._files: Files | None = None
        self._images: tuple[Image, ...] = ()
        self._referrers_lock = threading.Lock()
        self._referrers: dict[str, list[Descriptor]] | None = None

    def connect_ahead(self, count: int) -> None:
        """There is nothing to get ready for."""

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
            self._opened()
            return self._images

    def find_blob(self, digest: str) -> Content | None:
        """Open the blob with this digest; None when it is not there.

        :raises LayoutError: it cannot be read.
        """
        with self._lock:
            files = self._opened()
        with self._explained():
            return files.open(f"blobs/{digest.replace(':', '/')}")

    def open_blob(self, digest: str) -> Content:
        """Open the blob with this digest.

        :raises LayoutError: it is not there, or it cannot be read.
        """
        content = self.find_blob(digest)
        if content is None:
            raise LayoutError(self.host, Fault.INCOMPLETE, f"the layout is incomplete: {digest} is not in it")
        return content

    def manifest(self, digest: str) -> Manifest:
        """The manifest with this digest.

        :raises LayoutError: it is not there, or it cannot be read.
        :raises ContentMismatch: it is not what its digest says.
        :raises OciError: it is no manifest.
        """
        content = self.open_blob(digest)
        try:
            if content.size > MAX_MANIFEST_BYTES:
                raise too_large()
            with self._explained():
                manifest = content.read()
        finally:
            content.close()
        algorithm = algorithm_of(digest)
        found = digest_of(manifest, algorithm)
        if found != digest:
            raise ContentMismatch(self.host, f"the manifest {digest} has other content ({found})")
        return Manifest.parse(manifest, algorithm=algorithm)

    def referrers(self, digest: str) -> list[Descriptor]:
        """What the layout lists that refers to the manifest with this digest as its subject.

        :raises LayoutError: a manifest that it lists cannot be read.
        :raises ContentMismatch: such a manifest is not what its digest says.
        """
        with self._referrers_lock:
            if self._referrers is None:
                self._referrers = self._find_referrers()
            return self._referrers.get(digest, [])

    def _find_referrers(self) -> dict[str, list[Descriptor]]:
        found: dict[str, list[Descriptor]] = {}
        for descriptor in {image.descriptor.digest: image.descriptor for image in self.images()}.values():
            subject = self._subject_of(descriptor.digest)
            if subject:
                found.setdefault(subject.digest, []).append(descriptor)
        return found

    def _subject_of(self, digest: str) -> Descriptor | None:
        try:
            return self.manifest(digest).subject
        except OciError:
            return None  # nothing that could be copied
        except LayoutError as ex:
            if ex.fault is Fault.INCOMPLETE:
                return None
            raise

    def _opened(self) -> Files:
        if self._files is None:
            with self._explained():
                files = self._open(self.host, self._path)
                try:
                    self._images = self._read_images(files)
                except BaseException:
                    files.close()
                    raise
            self._files = files
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
