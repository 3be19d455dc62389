# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""The files of a layout: in a directory, or in a tar archive, read in place and by several threads at once."""

from __future__ import annotations

import os
import re
import stat
import threading
from pathlib import Path
from typing import Protocol

from azext_acrimport.layout.errors import Fault, LayoutError
from azext_acrimport.layout.tar import CutOff, Member, TarError, read_members
from azext_acrimport.oci.digest import printable

LAYOUT, INDEX, DOCKER_MANIFEST = "oci-layout", "index.json", "manifest.json"
_OURS = re.compile(rf"(?:{LAYOUT}|{INDEX}|{DOCKER_MANIFEST}|blobs/[a-z0-9]+/[0-9a-f]+)\Z")
_COMPRESSIONS = ((b"\x1f\x8b", "gzip"), (b"\xfd7zXZ\0", "xz"), (b"\x28\xb5\x2f\xfd", "zstd"), (b"BZh", "bzip2"))
_AT_ONCE = hasattr(os, "preadv")  # elsewhere threads take turns


class PositionalFile:
    """An open file of which each read says where. Safe for several threads."""

    def __init__(self, path: str) -> None:
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115 # pylint: disable=consider-using-with
        self._lock = threading.Lock()
        self.size = os.fstat(self._file.fileno()).st_size

    def read_into(self, view: memoryview, position: int) -> int:
        """Fill the view with what is at the position; return how many bytes that is, 0 at the end of the file."""
        if _AT_ONCE:
            return os.preadv(self._file.fileno(), [view], position)
        with self._lock:
            self._file.seek(position)
            return self._file.readinto(view) or 0

    def read(self, position: int, count: int) -> bytes:
        """So many bytes at the position; fewer only at the end of the file."""
        content = bytearray(count)
        view, filled = memoryview(content), 0
        while filled < count and (got := self.read_into(view[filled:], position + filled)):
            filled += got
        return bytes(content[:filled])

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class Content:
    """One file of a layout, open. ``size`` in bytes."""

    def __init__(self, file: PositionalFile, member: Member, *, owns_file: bool) -> None:
        self.size = member.size
        self._file = file
        self._offset = member.offset
        self._owns_file = owns_file

    def read_into(self, view: memoryview, position: int) -> int:
        """Fill the view with what is at the position of this file; return how many bytes that is."""
        return self._file.read_into(view[: max(0, self.size - position)], self._offset + position)

    def read(self) -> bytes:
        """All of it."""
        return self._file.read(self._offset, self.size)

    def close(self) -> None:
        """Let go of it."""
        if self._owns_file:
            self._file.close()


class Files(Protocol):
    """The files of a layout, by names such as ``index.json``."""

    def open(self, name: str) -> Content | None:
        """Open a file; None when there is none of this name.

        :raises LayoutError: it is none that may be read.
        :raises OSError: the system does not let us.
        """

    def close(self) -> None:
        """Let go of them all."""


class DirectoryFiles:
    """A layout in a directory. ``host`` is its name in errors. Links are followed only within the directory."""

    def __init__(self, host: str, path: str) -> None:
        self._host = host
        self._root = Path(os.path.realpath(path))
        if not self._root.is_dir():
            os.stat(path)  # raises what the system says of it, if it is not there
            raise LayoutError(host, Fault.NOT_A_LAYOUT, f"it is no directory; a file is named oci-archive:{path}")

    def open(self, name: str) -> Content | None:
        """Open a file of the directory."""
        path = Path(os.path.realpath(self._root / name))
        if not path.is_relative_to(self._root):
            raise LayoutError(self._host, Fault.UNREADABLE, f"{name} is a link that leads out of the directory")
        try:
            mode = path.stat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            return None
        if not stat.S_ISREG(mode):  # opening a pipe would wait for its other end
            raise LayoutError(self._host, Fault.UNREADABLE, f"{name} is not a regular file")
        file = PositionalFile(str(path))
        return Content(file, Member(0, file.size), owns_file=True)

    def close(self) -> None:
        """Nothing is open between reads."""


class ArchiveFiles:
    """A layout in a tar archive. Nothing is unpacked: its files are read where they are."""

    def __init__(self, host: str, path: str) -> None:
        self._file = _open_archive(host, path)
        try:
            self._members = self._read_members(host)
        except BaseException:
            self._file.close()
            raise

    def _read_members(self, host: str) -> dict[str, Member]:
        beginning = self._file.read(0, 6)
        for magic, name in _COMPRESSIONS:
            if beginning.startswith(magic):
                raise LayoutError(
                    host, Fault.COMPRESSED, f"the archive is compressed ({name}), so that it cannot be read in place"
                )
        try:
            return read_members(self._file.read, self._file.size, lambda name: bool(_OURS.match(name)))
        except TarError as ex:
            fault = Fault.INCOMPLETE if isinstance(ex, CutOff) else Fault.NOT_A_LAYOUT
            raise LayoutError(host, fault, str(ex)) from ex

    def open(self, name: str) -> Content | None:
        """Open a file of the archive."""
        member = self._members.get(name)
        return Content(self._file, member, owns_file=False) if member else None

    def close(self) -> None:
        """Close the archive."""
        self._file.close()


def _open_archive(host: str, path: str) -> PositionalFile:
    mode = os.stat(path).st_mode
    if stat.S_ISDIR(mode):
        raise LayoutError(host, Fault.NOT_A_LAYOUT, f"it is a directory, which is named oci:{path}")
    if not stat.S_ISREG(mode):
        raise LayoutError(host, Fault.UNREADABLE, f"{printable(path)} is not a regular file, to be read in any order")
    return PositionalFile(path)
