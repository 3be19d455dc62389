# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""Moving a blob: there already, mounted from another repository of the registry, or streamed from the source."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from azext_acrimport.registry.errors import RegistryFailure
from azext_acrimport.registry.transport import Exchange
from azext_acrimport.registry.upload import Form, UploadSession
from azext_acrimport.transfer.batch import Batch
from azext_acrimport.transfer.blob import BlobCopy
from azext_acrimport.transfer.errors import Side, blamed_on
from azext_acrimport.transfer.events import BlobAdvanced, BlobStarted, Observer
from azext_acrimport.transfer.mounts import Mounts
from azext_acrimport.transfer.nodes import BlobNode
from azext_acrimport.transfer.result import BlobOutcome
from azext_acrimport.transfer.source import Series
from azext_acrimport.transfer.survey import Survey
from azext_acrimport.transfer.tuning import Tuning

_MOST_THWARTED = 3  # batches in a row, after which blobs go alone: not every registry, and no proxy, has to like them

OnSent = Callable[[Exchange, Sequence[BlobNode]], None]


class BlobMover:  # pylint: disable=too-many-instance-attributes
    """Sees to it that blobs are at their targets. Safe for several threads.

    ``lanes`` tells how many connections a big blob may use; ``is_bulk`` whether many images are copied at once.
    """

    def __init__(
        self,
        survey: Survey,
        tuning: Tuning,
        observe: Observer,
        *,
        lanes: Callable[[], int],
        is_bulk: bool,
        halted: threading.Event,
    ) -> None:
        self._survey = survey
        self._tuning = tuning
        self._observe = observe
        self._lanes = lanes
        self._is_bulk = is_bulk
        self._halted = halted
        self._mounts = Mounts()
        self._thwarted: Counter[tuple[str, str]] = Counter()  # batches in a row that did not go well, by both hosts
        self._unsure: set[BlobNode] = set()  # sent in a batch, and not answered

    def move(self, node: BlobNode, closing: Callable[[Exchange], None]) -> BlobOutcome:
        """See to it that the blob is at its target, and tell how it came there.

        ``closing`` is told when all of it has been sent, before the answer is awaited.

        :raises Unwanted: nobody needs it any more.
        :raises CopyError: one of the registries failed.
        """
        moving = self._moving(node, closing)
        try:
            if not node.mount_from and self._survey.is_worth_a_guess(node.source, node.target):
                moving.begin()
            session, outcome = self._begin_upload(node)
            if session:
                self._observe(BlobStarted(node.blob.digest, node.blob.size))
                moving.run(session)
        finally:
            moving.close()
        if outcome is BlobOutcome.EXISTING and node in self._unsure:
            self._tell_sent(node)  # it had arrived, and the answer had not
            return BlobOutcome.COPIED
        if outcome is BlobOutcome.EXISTING:
            self._survey.saw_content(node.target)
        return outcome

    def move_together(self, nodes: Sequence[BlobNode], on_sent: OnSent) -> dict[BlobNode, BlobOutcome]:
        """Move small blobs that all go the same way at once; tell how they came there, as far as all went well.

        The others are for :meth:`move`, which meets again what went wrong, and tells. ``on_sent`` is told which blobs
        are there or have all been sent, before the answers are awaited.
        """
        simple = [node for node in nodes if self._is_simple(node)]
        way = nodes[0].source.registry.host, nodes[0].target.registry.host
        is_busy = nodes[0].source.registry.is_busy or nodes[0].target.registry.is_busy
        if len(simple) < 2 or is_busy or self._thwarted[way] >= _MOST_THWARTED:
            return {}
        outcomes: dict[BlobNode, BlobOutcome] = {}
        with suppress(RegistryFailure):
            outcomes = self._move_simple(simple, on_sent)
        if len(outcomes) == len(simple):
            self._thwarted[way] = 0
        elif all(map(self._is_wanted, simple)):
            self._thwarted[way] += 1
        return outcomes

    def _move_simple(self, nodes: Sequence[BlobNode], on_sent: OnSent) -> dict[BlobNode, BlobOutcome]:
        source, target, mount_from = nodes[0].source, nodes[0].target, nodes[0].mountable_from
        ahead = None
        if not mount_from and self._survey.is_worth_a_guess(source, target):
            ahead = source.series([node.blob for node in nodes])
            ahead.begin()
        try:
            begun = self._mounts.ask_all(target, [node.blob.digest for node in nodes], mount_from)
            found = [node for node in nodes if begun.get(node.blob.digest, "") is None]
            sessions = {node: session for node in nodes if (session := begun.get(node.blob.digest))}
            wanted = nodes if ahead else list(sessions)
            series = ahead or source.series([node.blob for node in wanted])
            under_way = found + list(sessions)
            sent = self._send_together(wanted, series, sessions, lambda exchange: on_sent(exchange, under_way))
        finally:
            if ahead:
                ahead.close()
        if found and not mount_from:
            self._survey.saw_content(target)
        outcome = BlobOutcome.MOUNTED if mount_from else BlobOutcome.EXISTING
        return dict.fromkeys(found, outcome) | dict.fromkeys(sent, BlobOutcome.COPIED)

    def _is_simple(self, node: BlobNode) -> bool:
        """Whether nothing about a blob calls for more than one question and one answer."""
        size, target = node.blob.size, node.target
        is_known_to_be_new = bool(node.mountable_from) or (self._is_bulk and self._survey.is_empty(target))
        asks_twice = not is_known_to_be_new and self._mounts.must_ask_twice(target, size)
        is_plain = bool(size) and target.registry.habits.form_for(size) is Form.PUT
        return is_plain and not asks_twice

    def _send_together(
        self,
        nodes: Sequence[BlobNode],
        series: Series,
        sessions: Mapping[BlobNode, UploadSession],
        on_sent: Callable[[Exchange], None],
    ) -> list[BlobNode]:
        if not sessions:
            return []
        buffer = self._tuning.buffer(max(node.blob.size for node in nodes))
        batch = Batch(nodes, series, buffer=buffer, is_wanted=self._is_wanted, on_sent=on_sent)
        stored = batch.run(sessions)
        self._unsure.update(set(batch.sent) - set(stored))
        for node in stored:
            self._tell_sent(node)
        return stored

    def _tell_sent(self, node: BlobNode) -> None:
        self._observe(BlobStarted(node.blob.digest, node.blob.size))
        self._observe(BlobAdvanced(node.blob.digest, node.blob.size))

    def send(self, node: BlobNode) -> None:
        """Send the blob, whatever the target says that it has.

        :raises CopyError: one of the registries failed.
        """
        moving = self._moving(node)
        try:
            with blamed_on(Side.TARGET, node.target, node.blob.digest):
                session = node.target.start_upload_of_bytes()
            moving.run(session)
        finally:
            moving.close()

    def _moving(self, node: BlobNode, closing: Callable[[Exchange], None] = lambda exchange: None) -> BlobCopy:
        digest = node.blob.digest
        return BlobCopy(
            node.source,
            node.target,
            node.blob,
            buffer=self._tuning.buffer(node.blob.size),
            advanced=lambda count: self._observe(BlobAdvanced(digest, count)),
            lanes=self._lanes,
            is_wanted=lambda: self._is_wanted(node),
            closing=closing,
        )

    def _is_wanted(self, node: BlobNode) -> bool:
        return not (node.failed or self._halted.is_set())

    def _begin_upload(self, node: BlobNode) -> tuple[UploadSession | None, BlobOutcome]:
        """Ask for the blob to be mounted, or known, or else sent: all in one request."""
        target, digest = node.target, node.blob.digest
        with blamed_on(Side.TARGET, target, digest):
            if node.mountable_from and self._mounts.may(target):
                session = self._mounts.ask(target, digest, node.mountable_from)
                return session, BlobOutcome.COPIED if session else BlobOutcome.MOUNTED
            is_idle = self._is_bulk and self._survey.is_empty(target)
            session = self._mounts.know(target, digest, 0 if is_idle else node.blob.size)
            return session, BlobOutcome.COPIED if session else BlobOutcome.EXISTING
