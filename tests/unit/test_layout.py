# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""What is found in image layouts, and what is said of those that are damaged or hostile."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from azext_acrimport.layout import files as layout_files_module
from azext_acrimport.layout.errors import Fault, LayoutError
from azext_acrimport.layout.reference import LayoutReference
from azext_acrimport.layout.repository import LayoutRepository, Layouts
from azext_acrimport.oci.descriptor import Descriptor
from azext_acrimport.oci.errors import InvalidManifest, OciError, UnsupportedManifest
from azext_acrimport.registry.errors import Cancelled, ContentMismatch, OutOfTime, RegistryFailure
from azext_acrimport.registry.retry import Clock
from emulator import content
from emulator.content import Artifact, describe
from tests.support.layouts import (
    IMAGE_NAME,
    REF_NAME,
    Files,
    blobs_of,
    index_of,
    layout_files,
    repository_of,
    saved_files,
    write_archive,
    write_directory,
)

APP, OTHER = content.image("app"), content.image("other")
Write = Callable[[Files], LayoutRepository]


@pytest.fixture
def layouts() -> Iterator[Layouts]:
    with Layouts() as opened:
        yield opened


@pytest.fixture(params=["directory", "archive"])
def write(request: pytest.FixtureRequest, tmp_path: Path, layouts: Layouts) -> Write:
    """Write a layout, as either kind."""

    def written(files: Files) -> LayoutRepository:
        path = tmp_path / request.param
        return repository_of(layouts, (write_directory if request.param == "directory" else write_archive)(path, files))

    return written


def fails(repository: LayoutRepository, identifier: str, fault: Fault) -> str:
    """Ask for an image; what is said of it, fit for a terminal."""
    with pytest.raises(LayoutError) as raised:
        repository.manifest(identifier)
    assert raised.value.fault is fault
    assert raised.value.host == repository.registry.host
    assert str(raised.value).isprintable()
    return str(raised.value)


def blob_of(image: Artifact, place: int = 1) -> Descriptor:
    fields = [image.json["config"], *image.json["layers"]][place]
    return Descriptor(fields["digest"], fields["size"], fields["mediaType"])


def read(repository: LayoutRepository, blob: Descriptor, buffer_bytes: int = 700) -> bytes:
    reader = repository.reader(blob)
    try:
        found = b""
        while len(found) < blob.size:
            found += reader.read(memoryview(bytearray(buffer_bytes)))
        return found
    finally:
        reader.close()


# Images by name


def test_an_image_is_found_by_its_tag_and_its_digest(write: Write) -> None:
    repository = write(layout_files((APP, "v1"), (OTHER, "v2")))

    assert repository.digest_of("v1") == APP.digest
    assert repository.digest_of(OTHER.digest) == OTHER.digest
    assert repository.manifest("v2").content == OTHER.manifest
    assert repository.digest_of("v3") is None
    assert repository.digest_of("sha256:" + "0" * 64) is None
    assert repository.digests_of(["v1", "v3", "v2"]) == {"v1": APP.digest, "v2": OTHER.digest}
    assert list(repository.tags()) == ["v1", "v2"]


@pytest.mark.parametrize("name", ["v1", "docker.io/library/app:v1", "library/app:v1", "app:v1"])
def test_an_image_that_docker_saved_goes_by_its_whole_name_or_a_part(write: Write, name: str) -> None:
    repository = write(saved_files((APP, "docker.io/library/app:v1"), (OTHER, "docker.io/library/app:v2")))

    assert repository.digest_of(name) == APP.digest
    assert repository.suggested_name(name) == "library/app:v1"


@pytest.mark.parametrize(
    ("annotations", "tags", "suggested"),
    [
        ({}, [], None),
        ({REF_NAME: "v1"}, ["v1"], None),
        ({REF_NAME: "app:v1"}, ["v1"], "app:v1"),
        ({REF_NAME: "localhost:5000/team/app:v1"}, ["v1"], "team/app:v1"),
        ({REF_NAME: "registry.example/app"}, [], None),
        ({REF_NAME: "app@" + APP.digest}, [], None),
        ({REF_NAME: "Not A Name"}, [], None),
        ({IMAGE_NAME: "docker.io/library/app:v1"}, ["v1"], "library/app:v1"),
        ({IMAGE_NAME: "docker.io/library/app:v1", REF_NAME: "other"}, ["v1"], "library/app:v1"),
    ],
)
def test_what_an_image_is_called(
    write: Write, annotations: dict[str, str], tags: list[str], suggested: str | None
) -> None:
    repository = write({**blobs_of(APP), **index_of([(APP, annotations)])})

    assert list(repository.tags()) == tags
    assert repository.suggested_name("") == repository.suggested_name(APP.digest) == suggested


