# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""The rest of a blob over several connections at once, for a source that is slow on each one.

Not for a fast one: every range costs it a request, and one stream of it is quicker (docs/benchmarks.md).
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from azext_acrimport.oci.descriptor import Descriptor
from azext_acrimport.registry.causes import failure
from azext_acrimport.registry.errors import ContentMismatch, RegistryFailure
from azext_acrimport.registry.response import HttpViolation, Response, Truncated
from azext_acrimport.registry.retry import PROGRESS_BYTES
from azext_acrimport.registry.transport import Exchange

if TYPE_CHECKING:
    from azext_acrimport.registry.blobs import Blobs

STRIPE_BYTES = 4 << 20


class _Lane:  # pylint: disable=too-few-public-methods
    """One connection's buffer, and which stripe it holds."""

    def __init__(self) -> None:
        self.buffer = memoryview(bytearray(STRIPE_BYTES))
        self.stripe = -1
        self.ready = False
        self.response: Response | None = None
        self.begun: Exchange | None = None


class Stripes:  # pylint: disable=too-many-instance-attributes
    """Reads a blob from ``start`` on in stripes, in turn on each of ``connections``, and gives them in order.

    Memory: a stripe for each connection.
    """

    def __init__(self, repository: Blobs, blob: Descriptor, *, start: int, connections: int) -> None:
        self._repository = repository
        self._blob = blob
        self._start = start
        self._condition = threading.Condition()
        self._next_stripe = 0
        self._stopped = False
        self._failure: Exception | None = None
        self._lanes = [_Lane() for _ in range(connections)]
        self._current: tuple[_Lane, memoryview] | None = None
        self._turn = 0
        self._threads = [
            threading.Thread(target=self._work, args=(lane,), name=f"acrx-stripe-{number}", daemon=True)
            for number, lane in enumerate(self._lanes)
        ]
        for thread in self._threads:
            thread.start()

    def read(self, most: int) -> memoryview:
        """The next bytes, at most so many; they are good until the next read.

        :raises RegistryFailure: they cannot be had, and further tries are no use or used up.
        """
        lane, rest = self._current or self._await_turn()
        if not rest:
            self._release(lane)
            lane, rest = self._await_turn()
        data, rest = rest[:most], rest[most:]
        self._current = lane, rest
        return data

    def close(self) -> None:
        """Break off what is under way, and wait for its end."""
        with self._condition:
            self._stopped = True
            self._condition.notify_all()
            for lane in self._lanes:
                if lane.response:
                    lane.response.abort()
        for thread in self._threads:
            thread.join()

    def _await_turn(self) -> tuple[_Lane, memoryview]:
        with self._condition:
            while True:
                if self._failure:
                    raise self._failure
                lane = next((each for each in self._lanes if each.ready and each.stripe == self._turn), None)
                if lane:
                    break
                self._condition.wait()
        begin, end = self._bounds(self._turn)
        self._current = lane, lane.buffer[: end - begin]
        return self._current

    def _release(self, lane: _Lane) -> None:
        with self._condition:
            lane.ready = False
            self._turn += 1
            self._condition.notify_all()

    def _work(self, lane: _Lane) -> None:
        try:
            stripe = self._claim()
            while stripe is not None:
                begin, end = self._bounds(stripe)
                self._fetch(lane, begin, lane.buffer[: end - begin])
                with self._condition:
                    lane.stripe, lane.ready = stripe, True
                    self._condition.notify_all()
                stripe = self._claim()
                self._ask_ahead(lane, stripe)
                with self._condition:
                    while lane.ready and not self._stopped:
                        self._condition.wait()
        except Exception as ex:  # noqa: BLE001 # pylint: disable=broad-exception-caught # read() raises it
            with self._condition:
                self._failure = self._failure or ex
                self._condition.notify_all()
        finally:
            if lane.begun:
                lane.begun.close()

    def _claim(self) -> int | None:
        """The next stripe to fetch; None when there is none."""
        with self._condition:
            stripe = self._next_stripe
            self._next_stripe += 1
            return stripe if not self._stopped and self._bounds(stripe)[0] < self._blob.size else None

    def _ask_ahead(self, lane: _Lane, stripe: int | None) -> None:
        """Send the request for a stripe while the lane's last one waits for its turn: it fills the socket meanwhile."""
        if stripe is not None:
            begin, end = self._bounds(stripe)
            lane.begun = self._repository.begin_blob(self._blob.digest, offset=begin, last=end - 1)

    def _bounds(self, stripe: int) -> tuple[int, int]:
        begin = self._start + stripe * STRIPE_BYTES
        return begin, min(begin + STRIPE_BYTES, self._blob.size)

    def _fetch(self, lane: _Lane, begin: int, view: memoryview) -> None:
        """Fill the view with the blob's bytes from ``begin`` on, going on wherever that breaks off."""
        client = self._repository.registry.client
        filled = tries = failed_at = 0
        while filled < len(view) and not self._stopped:
            try:
                filled += self._receive(lane, begin + filled, view[filled:])
                tries = 0 if filled >= failed_at + PROGRESS_BYTES else tries
            except RegistryFailure as ex:
                self._set_response(lane, None)
                if self._stopped:
                    return
                tries, failed_at = tries + 1, filled
                client.wait_after(ex, tries)
        self._set_response(lane, None)

    def _receive(self, lane: _Lane, position: int, view: memoryview) -> int:
        registry = self._repository.registry
        registry.client.clock.check(registry.host)
        if lane.response is None:
            last = position + len(view) - 1
            begun, lane.begun = lane.begun, None
            response = self._repository.open_blob(self._blob.digest, offset=position, last=last, begun=begun)
            expected = f"bytes {position}-{last}/"
            if response.status != 206 or not response.headers.get("content-range", "").startswith(expected):
                response.close()
                raise ContentMismatch(registry.host, f"the blob {self._blob.digest} was not sent in ranges as asked")
            self._set_response(lane, response)
        try:
            count = lane.response.fill(view) if lane.response else 0
        except (OSError, HttpViolation) as ex:
            raise failure(registry.host, registry.client.origin, ex) from ex
        if not count:
            raise failure(registry.host, registry.client.origin, Truncated("a range of the blob ended early"))
        return count

    def _set_response(self, lane: _Lane, response: Response | None) -> None:
        with self._condition:
            if lane.response and response is None:
                lane.response.close()
            lane.response = response
            if response and self._stopped:
                response.abort()
