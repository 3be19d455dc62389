# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""Moving a blob: there already, mounted from another repository of the registry, or streamed from the source."""

from __future__ import annotations

import threading
from collections.abc import Callable

from azext_acrimport.registry.transport import Exchange
from azext_acrimport.registry.upload import UploadSession
from azext_acrimport.transfer.blob import BlobCopy
from azext_acrimport.transfer.errors import Side, blamed_on
from azext_acrimport.transfer.events import BlobAdvanced, BlobStarted, Observer
from azext_acrimport.transfer.mounts import Mounts
from azext_acrimport.transfer.nodes import BlobNode
from azext_acrimport.transfer.result import BlobOutcome
from azext_acrimport.transfer.survey import Survey
from azext_acrimport.transfer.tuning import Tuning


class BlobMover:
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
        if outcome is BlobOutcome.EXISTING:
            self._survey.saw_content(node.target)
        return outcome

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
            is_wanted=lambda: not (node.failed or self._halted.is_set()),
            closing=closing,
        )

    def _begin_upload(self, node: BlobNode) -> tuple[UploadSession | None, BlobOutcome]:
        """Ask for the blob to be mounted, or known, or else sent: all in one request."""
        target, digest = node.target, node.blob.digest
        with blamed_on(Side.TARGET, target, digest):
            if node.mount_from and node.mount_from != target.name and self._mounts.may(target):
                session = self._mounts.ask(target, digest, node.mount_from)
                return session, BlobOutcome.COPIED if session else BlobOutcome.MOUNTED
            is_idle = self._is_bulk and self._survey.is_empty(target)
            session = self._mounts.know(target, digest, 0 if is_idle else node.blob.size)
            return session, BlobOutcome.COPIED if session else BlobOutcome.EXISTING
