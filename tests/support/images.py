# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Comparing what an import left in a target with what was at the source, byte for byte."""

from __future__ import annotations

from collections.abc import Iterable

from emulator.content import Artifact
from emulator.store import Store


def assert_holds(store: Store, name: str, image: Artifact, *, tags: Iterable[str]) -> None:
    """Check that the repository ``name`` holds this image, complete and unchanged, under these tags, and nothing else.

    Layers that the image names by URL stay where their URLs say.
    """
    repository = store.get(name)
    assert repository is not None, f"There is no repository {name}; there are {store.names()}"

    assert repository.tags == dict.fromkeys(tags, image.digest)
    manifests = {key: (manifest.content, manifest.media_type) for key, manifest in repository.manifests.items()}
    assert manifests == {part.digest: (part.manifest, part.media_type) for part in image.walk()}
    assert {key: repository.read_blob(key) for key in repository.blobs} == image.all_blobs


def assert_empty(store: Store) -> None:
    """Check that nothing has arrived: no manifest, no tag, no blob."""
    assert store.names() == []
