# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Content for registries: images, indexes, charts and artifacts, the same bytes for the same arguments every time."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import random
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from emulator.store import CHUNK_BYTES, Repository, digest_of

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
OCI_EMPTY = "application/vnd.oci.empty.v1+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
DOCKER_FOREIGN_LAYER = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
DOCKER_SCHEMA1 = "application/vnd.docker.distribution.manifest.v1+prettyjws"
HELM_CONFIG = "application/vnd.cncf.helm.config.v1+json"
HELM_LAYER = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"

PLATFORMS = ("linux/amd64", "linux/arm64", "linux/arm/v7")


@dataclass(frozen=True)
class Artifact:
    """One manifest and all that it needs: its own blobs, and the manifests below it.

    ``foreign`` holds layers that the manifest names by URL and that no registry here has.
    """

    manifest: bytes = field(repr=False)
    media_type: str
    blobs: tuple[bytes, ...] = field(default=(), repr=False)
    children: tuple[Artifact, ...] = field(default=(), repr=False)
    foreign: tuple[bytes, ...] = field(default=(), repr=False)
    platform: str | None = None

    @property
    def digest(self) -> str:
        """The digest of the manifest."""
        return digest_of(self.manifest)

    @property
    def json(self) -> Any:
        """What the manifest says."""
        return json.loads(self.manifest)

    def descriptor(self) -> dict[str, Any]:
        """A descriptor of the manifest, with its platform where it has one."""
        described = describe(self.manifest, self.media_type)
        if self.platform:
            described["platform"] = _platform(self.platform)
        return described

    def walk(self) -> Iterator[Artifact]:
        """This and everything below, children before parents; one that has two parents comes twice."""
        for child in self.children:
            yield from child.walk()
        yield self

    @property
    def manifests(self) -> dict[str, bytes]:
        """All manifests by digest, children before parents."""
        return {part.digest: part.manifest for part in self.walk()}

    @property
    def all_blobs(self) -> dict[str, bytes]:
        """All blobs by digest, those of the manifests below included."""
        return {digest_of(content): content for part in self.walk() for content in part.blobs}

    def put(self, repository: Repository, *tags: str) -> str:
        """Put everything into a repository and tag it; its digest."""
        for part in self.walk():
            for content in part.blobs:
                repository.add_blob(content)
            repository.add_manifest(part.manifest, part.media_type)
        return repository.add_manifest(self.manifest, self.media_type, tags=tags)


def blob(size: int, seed: object = 0) -> bytes:
    """Bytes that do not compress, the same for the same size and seed."""
    generator = random.Random(f"{seed}/{size}")
    return b"".join(generator.randbytes(min(CHUNK_BYTES, size - start)) for start in range(0, size, CHUNK_BYTES))


def describe(content: bytes, media_type: str, **extra: Any) -> dict[str, Any]:
    """A descriptor of some bytes."""
    return {"mediaType": media_type, "digest": digest_of(content), "size": len(content), **extra}


def image(
    seed: object = "image",
    *,
    layers: Sequence[int] = (2000, 3000),
    docker: bool = False,
    platform: str = "linux/amd64",
    foreign: Sequence[int] = (),
    annotations: dict[str, str] | None = None,
    subject: Artifact | None = None,
) -> Artifact:
    """An image for one platform; ``layers`` and ``foreign`` (layers kept elsewhere, by URL) are sizes in bytes."""
    # Layers are seeded by their place, not by the platform: images of one seed share nothing but what is equal.
    contents = [blob(size, f"{seed}/{platform}/{place}") for place, size in enumerate(layers)]
    elsewhere = [blob(size, f"{seed}/{platform}/foreign/{place}") for place, size in enumerate(foreign)]
    config = _image_config(seed, platform, [*elsewhere, *contents])
    kept_elsewhere = DOCKER_FOREIGN_LAYER if docker else "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
    url = "https://layers.contoso.example/"
    manifest = {
        "schemaVersion": 2,
        "mediaType": DOCKER_MANIFEST if docker else OCI_MANIFEST,
        "config": describe(config, DOCKER_CONFIG if docker else OCI_CONFIG),
        "layers": [describe(layer, kept_elsewhere, urls=[url + digest_of(layer)]) for layer in elsewhere]
        + [describe(layer, DOCKER_LAYER if docker else OCI_LAYER) for layer in contents],
    }
    return Artifact(
        _manifest(manifest, annotations, subject),
        str(manifest["mediaType"]),
        (config, *contents),
        foreign=tuple(elsewhere),
        platform=platform,
    )


def index(
    *children: Artifact,
    docker: bool = False,
    annotations: dict[str, str] | None = None,
    subject: Artifact | None = None,
) -> Artifact:
    """An index over some manifests, which may be indexes too."""
    media_type = DOCKER_LIST if docker else OCI_INDEX
    manifest = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "manifests": [child.descriptor() for child in children],
    }
    return Artifact(_manifest(manifest, annotations, subject), media_type, children=children)


