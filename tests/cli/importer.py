# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""The three ways to import that have to have the same effect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from tests.support.az import Completed

RESULT_KEYS = {
    "originalDigest",
    "referrers",
    "status",
    "line",
    "error",
    "registry",
    "loginServer",
    "source",
    "digest",
    "mediaType",
    "images",
    "repositories",
    "route",
    "reason",
    "fallback",
    "manifests",
    "blobs",
    "bytesCopied",
    "seconds",
}


class RunsAz(Protocol):
    """Runs az, signed in."""

    def __call__(self, *arguments: str) -> Completed:
        """Run one command."""


@dataclass(frozen=True)
class Importer:
    """One way to import: ``az acr import``, or ours by one of the routes."""

    az: RunsAz
    way: str

    def __call__(self, *arguments: str) -> None:
        """Import with arguments that both commands take."""
        if self.way == "az acr import":
            self.az("acr", "import", *arguments)
            return
        done = self.az("acrx", "import", *arguments, "--via", self.way)
        check_result(done.json, route=self.way)


def check_result(result: dict[str, Any], *, route: str) -> None:
    """Check what every result has, whichever the route."""
    assert set(result) == RESULT_KEYS
    assert result["loginServer"].partition(".")[0] == result["registry"]
    assert (result["route"], result["fallback"]) == (route, False)
    assert result["reason"]
    assert result["seconds"] >= 0
    assert result["images"] or result["repositories"]
    if route == "local":
        assert result["digest"].startswith("sha256:")
        assert result["manifests"]["copied"] + result["manifests"]["existing"] > 0
        assert result["bytesCopied"] > 0