def test_an_image_with_several_names_is_called_by_the_one_that_was_asked_for(write: Write) -> None:
    repository = write(saved_files((APP, "docker.io/library/app:v1"), (APP, "mirror.example/app:latest")))

    assert repository.suggested_name("latest") == "app:latest"
    assert repository.suggested_name("v1") == repository.suggested_name("") == "library/app:v1"
    with pytest.raises(LayoutError, match="there is no image 'v2'"):
        repository.suggested_name("v2")


def test_without_a_name_the_only_image_is_meant(write: Write) -> None:
    twice = [(APP, {REF_NAME: "v1"}), (APP, {REF_NAME: "latest"}), (OTHER, {})]
    repository = write({**blobs_of(APP), **index_of(twice)})

    assert repository.digest_of("") == APP.digest  # the other one has no name: a referrer, or a child


def test_several_images_are_listed(write: Write) -> None:
    names = [f"docker.io/library/app{number}:v1" for number in range(12)]
    images = [content.image(name, layers=()) for name in names]
    repository = write(saved_files(*zip(images, names, strict=True)))

    for name in ("", "v1"):
        said = fails(repository, name, Fault.SEVERAL_IMAGES)
        assert "'docker.io/library/app0:v1', 'docker.io/library/app1:v1'" in said
        assert "app9:v1' and 2 more" in said
    assert repository.digests_of(["v1", "app3:v1"]) == {"app3:v1": images[3].digest}


def test_images_of_one_name_are_listed_by_digest(write: Write) -> None:
    said = fails(write(layout_files((APP, "v1"), (OTHER, "v1"))), "v1", Fault.SEVERAL_IMAGES)
    assert f"several images are called 'v1': {APP.digest}, {OTHER.digest}" in said


@pytest.mark.parametrize("name", ["v2", ""])
def test_a_missing_image_is_said_with_what_there_is(write: Write, name: str) -> None:
    repository = write(layout_files((APP, "v1")) if name else {**index_of([])})
    said = fails(repository, name, Fault.NO_SUCH_IMAGE)
    assert said == (
        "there is no image 'v2' in it; there are 'v1'" if name else "there is no image in it: it lists none"
    )


def test_what_is_no_image_is_left_out(write: Write) -> None:
    files = layout_files((APP, "v1"))
    index = json.loads(files["index.json"])
    index["manifests"] += [describe(b"<xml/>", "application/xml", annotations={REF_NAME: "v1"})]
    repository = write({**files, "index.json": json.dumps(index).encode()})

    assert repository.digest_of("v1") == repository.digest_of("") == APP.digest


def test_referrers_are_those_with_the_subject(write: Write) -> None:
    signature = content.artifact("signature", subject=APP)
    second = content.artifact("second", subject=signature)
    gone = content.artifact("gone", subject=APP)
    listed = [(APP, {REF_NAME: "v1"}), (signature, {}), (signature, {REF_NAME: "again"}), (second, {}), (gone, {})]
    repository = write({**blobs_of(APP, signature, second), **index_of(listed)})

    assert [each.digest for each in repository.referrers(APP.digest)] == [signature.digest]
    assert [each.digest for each in repository.referrers(signature.digest)] == [second.digest]
    assert repository.referrers(second.digest) == []


# Content


def test_a_blob_is_read_in_pieces_and_from_anywhere(write: Write) -> None:
    repository, blob = write(layout_files((APP, "v1"))), blob_of(APP)

    assert read(repository, blob) == APP.blobs[1]
    reader = repository.reader(blob)
    reader.seek(1500)
    assert bytes(reader.read(memoryview(bytearray(300)))) == APP.blobs[1][1500:1800]
    reader.close()
    assert bytes(reader.read(memoryview(bytearray(9000)))) == APP.blobs[1][1800:]
    reader.close()


