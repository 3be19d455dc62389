# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""The text of a list, from where the argument says."""

from __future__ import annotations

from typing import IO

from azext_acrimport.oci.digest import printable
from azext_acrimport.request import InvalidRequest

OPTION = "--from-file"
MAX_BYTES = 32 * 1024 * 1024  # a hundred thousand entries take about a third of it


def load_text(argument: str, stdin: IO[bytes]) -> str:
    """The list that ``--from-file`` means: ``-`` is standard input, and anything else the path of a file.

    ``az`` puts the content of a file in the place of ``@file`` before we see it. So a value with several lines, or
    that begins as one does, is the list itself.

    :raises InvalidRequest: the file is not there or cannot be read, is not UTF-8, or is over 32 MiB.
    """
    if "\n" in argument or argument.lstrip().startswith(("[", "{", "- ")):
        return argument
    content = _read(argument, stdin)
    if len(content) > MAX_BYTES:
        raise InvalidRequest(f"{_at(argument)} is over {MAX_BYTES >> 20} MiB: divide the list")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as ex:
        raise InvalidRequest(f"{_at(argument)} is not UTF-8 (at byte {ex.start}): save it as UTF-8") from ex


def _read(argument: str, stdin: IO[bytes]) -> bytes:
    if argument == "-":
        return stdin.read(MAX_BYTES + 1)
    try:
        with open(argument, "rb") as file:
            return file.read(MAX_BYTES + 1)
    except FileNotFoundError as ex:
        raise InvalidRequest(
            f"{_at(argument)}: there is no such file; give the path of a list, without @, or - for standard input"
        ) from ex
    except IsADirectoryError as ex:
        raise InvalidRequest(f"{_at(argument)} is a directory: give the path of a list in it") from ex
    except (OSError, ValueError) as ex:  # ValueError: a path with a null character
        reason = ex.strerror if isinstance(ex, OSError) and ex.strerror else str(ex)
        raise InvalidRequest(f"{_at(argument)} cannot be read ({reason}): check the path and its permissions") from ex


def _at(argument: str) -> str:
    return f"{OPTION} {printable(argument)}" if argument != "-" else f"{OPTION} -: standard input"
