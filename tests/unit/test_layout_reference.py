# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""How images in layouts are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from azext_acrimport.layout.reference import LayoutReference
from azext_acrimport.oci.errors import InvalidReference
from azext_acrimport.oci.reference import is_layout

DIGEST = "sha256:" + "a" * 64
LONG_DIGEST = "sha512:" + "b" * 128


@pytest.mark.parametrize("source", ["oci:dir", "oci:", "oci-archive:app.tar:v1", "oci:/srv/images@" + DIGEST])
def test_layouts_are_told_from_registries(source: str) -> None:
    assert is_layout(source)


@pytest.mark.parametrize(
    "source", ["docker.io/library/app:v1", "app:v1", "oci/app:v1", "oci.example/app", "docker-archive:app.tar", ""]
)
def test_registries_are_told_from_layouts(source: str) -> None:
    assert not is_layout(source)


@pytest.mark.parametrize(
    ("text", "there", "path", "tag", "digest"),
    [
        ("oci:dir", "dir", "dir", "", None),
        ("oci:dir:", "dir", "dir", "", None),
        ("oci:dir:v1", "dir", "dir", "v1", None),
        ("oci-archive:/srv/app.tar:app:v1", "/srv/app.tar", "/srv/app.tar", "app:v1", None),
        (
            "oci-archive:app.tar:docker.io/library/app:v1",
            "app.tar",
            "app.tar",
            "docker.io/library/app:v1",
            None,
        ),
        ("oci-archive:app.tar:localhost:5000/app:v1", "app.tar", "app.tar", "localhost:5000/app:v1", None),
        (f"oci:dir@{DIGEST}", "dir", "dir", "", DIGEST),
        (f"oci:dir:{DIGEST}", "dir", "dir", "", DIGEST),
        (f"oci:dir:v1@{LONG_DIGEST}", "dir", "dir", "v1", LONG_DIGEST),
        (f"oci:user@host:v1@{DIGEST}", "user@host", "user@host", "v1", DIGEST),
        ("oci:C:\\images:v1", "C:\\images", "C:\\images", "v1", None),
        ("oci-archive:C:\\app.tar", "C:\\app.tar", "C:\\app.tar", "", None),
        ("oci:12:30:v1", "12:30", "12:30", "v1", None),
        ("oci:dir@v1", "dir@v1", "dir@v1", "", None),
    ],
)
def test_a_name_has_a_path_a_tag_and_a_digest(text: str, there: str, path: str, tag: str, digest: str | None) -> None:
    found = LayoutReference.parse(text, exists=lambda each: each == there)

    assert (found.path, found.tag, found.digest) == (path, tag, digest)
    assert found.identifier == (digest or tag)
    assert found.is_archive == text.startswith("oci-archive:")
    assert found.layout == f"{text.partition(':')[0]}:{path}"
    assert LayoutReference.parse(str(found), exists=lambda each: each == there) == found


def test_the_longest_path_that_exists_is_meant(tmp_path: Path) -> None:
    for name in ("app", "app:v1"):
        (tmp_path / name).mkdir()

    assert LayoutReference.parse(f"oci:{tmp_path}/app:v1").path == f"{tmp_path}/app:v1"
    assert LayoutReference.parse(f"oci:{tmp_path}/app:v1:v2").tag == "v2"
    assert LayoutReference.parse(f"oci:{tmp_path}/app:v2").tag == "v2"


def test_paths_are_relative_to_where_one_is_and_to_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "app.tar").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))

    assert LayoutReference.parse("oci-archive:app.tar:v1").path == "app.tar"
    assert LayoutReference.parse("oci-archive:~/app.tar:v1").path == "~/app.tar"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("oci:images:v1", "there is no directory 'images'"),
        ("oci-archive:app.tar:app:v1", "there is no file 'app.tar'"),
        ("oci-archive:C:\\app.tar:v1", "there is no file 'C:\\\\app.tar'"),
        (f"oci:images@{DIGEST}", "there is no directory 'images'"),
        ("oci:", "there is no directory ''"),
        ("oci://registry.example/chart:1.0", "a registry is named without oci://"),
        ("oci:a\0b", "there is no directory 'a\\x00b'"),
    ],
)
def test_what_is_not_there_is_said(text: str, said: str) -> None:
    with pytest.raises(InvalidReference) as raised:
        LayoutReference.parse(text, exists=lambda path: False)

    assert said in str(raised.value)


def test_a_malformed_digest_is_an_error() -> None:
    with pytest.raises(InvalidReference, match="is not a sha256 or sha512 digest"):
        LayoutReference.parse("oci:dir:v1@sha256:abc", exists=lambda path: path == "dir")