@pytest.mark.parametrize("at_once", [True, False])
def test_threads_read_at_once(write: Write, monkeypatch: pytest.MonkeyPatch, at_once: bool) -> None:
    monkeypatch.setattr(layout_files_module, "_AT_ONCE", at_once)
    image = content.image("parallel", layers=(200_000, 200_000, 200_000, 200_000))
    repository = write(layout_files((image, "v1")))

    with ThreadPoolExecutor(8) as pool:
        blobs = [blob_of(image, 1 + number % 4) for number in range(16)]
        found = list(pool.map(lambda blob: read(repository, blob, 5000), blobs))

    assert found == [image.blobs[1 + number % 4] for number in range(16)]


def test_sha512(write: Write) -> None:
    import hashlib

    digest = "sha512:" + hashlib.sha512(APP.manifest).hexdigest()
    files = {**layout_files((APP, "v1")), f"blobs/{digest.replace(':', '/')}": APP.manifest}
    assert write(files).manifest(digest).digest == digest


def test_a_missing_blob_is_named(write: Write) -> None:
    files, blob = layout_files((APP, "v1")), blob_of(APP)
    del files[f"blobs/{blob.digest.replace(':', '/')}"]
    repository = write(files)
    repository.manifest("v1")

    with pytest.raises(LayoutError, match=f"the layout is incomplete: {blob.digest} is not in it"):
        read(repository, blob)
    assert blob.digest in fails(repository, blob.digest, Fault.INCOMPLETE)


@pytest.mark.parametrize("change", [-1, 1])
def test_a_blob_of_another_size_is_not_read(write: Write, change: int) -> None:
    files, blob = layout_files((APP, "v1")), blob_of(APP)
    files[f"blobs/{blob.digest.replace(':', '/')}"] = bytes(blob.size + change)

    with pytest.raises(
        ContentMismatch, match=f"has {blob.size + change} bytes; its manifest says {blob.size}"
    ) as raised:
        read(write(files), blob)
    assert raised.value.settled


def test_a_manifest_with_other_content_is_not_taken(write: Write) -> None:
    files = layout_files((APP, "v1"))
    files[f"blobs/{APP.digest.replace(':', '/')}"] = OTHER.manifest

    with pytest.raises(ContentMismatch, match=OTHER.digest):
        write(files).manifest("v1")


@pytest.mark.parametrize(
    ("artifact", "error"),
    [
        (content.schema1(), UnsupportedManifest),
        (Artifact(b"[]", content.OCI_MANIFEST), InvalidManifest),
        (Artifact(b" " * (5 << 20), content.OCI_MANIFEST), InvalidManifest),
    ],
)
def test_what_is_no_manifest_is_said(write: Write, artifact: Artifact, error: type[OciError]) -> None:
    with pytest.raises(error):
        write(layout_files((artifact, "v1"))).manifest("v1")


def test_a_run_that_is_stopped_reads_no_further(tmp_path: Path) -> None:
    clock = Clock()
    path = write_archive(tmp_path / "app.tar", layout_files((APP, "v1")))
    with Layouts(clock) as layouts:
        repository = repository_of(layouts, path)
        reader = repository.reader(blob_of(APP))
        reader.read(memoryview(bytearray(10)))
        clock.deadline = clock.now() - 1
        with pytest.raises(OutOfTime):
            reader.read(memoryview(bytearray(10)))
        repository.registry.interrupt()
        with pytest.raises(Cancelled):
            reader.read(memoryview(bytearray(10)))


def test_a_layout_is_opened_once_and_closed_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_archive(tmp_path / "app.tar", layout_files((APP, "v1"), (OTHER, "v2")))
    (tmp_path / "link.tar").symlink_to("app.tar")
    opened = []
    monkeypatch.setattr(layout_files_module, "PositionalFile", lambda path: opened.append(KeptFile(path)) or opened[-1])
    monkeypatch.chdir(tmp_path)
    with Layouts() as layouts:
        names = ["app.tar:v1", f"{tmp_path}/app.tar:v2", "link.tar:v1"]
        repositories = {layouts.repository(LayoutReference.parse(f"oci-archive:{name}")) for name in names}
        assert len(repositories) == 1
        (repository,) = repositories
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda number: repository.manifest(f"v{1 + number % 2}"), range(50)))
    assert [file.is_closed for file in opened] == [True]


