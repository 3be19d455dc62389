# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Reading a blob: patience with a connection that moves, and none with one that only seems to."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azext_acrimport.oci.descriptor import Descriptor
from azext_acrimport.registry.address import Origin
from azext_acrimport.registry.download import BlobReader
from azext_acrimport.registry.errors import ConnectionFailed, ContentMismatch, Reason, RegistryFailure
from azext_acrimport.registry.repository import Repository
from azext_acrimport.registry.response import Response
from tests.support.lab import FastClock

BLOB = Descriptor("sha256:" + "0" * 64, 1_000_000, "application/octet-stream")


class Dripping:
    """An answer that brings so many bytes with each read, and lets so much time go by."""

    status = 200
    length = None
    headers: dict[str, str] = {}  # noqa: RUF012

    def __init__(self, clock: FastClock, *, count: int, seconds: float) -> None:
        self.clock, self.count, self.seconds, self.sent = clock, count, seconds, 0

    def fill(self, view: memoryview) -> int:
        self.clock.seconds += self.seconds
        count = min(self.count, len(view), BLOB.size - self.sent)
        self.sent += count
        return count

    def readinto(self, view: memoryview) -> int:
        return self.fill(view)

    def close(self) -> None:
        pass


def reader_of(clock: FastClock, *, count: int, seconds: float) -> BlobReader:
    def give_up(ex: RegistryFailure, tries: int) -> None:
        raise ex

    client = SimpleNamespace(clock=clock, wait_after=give_up, origin=Origin("https", "r.io", 443))
    repository = SimpleNamespace(
        registry=SimpleNamespace(host="r.io", client=client),
        open_blob=lambda *_, **__: cast(Response, Dripping(clock, count=count, seconds=seconds)),
    )
    return BlobReader(cast(Repository, cast(Any, repository)), BLOB)


def test_source_that_only_drips_is_given_up() -> None:
    reader = reader_of(FastClock(), count=10, seconds=1)
    with pytest.raises(ConnectionFailed) as raised:
        reader.read(memoryview(bytearray(BLOB.size)))
    assert raised.value.reason is Reason.TIMEOUT
    assert raised.value.host == "r.io"


def test_slow_source_is_borne_with() -> None:
    reader = reader_of(FastClock(), count=1000, seconds=1)
    assert len(reader.read(memoryview(bytearray(BLOB.size)))) == BLOB.size
    assert reader.position == BLOB.size


def test_nothing_is_read_past_the_end() -> None:
    reader = reader_of(FastClock(), count=1 << 20, seconds=0)
    view = memoryview(bytearray(2 * BLOB.size))
    assert len(reader.read(view)) == BLOB.size
    assert len(reader.read(view)) == 0


class Answered(Dripping):
    """An answer to a request for a part of the blob."""

    def __init__(self, content_range: str) -> None:
        super().__init__(FastClock(), count=1 << 20, seconds=0)
        self.status = 206
        self.headers = {"content-range": content_range}


@given(
    st.text(max_size=30)
    | st.builds("bytes {}-{}/{}".format, st.integers(0, 2_000_000), st.integers(0, 2_000_000), st.integers(0, 10**19))
    | st.just("bytes 5-999999/1000000")
    | st.just("bytes 5-999999/*")
)
def test_part_is_taken_only_where_it_goes_on(content_range: str) -> None:
    reader = reader_of(FastClock(), count=1, seconds=0)
    reader._repository = cast(  # type: ignore[misc]
        Any, SimpleNamespace(registry=reader._repository.registry, open_blob=lambda *_, **__: Answered(content_range))
    )
    reader.seek(5)
    try:
        reader.read(memoryview(bytearray(10)))
    except ContentMismatch:
        assert not content_range.startswith("bytes 5-999999/1000000")
        return
    start, _, rest = content_range.removeprefix("bytes ").partition("-")
    assert int(start) == 5
    assert rest.partition("/")[2] in ("*", str(BLOB.size))
