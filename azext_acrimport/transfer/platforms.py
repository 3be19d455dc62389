# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""The images for some platforms out of those that a source has."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

from azext_acrimport.oci.descriptor import Descriptor
from azext_acrimport.oci.errors import InvalidManifest
from azext_acrimport.oci.manifest import MAX_CHILDREN, Manifest
from azext_acrimport.oci.media_types import INDEXES, MANIFESTS
from azext_acrimport.oci.platform import Platform
from azext_acrimport.oci.selection import Entry, check_offered, entries_of, index_of, select
from azext_acrimport.transfer.errors import Side, blamed_on
from azext_acrimport.transfer.graph import MAX_DEPTH
from azext_acrimport.transfer.source import Source
from azext_acrimport.transfer.verify import Verifier

_MAX_CONFIG_BYTES = 8 << 20  # real ones have some KiB


class Choice(NamedTuple):
    """What is copied where some platforms are wanted.

    ``digest`` names it: an image or index of the source, or a new index (``is_new``) that no registry has yet.
    ``manifest`` is its manifest, where that is at hand. ``original_digest`` is that of the index it was chosen out of,
    None where everything in there was chosen.
    """

    digest: str
    manifest: Manifest | None = None
    original_digest: str | None = None
    is_new: bool = False


def choose(repository: Source, identifier: str, platforms: Sequence[Platform], *, named: str = "") -> Choice:
    """Choose the images for some platforms; only the repository itself is asked.

    One image is copied alone, as it is. Several are copied under a new index, unless they are all that there are.
    An index within the index counts for what is in it. ``named`` is what the user calls it.

    :raises CopyError: the repository does not tell, or (with ``UnknownPlatform`` as its cause) has no such image.
    """
    with blamed_on(Side.SOURCE, repository, named or identifier):
        original = repository.manifest(identifier)
        if not original.is_index:
            found = _platform_of(repository, original)
            check_offered(platforms, [found] if found else [])
            return Choice(original.digest, original)
        entries = _flattened(repository, original)
        kept = select(entries, platforms)
        images = {entry.descriptor.digest for entry in kept if entry.platform}
        if len(images) == 1:
            return Choice(images.pop(), original_digest=original.digest)
        if images == {entry.descriptor.digest for entry in entries if entry.platform}:
            return Choice(original.digest, original)
        made = index_of(original, kept)
        return Choice(made.digest, made, original.digest, is_new=True)


def _flattened(repository: Source, index: Manifest) -> list[Entry]:
    """The images and attestations of an index and of those in it, each with its platform, in order."""
    seen = {index.digest}
    found: list[Entry] = []

    def add(above: Manifest, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise InvalidManifest(f"indexes are nested more than {MAX_DEPTH} deep")
        for entry in entries_of(above):
            if entry.descriptor.digest in seen:
                continue
            seen.add(entry.descriptor.digest)
            if len(seen) > MAX_CHILDREN:
                raise InvalidManifest(f"the index has more than {MAX_CHILDREN} manifests below it")
            if entry.descriptor.media_type in INDEXES:
                add(repository.manifest(entry.descriptor.digest), depth + 1)
            else:
                found.append(_with_platform(repository, entry))

    add(index, 1)
    return found


def _with_platform(repository: Source, entry: Entry) -> Entry:
    """The entry with its image's own platform, where the index does not name one."""
    if entry.descriptor.platform or entry.owner or entry.descriptor.media_type not in MANIFESTS:
        return entry
    return Entry(entry.fields, entry.descriptor, _platform_of(repository, repository.manifest(entry.descriptor.digest)))


def _platform_of(repository: Source, image: Manifest) -> Platform | None:
    """The platform that the config of an image names."""
    # The config of an artifact may be anything.
    if not image.config or not 0 < image.config.size <= _MAX_CONFIG_BYTES:
        return None
    content = _read(repository, image.config)
    try:
        return Platform.from_fields(json.loads(content))
    except (ValueError, RecursionError):
        return None


def _read(repository: Source, blob: Descriptor) -> bytes:
    reader, verifier = repository.reader(blob, lanes=lambda: 1), Verifier(blob)
    try:
        data = reader.read(memoryview(bytearray(blob.size)))
    finally:
        reader.close()
    verifier.update(data)
    verifier.check(repository.registry.host)
    return bytes(data)