class KeptFile(layout_files_module.PositionalFile):
    """A file that tells whether it was closed."""

    is_closed = False

    def close(self) -> None:
        self.is_closed = True
        super().close()


# Damaged and hostile layouts

BAD_INDEXES = {
    "not JSON": b"{",
    "not an object": b"[]",
    "nested without end": b'{"manifests":' + b"[" * 100_000,
    "manifests that are no list": b'{"manifests":{}}',
    "an entry that is no descriptor": b'{"manifests":[1]}',
    "a digest that is a path": json.dumps(
        {"manifests": [{"mediaType": content.OCI_MANIFEST, "digest": "sha256:../../etc/passwd", "size": 1}]}
    ).encode(),
    "a size below zero": json.dumps(
        {"manifests": [{"mediaType": content.OCI_MANIFEST, "digest": APP.digest, "size": -1}]}
    ).encode(),
    "too many": json.dumps({"manifests": [1] * 10_001}).encode(),
    "too large": b" " * ((4 << 20) + 1),
    "control characters": b'{"manifests":[{"digest":"\\u001b[2Jowned"}]}',
}


@pytest.mark.parametrize("kind", BAD_INDEXES)
def test_a_bad_index_is_said(write: Write, kind: str) -> None:
    said = fails(
        write({**blobs_of(APP), "oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": BAD_INDEXES[kind]}),
        "v1",
        Fault.NOT_A_LAYOUT,
    )
    assert "index.json" in said
    assert len(said) < 300


def test_names_from_a_layout_are_shown_without_control_characters(write: Write) -> None:
    said = fails(write(layout_files((APP, "\x1b[2Jv1"), (OTHER, "x" * 5000))), "v1", Fault.NO_SUCH_IMAGE)
    assert len(said) < 300


def test_an_index_without_images_as_docker_wrote_it(write: Write) -> None:
    fails(write({"index.json": b'{"schemaVersion":2,"manifests":null}'}), "v1", Fault.NO_SUCH_IMAGE)


@pytest.mark.parametrize("version", [b"", b"{}", b"[]", b'{"imageLayoutVersion":"2.0.0"}', b'{"imageLayoutVersion":1}'])
def test_other_versions_of_layouts_are_refused(write: Write, version: bytes) -> None:
    assert "version" in fails(write({**layout_files((APP, "v1")), "oci-layout": version}), "v1", Fault.NOT_A_LAYOUT)


def test_what_docker_saved_before_it_wrote_layouts(write: Write) -> None:
    files = {"manifest.json": b"[]", "repositories": b"{}", "0" * 64 + "/layer.tar": b"layer"}
    assert "docker's own format" in fails(write(files), "v1", Fault.DOCKER_ARCHIVE)


def test_something_else_in_a_directory_or_an_archive(write: Write) -> None:
    repository = write({"README": b"hello"})
    for identifier in ("v1", "", APP.digest):
        assert "there is no index.json in it" in fails(repository, identifier, Fault.NOT_A_LAYOUT)


@pytest.mark.parametrize(
    ("compress", "name"), [(gzip.compress, "gzip"), (lzma.compress, "xz"), (bz2.compress, "bzip2"), (None, "zstd")]
)
def test_compressed_archives(
    tmp_path: Path, layouts: Layouts, compress: Callable[[bytes], bytes] | None, name: str
) -> None:
    path = write_archive(tmp_path / "app.tar", layout_files((APP, "v1")))
    path.write_bytes(compress(path.read_bytes()) if compress else b"\x28\xb5\x2f\xfd" + bytes(600))

    assert f"compressed ({name})" in fails(repository_of(layouts, path), "v1", Fault.COMPRESSED)


@pytest.mark.parametrize(
    ("content_bytes", "fault"), [(b"", Fault.NOT_A_LAYOUT), (b"no tar at all " * 100, Fault.NOT_A_LAYOUT)]
)
def test_what_is_no_archive(tmp_path: Path, layouts: Layouts, content_bytes: bytes, fault: Fault) -> None:
    (tmp_path / "app.tar").write_bytes(content_bytes)
    fails(repository_of(layouts, tmp_path / "app.tar"), "v1", fault)


