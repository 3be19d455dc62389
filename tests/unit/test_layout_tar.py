# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Finding files in tar archives, whoever wrote them."""

from __future__ import annotations

import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azext_acrimport.layout import tar
from azext_acrimport.layout.tar import CutOff, Member, TarError, read_members

FORMATS = [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]


def found(archive: bytes) -> dict[str, bytes]:
    """What the archive holds by name."""
    members = read_members(lambda at, count: archive[at : at + count], len(archive), lambda name: True)
    return {name: archive[each.offset : each.offset + each.size] for name, each in members.items()}


def entry(name: str, content: bytes = b"", **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    made = tarfile.TarInfo(name)
    made.size = len(content)
    for key, value in fields.items():
        setattr(made, key, value)
    return made, content


def pack(*entries: tuple[tarfile.TarInfo, bytes], tar_format: int = tarfile.USTAR_FORMAT) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tar_format) as archive:
        for made, content in entries:
            archive.addfile(made, io.BytesIO(content))
    return packed.getvalue()


def header(name: str, size: bytes, kind: bytes = b"0") -> bytes:
    """One header with fields as no honest program writes them, and a checksum that is right."""
    block = bytearray(pack(entry(name))[:512])
    block[124:136] = size.ljust(12, b"\0")
    block[156:157] = kind
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


@pytest.mark.parametrize("tar_format", FORMATS)
def test_files_are_found_in_every_format(tar_format: int) -> None:
    long_name = "/".join(["directory"] * 9) + "/" + "f" * 60  # 150 characters: more than one field holds
    files = {"index.json": b"{}", "blobs/sha256/aa": b"x" * 1000, long_name: b"long", "empty": b""}

    archive = pack(*(entry(name, content) for name, content in files.items()), tar_format=tar_format)

    assert found(archive) == files


@pytest.mark.parametrize("tar_format", FORMATS[1:])
def test_names_longer_than_any_field(tar_format: int) -> None:
    assert found(pack(entry("n" * 3000, b"x"), entry("next", b"y"), tar_format=tar_format)) == {
        "n" * 3000: b"x",
        "next": b"y",
    }


@given(
    st.lists(
        st.tuples(
            st.text("abc./", min_size=1, max_size=120).filter(lambda name: name.strip("./")), st.binary(max_size=1500)
        ),
        max_size=6,
    ),
    st.sampled_from(FORMATS[1:]),
)
def test_the_same_is_found_as_by_the_standard_library(files: list[tuple[str, bytes]], tar_format: int) -> None:
    archive = pack(*(entry(name, content) for name, content in files), tar_format=tar_format)

    with tarfile.open(fileobj=io.BytesIO(archive)) as reference:
        expected = {}
        for each in reference:
            parts = [part for part in each.name.split("/") if part not in ("", ".")]
            if not each.name.startswith("/") and ".." not in parts:
                expected["/".join(parts)] = reference.extractfile(each).read()  # type: ignore[union-attr]
    assert found(archive) == expected


@given(st.binary(max_size=3000), st.integers(0, 4000), st.binary(min_size=1, max_size=40))
def test_damage_is_an_error_or_harmless(content: bytes, place: int, damage: bytes) -> None:
    archive = pack(entry("index.json", content), entry("blobs/sha256/aa", b"y" * 600), tar_format=tarfile.PAX_FORMAT)
    damaged = archive[:place] + damage + archive[place + len(damage) :]

    try:
        members = read_members(lambda at, count: damaged[at : at + count], len(damaged), lambda name: True)
    except TarError:
        return
    assert all(each.offset >= 512 and each.offset + each.size <= len(damaged) for each in members.values())


def test_content_is_read_where_it_is_and_nothing_else() -> None:
    archive = pack(entry("first", b"x" * 700), entry("second", b"y" * 5_000_000))
    asked = []

    def read(at: int, count: int) -> bytes:
        asked.append(count)
        return archive[at : at + count]

    members = read_members(read, len(archive), lambda name: name == "second")

    assert members == {"second": Member(2048, 5_000_000)}
    assert sum(asked) <= 4 * 512


def test_sizes_of_more_than_eight_gigabytes() -> None:
    size = 10 << 30
    wanted = {"large": Member(512, size)}
    gnu = header("large", b"\x80" + size.to_bytes(11, "big"))
    assert read_members(lambda at, count: gnu[at : at + count], 512 + size, lambda name: True) == wanted

    records = pack(entry("large", pax_headers={"size": str(size)}), tar_format=tarfile.PAX_FORMAT)[:1536]
    assert read_members(lambda at, count: records[at : at + count], 1536 + size, lambda name: True) == {
        "large": Member(1536, size)
    }


