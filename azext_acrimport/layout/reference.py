# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""Names of images in layouts: ``oci:DIRECTORY[:TAG][@DIGEST]`` and ``oci-archive:FILE[:TAG][@DIGEST]``.

Source: containers-transports(5); https://github.com/containers/image/blob/v5.34.0/oci/internal/oci_util.go
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from azext_acrimport.oci.digest import is_digest, printable
from azext_acrimport.oci.errors import InvalidReference
from azext_acrimport.oci.reference import ARCHIVE_LAYOUT

_DRIVE = re.compile(r"[A-Za-z]:[\\/]")


class LayoutReference(NamedTuple):
    """An image in a layout. ``path`` is as the user wrote it; without ``tag`` and ``digest`` the only image is meant.

    The digest, where there is one, decides. ``tag`` may also be a whole name: ``docker.io/library/app:v1``.
    """

    kind: str
    path: str
    tag: str = ""
    digest: str | None = None

    def __str__(self) -> str:
        return self.layout + (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    @property
    def layout(self) -> str:
        """The layout alone, without an image."""
        return f"{self.kind}:{self.path}"

    @property
    def identifier(self) -> str:
        """Which image of the layout is meant; empty for the only one."""
        return self.digest or self.tag

    @property
    def is_archive(self) -> bool:
        """Whether it is a file, and not a directory."""
        return self.kind == ARCHIVE_LAYOUT

    @staticmethod
    def parse(text: str, *, exists: Callable[[str], bool] = os.path.lexists) -> LayoutReference:
        """Read the name of an image in a layout. Of a path with colons in it, the longest part that exists is it.

        :raises InvalidReference: there is no such file or directory, or a part of the name is malformed.
        """
        kind, _, rest = text.partition(":")
        for path, identifier in _splits(rest):
            if path and exists(os.path.expanduser(path)):
                return LayoutReference(kind, path, *_tag_and_digest(identifier))
        raise InvalidReference(_nothing_there(kind, rest))


def _splits(text: str) -> Iterator[tuple[str, str]]:
    """All ways to take the text apart into a path and what follows it, the longest path first."""
    yield text, ""
    for place in range(len(text) - 1, 0, -1):
        if text[place] == ":":
            yield text[:place], text[place + 1 :]
        elif text[place] == "@":
            yield text[:place], text[place:]


def _tag_and_digest(text: str) -> tuple[str, str | None]:
    tag, _, digest = text.rpartition("@")
    if is_digest(digest):
        return tag, digest
    if digest.startswith(("sha256:", "sha512:")):
        raise InvalidReference(f"{printable(digest)} is not a sha256 or sha512 digest")
    return text, None


def _nothing_there(kind: str, text: str) -> str:
    if text.startswith("//"):
        return f"{printable(f'{kind}:{text}')}: a registry is named without {kind}://, and a layout by {kind}:PATH"
    drive = 2 if _DRIVE.match(text) else 0
    path = text[:drive] + re.split("[:@]", text[drive:], maxsplit=1)[0]
    return f"there is no {'file' if kind == ARCHIVE_LAYOUT else 'directory'} {printable(path, 300)}"
