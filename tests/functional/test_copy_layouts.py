# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Images out of layouts arrive as those out of registries do."""

from __future__ import annotations

import hashlib
import os
import tarfile
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from azext_acrimport.layout.repository import LayoutRepository, Layouts
from azext_acrimport.registry.errors import ContentMismatch, OutOfTime
from azext_acrimport.transfer.copier import Root, Target, copy, copy_all
from azext_acrimport.transfer.errors import CopyError, Side
from azext_acrimport.transfer.events import BlobAdvanced, BlobStarted
from azext_acrimport.transfer.result import CopyResult, Count
from emulator import content
from emulator.content import OCI_MANIFEST, Artifact
from emulator.faults import CutRequest, Fault
from emulator.store import Store
from tests.support.hostile import assert_harmless
from tests.support.lab import TARGET, Lab, artifact_of, assert_copied
from tests.support.layouts import (
    Files,
    blobs_of,
    layout_files,
    repository_of,
    saved_files,
    write_archive,
    write_directory,
)

MIB = 1 << 20

EVERY_KIND = {
    "image": content.image(),
    "docker image": content.image(docker=True),
    "multi-arch": content.multi_arch(),
    "docker list": content.multi_arch(docker=True),
    "nested index": content.nested_index(),
    "windows": content.windows_image(),
    "helm chart": content.helm_chart(),
    "artifact": content.artifact(),
    "zero-byte layer": content.image(layers=(0, 100)),
    "odd whitespace": content.with_whitespace(content.image("whitespace")),
    "large layers": content.image(layers=(700_000, 5_000_000)),
}

Write = Callable[[Files], LayoutRepository]


@pytest.fixture
def layouts(lab: Lab) -> Iterator[Layouts]:
    with Layouts(lab.clock) as opened:
        yield opened


@pytest.fixture(params=["directory", "archive"])
def write(request: pytest.FixtureRequest, tmp_path: Path, layouts: Layouts) -> Write:
    """Write a layout, as either kind."""

    def written(files: Files) -> LayoutRepository:
        writer = write_directory if request.param == "directory" else write_archive
        return repository_of(layouts, writer(tmp_path / request.param, files))

    return written


def root(lab: Lab, source: LayoutRepository, identifier: str = "", repository: str = TARGET, tag: str = "v1") -> Root:
    return Root(source, identifier, (Target(lab.target.repository(repository), (tag,)),))


def copy_of(lab: Lab, source: LayoutRepository, identifier: str = "") -> CopyResult:
    (result,) = copy([root(lab, source, identifier)], observe=lab.events.append)
    return result


def size_of(image: Artifact) -> int:
    return sum(map(len, image.all_blobs.values()))


def without(files: Files, digest: str) -> Files:
    return {name: each for name, each in files.items() if name != f"blobs/{digest.replace(':', '/')}"}


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_every_kind_of_content(lab: Lab, write: Write, kind: str) -> None:
    image = EVERY_KIND[kind]
    result = copy_of(lab, write(layout_files((image, "v1"))), "v1")

    assert_copied(lab.target_app, image, "v1")
    assert (result.digest, result.media_type) == (image.digest, image.media_type)
    assert result.manifests == Count(copied=len(image.manifests))
    assert result.blobs == Count(copied=len(image.all_blobs))
    assert result.bytes_copied == size_of(image)


@pytest.mark.parametrize("identifier", ["v2", "app:v2", "docker.io/library/app:v2", "digest"])
def test_an_image_that_docker_saved(lab: Lab, write: Write, identifier: str) -> None:
    image = content.multi_arch("saved")
    files = saved_files((content.image("old"), "docker.io/library/app:v1"), (image, "docker.io/library/app:v2"))

    copy_of(lab, write(files), image.digest if identifier == "digest" else identifier)

    assert_copied(lab.target_app, image, "v1")
    assert len(lab.target_app.store.repository(TARGET).manifests) == len(image.manifests)


def test_one_platform_by_its_digest(lab: Lab, write: Write) -> None:
    image = content.multi_arch()
    one = image.children[1]
    # As `docker save` writes it: the index names all platforms, and only the one that was pulled is there.
    files = {**layout_files((Artifact(image.manifest, image.media_type), "v1")), **blobs_of(one)}

    source = write(files)
    copy_of(lab, source, one.digest)
    assert_copied(lab.target_app, one, "v1")

    with pytest.raises(CopyError) as raised:
        copy([root(lab, source, "v1", "whole")])
    assert raised.value.subject in (image.children[0].digest, image.children[2].digest)
    assert lab.target_app.store.repository("whole").tags == {}


def test_a_second_run_moves_nothing(lab: Lab, write: Write) -> None:
    image = content.multi_arch()
    source = write(layout_files((image, "v1")))
    copy_of(lab, source)
    writes = len(lab.asked(lab.target_host, "PUT"))

    result = copy_of(lab, source)

    assert (result.bytes_copied, result.manifests.copied, result.blobs) == (0, 0, Count())
    assert len(lab.asked(lab.target_host, "PUT")) == writes


