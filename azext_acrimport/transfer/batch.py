# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""Small blobs that go the same way, moved together: over one connection to each side, no answer awaited in between.

It takes as many round trips as one blob alone, and fewer wake-ups on all sides. This is for when all goes well: what
does not is left to :class:`transfer.blob.BlobCopy`, which knows what to do about it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress

from azext_acrimport.registry.errors import RegistryFailure
from azext_acrimport.registry.transport import Exchange
from azext_acrimport.registry.upload import UploadSession
from azext_acrimport.transfer.nodes import BlobNode
from azext_acrimport.transfer.source import Bytes, Series
from azext_acrimport.transfer.verify import Verifier


class Batch:  # pylint: disable=too-many-instance-attributes,too-few-public-methods
    """Small blobs on their way from one repository to another. No two of them are the same.

    ``is_wanted`` tells whether to go on with one; ``on_sent`` is told when all have been sent, before the target's
    answers are awaited.
    """

    def __init__(
        self,
        nodes: Sequence[BlobNode],
        series: Series,
        *,
        buffer: memoryview,
        is_wanted: Callable[[BlobNode], bool],
        on_sent: Callable[[Exchange], None],
    ) -> None:
        self._nodes = nodes
        self._series = series
        self._buffer = buffer
        self._is_wanted = is_wanted
        self._on_sent = on_sent
        self._exchange: Exchange | None = None  # with the target
        self.sent: list[BlobNode] = []
        self._is_cut = False  # whether only a part of a blob has been sent

    def run(self, sessions: Mapping[BlobNode, UploadSession]) -> list[BlobNode]:
        """Move the bytes of those that there are upload sessions for; return which of them the target has stored.

        The sessions of the others are given up.
        """
        stored: list[BlobNode] = []
        try:
            with suppress(RegistryFailure):  # whoever moves the rest meets it again, and tells
                self._send(sessions)
            with suppress(RegistryFailure):
                if self._exchange and len(self.sent) == len(sessions):
                    self._on_sent(self._exchange)
                self._confirm(sessions, stored)
        finally:
            if self._exchange and (self._is_cut or len(stored) < len(self.sent)):
                self._exchange.close()
            given_up = [session for node, session in sessions.items() if node not in stored]
            if given_up:
                given_up[0].cancel(*given_up[1:])
        return stored

    def _send(self, sessions: Mapping[BlobNode, UploadSession]) -> None:
        with closing(self._series.blobs()) as contents:
            for node, content in zip(self._nodes, contents, strict=False):
                session = sessions.get(node)
                if session is None or not self._is_wanted(node):
                    continue  # asked for in vain
                if self._exchange and session.origin != self._exchange.origin:
                    return
                self._forward(node, content, session)
                self.sent.append(node)

    def _forward(self, node: BlobNode, content: Bytes, session: UploadSession) -> None:
        """Send one blob, checked before its last bytes go."""
        blob, verifier = node.blob, Verifier(node.blob)
        while verifier.position < blob.size:
            data = content.read(self._buffer)
            is_first = not verifier.position
            verifier.update(data)
            if verifier.position == blob.size:
                verifier.check(node.source.registry.host)
            if is_first:
                self._exchange = session.start_put(blob.digest, blob.size, data, behind=self._exchange)
                self._is_cut = True
            elif self._exchange and not self._exchange.write(data):
                raise session.interrupted("it answered before it had all bytes")
        self._is_cut = False

    def _confirm(self, sessions: Mapping[BlobNode, UploadSession], stored: list[BlobNode]) -> None:
        exchange = self._exchange
        if exchange is None:
            return
        for node in self.sent:
            sessions[node].finish_put(exchange)
            stored.append(node)
