# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""Manifests and indexes, read over the bytes as received. The bytes are what is sent on.

None is made anew but for an index of some platforms (``selection.py``) and a list of referrers (``referrers.py``).

Source: OCI image specification, "Image Manifest" and "Image Index"; Docker "Image Manifest V 2, Schema 2".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from azext_acrimport.oci import media_types
from azext_acrimport.oci.descriptor import NO_ANNOTATIONS, Descriptor, annotations_of, text_of
from azext_acrimport.oci.digest import digest_of, printable
from azext_acrimport.oci.errors import InvalidManifest, UnsupportedManifest

MAX_MANIFEST_BYTES = (
    4 << 20
)  # what registries take; ACR: https://docs.azure.cn/container-registry/container-registry-skus
MAX_CHILDREN = 10_000  # bounds what a hostile index makes us do; real ones have some dozens


class Manifest(NamedTuple):
    """A manifest or an index: its bytes, their media type and what they refer to.

    ``manifests`` are the children of an index, ``blobs`` the config and layers of an image or the blobs of an
    artifact. Neither holds content that stays outside registries (``foreign``). ``config`` is the first of the blobs
    where that is a config. ``artifact_type`` is the manifest's own, or else the media type of its config.
    """

    content: bytes
    media_type: str
    digest: str
    manifests: tuple[Descriptor, ...] = ()
    blobs: tuple[Descriptor, ...] = ()
    foreign: tuple[Descriptor, ...] = ()
    subject: Descriptor | None = None
    config: Descriptor | None = None
    artifact_type: str = ""
    annotations: Mapping[str, str] = NO_ANNOTATIONS

    def __hash__(self) -> int:
        return hash(self.digest)  # annotations have no hash

    @property
    def is_index(self) -> bool:
        """Whether it refers to further manifests."""
        return self.media_type in media_types.INDEXES

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
        config = _config(fields) if own_type not in media_types.INDEXES else None
        parts = () if own_type in media_types.INDEXES else _parts(fields, config)
        subject = fields.get("subject")
        return Manifest(
            content=content,
            media_type=own_type,
            digest=digest_of(content, algorithm),
            manifests=manifests,
            blobs=tuple(part for part in parts if not part.is_foreign),
            foreign=tuple(part for part in parts if part.is_foreign),
            subject=Descriptor.parse(subject) if subject is not None else None,
            config=config,
            artifact_type=text_of(fields.get("artifactType")) or (config.media_type if config else ""),
            annotations=annotations_of(fields),
        )


def too_large() -> InvalidManifest:
    """The error for a manifest of more than :data:`MAX_MANIFEST_BYTES`."""
    return InvalidManifest(f"the manifest is larger than {MAX_MANIFEST_BYTES >> 20} MiB")


def written(fields: dict[str, Any]) -> bytes:
    """A document of our own making, the same for the same fields.

    :raises InvalidManifest: fields of others hold what JSON does not have.
    """
    try:
        return json.dumps(fields, separators=(",", ":"), allow_nan=False).encode()
    except ValueError as ex:
        raise InvalidManifest("the index holds numbers that JSON does not have") from ex


def _decode(content: bytes) -> dict[str, Any]:
    if len(content) > MAX_MANIFEST_BYTES:
        raise too_large()
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


def _config(fields: dict[str, Any]) -> Descriptor | None:
    return Descriptor.parse(fields["config"]) if fields.get("config") is not None else None


def _parts(fields: dict[str, Any], config: Descriptor | None) -> tuple[Descriptor, ...]:
    return ((config,) if config else ()) + _descriptors(fields, "layers") + _descriptors(fields, "blobs")


def _descriptors(fields: dict[str, Any], key: str) -> tuple[Descriptor, ...]:
    listed = fields.get(key)
    if listed is None:
        return ()
    if not isinstance(listed, list):
        raise InvalidManifest(f"the manifest's {key} are not a list")
    if len(listed) > MAX_CHILDREN:
        raise InvalidManifest(f"the manifest has {len(listed)} {key}, over the limit of {MAX_CHILDREN}")
    return tuple(Descriptor.parse(each) for each in listed)
