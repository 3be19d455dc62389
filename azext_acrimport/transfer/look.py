# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""The last look at an image's tags before they are written: taken while the last part of the image is on its way.

The question goes over the same connection right behind that part, so that it is answered after it and costs no round
trip of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from azext_acrimport.registry.pipeline import Pipeline
from azext_acrimport.registry.transport import Exchange
from azext_acrimport.transfer.nodes import Look, ManifestNode

_FRESH_SECONDS = 2.0  # what was seen longer ago is asked for again


class LastLook:
    """A look behind one part of images. ``roots`` tells, when the part has been sent, for which it was the last."""

    def __init__(self, roots: Callable[[], Sequence[ManifestNode]]) -> None:
        self._find = roots
        self._roots: list[ManifestNode] | None = None
        self._begun: Pipeline | None = None

    def begin(self, exchange: Exchange) -> None:
        """Ask behind the part that the exchange has just sent; once more where that had to be sent again."""
        self.close()
        if self._roots is None:
            self._roots = [root for root in self._find() if root.tags and not root.tally.root.force]
        if self._roots:
            self._begun = self._roots[0].target.begin_digests_of(self._tags(), behind=exchange)

    def end(self) -> None:
        """Read what was seen, after the answer to the part itself."""
        if not self._begun or not self._roots:
            return
        target = self._roots[0].target
        found = target.digests_at_once(self._tags(), self._begun)
        now = target.registry.client.clock.now()
        for root in self._roots:
            root.look = Look(now, {tag: found[tag] for tag in root.tags if tag in found})

    def close(self) -> None:
        """Do without."""
        if self._begun:
            self._begun.close()
            self._begun = None

    def _tags(self) -> list[str]:
        return [tag for root in self._roots or () for tag in root.tags]


def seen_just_now(node: ManifestNode) -> Mapping[str, str | None]:
    """What the last look at the manifest's tags has seen, if it was not too long ago."""
    now = node.target.registry.client.clock.now()
    return node.look.digests if node.look and now - node.look.seconds <= _FRESH_SECONDS else {}
