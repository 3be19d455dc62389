# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""Where the files of a tar archive are, so that they can be read in place.

Not by :mod:`tarfile`: it reads headers of any length into memory, and some versions of it go round for ever on sizes
below zero (https://nvd.nist.gov/vuln/detail/CVE-2025-8194), while an archive here may come from anyone.
Sources: POSIX.1-2017, pax, "ustar Interchange Format"; GNU tar manual, "Basic Tar Format".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

BLOCK_BYTES = 512
MAX_MEMBERS = 500_000  # bounds the time that a hostile archive takes; the largest images have some thousands
_MAX_HEADER_BYTES = 1 << 20  # of a name or a set of records before the header that they belong to
_FILES = (b"0", b"\0", b"7")
_WITHOUT_CONTENT = (b"1", b"2", b"3", b"4", b"5", b"6")  # links, devices, directories, pipes: whatever size they give
_RECORDS = (b"x", b"g", b"L", b"K")
_SPARSE = "the archive has sparse files in it (tar --sparse)"

Read = Callable[[int, int], bytes]
"""Reads so many bytes at a position; fewer only at the end of the file."""


class TarError(ValueError):
    """The file is not a tar archive that can be read in place."""


class CutOff(TarError):
    """The archive ends in the middle of a file."""


@dataclass(frozen=True)
class Member:
    """Where a file's content is in the archive; both in bytes."""

    offset: int
    size: int


@dataclass(frozen=True)
class _Header:
    name: str
    kind: bytes
    size: int
    link: str


def read_members(read: Read, total_bytes: int, wanted: Callable[[str], bool]) -> dict[str, Member]:
    """The regular files of the archive that are wanted, by name. Of two with one name the later one counts, as to tar.

    Hard links stand for what they link to; symbolic links are left out, and so is what would lie outside of the
    directory that the archive is unpacked in.

    :raises TarError: it is not an archive, or it has files that are not stored in one piece.
    """
    found: dict[str, Member] = {}
    position, seen, records = 0, 0, _Records()
    while block := read(position, BLOCK_BYTES):
        if not any(block):
            return found
        header = _header(block)
        position += BLOCK_BYTES
        seen += 1
        if header.kind == b"S":
            raise TarError(_SPARSE)
        if seen > MAX_MEMBERS:
            raise TarError(f"the archive has more than {MAX_MEMBERS} files")
        size = records.size_of(header)
        if position + size > total_bytes:
            end = position + size
            raise CutOff(f"the archive was cut off: it has {total_bytes} bytes, and a file in it ends at {end}")
        if header.kind in _RECORDS:
            records.add(header.kind, _content(read, position, size))
        else:
            name, link = _clean(records.name or header.name), _clean(records.link or header.link)
            if name and wanted(name):
                _note(found, name, header.kind, link, Member(position, size))
            records = _Records()
        position += -(-size // BLOCK_BYTES) * BLOCK_BYTES
    return found


def _note(found: dict[str, Member], name: str, kind: bytes, link: str, member: Member) -> None:
    if kind in _FILES:
        found[name] = member
    elif kind == b"1" and link in found:
        found[name] = found[link]


class _Records:
    """What stands before a header, and says more than has room in it."""

    def __init__(self) -> None:
        self.name = ""
        self.link = ""
        self._size: int | None = None

    def size_of(self, header: _Header) -> int:
        """How many bytes of content follow the header."""
        if header.kind in _WITHOUT_CONTENT:
            return 0
        if header.kind in _RECORDS:
            return header.size
        return header.size if self._size is None else self._size

    def add(self, kind: bytes, content: bytes) -> None:
        """Take in a long name, a long name of a link, or records of POSIX; those for all files hold nothing of use."""
        if kind == b"L":
            self.name = _text(content)
        elif kind == b"K":
            self.link = _text(content)
        elif kind == b"x":
            self._add_records(content)

    def _add_records(self, content: bytes) -> None:
        position = 0
        while position < len(content):
            length, space, _ = content[position : position + 12].partition(b" ")
            end = position + (int(length) if length.isdigit() else 0)
            if not space or end <= position + len(length) + 1 or end > len(content):
                raise TarError("the archive has a malformed header")
            key, _, value = content[position + len(length) + 1 : end - 1].partition(b"=")
            self._set(key, value)
            position = end

    def _set(self, key: bytes, value: bytes) -> None:
        if key == b"path":
            self.name = _text(value)
        elif key == b"linkpath":
            self.link = _text(value)
        elif key == b"size":
            if not value.isdigit() or len(value) > 18:
                raise TarError("the archive has a malformed size")
            self._size = int(value)
        elif key.startswith(b"GNU.sparse."):
            raise TarError(_SPARSE)


def _header(block: bytes) -> _Header:
    if len(block) < BLOCK_BYTES:
        raise CutOff("the archive was cut off: it ends in the middle of a header")
    told = _number(block[148:156])
    if told != sum(block[:148]) + 8 * ord(" ") + sum(block[156:]):
        raise TarError("it is not a tar archive, or it is damaged")
    name = _text(block[:100])
    prefix = _text(block[345:500]) if block[257:263] == b"ustar\0" else ""  # GNU keeps other things there
    return _Header(
        f"{prefix}/{name}" if prefix else name, block[156:157], _number(block[124:136]), _text(block[157:257])
    )


def _number(field: bytes) -> int:
    """A number in octal, or in base 256 where it is too large for that."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    digits = field.strip(b" \0")
    try:
        number = int(digits or b"0", 8)
    except ValueError as ex:
        raise TarError("it is not a tar archive, or it is damaged") from ex
    if number < 0:
        raise TarError("the archive has a size below zero")
    return number


def _content(read: Read, position: int, size: int) -> bytes:
    if size > _MAX_HEADER_BYTES:
        raise TarError(f"the archive has a header of {size} bytes")
    return read(position, size)


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("utf-8", "replace")


def _clean(name: str) -> str:
    """The name without what does not count in it; empty where it leads outside."""
    if name.startswith("/"):
        return ""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    return "" if ".." in parts else "/".join(parts)
