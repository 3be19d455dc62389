# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""The content of blobs: held in memory, made as it is read, or received and dropped."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

CHUNK_BYTES = 1024 * 1024


def digest_of(content: bytes, algorithm: str = "sha256") -> str:
    """The digest of some bytes as registries write it."""
    return f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"


class Blob(Protocol):
    """The content of a blob; it need not be in memory."""

    @property
    def size(self) -> int:
        """Its length in bytes."""

    def chunks(self, start: int, stop: int) -> Iterator[bytes]:
        """The bytes from ``start`` up to, not including, ``stop``."""


@dataclass(frozen=True)
class MemoryBlob:
    """A blob that is held in memory."""

    content: bytes = field(repr=False)

    @property
    def size(self) -> int:
        """Its length in bytes."""
        return len(self.content)

    def chunks(self, start: int, stop: int) -> Iterator[bytes]:
        """The bytes from ``start`` up to, not including, ``stop``."""
        view = memoryview(self.content)
        for position in range(start, stop, CHUNK_BYTES):
            yield bytes(view[position : min(position + CHUNK_BYTES, stop)])


@dataclass(frozen=True)
class PatternBlob:
    """A large blob that takes no memory: one pattern over and over."""

    length: int
    pattern: bytes = field(default=b"0123456789abcdef" * 65536, repr=False)

    @property
    def size(self) -> int:
        """Its length in bytes."""
        return self.length

    def chunks(self, start: int, stop: int) -> Iterator[bytes]:
        """The bytes from ``start`` up to, not including, ``stop``."""
        position = start
        while position < stop:
            offset = position % len(self.pattern)
            chunk = self.pattern[offset : offset + stop - position]
            yield chunk
            position += len(chunk)

    def digest(self, algorithm: str = "sha256") -> str:
        """Its digest."""
        digester = hashlib.new(algorithm)
        for chunk in self.chunks(0, self.length):
            digester.update(chunk)
        return f"{algorithm}:{digester.hexdigest()}"


@dataclass(frozen=True)
class DiscardedBlob:
    """A blob that was received and checked but not kept (``Store(keep_blobs=False)``)."""

    size: int

    def chunks(self, start: int, stop: int) -> Iterator[bytes]:
        """Zeros: the content is gone."""
        return PatternBlob(self.size, bytes(CHUNK_BYTES)).chunks(start, stop)
