# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""What a copy did."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class BlobOutcome(str, Enum):
    """How a blob came to be at the target."""

    COPIED = "copied"
    MOUNTED = "mounted"
    EXISTING = "existing"


class Count(NamedTuple):
    """How many manifests or blobs were copied, mounted from another repository, or there before."""

    copied: int = 0
    mounted: int = 0
    existing: int = 0


class CopyResult(NamedTuple):  # pylint: disable=too-many-instance-attributes
    """One image at its targets. ``bytes_copied`` counts the blobs' bytes that moved, over all targets.

    ``unchanged`` says that all of it was there before, under all its names, so that nothing was written.
    ``referrers`` is how many manifests that refer to it are there with it now. ``original_digest`` is that of the
    index at the source, where only some platforms of it were copied.
    """

    digest: str
    media_type: str
    manifests: Count
    blobs: Count
    bytes_copied: int
    unchanged: bool = False
    referrers: int = 0
    original_digest: str | None = None
