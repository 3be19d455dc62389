# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""Some platforms of an index: which of its entries belong to them, and the index that has only those.

Such an index is one that nobody has published: byte for byte the same for the same choice, so that a second run finds
it, and annotated with the digest of what it was made from.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from azext_acrimport.oci.descriptor import Descriptor
from azext_acrimport.oci.digest import printable
from azext_acrimport.oci.errors import UnknownPlatform
from azext_acrimport.oci.manifest import Manifest, written
from azext_acrimport.oci.platform import Platform

ORIGINAL_DIGEST = "vnd.microsoft.acrx.original.digest"
# What BuildKit says of an attestation in an index: whose it is.
# Source: https://github.com/moby/buildkit/blob/master/docs/attestations/attestation-storage.md
_BELONGS_TO = "vnd.docker.reference.digest"
_MOST_SHOWN = 30


class Entry(NamedTuple):
    """An entry of an index: its ``fields`` there, and the platform that it is for (None: for none)."""

    fields: dict[str, Any]
    descriptor: Descriptor
    platform: Platform | None

    @property
    def owner(self) -> str:
        """The digest of the image that it is an attestation of, or empty."""
        return self.descriptor.annotations.get(_BELONGS_TO, "")


def entries_of(index: Manifest) -> list[Entry]:
    """The entries of an index, in its order."""
    listed = json.loads(index.content).get("manifests") or []
    return [
        Entry(fields, found, found.platform if found.platform and not found.platform.is_unknown else None)
        for fields, found in zip(listed, index.manifests, strict=True)
    ]


def select(entries: Sequence[Entry], wanted: Sequence[Platform]) -> list[Entry]:
    """The entries for the wanted platforms, with the attestations that belong to them, in the order of the index.

    :raises UnknownPlatform: there is none for one of them.
    """
    offered = [entry.platform for entry in entries if entry.platform]
    check_offered(wanted, offered)
    kept = {
        entry.descriptor.digest
        for entry in entries
        if entry.platform and any(each.matches(entry.platform) for each in wanted)
    }
    return [entry for entry in entries if (entry.descriptor.digest if entry.platform else entry.owner) in kept]


def check_offered(wanted: Iterable[Platform], offered: Sequence[Platform]) -> None:
    """See that there is an image for each platform.

    :raises UnknownPlatform: there is none for one of them; it says what there is.
    """
    missing = [str(each) for each in wanted if not any(each.matches(other) for other in offered)]
    if missing:
        raise UnknownPlatform(f"there is no image for {', '.join(missing)}; there is {_shown(offered)}")


def index_of(original: Manifest, kept: Sequence[Entry]) -> Manifest:
    """The original index with these entries alone, annotated with the original's digest.

    :raises InvalidManifest: the original holds what no other index can.
    """
    fields = json.loads(original.content)
    annotations = fields.get("annotations")
    fields["mediaType"] = original.media_type
    fields["manifests"] = [entry.fields for entry in kept]
    fields["annotations"] = {
        **(annotations if isinstance(annotations, dict) else {}),
        ORIGINAL_DIGEST: original.digest,
    }
    return Manifest.parse(written(fields), original.media_type)


def _shown(offered: Sequence[Platform]) -> str:
    names = list(dict.fromkeys(printable(str(each))[1:-1] for each in offered))
    if not names:
        return "none that names a platform"
    more = len(names) - _MOST_SHOWN
    return ", ".join(names[:_MOST_SHOWN]) + (f" and {more} more" if more > 0 else "")
