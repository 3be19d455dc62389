# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""The index of a layout: which images there are, and what they are called. Pure.

Source: OCI image specification, "Image Layout" and "Pre-Defined Annotation Keys"; containerd and docker put the whole
name beside the tag (https://github.com/containerd/containerd/blob/v2.0.0/core/images/archive/exporter.go).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from azext_acrimport.oci import media_types
from azext_acrimport.oci.descriptor import Descriptor
from azext_acrimport.oci.digest import printable
from azext_acrimport.oci.errors import InvalidManifest, InvalidReference
from azext_acrimport.oci.manifest import MAX_CHILDREN
from azext_acrimport.oci.reference import check_tag, is_host, split_image

_NAMES = ("io.containerd.image.name", "org.opencontainers.image.ref.name")
_IMAGES = media_types.INDEXES | media_types.MANIFESTS | media_types.SCHEMA1 | {""}
_MOST_LISTED = 10


@dataclass(frozen=True)
class Image:
    """An image that the index lists, under one name: the whole one and the tag, as far as they are given."""

    descriptor: Descriptor
    names: tuple[str, ...] = ()

    @property
    def tag(self) -> str:
        """The tag, of a whole name or alone; empty where there is none."""
        return next((tag for tag in map(_tag_of, self.names) if tag), "")

    @property
    def repository_and_tag(self) -> str | None:
        """The whole name without the registry; None where there is none."""
        return next((name for name in map(_without_registry, self.names) if name), None)

    def __str__(self) -> str:
        return printable(self.names[0]) if self.names else self.descriptor.digest


def read_index(content: bytes) -> tuple[Image, ...]:
    """The images that an ``index.json`` lists; what it lists beside images is left out.

    :raises InvalidManifest: it is no index, or lists something malformed.
    :raises InvalidDigest: it lists content by a digest that cannot be checked.
    """
    try:
        fields = json.loads(content)
    except (ValueError, RecursionError) as ex:
        raise InvalidManifest("index.json is not JSON") from ex
    listed = fields.get("manifests") if isinstance(fields, dict) else 0
    if listed is None:
        return ()  # docker 25.0 wrote no list for no images: https://github.com/moby/moby/issues/47210
    if not isinstance(listed, list) or len(listed) > MAX_CHILDREN:
        raise InvalidManifest("index.json is not an index of images")
    images = (Image(Descriptor.parse(each), _names(each.get("annotations"))) for each in listed)
    return tuple(image for image in images if image.descriptor.media_type in _IMAGES)


def matching(images: Sequence[Image], name: str) -> list[Image]:
    """The images of this name: by the name as it is given, else by its end, else by its tag.

    Without a name, those that are meant by it: all that have one, else all.
    """
    if not name:
        return [image for image in images if image.names] or list(images)
    for found in (
        [image for image in images if name in image.names],
        [image for image in images if any(each.endswith(f"/{name}") for each in image.names)],
        [image for image in images if image.tag == name],
    ):
        if found:
            return found
    return []


def distinct(images: Sequence[Image]) -> list[Image]:
    """The first image of each digest."""
    return list({image.descriptor.digest: image for image in reversed(images)}.values())[::-1]


def listing(images: Sequence[Image]) -> str:
    """The names of images, for an error: not too many of them."""
    names = [str(image) for image in images]
    if len(set(names)) < len(names):
        names = [image.descriptor.digest for image in images]
    return ", ".join(names[:_MOST_LISTED]) + (
        f" and {len(images) - _MOST_LISTED} more" if len(images) > _MOST_LISTED else ""
    )


def _names(annotations: Any) -> tuple[str, ...]:
    if not isinstance(annotations, dict):
        return ()
    names = (annotations.get(key) for key in _NAMES)
    return tuple(dict.fromkeys(name for name in names if isinstance(name, str) and name))


def _tag_of(name: str) -> str:
    last = name.partition("@")[0].rpartition("/")[2]
    _, colon, tag = last.partition(":")
    if not colon and last == name:
        tag = name  # it stands alone
    try:
        return check_tag(tag)
    except InvalidReference:
        return ""


def _without_registry(name: str) -> str:
    host, slash, rest = name.partition("/")
    image = rest if slash and is_host(host) else name
    try:
        repository, tag, _ = split_image(image)
    except InvalidReference:
        return ""
    return f"{repository}:{tag}" if tag else ""
