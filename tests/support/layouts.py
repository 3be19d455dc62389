# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Image layouts as skopeo and docker write them, made of the same content as that of the registries."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from azext_acrimport.layout.reference import LayoutReference
from azext_acrimport.layout.repository import LayoutRepository, Layouts
from emulator.content import OCI_INDEX, Artifact

REF_NAME = "org.opencontainers.image.ref.name"
IMAGE_NAME = "io.containerd.image.name"
VERSION = b'{"imageLayoutVersion":"1.0.0"}'

Files = dict[str, bytes]
"""What a layout holds, by name."""


def layout_files(*images: tuple[Artifact, str | None]) -> Files:
    """A layout of these images, each with the name that skopeo would give it."""
    listed = [(artifact, {REF_NAME: name} if name else {}) for artifact, name in images]
    return {**blobs_of(*(artifact for artifact, _ in images)), **index_of(listed)}


def saved_files(*images: tuple[Artifact, str]) -> Files:
    """What ``docker save`` of a containerd image store writes for images of these whole names.

    Source: https://github.com/containerd/containerd/blob/v2.0.0/core/images/archive/exporter.go
    """
    listed = [(artifact, {IMAGE_NAME: name, REF_NAME: name.rpartition(":")[2]}) for artifact, name in images]
    first = [next(part for part in artifact.walk() if not part.children) for artifact, _ in images]
    docker = [
        {
            "Config": f"blobs/{part.json['config']['digest'].replace(':', '/')}",
            "RepoTags": [name],
            "Layers": [f"blobs/{layer['digest'].replace(':', '/')}" for layer in part.json["layers"]],
        }
        for part, (_, name) in zip(first, images, strict=True)
    ]
    blobs = blobs_of(*(artifact for artifact, _ in images))
    return {**blobs, **index_of(listed, media_type=False), "manifest.json": json.dumps(docker).encode()}


def index_of(images: Sequence[tuple[Artifact, dict[str, str]]], *, media_type: bool = True) -> Files:
    """The index of a layout, and its version."""
    listed = [
        {**artifact.descriptor(), **({"annotations": annotations} if annotations else {})}
        for artifact, annotations in images
    ]
    index: dict[str, Any] = {"schemaVersion": 2, "manifests": listed}
    if media_type:
        index["mediaType"] = OCI_INDEX
    return {"index.json": json.dumps(index).encode(), "oci-layout": VERSION}


def blobs_of(*images: Artifact) -> Files:
    """Everything of these images, under the names of blobs."""
    return {
        f"blobs/{digest.replace(':', '/')}": content
        for image in images
        for digest, content in {**image.manifests, **image.all_blobs}.items()
    }


def write_directory(path: Path, files: Mapping[str, bytes]) -> Path:
    """Write a layout as a directory."""
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


def write_archive(path: Path, files: Mapping[str, bytes], *, tar_format: int = tarfile.PAX_FORMAT) -> Path:
    """Write a layout as a tar archive: the directories, then the files, both by name, as the tools do it."""
    folders = sorted({str(parent) for name in files for parent in Path(name).parents} - {"."})
    with tarfile.open(path, "w", format=tar_format) as archive:
        for folder in folders:
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(entry)
        for name, content in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o444
            archive.addfile(entry, io.BytesIO(content))
    return path


def repository_of(layouts: Layouts, path: Path) -> LayoutRepository:
    """The layout at the path, whichever kind it is."""
    kind = "oci" if path.is_dir() else "oci-archive"
    return layouts.repository(LayoutReference.parse(f"{kind}:{path}"))
