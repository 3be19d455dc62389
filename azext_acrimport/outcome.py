# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""What the command prints: the same keys for every image and on both routes, null where a route cannot know."""

from __future__ import annotations

from enum import Enum
from typing import Any, NamedTuple

from azext_acrimport.explain import Shown
from azext_acrimport.plan import Route
from azext_acrimport.request import Images
from azext_acrimport.transfer.result import CopyResult


class Status(str, Enum):
    """How it ended."""

    IMPORTED = "imported"
    EXISTING = "existing"  # all of it was there before
    STARTED = "started"  # by the service, which was not waited for
    FAILED = "failed"
    SKIPPED = "skipped"  # not begun, or given up, because another image failed before


class Taken(NamedTuple):
    """The route that was taken and why; ``fallback`` says that the service was tried first."""

    route: Route
    reason: str
    fallback: bool = False


class Outcome(NamedTuple):  # pylint: disable=too-many-instance-attributes
    """One image, done or not.

    ``source`` is its name in full, ``login_server`` and ``images`` are None where it failed before they were known;
    ``copied`` is None unless a copy from here did it; ``digest`` is what is known of it otherwise;
    ``referrers`` how many came along, where they were asked for; ``line`` where a list names it.
    """

    status: Status
    registry: str
    source: str
    login_server: str | None = None
    images: Images | None = None
    taken: Taken | None = None
    copied: CopyResult | None = None
    digest: str | None = None
    referrers: int | None = None
    seconds: float = 0.0
    line: int | None = None
    error: Shown | None = None

    def as_dict(self) -> dict[str, Any]:
        """The result as it is printed. Sizes in bytes."""
        copied, taken = self.copied, self.taken
        return {
            "status": self.status.value,
            "registry": self.registry,
            "loginServer": self.login_server,
            "source": self.source,
            "digest": copied.digest if copied else self.digest,
            "originalDigest": copied.original_digest if copied else None,
            "mediaType": (copied.media_type or None) if copied else None,
            "images": list(self.images.names) if self.images else [],
            "repositories": list(self.images.untagged) if self.images else [],
            "route": taken.route.value if taken else None,
            "reason": taken.reason if taken else None,
            "fallback": taken.fallback if taken else False,
            "manifests": {
                "copied": copied.manifests.copied if copied else None,
                "existing": copied.manifests.existing if copied else None,
            },
            "blobs": {
                "copied": copied.blobs.copied if copied else None,
                "mounted": copied.blobs.mounted if copied else None,
                "existing": copied.blobs.existing if copied else None,
            },
            "referrers": self.referrers,
            "bytesCopied": copied.bytes_copied if copied else None,
            "seconds": round(self.seconds, 1),
            "line": self.line,
            "error": self.error.as_dict() if self.error else None,
        }
