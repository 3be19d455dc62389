# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Where the text of a list comes from."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from azext_acrimport.lists import loading
from azext_acrimport.lists.loading import load_text
from azext_acrimport.request import InvalidRequest

NO_INPUT = io.BytesIO()


def test_a_path_is_read(tmp_path: Path) -> None:
    path = tmp_path / "images.txt"
    path.write_bytes("\ufeffa.io/ä\r\n".encode())
    assert load_text(str(path), NO_INPUT) == "a.io/ä\r\n"


def test_a_dash_is_standard_input() -> None:
    assert load_text("-", io.BytesIO("a.io/ä\n".encode())) == "a.io/ä\n"


@pytest.mark.parametrize("text", ["a.io/b\nc.io/d", '["a.io/b"]', ' {"images": []}', "[a.io/b]"])
def test_what_az_has_read_already_is_the_list_itself(text: str) -> None:
    assert load_text(text, NO_INPUT) == text


@pytest.mark.parametrize(
    ("content", "named"),
    [(None, "there is no such file"), (b"a.io/\xff", "is not UTF-8 (at byte 5)"), (b"x" * 17, "divide the list")],
)
def test_a_file_that_cannot_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None, named: str
) -> None:
    monkeypatch.setattr(loading, "MAX_BYTES", 16)
    path = tmp_path / "images.txt"
    if content is not None:
        path.write_bytes(content)
        with pytest.raises(InvalidRequest, match=r"^--from-file -: standard input "):
            load_text("-", io.BytesIO(content))
    with pytest.raises(InvalidRequest) as raised:
        load_text(str(path), NO_INPUT)
    assert str(raised.value).startswith("--from-file '")
    assert named in str(raised.value)


@pytest.mark.parametrize("name", ["a\0b", "x" * 5_000])
def test_a_path_that_the_system_does_not_take(name: str) -> None:
    with pytest.raises(InvalidRequest, match="cannot be read"):
        load_text(name, NO_INPUT)


def test_a_directory(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="is a directory"):
        load_text(str(tmp_path), NO_INPUT)
