# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""Manifests and indexes, read over the bytes as received. The bytes are what is sent on: they are never made anew.

Source: OCI image specification, "Image Manifest" and "Image Index"; Docker "Image Manifest V 2, Schema 2".
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from azext_acrimport.oci import media_types
from azext_acrimport.oci.descriptor import Descriptor
from azext_acrimport.oci.digest import digest_of, printable
from azext_acrimport.oci.errors import InvalidManifest, UnsupportedManifest

MAX_MANIFEST_BYTES = (
    4 << 20
)  # what registries take; ACR: https://docs.azure.cn/container-registry/container-registry-skus
MAX_CHILDREN = 10_000  # bounds what a hostile index makes us do; real ones have some dozens


@dataclass(frozen=True)
class Manifest:
    """A manifest or an index: its bytes, their media type and what they refer to.

    ``manifests`` are the children of an index, ``blobs`` the config and layers of an image or the blobs of an
    artifact. Neither holds content that stays outside registries (``foreign``).
    """

    content: bytes
    media_type: str
    digest: str
    manifests: tuple[Descriptor, ...] = ()
    blobs: tuple[Descriptor, ...] = ()
    foreign: tuple[Descriptor, ...] = ()
    subject: Descriptor | None = None

    @property
    def is_index(self) -> bool:
        """Whether it refers to further manifests."""
        return self.media_type in media_types.INDEXES

    @cached_property
    def descriptor(self) -> Descriptor:
        """What an index would say about this manifest."""
        return Descriptor(digest=self.digest, size=len(self.content), media_type=self.media_type)

    @staticmethod
    def parse(content: bytes, media_type: str = "", *, algorithm: str = "sha256") -> Manifest:
        """Read a manifest.

        ``media_type`` is the registry's ``Content-Type``; the document's own ``mediaType`` goes before it, because
        it is covered by the digest and the header is not.

        :raises UnsupportedManifest: it is Docker schema 1.
        :raises InvalidManifest: it is no manifest, or it refers to more than we follow.
        :raises InvalidDigest: it refers to content by a digest that cannot be checked.
        """
        fields = _decode(content)
        own_type = _media_type(fields, media_type)
        manifests = _descriptors(fields, "manifests") if own_type in media_types.INDEXES else ()
        parts = () if own_type in media_types.INDEXES else _parts(fields)
        subject = fields.get("subject")
        return Manifest(
            content=content,
            media_type=own_type,
            digest=digest_of(content, algorithm),
            manifests=manifests,
            blobs=tuple(part for part in parts if not part.is_foreign),
            foreign=tuple(part for part in parts if part.is_foreign),
            subject=Descriptor.parse(subject) if subject is not None else None,
        )


def _decode(content: bytes) -> dict[str, Any]:
    if len(content) > MAX_MANIFEST_BYTES:
        raise InvalidManifest(f"the manifest is larger than {MAX_MANIFEST_BYTES >> 20} MiB")
    try:
        fields = json.loads(content)
    except (ValueError, RecursionError) as ex:  # RecursionError: a hostile document nested thousands of levels deep
        raise InvalidManifest("the manifest is not JSON") from ex
    if not isinstance(fields, dict):
        raise InvalidManifest("the manifest is not a JSON object")
    return fields


def _media_type(fields: dict[str, Any], header: str) -> str:
    if fields.get("schemaVersion") == 1 or header in media_types.SCHEMA1:
        raise UnsupportedManifest("the image is stored as Docker schema 1, which registries no longer take")
    if "manifests" in fields and ("layers" in fields or "config" in fields):
        # One document that two readers take for two things: https://nvd.nist.gov/vuln/detail/CVE-2021-41190
        raise InvalidManifest("the manifest is an index and an image at once")
    own_type = fields.get("mediaType") or header.partition(";")[0].strip().lower()
    if not isinstance(own_type, str):
        raise InvalidManifest(f"the manifest's mediaType is {printable(own_type)}")
    if own_type not in media_types.INDEXES | media_types.MANIFESTS:
        # OCI allows both kinds to leave mediaType out, and some servers send a generic Content-Type.
        if isinstance(fields.get("manifests"), list):
            return media_types.OCI_INDEX
        if isinstance(fields.get("layers"), list) and isinstance(fields.get("config"), dict):
            return media_types.OCI_MANIFEST
        raise InvalidManifest(f"{printable(own_type)} is not a manifest type that can be copied")
    return own_type


def _parts(fields: dict[str, Any]) -> tuple[Descriptor, ...]:
    config = (Descriptor.parse(fields["config"]),) if fields.get("config") is not None else ()
    return config + _descriptors(fields, "layers") + _descriptors(fields, "blobs")


def _descriptors(fields: dict[str, Any], key: str) -> tuple[Descriptor, ...]:
    listed = fields.get(key)
    if listed is None:
        return ()
    if not isinstance(listed, list):
        raise InvalidManifest(f"the manifest's {key} are not a list")
    if len(listed) > MAX_CHILDREN:
        raise InvalidManifest(f"the manifest has {len(listed)} {key}, over the limit of {MAX_CHILDREN}")
    return tuple(Descriptor.parse(each) for each in listed)
