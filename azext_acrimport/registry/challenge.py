# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""Challenges: what a registry asks for in ``WWW-Authenticate``.

Source: RFC 9110, sections 11.2-11.6; the distribution project's token authentication specification.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_SCHEME = re.compile(rf"\s*({_TOKEN})(?:\s+|\Z|(?=,))")
_PARAMETER = re.compile(rf"\s*({_TOKEN})\s*=\s*(?:({_TOKEN}[^\s,\"]*)|\"((?:[^\"\\]|\\.)*)\")\s*")
_TOKEN68 = re.compile(r"\s*[A-Za-z0-9._~+/-]+=*\s*(?=,|\Z)")
MAX_CHALLENGE = 8 << 10


class Challenge(NamedTuple):
    """One challenge: its scheme in lower case, and its parameters (names in lower case)."""

    scheme: str
    parameters: Mapping[str, str]


def parse_challenges(header: str) -> tuple[Challenge, ...]:
    """Read the value of ``WWW-Authenticate``, which may hold several challenges.

    What cannot be read ends the reading: the challenges before it count.
    """
    challenges: list[Challenge] = []
    header = header[:MAX_CHALLENGE]
    position = 0
    while match := _SCHEME.match(header, position):
        parameters, position = _parameters(header, match.end())
        challenges.append(Challenge(match[1].lower(), parameters))
        comma = re.compile(r"\s*,").match(header, position)
        if not comma:
            break
        position = comma.end()
    return tuple(challenges)


def _parameters(header: str, position: int) -> tuple[dict[str, str], int]:
    found: dict[str, str] = {}
    if (blob := _TOKEN68.match(header, position)) and not _PARAMETER.match(header, position):
        return found, blob.end()
    while match := _PARAMETER.match(header, position):
        bare, quoted = match[2], match[3]
        value = bare if bare is not None else re.sub(r"\\(.)", r"\1", quoted)
        found.setdefault(match[1].lower(), value)
        position = match.end()
        # A comma may end this challenge or only this parameter: what follows it tells.
        if header[position : position + 1] != "," or not _PARAMETER.match(header, position + 1):
            break
        position += 1
    return found, position
