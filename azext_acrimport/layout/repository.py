# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""Image layouts as sources of a copy: what :class:`transfer.source.Source` asks for."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType

from azext_acrimport.layout.errors import Fault, LayoutError
from azext_acrimport.layout.index import distinct, listing, matching
from azext_acrimport.layout.reader import LayoutReader, LayoutSeries
from azext_acrimport.layout.reference import LayoutReference
from azext_acrimport.layout.store import Layout
from azext_acrimport.oci.descriptor import Descriptor
from azext_acrimport.oci.digest import is_digest, printable
from azext_acrimport.oci.manifest import Manifest
from azext_acrimport.registry.retry import Clock


@dataclass(frozen=True)
class LayoutRepository:
    """All images of a layout, each by its whole name, its tag or its digest. An empty name stands for the only one."""

    registry: Layout

    def __str__(self) -> str:
        return self.registry.host

    @property
    def name(self) -> str:
        """Empty: a layout is one repository, whatever its images are called."""
        return ""

    def digest_of(self, identifier: str) -> str | None:
        """The digest of the manifest of this name or digest; None when there is none.

        :raises LayoutError: several images go by this name, or the layout cannot be read.
        """
        if is_digest(identifier):
            content = self.registry.find_blob(identifier)
            if content is None:
                return None
            content.close()
            return identifier
        found = distinct(matching(self.registry.images(), identifier))
        if len(found) > 1:
            several = f"several images are called {printable(identifier)}" if identifier else "there are several images"
            raise LayoutError(self.registry.host, Fault.SEVERAL_IMAGES, f"{several}: {listing(found)}")
        return found[0].descriptor.digest if found else None

    def digests_of(self, identifiers: Sequence[str]) -> dict[str, str | None]:
        """The digests of those that are found; the others are to be asked for by :meth:`digest_of`.

        :raises LayoutError: the layout cannot be read.
        """
        images = self.registry.images()
        found = {each: distinct(matching(images, each)) for each in identifiers}
        return {each: some[0].descriptor.digest for each, some in found.items() if len(some) == 1}

    def manifests(self, identifiers: Sequence[str]) -> dict[str, Manifest]:  # pylint: disable=unused-argument
        """None of them: to read one after the other from a file takes no longer."""
        return {}

    def manifest(self, identifier: str) -> Manifest:
        """The manifest of this name or digest.

        :raises LayoutError: it is not there, or it cannot be read.
        :raises ContentMismatch: it is not what its digest says.
        :raises OciError: it is no manifest.
        """
        digest = self.digest_of(identifier)
        if digest is None and not is_digest(identifier):
            raise self._no_such_image(identifier)
        return self.registry.manifest(digest or identifier)

    def tags(self) -> Iterator[str]:
        """The tags of its images, each once."""
        yield from dict.fromkeys(image.tag for image in self.registry.images() if image.tag)

    def referrers(self, digest: str) -> list[Descriptor]:
        """What the layout lists that refers to the manifest with this digest as its subject.

        :raises LayoutError: a manifest that it lists cannot be read.
        """
        return self.registry.referrers(digest)

    def suggested_name(self, identifier: str) -> str | None:
        """``repository:tag`` as the layout itself calls the image, without a registry; None where it does not.

        :raises LayoutError: there is no such image, or there are several.
        """
        digest = self.digest_of(identifier)
        if digest is None:
            raise self._no_such_image(identifier)
        images = self.registry.images()
        listed = [each for each in matching(images, identifier) or images if each.descriptor.digest == digest]
        return next((each.repository_and_tag for each in listed if each.repository_and_tag), None)

    def reader(
        self,
        blob: Descriptor,
        *,
        lanes: Callable[[], int] = lambda: 1,  # pylint: disable=unused-argument
    ) -> LayoutReader:
        """Read a blob; however many ``lanes`` there may be, a file is read in one."""
        return LayoutReader(self.registry, blob)

    def series(self, blobs: Sequence[Descriptor]) -> LayoutSeries:
        """Read several small blobs in order."""
        return LayoutSeries(self.registry, blobs)

    def _no_such_image(self, identifier: str) -> LayoutError:
        images = self.registry.images()
        there = f"; there are {listing(images)}" if images else ": it lists none"
        what = f"there is no image {printable(identifier)} in it" if identifier else "there is no image in it"
        return LayoutError(self.registry.host, Fault.NO_SUCH_IMAGE, what + there)


class Layouts:
    """The layouts of a run, each opened once, and closed at its end. Safe for several threads."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or Clock()
        self._lock = threading.Lock()
        self._layouts: dict[tuple[str, str], Layout] = {}

    def __enter__(self) -> Layouts:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._lock:
            layouts, self._layouts = self._layouts, {}
        for layout in layouts.values():
            layout.close()

    def repository(self, reference: LayoutReference) -> LayoutRepository:
        """The layout that a reference names. Nothing is opened yet."""
        key = reference.kind, os.path.realpath(os.path.expanduser(reference.path))
        with self._lock:
            return LayoutRepository(self._layouts.setdefault(key, Layout(reference, self._clock)))
