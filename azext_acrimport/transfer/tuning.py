# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""How much goes on at once, and in which sizes. What the figures rest on is in docs/benchmarks.md."""

from __future__ import annotations

import threading
from typing import NamedTuple

BULK_BYTES = 4 << 20  # a blob of more is bound by bandwidth, one of less by round trips
FAR_SECONDS = 0.01  # a round trip from which on a guess is worth the bytes that it costs where it is wrong
_BUFFER_BYTES = 256 << 10  # larger ones fall out of the processor's cache
_SMALL_BUFFER_BYTES = 64 << 10
_CONNECTIONS_PER_IMAGE = 10
_LANES = 8  # connections to a source that is slow on each one
# Small blobs are bound by round trips: 16 at once fill two processors on a local network, 64 a line of 40 ms.
_LEAST_WORKERS, _MOST_WORKERS, _WORKERS_PER_SECOND = 16, 64, 1200
_LEAST_BULK_WORKERS, _MOST_BULK_WORKERS = 4, 8


class CopySettings(NamedTuple):
    """How much goes on at once, at the most.

    That is connections to each registry, of these for big blobs, and small blobs over one of them.
    """

    max_connections: int = 64
    bulk_connections: int = 8
    blobs_together: int = 8


class Tuning:
    """What the settings allow and the network asks for."""

    def __init__(self, settings: CopySettings) -> None:
        self._settings = settings
        self._buffers = threading.local()

    def workers(self, round_trip_seconds: float) -> tuple[int, int]:
        """How many requests to have under way, and how many big blobs among them: the longer each takes, the more."""
        wanted = _LEAST_WORKERS + int(round_trip_seconds * _WORKERS_PER_SECOND)
        bulk = _LEAST_BULK_WORKERS if round_trip_seconds < FAR_SECONDS else _MOST_BULK_WORKERS
        most = self._settings.max_connections
        return min(most, wanted, _MOST_WORKERS), min(most, bulk, self._settings.bulk_connections)

    def connections_ahead(self, images: int) -> int:
        """How many connections to have ready before it is known how many are wanted."""
        return min(self._settings.max_connections, _MOST_WORKERS, _CONNECTIONS_PER_IMAGE * images)

    def lanes(self, big_blobs: int) -> int:
        """How many connections each of so many big blobs may use: its share of what all may."""
        return min(_LANES, self._settings.max_connections) // max(1, big_blobs)

    def buffer(self, size: int) -> memoryview:
        """This thread's own buffer, of a size that fits the blob."""
        wanted = _BUFFER_BYTES if size > _SMALL_BUFFER_BYTES else _SMALL_BUFFER_BYTES
        buffer: memoryview | None = getattr(self._buffers, "view", None)
        if buffer is None or len(buffer) < wanted:
            buffer = self._buffers.view = memoryview(bytearray(wanted))
        return buffer
