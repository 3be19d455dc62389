# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""Content digests: ``sha256:<64 hex digits>`` or ``sha512:<128 hex digits>``.

Source: OCI image specification, "Digests".
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

from azext_acrimport.oci.errors import InvalidDigest

_PATTERN = re.compile(r"(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})\Z")
_TWO_HASHES = re.compile(r"#(?=[^\x00-\x7f]*#)")


def check_digest(text: str) -> str:
    """Return the digest unchanged.

    :raises InvalidDigest: it is malformed, or its algorithm is not one that the specification registers.
    """
    if not isinstance(text, str) or not _PATTERN.match(text):
        raise InvalidDigest(f"{printable(text)} is not a sha256 or sha512 digest")
    return text


def is_digest(text: str) -> bool:
    """Whether the text is a digest that we can check."""
    return bool(_PATTERN.match(text))


def algorithm_of(digest: str) -> str:
    """The algorithm's name, as :func:`hashlib.new` takes it."""
    return digest.partition(":")[0]


def digester(digest: str) -> Any:
    """A new hash object of the algorithm of ``digest``."""
    return hashlib.new(algorithm_of(digest))


def digest_of(content: bytes, algorithm: str = "sha256") -> str:
    """The digest of the content."""
    return f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"


def printable(text: object, limit: int = 100) -> str:
    """The text in quotes, shortened and with control characters escaped: it may come from a hostile registry."""
    shown = without_commands(repr(text if isinstance(text, str) else str(text)))
    return shown if len(shown) <= limit else shown[: limit - 3] + "...'"


def without_commands(text: str) -> str:
    """The text with each ``##`` taken apart.

    Build services take ``##vso[`` and ``##[`` anywhere in a line of output for commands, and what a registry says is
    printed. The agent of Azure Pipelines compares as people do, and so overlooks invisible characters between the two.
    Sources: https://learn.microsoft.com/azure/devops/pipelines/scripts/logging-commands and
    https://github.com/actions/runner/blob/main/src/Runner.Common/ActionCommand.cs
    """
    return _TWO_HASHES.sub("# ", text)
