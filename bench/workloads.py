# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Makes the workloads: the same bytes each time, pushed through our own client."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from azext_acrimport.oci.manifest import Manifest
from azext_acrimport.registry.repository import Repository
from bench.rows import MIB, Workload

_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_INDEX = "application/vnd.oci.image.index.v1+json"
# Layers that do not look compressed are compressed by some clients on the way.
_GZIP = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
_ARCHITECTURES = ("amd64", "arm64")
_SHARED_LAYERS = 24
_LAYERS = 6


@dataclass
class Content:
    """What a repository of a workload holds: tags and manifests by digest, and the blobs with their sizes in bytes."""

    repository: str
    tags: dict[str, str] = field(default_factory=dict)
    manifests: dict[str, bytes] = field(default_factory=dict)
    blobs: dict[str, int] = field(default_factory=dict)


def push(workload: Workload, repository: Repository) -> list[Content]:
    """Make the workload in a repository, which is to be there for writing, or in those below it.

    An image that is apart is in a repository with the name of its tag.
    """
    maker = _Maker(repository)
    if workload.many:
        maker.many_images(workload.images, apart=workload.apart)
    else:
        maker.one_image([f"{workload.name}-{index}" for index in range(workload.layers)], workload.layer_bytes)
    return [content for content in maker.contents if content.tags]


def layer_bytes(seed: str, size: int) -> Iterator[bytes]:
    """The bytes of a layer, in pieces of at most 1 MiB; they cannot be compressed.

    Each piece differs from the others in its first bytes only: making gigabytes of others would take longer than all
    that is measured.
    """
    block = hashlib.shake_128(seed.encode()).digest(min(size, MIB))
    for offset in range(0, size, MIB):
        head = _GZIP + offset.to_bytes(8, "big")
        yield (head + block[len(head) :])[: size - offset]


class _Maker:
    def __init__(self, repository: Repository) -> None:
        self.contents: list[Content] = []
        self._top = repository
        self._known: dict[str, dict[str, Any]] = {}
        self._first: dict[str, str] = {}  # the repository that each blob was first put into
        self._open(repository.name)

    def _open(self, name: str) -> None:
        """Go on in this repository."""
        self._repository = self._top.registry.repository(name).to_push()
        self.content = Content(name)
        self.contents.append(self.content)

    def one_image(self, seeds: list[str], size: int) -> None:
        """One image, of one platform, with layers of one size."""
        manifest = self._image("amd64", [self._layer(seed, size) for seed in seeds])
        self._tag("v1", manifest)

    def many_images(self, count: int, *, apart: bool) -> None:
        """Images for two platforms of which half of the layers are shared with others."""
        lot = random.Random("small images")
        shared = [(f"shared-{index}", lot.randrange(64 << 10, MIB)) for index in range(_SHARED_LAYERS)]
        for image in range(count):
            if apart:
                self._open(f"{self._top.name}/v{image}")
            children = []
            for architecture in _ARCHITECTURES:
                layers = lot.sample(shared, _LAYERS // 2)
                for layer in range(_LAYERS - len(layers)):
                    layers.append((f"own-{image}-{architecture}-{layer}", lot.randrange(64 << 10, MIB)))
                manifest = self._image(architecture, [self._layer(*layer) for layer in layers], image)
                self._put(manifest, manifest.digest)
                platform = {"os": "linux", "architecture": architecture}
                children.append({**_descriptor(_MANIFEST, manifest.content), "platform": platform})
            self._tag(f"v{image}", _manifest(_INDEX, manifests=children))

    def _layer(self, seed: str, size: int) -> dict[str, Any]:
        if seed not in self._known:
            digester = hashlib.sha256()
            for piece in layer_bytes(seed, size):
                digester.update(piece)
            self._known[seed] = {"mediaType": _LAYER, "digest": f"sha256:{digester.hexdigest()}", "size": size}
        layer = self._known[seed]
        if layer["digest"] not in self.content.blobs:
            self._upload(layer["digest"], size, layer_bytes(seed, size))
        return layer

    def _image(self, architecture: str, layers: list[dict[str, Any]], number: int = 0) -> Manifest:
        digests = [layer["digest"] for layer in layers]
        fields = {
            "architecture": architecture,
            "os": "linux",
            "config": {"Labels": {"number": str(number)}},
            "rootfs": {"type": "layers", "diff_ids": digests},
        }
        config = json.dumps(fields).encode()
        descriptor = _descriptor(_CONFIG, config)
        self._upload(descriptor["digest"], len(config), iter([config]))
        return _manifest(_MANIFEST, config=descriptor, layers=layers)

    def _upload(self, digest: str, size: int, pieces: Iterator[bytes]) -> None:
        self.content.blobs[digest] = size
        origin = self._first.setdefault(digest, self._repository.name)
        session = self._repository.start_upload(mount=digest, mount_from=origin)
        if session is None:
            return
        exchange = session.start_put(digest, size, next(pieces))
        for piece in pieces:
            exchange.write(piece)
        session.finish_put(exchange)

    def _put(self, manifest: Manifest, identifier: str) -> None:
        self._repository.put_manifest(manifest, identifier)
        self.content.manifests[manifest.digest] = manifest.content

    def _tag(self, tag: str, manifest: Manifest) -> None:
        self._put(manifest, tag)
        self.content.tags[tag] = manifest.digest


def _descriptor(media_type: str, content: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": f"sha256:{hashlib.sha256(content).hexdigest()}", "size": len(content)}


def _manifest(media_type: str, **parts: Any) -> Manifest:
    return Manifest.parse(json.dumps({"schemaVersion": 2, "mediaType": media_type, **parts}).encode())