def multi_arch(
    seed: object = "multi-arch",
    *,
    platforms: Sequence[str] = PLATFORMS,
    layers: Sequence[int] = (2000, 3000),
    docker: bool = False,
) -> Artifact:
    """An image for several platforms."""
    return index(*(image(seed, layers=layers, docker=docker, platform=each) for each in platforms), docker=docker)


def nested_index(seed: object = "nested") -> Artifact:
    """An index of two indexes that share an image."""
    shared = image(f"{seed}/shared")
    first = index(shared, image(f"{seed}/first", platform="linux/arm64"))
    return index(first, index(shared, artifact(f"{seed}/second")))


def windows_image(seed: object = "windows", *, build: str = "10.0.20348.2527") -> Artifact:
    """A Windows image as Microsoft publishes them: a base layer kept elsewhere, a list of one platform."""
    one = image(seed, layers=(4000,), foreign=(9000,), docker=True, platform=f"windows/amd64:{build}")
    return index(one, docker=True)


def helm_chart(name: str = "chart", version: str = "1.0.0") -> Artifact:
    """A Helm chart as ``helm push`` stores it."""
    chart = {"apiVersion": "v2", "name": name, "version": version, "type": "application"}
    config = _compact(chart)
    files = {
        f"{name}/Chart.yaml": "".join(f"{key}: {value}\n" for key, value in chart.items()).encode(),
        f"{name}/values.yaml": b"replicas: 1\n",
    }
    package = _tar_gz(files)
    manifest = {
        "schemaVersion": 2,
        "config": describe(config, HELM_CONFIG),
        "layers": [describe(package, HELM_LAYER)],
        "annotations": {"org.opencontainers.image.title": name, "org.opencontainers.image.version": version},
    }
    return Artifact(_compact(manifest), OCI_MANIFEST, (config, package))


def artifact(
    seed: object = "artifact",
    *,
    artifact_type: str = "application/vnd.contoso.sbom.v1+json",
    sizes: Sequence[int] = (500,),
    subject: Artifact | None = None,
    annotations: dict[str, str] | None = None,
) -> Artifact:
    """Any files under an image manifest with an empty config; with a subject it refers to that."""
    files = [blob(size, f"{seed}/{place}") for place, size in enumerate(sizes)]
    empty = b"{}"
    layers = [describe(content, "application/octet-stream") for content in files] or [describe(empty, OCI_EMPTY)]
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": artifact_type,
        "config": describe(empty, OCI_EMPTY, data="e30="),
        "layers": layers,
    }
    return Artifact(_manifest(manifest, annotations, subject), OCI_MANIFEST, (empty, *files))


def schema1(seed: object = "schema1", *, name: str = "old/app", tag: str = "v1") -> Artifact:
    """An image in Docker's first form, its signature made up."""
    layers = [blob(700, f"{seed}/{place}") for place in range(2)]
    history = [{"v1Compatibility": json.dumps({"id": digest_of(layer)[7:], "os": "linux"})} for layer in layers]
    manifest = {
        "schemaVersion": 1,
        "name": name,
        "tag": tag,
        "architecture": "amd64",
        "fsLayers": [{"blobSum": digest_of(layer)} for layer in layers],
        "history": history,
        "signatures": [{"header": {"alg": "ES256"}, "signature": "c2lnbmF0dXJl", "protected": "e30"}],
    }
    return Artifact(json.dumps(manifest, indent=3).encode(), DOCKER_SCHEMA1, tuple(layers))


def many_manifests(count: int, seed: object = "many") -> Artifact:
    """An index over so many small images; with itself it makes ``count + 1`` manifests."""
    return index(*(image(f"{seed}/{number}", layers=(100,)) for number in range(count)))


def with_whitespace(content: Artifact) -> Artifact:
    """The same manifest in other bytes: what re-serialises it on the way changes its digest."""
    return replace(content, manifest=json.dumps(content.json, indent=3).encode() + b"\n")


def _image_config(seed: object, platform: str, layers: Sequence[bytes]) -> bytes:
    config = {
        **_platform(platform),
        "config": {"Env": ["PATH=/usr/bin"], "Labels": {"seed": str(seed)}},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in layers]},
        "history": [{"created": "2024-01-01T00:00:00Z", "created_by": "content"} for _ in layers],
    }
    return _compact(config)


def _platform(text: str) -> dict[str, str]:
    """The fields of ``OS/ARCHITECTURE[/VARIANT][:OS-VERSION]``."""
    names, _, version = text.partition(":")
    fields = dict(zip(("os", "architecture", "variant"), names.split("/"), strict=False))
    return {**fields, "os.version": version} if version else fields


def _manifest(manifest: dict[str, Any], annotations: dict[str, str] | None, subject: Artifact | None) -> bytes:
    if subject is not None:
        manifest["subject"] = describe(subject.manifest, subject.media_type)
    if annotations:
        manifest["annotations"] = annotations
    return _compact(manifest)


def _compact(content: Any) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode()


def _tar_gz(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return gzip.compress(packed.getvalue(), mtime=0)
