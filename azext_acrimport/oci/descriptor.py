# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""Descriptors: what a manifest says about a piece of content.

Source: OCI image specification, "Content Descriptors".
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from azext_acrimport.oci.digest import check_digest, printable
from azext_acrimport.oci.errors import InvalidManifest
from azext_acrimport.oci.platform import Platform

NO_ANNOTATIONS: Mapping[str, str] = MappingProxyType({})


class Descriptor(NamedTuple):
    """Content by digest, with its size in bytes and its media type.

    ``urls`` are places outside the registry where the content can be had (foreign layers). ``artifact_type`` and
    ``annotations`` are what an index or a list of referrers says of a manifest, and empty where it says nothing.
    """

    digest: str
    size: int
    media_type: str
    urls: tuple[str, ...] = ()
    platform: Platform | None = None
    artifact_type: str = ""
    annotations: Mapping[str, str] = NO_ANNOTATIONS

    def __hash__(self) -> int:
        return hash(self.digest)  # annotations have no hash

    @property
    def is_foreign(self) -> bool:
        """Whether the content stays outside registries: it has urls of its own and a non-distributable type.

        A type that is distributable but has urls as well is copied like any other.
        Source: OCI image specification, "Non-Distributable Layers"; Docker's ``rootfs.foreign.diff`` before it.
        """
        return bool(self.urls) and ("nondistributable" in self.media_type or ".foreign." in self.media_type)

    @staticmethod
    def parse(fields: Any) -> Descriptor:
        """Read a descriptor out of a decoded JSON document.

        :raises InvalidManifest: a field is missing or malformed.
        :raises InvalidDigest: the digest is not one that can be checked.
        """
        if not isinstance(fields, Mapping):
            raise InvalidManifest(f"expected a descriptor, found {printable(fields)}")
        size, media_type, urls = fields.get("size"), fields.get("mediaType", ""), fields.get("urls") or []
        if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size < 1 << 63:
            raise InvalidManifest(f"a descriptor's size is {printable(size)}")
        if not isinstance(media_type, str) or not isinstance(urls, list) or not all(isinstance(u, str) for u in urls):
            raise InvalidManifest(f"the descriptor of {printable(fields.get('digest'))} has malformed fields")
        return Descriptor(
            digest=check_digest(fields.get("digest", "")),
            size=size,
            media_type=media_type,
            urls=tuple(urls),
            platform=Platform.from_fields(fields.get("platform")),
            artifact_type=text_of(fields.get("artifactType")),
            annotations=annotations_of(fields),
        )


def text_of(value: Any) -> str:
    """A field that is advice to clients and that a copy does not depend on: empty where it is no text."""
    return value if isinstance(value, str) else ""


def annotations_of(fields: Mapping[str, Any]) -> dict[str, str]:
    """The annotations of a descriptor or a manifest; those that are no text are left out."""
    found = fields.get("annotations")
    return {key: text for key, text in found.items() if isinstance(text, str)} if isinstance(found, Mapping) else {}