def test_many_images_of_one_layout_share_their_blobs(lab: Lab, write: Write) -> None:
    shared, single = content.multi_arch("shared"), content.image("single")
    source = write(layout_files((shared, "v1"), (shared, "stable"), (single, "v2")))
    names = [("v1", "one", "v1"), ("stable", "one", "stable"), ("v1", "two", "v1"), ("v2", "two", "v2")]
    gone = root(lab, source, "v3", "three")

    *results, failed = copy_all([*(root(lab, source, *name) for name in names), gone])

    assert [each.digest for each in results if isinstance(each, CopyResult)] == [
        shared.digest,
        shared.digest,
        shared.digest,
        single.digest,
    ]
    assert sum(each.bytes_copied for each in results if isinstance(each, CopyResult)) == size_of(shared) + size_of(
        single
    )
    assert isinstance(failed, CopyError)
    assert str(failed).endswith("(v3): there is no image 'v3' in it; there are 'v1', 'stable', 'v2'")
    assert_copied(lab.target_app, shared, "v1", repository="two")
    assert_copied(lab.target_app, single, "v2", repository="two")


def test_a_target_that_breaks_off_is_resumed(lab: Lab, write: Write) -> None:
    image = content.image(layers=(3 * MIB,))
    lab.server.faults.add(Fault(CutRequest(after=MIB), host=lab.target_host, path="/uploads/", times=1))

    copy_of(lab, write(layout_files((image, "v1"))))

    assert_copied(lab.target_app, image, "v1")
    again = [event.size for event in lab.events if isinstance(event, BlobAdvanced)]
    assert sum(again) == size_of(image)


def test_what_the_target_has_need_not_be_carried(lab: Lab, write: Write) -> None:
    base, image = content.image("base", layers=(2000,)), content.image("base", layers=(2000, 3000))
    base.put(lab.target_app.store.repository(TARGET), "base")
    shared = base.json["layers"][0]["digest"]

    result = copy_of(lab, write(without(layout_files((image, "v1")), shared)))

    assert result.blobs == Count(copied=2, existing=1)
    assert_copied(lab.target_app, image, "v1")


def test_a_missing_blob_leaves_no_tag(lab: Lab, write: Write) -> None:
    image = content.image()
    layer = image.json["layers"][0]["digest"]
    with pytest.raises(CopyError) as raised:
        copy_of(lab, write(without(layout_files((image, "v1")), layer)))

    assert (raised.value.side, raised.value.subject) == (Side.SOURCE, layer)
    assert f"{raised.value.registry} ({layer}): the layout is incomplete: {layer} is not in it" in str(raised.value)
    assert not lab.target_app.store.repository(TARGET).tags


def test_damaged_content_never_arrives(lab: Lab, write: Write) -> None:
    image = content.image(layers=(200_000,))
    layer = image.json["layers"][0]["digest"]
    damaged = image.all_blobs[layer][:-1] + b"!"
    files = {**layout_files((image, "v1")), f"blobs/{layer.replace(':', '/')}": damaged}

    with pytest.raises(CopyError) as raised:
        copy_of(lab, write(files))

    assert isinstance(raised.value.__cause__, ContentMismatch)
    assert raised.value.side is Side.SOURCE
    assert layer not in lab.target_app.store.repository(TARGET).blobs
    assert_harmless(str(raised.value))


def test_ctrl_c_stops_the_reading(lab: Lab, write: Write) -> None:
    image = content.image(layers=(5_000_000,))
    source = write(layout_files((image, "v1")))

    def interrupt(event: object) -> None:
        if isinstance(event, BlobAdvanced):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        copy([root(lab, source)], observe=interrupt)
    assert source.registry.clock.cancelled.is_set()
    held = lab.target_app.store.repository(TARGET)
    assert held.tags == held.manifests == {}
    assert image.json["layers"][0]["digest"] not in held.blobs


def test_the_time_limit_counts_for_reading(lab: Lab, write: Write) -> None:
    source = write(layout_files((content.image(layers=(5_000_000,)), "v1")))
    lab.clock.deadline = lab.clock.now() + 60

    def late(event: object) -> None:
        if isinstance(event, BlobStarted) and event.size > MIB:
            lab.clock.seconds += 100

    with pytest.raises(CopyError) as raised:
        copy([root(lab, source)], observe=late)
    assert isinstance(raised.value.__cause__, OutOfTime)


def test_memory_stays_bounded(lab: Lab, tmp_path: Path, layouts: Layouts) -> None:
    """A blob of 64 MiB out of an archive goes through one small buffer."""
    lab.target_app.store = Store(keep_blobs=False)
    large = tmp_path / "large"
    large.touch()
    os.truncate(large, 64 * MIB)
    digest = f"sha256:{hashlib.sha256(bytes(64 * MIB)).hexdigest()}"
    layer = {"mediaType": content.OCI_LAYER, "digest": digest, "size": 64 * MIB}
    fields = {"schemaVersion": 2, "config": content.describe(b"{}", content.OCI_CONFIG), "layers": [layer]}
    path = write_archive(tmp_path / "app.tar", layout_files((artifact_of(fields, OCI_MANIFEST, (b"{}",)), "v1")))
    with tarfile.open(path, "a") as archive:
        archive.add(large, f"blobs/{digest.replace(':', '/')}")

    tracemalloc.start()
    try:
        result = copy_of(lab, repository_of(layouts, path))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert result.bytes_copied == 64 * MIB + 2
    assert peak < 16 * MIB