@pytest.mark.parametrize(
    "name", ["../index.json", "blobs/../index.json", "/index.json", "..", "a/../../index.json", "/"]
)
def test_names_that_lead_elsewhere_are_left_out(name: str) -> None:
    assert found(pack(entry("index.json", b"good"), entry(name, b"evil"))) == {"index.json": b"good"}


def test_a_directory_is_no_part_of_a_name() -> None:
    assert found(pack(entry("./index.json", b"x"), entry(".//blobs/./a", b"y"))) == {
        "index.json": b"x",
        "blobs/a": b"y",
    }


def test_links_devices_and_directories() -> None:
    archive = pack(
        entry("blobs", type=tarfile.DIRTYPE),
        entry("blob", b"content"),
        entry("hard", type=tarfile.LNKTYPE, linkname="./blob"),
        entry("soft", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        entry("hard-to-outside", type=tarfile.LNKTYPE, linkname="/etc/passwd"),
        entry("hard-to-nothing", type=tarfile.LNKTYPE, linkname="later"),
        entry("pipe", type=tarfile.FIFOTYPE),
        entry("later", b"later"),
    )

    assert found(archive) == {"blob": b"content", "hard": b"content", "later": b"later"}


def test_the_later_of_two_files_counts() -> None:
    assert found(pack(entry("index.json", b"old"), entry("./index.json", b"new"))) == {"index.json": b"new"}


def test_records_for_all_files_change_none() -> None:
    packed = io.BytesIO()
    with tarfile.open(
        fileobj=packed, mode="w", format=tarfile.PAX_FORMAT, pax_headers={"comment": "c" * 40}
    ) as archive:
        archive.addfile(entry("n" * 200, b"x")[0], io.BytesIO(b"x"))

    assert found(packed.getvalue()) == {"n" * 200: b"x"}


def test_what_follows_the_end_does_not_count() -> None:
    end = pack(entry("index.json", b"x"))
    assert found(end + pack(entry("evil"))) == {"index.json": b"x"}
    assert found(end.rstrip(b"\0").ljust(1024, b"\0")) == {"index.json": b"x"}  # some programs write no end


@pytest.mark.parametrize("length", [1, 511, 513, 1000, 1024 + 511, 1024 + 512 + 100, 1024 + 512 + 4999])
def test_an_archive_that_was_cut_off(length: int) -> None:
    archive = pack(entry("index.json", b"x" * 500), entry("blob", b"y" * 5000))[:length]
    with pytest.raises(CutOff, match="the archive was cut off"):
        found(archive)


HOSTILE = {
    "text": b"just some text, and more of it. " * 32,
    "below zero": header("a", b"-0000000777\0"),
    "below zero in base 256": header("a", b"\xff" * 12),
    "no number": header("a", b"many"),
    "sparse": header("a", b"0", b"S"),
    "sparse in records": pack(entry("a", pax_headers={"GNU.sparse.major": "1"}), tar_format=tarfile.PAX_FORMAT),
    "size below zero in records": pack(entry("a", pax_headers={"size": "-512"}), tar_format=tarfile.PAX_FORMAT),
    "endless size in records": pack(entry("a", pax_headers={"size": "9" * 5000}), tar_format=tarfile.PAX_FORMAT),
    "records without a length": header("a", b"3", b"x") + b"abc".ljust(512, b"\0"),
    "records of length zero": header("a", b"4", b"x") + b"0 a=".ljust(512, b"\0"),
    "records longer than all": header("a", b"7", b"x") + b"99 a=b\n".ljust(512, b"\0"),
    "a long name of gigabytes": header("a", b"77777777777", b"L") + bytes(512),
}


@pytest.mark.parametrize("attack", HOSTILE)
def test_hostile_archives(attack: str) -> None:
    with pytest.raises(TarError):
        found(HOSTILE[attack])


def test_a_long_header_is_not_read() -> None:
    asked = []

    def read(at: int, count: int) -> bytes:
        asked.append(count)
        return header("a", b"77777777777", b"L") if at == 0 else bytes(count)

    with pytest.raises(TarError, match="a header of"):
        read_members(read, 1 << 40, lambda name: True)
    assert asked == [512]


def test_headers_before_headers_without_end() -> None:
    assert found(header("a", b"0", b"x") * 3000) == {}


def test_too_many_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tar, "MAX_MEMBERS", 3)
    files = [entry(str(number)) for number in range(4)]
    assert len(found(pack(*files[:3]))) == 3
    with pytest.raises(TarError, match="more than 3 files"):
        found(pack(*files))
