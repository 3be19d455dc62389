# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""What the command prints: the same keys on both routes, null where a route cannot know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from azext_acrimport.oci.digest import is_digest
from azext_acrimport.plan import Route
from azext_acrimport.request import Images
from azext_acrimport.transfer.result import CopyResult


@dataclass(frozen=True)
class Taken:
    """The route that was taken and why; ``fallback`` says that the service was tried first."""

    route: Route
    reason: str
    fallback: bool = False


@dataclass(frozen=True)
class Outcome:
    """An import that is done. ``copied`` is None where the service did it."""

    registry: str
    login_server: str
    source_host: str
    images: Images
    taken: Taken
    seconds: float
    copied: CopyResult | None = None

    def as_dict(self) -> dict[str, Any]:
        """The result as it is printed. Sizes in bytes."""
        digest = self.images.source.partition("@")[2]
        copied = self.copied
        return {
            "registry": self.registry,
            "loginServer": self.login_server,
            "source": f"{self.source_host}/{self.images.source}",
            "digest": copied.digest if copied else (digest if is_digest(digest) else None),
            "mediaType": copied.media_type if copied else None,
            "images": [f"{repository}:{tag}" for repository, tag in self.images.tagged],
            "repositories": list(self.images.untagged),
            "route": self.taken.route.value,
            "reason": self.taken.reason,
            "fallback": self.taken.fallback,
            "manifests": {
                "copied": copied.manifests.copied if copied else None,
                "existing": copied.manifests.existing if copied else None,
            },
            "blobs": {
                "copied": copied.blobs.copied if copied else None,
                "mounted": copied.blobs.mounted if copied else None,
                "existing": copied.blobs.existing if copied else None,
            },
            "bytesCopied": copied.bytes_copied if copied else None,
            "seconds": round(self.seconds, 1),
        }
