# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""Requests sent over one connection without waiting for the answers in between.

Many small requests are bound by round trips; so they take one together. Source: RFC 9112, section 9.3.2 (Pipelining).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from azext_acrimport.registry.errors import RegistryFailure
from azext_acrimport.registry.response import Response
from azext_acrimport.registry.transport import Exchange


class Pipeline:
    """What comes back for requests that were sent all at once: answers in the same order.

    There may be fewer of them than requests: not every server takes a request before it has answered the last one.
    """

    def __init__(self, exchange: Exchange, on_end: Callable[[bool], None]) -> None:
        self._exchange = exchange
        self._on_end = on_end  # told whether all answers came
        self._began = time.monotonic()

    def answers(self) -> Iterator[Response]:
        """The answers that come. The body of each has to be read, or closed, before the next."""
        try:
            while self._exchange.awaited:
                response = self._exchange.receive()
                self._exchange.note_round_trip(time.monotonic() - self._began)
                if not self._exchange.awaited:
                    self._on_end(True)
                yield response
        except RegistryFailure:
            self._on_end(False)  # what is missing is asked for again, one by one

    def close(self) -> None:
        """Do without the answers that have not been read."""
        if self._exchange.awaited:
            self._exchange.close()
