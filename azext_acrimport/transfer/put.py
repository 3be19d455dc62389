# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""Putting a manifest whose children are all there: its tags checked once more, and what turns out missing mended."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from azext_acrimport.oci.descriptor import Descriptor
from azext_acrimport.oci.manifest import Manifest
from azext_acrimport.registry.errors import ContentMismatch, RegistryError, RegistryFailure
from azext_acrimport.registry.repository import Repository
from azext_acrimport.registry.transport import Exchange
from azext_acrimport.transfer.errors import CopyError, Side, TagExists, blamed_on
from azext_acrimport.transfer.source import Source

# A registry collects what no manifest refers to: a blob may have gone since it was asked for. Some name the child of
# an index so as well. Source: OCI distribution specification, "Error Codes".
_MISSING_CODES = frozenset({"MANIFEST_BLOB_UNKNOWN", "BLOB_UNKNOWN", "MANIFEST_UNKNOWN", "MANIFEST_INVALID"})

Closing = Callable[[Exchange], None]
CopyBlob = Callable[[Descriptor], None]
"""Sends a blob to the target, whatever the target has."""


class ManifestPut:
    """One manifest on its way into a target repository, after everything that it refers to."""

    def __init__(self, source: Source, target: Repository, manifest: Manifest, copy_blob: CopyBlob) -> None:
        self._source = source
        self._target = target
        self._manifest = manifest
        self._copy_blob = copy_blob

    def under_tags(self, tags: tuple[str, ...], *, force: bool, seen: Mapping[str, str | None]) -> None:
        """Put it under each tag; without ``force`` none is written if one names another image by now.

        ``seen`` is what some of them have been seen to name just now.

        :raises TagExists: one does.
        :raises CopyError: a registry failed.
        """
        for tag in () if force else tags:
            with blamed_on(Side.TARGET, self._target, tag):
                existing = seen[tag] if tag in seen else self._target.digest_of(tag)
            if existing is not None and existing != self._manifest.digest:
                host, digest = self._target.registry.host, self._manifest.digest
                raise TagExists(host, self._target.name, tag, existing, digest)
        for tag in tags:
            self.under(tag)

    def under(self, identifier: str, closing: Closing | None = None) -> None:
        """Put it under a tag or its digest. What the target has lost meanwhile is sent to it, once.

        ``closing`` is told when it has been sent, before the answer is awaited.

        :raises CopyError: a registry failed.
        """
        try:
            self._put_twice(identifier, closing)
        except RegistryFailure as ex:
            if not _says_missing(ex) or not self._mend():
                raise CopyError(Side.TARGET, self._target.registry.host, self._target.name, identifier) from ex
            with blamed_on(Side.TARGET, self._target, identifier):
                self._put_twice(identifier)

    def _put_twice(self, identifier: str, closing: Closing | None = None) -> None:
        """Put it; what was damaged on its way is put once more."""
        try:
            self._target.put_manifest(self._manifest, identifier, closing=closing)
        except RegistryFailure as ex:
            is_damaged = isinstance(ex, ContentMismatch) or "DIGEST_INVALID" in getattr(ex, "codes", ())
            if not is_damaged:
                raise
            self._target.put_manifest(self._manifest, identifier)

    def _mend(self) -> bool:
        """Send what the manifest refers to and the target does not have; say whether there was anything."""
        mended = False
        for blob in self._manifest.blobs:
            with blamed_on(Side.TARGET, self._target, blob.digest):
                is_there = self._target.has_blob(blob.digest)
            if not is_there:
                self._copy_blob(blob)
                mended = True
        for child in self._manifest.manifests:
            with blamed_on(Side.TARGET, self._target, child.digest):
                is_there = self._target.digest_of(child.digest) is not None
            if not is_there:
                self._put_child(child)
                mended = True
        return mended

    def _put_child(self, child: Descriptor) -> None:
        with blamed_on(Side.SOURCE, self._source, child.digest):
            manifest = self._source.manifest(child.digest)
        ManifestPut(self._source, self._target, manifest, self._copy_blob).under(manifest.digest)


def _says_missing(ex: RegistryFailure) -> bool:
    return isinstance(ex, RegistryError) and not _MISSING_CODES.isdisjoint(ex.codes)
