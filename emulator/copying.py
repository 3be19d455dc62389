# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""What the import service does with bytes: it reads a whole image, then writes it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from emulator.pulling import PulledManifest, PullError, Source
from emulator.store import Blob, Repository, Store

MAX_MANIFESTS = 50
COPYING_BLOBS = "Error copying blobs"


@dataclass(frozen=True)
class Image:
    """All that one import moves, children before parents."""

    root: PulledManifest
    manifests: tuple[PulledManifest, ...]
    blobs: dict[str, bytes | Blob]


@dataclass(frozen=True)
class StoredSource:
    """A registry of Azure that the service reads as a trusted one, past its public endpoint."""

    store: Store
    repository: str

    def manifest(self, reference: str) -> PulledManifest:
        repository = self.store.get(self.repository)
        if repository is None:
            body = errors("NAME_UNKNOWN", f'repository "{self.repository}" is not found')
            raise PullError(f"Invalid message NotFound Not Found {body}")
        found = repository.manifest(reference)
        if found is None:
            kind = "" if ":" in reference else "tagged by "
            body = errors("MANIFEST_UNKNOWN", f'manifest {kind}"{reference}" is not found')
            raise PullError(f"Invalid message NotFound Not Found {body}")
        return PulledManifest(found.digest, found.media_type, found.content)

    def blob(self, digest: str, size: int) -> bytes | Blob:
        blob = self.store.repository(self.repository).blob(digest)
        if blob is None:
            raise PullError(COPYING_BLOBS)
        return blob


def pull(source: Source, reference: str) -> Image:
    """Read an image with all that is below it; blobs that live elsewhere (``urls``) are left there."""
    manifests: dict[str, PulledManifest] = {}
    sizes: dict[str, int] = {}

    def visit(reference: str) -> PulledManifest:
        manifest = source.manifest(reference)
        content = json.loads(manifest.content)
        for child in content.get("manifests") or []:
            if child["digest"] not in manifests:
                visit(child["digest"])
        manifests[manifest.digest] = manifest
        if len(manifests) > MAX_MANIFESTS:
            raise PullError(
                f"Invalid message The maximum number of manifests for an imported image is {MAX_MANIFESTS}."
            )
        sizes.update({blob["digest"]: blob["size"] for blob in _blobs_of(content) if not blob.get("urls")})
        return manifest

    root = visit(reference)
    return Image(root, tuple(manifests.values()), {d: source.blob(d, size) for d, size in sizes.items()})


def _blobs_of(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    config = [manifest["config"]] if manifest.get("config") else []
    return [*config, *(manifest.get("layers") or []), *(manifest.get("blobs") or [])]


def put(repository: Repository, image: Image, tag: str) -> None:
    for digest, blob in image.blobs.items():
        if repository.blob(digest) is None:
            repository.add_blob(blob, digest)
    for manifest in image.manifests:
        repository.add_manifest(manifest.content, manifest.media_type, digest=manifest.digest)
    if tag:
        repository.tag(tag, image.root.digest)


def errors(code: str, message: str, detail: object = None) -> str:
    """Return the error body of a registry."""
    extra = {} if detail is None else {"detail": detail}
    return json.dumps({"errors": [{"code": code, "message": message, **extra}]}, separators=(",", ":"))
