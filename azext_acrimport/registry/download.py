# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""Reading one blob, from wherever it breaks off."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from azext_acrimport.oci.descriptor import Descriptor
from azext_acrimport.registry.causes import failure
from azext_acrimport.registry.errors import ConnectionFailed, ContentMismatch, Reason, RegistryError, RegistryFailure
from azext_acrimport.registry.response import HttpViolation, Response, Truncated
from azext_acrimport.registry.retry import PROGRESS_BYTES
from azext_acrimport.registry.stripes import Stripes
from azext_acrimport.registry.transport import Exchange

if TYPE_CHECKING:
    from azext_acrimport.registry.blobs import Blobs

# A peer that sends a byte now and then never runs into the time limit of a single read.
_SLOW_SECONDS = 60.0
_SLOW_BYTES = 16 << 10
_PACE_SECONDS = 0.1  # long enough to tell 100 MiB/s from less
_FAST_BYTES_PER_SECOND = 100 << 20
_WORTH_STRIPING_BYTES = 32 << 20
_CONTENT_RANGE = r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)\Z"


class Pace:
    """How quickly a stream comes, and whether that is what its reader waits for."""

    def __init__(self, began: float = 0.0) -> None:
        self._began = began
        self._now = began
        self._received = 0
        self._waited = 0.0

    def add(self, count: int, asked: float, now: float) -> None:
        """So many bytes were asked for and came; times in seconds."""
        self._received += count
        self._waited += now - asked
        self._now = now

    @property
    def is_slow(self) -> bool:
        """Whether the sender is slow for its connection: more connections may bring more."""
        seconds = self._now - self._began
        if seconds < _PACE_SECONDS:
            return False
        return self._waited > 0.8 * seconds and self._received < _FAST_BYTES_PER_SECOND * seconds


