# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""Small blobs that wait for their turn, and which of them travel together."""

from __future__ import annotations

import heapq
import threading

from azext_acrimport.registry.repository import Repository
from azext_acrimport.transfer.nodes import BlobNode
from azext_acrimport.transfer.source import Source
from azext_acrimport.transfer.tuning import BULK_BYTES

_Way = tuple[Source, Repository, str]
"""Where blobs come from and go to, and where they may be mounted from."""


class Pending:
    """The small blobs that are to be moved, at most so many ``together``. Safe for several threads."""

    def __init__(self, together: int) -> None:
        self._together = together
        self._lock = threading.Lock()
        self._ways: dict[_Way, list[tuple[int, int, BlobNode]]] = {}  # a heap each, the largest blob first
        self._added = 0
        self._count = 0

    def add(self, node: BlobNode) -> None:
        """Have a blob wait."""
        with self._lock:
            self._added += 1
            self._count += 1
            waiting = self._ways.setdefault((node.source, node.target, node.mountable_from), [])
            heapq.heappush(waiting, (-node.blob.size, self._added, node))

    def take(self, workers: int) -> list[BlobNode]:
        """The next blobs for one of so many workers: as many as are its share, all going the same way; or none."""
        with self._lock:
            way = next(iter(self._ways), None)
            if way is None:
                return []
            waiting = self._ways[way]
            share = min(self._together, -(-self._count // workers))
            taken: list[BlobNode] = []
            room = BULK_BYTES
            while waiting and len(taken) < share and (not taken or -waiting[0][0] <= room):
                taken.append(heapq.heappop(waiting)[2])
                room -= taken[-1].blob.size
            if not waiting:
                del self._ways[way]
            self._count -= len(taken)
            return taken