def test_an_archive_that_was_cut_off(tmp_path: Path, layouts: Layouts) -> None:
    path = write_archive(tmp_path / "app.tar", layout_files((APP, "v1")))
    os.truncate(path, 7000)
    assert "the archive was cut off: it has 7000 bytes" in fails(repository_of(layouts, path), "v1", Fault.INCOMPLETE)


def test_an_archive_that_shrinks_meanwhile(tmp_path: Path, layouts: Layouts) -> None:
    path = write_archive(tmp_path / "app.tar", layout_files((APP, "v1")))
    repository = repository_of(layouts, path)
    repository.manifest("v1")
    os.truncate(path, 1024)
    with pytest.raises(ContentMismatch):
        read(repository, blob_of(APP))


def test_a_pipe_is_not_read(tmp_path: Path, layouts: Layouts) -> None:
    os.mkfifo(tmp_path / "pipe")
    reference = LayoutReference.parse(f"oci-archive:{tmp_path}/pipe:v1")
    assert "is not a regular file" in fails(layouts.repository(reference), "v1", Fault.UNREADABLE)


@pytest.mark.parametrize("kind", ["oci", "oci-archive"])
def test_the_other_kind_is_named(tmp_path: Path, layouts: Layouts, kind: str) -> None:
    path = tmp_path if kind == "oci-archive" else write_archive(tmp_path / "app.tar", layout_files((APP, "v1")))
    other = "oci" if kind == "oci-archive" else "oci-archive"
    said = fails(layouts.repository(LayoutReference.parse(f"{kind}:{path}")), "v1", Fault.NOT_A_LAYOUT)
    assert f"named {other}:{path}" in said


def test_a_layout_that_is_gone_again(tmp_path: Path, layouts: Layouts) -> None:
    for name in ("app.tar", "app"):
        path = tmp_path / name
        path.touch() if path.suffix else path.mkdir()
        repository = repository_of(layouts, path)
        path.unlink() if path.suffix else path.rmdir()
        assert fails(repository, "v1", Fault.UNREADABLE) == "No such file or directory"


class TestLinks:
    """Links in the directory of a layout."""

    @pytest.fixture
    def directory(self, tmp_path: Path) -> Path:
        return write_directory(tmp_path / "layout", layout_files((APP, "v1")))

    @staticmethod
    def path_of(directory: Path, digest: str) -> Path:
        return directory / "blobs" / digest.replace(":", "/")

    def test_within_the_layout_are_followed(self, directory: Path, layouts: Layouts) -> None:
        blob = self.path_of(directory, APP.digest)
        blob.rename(directory / "elsewhere")
        blob.symlink_to("../../elsewhere")
        (directory.parent / "link").symlink_to(directory)

        assert repository_of(layouts, directory.parent / "link").manifest("v1").content == APP.manifest

    @pytest.mark.parametrize("what", ["blob", "blobs", "index.json"])
    def test_out_of_the_layout_are_not(self, directory: Path, layouts: Layouts, what: str) -> None:
        inside = self.path_of(directory, APP.digest) if what == "blob" else directory / what
        shutil.move(inside, directory.parent / "outside")
        inside.symlink_to(directory.parent / "outside")

        assert "leads out of the directory" in fails(repository_of(layouts, directory), "v1", Fault.UNREADABLE)

    @pytest.mark.parametrize("kind", ["pipe", "directory", "loop", "nowhere"])
    def test_what_is_no_file_is_not_read(self, directory: Path, layouts: Layouts, kind: str) -> None:
        blob = self.path_of(directory, APP.digest)
        blob.unlink()
        {
            "pipe": lambda: os.mkfifo(blob),
            "directory": blob.mkdir,
            "loop": lambda: blob.symlink_to(blob),
            "nowhere": lambda: blob.symlink_to("nowhere"),
        }[kind]()

        with pytest.raises(RegistryFailure):
            repository_of(layouts, directory).manifest("v1")


def test_no_thread_waits_for_another_when_a_layout_is_bad(tmp_path: Path, layouts: Layouts) -> None:
    (tmp_path / "app.tar").write_bytes(b"x" * 2000)
    repository = repository_of(layouts, tmp_path / "app.tar")
    failed: list[RegistryFailure] = []

    def ask() -> None:
        try:
            repository.manifest("v1")
        except RegistryFailure as ex:
            failed.append(ex)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(failed) == 8