class BlobReader:  # pylint: disable=too-many-instance-attributes
    """A blob's bytes in order. A broken connection is replaced by one that goes on where it broke.

    The bytes are not checked here: :class:`transfer.verify.Verifier` does that.
    """

    def __init__(self, repository: Blobs, blob: Descriptor, *, lanes: Callable[[], int] = lambda: 1) -> None:
        self.position = 0
        self._lanes = lanes
        self._stripes: Stripes | None = None
        self._pace = Pace()
        self._repository = repository
        self._blob = blob
        self._response: Response | None = None
        self._begun: Exchange | None = None
        self._tries = 0
        self._failed_at = 0
        self._watched_from = (0.0, 0)  # seconds on the run's clock, and the position then

    def begin(self) -> None:
        """Send the request for the bytes, so that they are on their way when they are first read."""
        self._begun = self._repository.begin_blob(self._blob.digest)

    def read(self, buffer: memoryview) -> memoryview:
        """The next bytes: the buffer full of them, or as many as there are left.

        :raises RegistryFailure: they cannot be had, and further tries are no use or used up.
        """
        if self._stripes:
            data = self._stripes.read(len(buffer))
            self.position += len(data)
            return data
        view = buffer[: self._blob.size - self.position]
        filled = 0
        while filled < len(view):
            try:
                count = self._read(view[filled:])
            except RegistryFailure as ex:
                self.close()
                self._tries += 1
                self._failed_at = self.position
                self._repository.registry.client.wait_after(ex, self._tries)
                continue
            filled += count
            self.position += count
            if self.position >= self._failed_at + PROGRESS_BYTES:
                self._tries = 0  # what moves is not counted as failing
        if self.position == self._blob.size:
            self._check_end()
        elif self._pace.is_slow and self._blob.size - self.position > _WORTH_STRIPING_BYTES:
            self._go_on_in_stripes()
        return view

    def seek(self, position: int) -> None:
        """Go on from another position."""
        if position != self.position:
            self.close()
            self.position = position

    def close(self) -> None:
        """Let go of the connection; the next read opens another one."""
        stripes, self._stripes = self._stripes, None
        if stripes:
            stripes.close()
        response, self._response = self._response, None
        if response:
            response.close()
        begun, self._begun = self._begun, None
        if begun:
            begun.close()

    def _read(self, view: memoryview) -> int:
        clock = self._repository.registry.client.clock
        clock.check(self._repository.registry.host)
        if self._response is None:
            self._response = self._open()
            self._watched_from = (clock.now(), self.position)
            self._pace = Pace(clock.now())
        asked = clock.now()
        self._check_pace(asked)
        count = self._receive(self._response, view)
        self._pace.add(count, asked, clock.now())
        if not count:
            raise self._failure(Truncated("the blob ended early"))
        return count

    def _open(self) -> Response:
        begun, self._begun = self._begun, None
        try:
            response = self._repository.open_blob(self._blob.digest, offset=self.position, begun=begun)
        except RegistryError as ex:
            if ex.status == 416 and self.position:
                raise self._mismatch(f"ends after {self.position} bytes") from ex
            raise
        rest = self._blob.size - self.position
        if response.status == 206:
            self._check_range(response)
        elif self.position:
            self._skip(response, self.position)  # it does not know ranges
        if response.length is not None and response.length > rest:
            response.close()
            raise self._mismatch(f"has {self.position + response.length} bytes")
        return response

    def _go_on_in_stripes(self) -> None:
        """Read the rest over several connections, if there are some to spare and the source knows ranges."""
        lanes = self._lanes()
        self._pace = Pace(self._repository.registry.client.clock.now())
        if lanes < 2 or not self._knows_ranges():
            return
        self.close()
        self._stripes = Stripes(self._repository, self._blob, start=self.position, connections=lanes)

    def _knows_ranges(self) -> bool:
        """Whether the source sends a part when asked for one. The stream under way is kept until that is known."""
        try:
            response = self._repository.open_blob(self._blob.digest, offset=self.position, last=self.position)
        except RegistryFailure:
            return False
        response.close()
        return response.status == 206

    def _check_range(self, response: Response) -> None:
        """See that the answer goes on exactly where we are. Source: RFC 9110, section 14.4."""
        found = re.match(_CONTENT_RANGE, response.headers.get("content-range", ""))
        total = found[3] if found else ""
        goes_on = found and int(found[1]) == self.position and int(found[2]) < self._blob.size
        if goes_on and total in ("*", str(self._blob.size)):
            return
        response.close()
        raise self._changed(f"was continued with the range {response.headers.get('content-range', '')[:100]!r}")

    def _check_pace(self, now: float) -> None:
        since, position = self._watched_from
        if now - since < _SLOW_SECONDS:
            return
        if self.position - position < _SLOW_BYTES:
            registry = self._repository.registry
            detail = f"only {self.position - position} bytes in {now - since:.0f} s"
            raise ConnectionFailed(registry.host, registry.client.origin.authority, Reason.TIMEOUT, detail)
        self._watched_from = (now, self.position)

    def _skip(self, response: Response, count: int) -> None:
        scratch = memoryview(bytearray(min(count, 64 << 10)))
        while count:
            got = self._receive(response, scratch[:count])
            if not got:
                raise self._failure(Truncated("the blob ended early"))
            count -= got

    def _receive(self, response: Response, view: memoryview) -> int:
        try:
            return response.fill(view)
        except (OSError, HttpViolation) as ex:
            response.close()
            raise self._failure(ex) from ex

    def _check_end(self) -> None:
        """See that nothing follows, and give the connection back."""
        response, self._response = self._response, None
        if response is None:
            return
        surplus = 0
        try:
            surplus = response.readinto(memoryview(bytearray(1)))
        except (OSError, HttpViolation):
            pass  # all bytes have arrived; how their connection ends does not matter
        response.close()
        if surplus:
            raise self._mismatch("goes on after its last byte")

    def _failure(self, ex: Exception) -> RegistryFailure:
        return failure(self._repository.registry.host, self._repository.registry.client.origin, ex)

    def _changed(self, what: str) -> ContentMismatch:
        """Another content than the one that was begun: reading it again would not be reading on."""
        mismatch = self._mismatch(what)
        mismatch.settled = True
        return mismatch

    def _mismatch(self, what: str) -> ContentMismatch:
        detail = f"the blob {self._blob.digest} {what}; its manifest says {self._blob.size} bytes"
        return ContentMismatch(self._repository.registry.host, detail)
