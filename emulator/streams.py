# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Bodies that break, wait or change on their way; what the faults are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from emulator.injection import Disconnect, Line
from emulator.messages import READ_BYTES, Body, Request, Response


class CutBody:
    """A request body that ends the connection when so many bytes of it have been read."""

    def __init__(self, body: Body, after: int, *, reset: bool) -> None:
        self._body = body
        self._left = after
        self._reset = reset

    def read(self, size: int = -1, /) -> bytes:
        if size < 0:
            return b"".join(iter(lambda: self.read(READ_BYTES), b""))
        if self._left == 0:
            raise Disconnect(reset=self._reset)
        chunk = self._body.read(min(size, self._left))
        self._left -= len(chunk)
        return chunk


def drain(request: Request) -> None:
    """Read the request body to its end."""
    for _ in request.chunks():
        pass


def announce(response: Response, length: int | None) -> None:
    """Fix the announced length before the body becomes a stream."""
    if length is not None:
        response.headers["Content-Length"] = str(length)
    elif isinstance(response.body, bytes) and "Content-Length" not in response.headers:
        response.headers["Content-Length"] = str(len(response.body))


def chunks_of(response: Response) -> Iterable[bytes]:
    """The body as a stream."""
    return [response.body] if isinstance(response.body, bytes) else response.body


def first(chunks: Iterable[bytes], count: int) -> Iterator[bytes]:
    """The first ``count`` bytes."""
    for chunk in chunks:
        if count <= 0:
            return
        yield chunk[:count]
        count -= len(chunk)


def then_disconnect(chunks: Iterable[bytes], *, reset: bool) -> Iterator[bytes]:
    """All of it, then the end of the connection."""
    yield from chunks
    raise Disconnect(reset=reset)


def then_stall(chunks: Iterable[bytes], line: Line) -> Iterator[bytes]:
    """All of it, then silence."""
    yield from chunks
    line.stall()


def pausing(chunks: Iterable[bytes], after: int, pause: Callable[[], None]) -> Iterator[bytes]:
    """All of it, with ``pause`` called behind the first ``after`` bytes."""
    waited = False
    for chunk in chunks:
        if not waited and after < len(chunk):
            yield chunk[:after]
            pause()
            waited = True
            chunk = chunk[after:]
        after -= len(chunk)
        yield chunk
    if not waited:
        pause()


def flipped(chunks: Iterable[bytes], offset: int) -> Iterator[bytes]:
    """All of it, with the lowest bit of one byte flipped."""
    position = 0
    for chunk in chunks:
        if position <= offset < position + len(chunk):
            changed = bytearray(chunk)
            changed[offset - position] ^= 1
            chunk = bytes(changed)
        position += len(chunk)
        yield chunk
