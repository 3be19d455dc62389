# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""Moving one blob: source -> check -> target, through one buffer, going on from wherever it breaks off."""

from __future__ import annotations

from collections.abc import Callable

from azext_acrimport.oci.descriptor import Descriptor
from azext_acrimport.registry.errors import ContentMismatch, RegistryError, RegistryFailure
from azext_acrimport.registry.repository import Repository
from azext_acrimport.registry.retry import PROGRESS_BYTES
from azext_acrimport.registry.transport import Exchange
from azext_acrimport.registry.upload import BlobWriter, UploadSession, is_form_refused
from azext_acrimport.transfer.errors import CopyError, Side, blamed_on
from azext_acrimport.transfer.source import Source
from azext_acrimport.transfer.verify import Verifier


class Unwanted(Exception):
    """Nobody needs the blob any more: what it was for has failed."""


class BlobCopy:  # pylint: disable=too-many-instance-attributes
    """One blob on its way.

    ``advanced`` is told how many more bytes (or, going back, fewer) have been sent to the target;
    ``lanes`` tells how many connections to the source it may use where one is slow; ``is_wanted`` whether to go on;
    ``closing`` is told when all bytes have been sent, before the target's answer is awaited.
    """

    def __init__(
        self,
        source: Source,
        target: Repository,
        blob: Descriptor,
        *,
        buffer: memoryview,
        advanced: Callable[[int], None],
        lanes: Callable[[], int] = lambda: 1,
        is_wanted: Callable[[], bool] = lambda: True,
        closing: Callable[[Exchange], None] = lambda exchange: None,
    ) -> None:
        self._source = source
        self._target = target
        self._blob = blob
        self._session: UploadSession | None = None
        self._buffer = buffer
        self._advanced = advanced
        self._reader = source.reader(blob, lanes=lanes)
        self._verifier = Verifier(blob)
        self._form = target.registry.habits.form_for(blob.size)
        self._sent = 0
        self._damaged = False
        self._is_wanted = is_wanted
        self._closing = closing
        self._budget = _Budget()

    def begin(self) -> None:
        """Ask the source for the bytes before it is certain that they are wanted."""
        self._reader.begin()

    def close(self) -> None:
        """Let go of the source."""
        self._reader.close()

    def run(self, session: UploadSession) -> None:
        """Move the bytes into an upload session until the target has them all.

        :raises CopyError: it cannot be done; the upload session is given up.
        """
        self._session = session
        try:
            while True:
                try:
                    self._send_rest()
                    return
                except ContentMismatch as ex:
                    self._read_again(ex)
                except RegistryFailure as ex:
                    with blamed_on(Side.TARGET, self._target, self._blob.digest):
                        if self._recovered(ex):
                            return
        except BaseException:  # also when the run is cancelled: nothing half-done is left behind
            if self._session:
                self._session.cancel()
            raise

    def _send_rest(self) -> None:
        """Send what the session does not have yet. Failures of the target come out as they are."""
        if self._session is None:
            with blamed_on(Side.TARGET, self._target, self._blob.digest):
                self._session = self._target.start_upload_of_bytes()
        writer = BlobWriter(
            self._session,
            self._form,
            digest=self._blob.digest,
            size=self._blob.size,
            offset=self._sent,
            chunk_bytes=self._target.registry.habits.chunk_bytes,
        )
        try:
            while self._verifier.position < self._blob.size:
                self._forward(writer)
            self._verifier.check(self._source.registry.host)
            writer.close(self._closing)
        finally:
            writer.abort()

    def _forward(self, writer: BlobWriter) -> None:
        if not self._is_wanted():
            raise Unwanted
        try:
            data = self._reader.read(self._buffer)
        except RegistryFailure as ex:
            if isinstance(ex, ContentMismatch) and not ex.settled:
                raise  # once may be a bad wire: see run()
            raise self._fault_of_the_source() from ex
        behind = self._sent - self._verifier.position  # bytes that are hashed again, but not sent again
        self._verifier.update(data)
        if self._verifier.position == self._blob.size:
            # Before the last bytes go: a target that never gets them never stores wrong content.
            self._verifier.check(self._source.registry.host)
        fresh = data[max(0, behind) :]
        if len(fresh):
            writer.write(fresh)
            self._sent += len(fresh)
            self._advanced(len(fresh))

    def _read_again(self, ex: ContentMismatch) -> None:
        """Begin anew with a blob that came damaged: once may be a bad wire, twice is the source.

        :raises CopyError: it is not the first time.
        """
        if self._damaged:
            raise self._fault_of_the_source() from ex
        self._damaged = True
        self._start_over()

    def _fault_of_the_source(self) -> CopyError:
        return CopyError(Side.SOURCE, self._source.registry.host, self._source.name, self._blob.digest)

    def _recovered(self, ex: RegistryFailure) -> bool:
        """Get ready to go on after a failure of the target; True when the target has the blob after all.

        :raises RegistryFailure: there is nothing more to try.
        """
        if is_form_refused(ex) and self._target.registry.habits.refused(self._form, self._blob.size):
            self._form = self._target.registry.habits.form_for(self._blob.size)
            self._start_over()
            return False
        if isinstance(ex, RegistryError) and "DIGEST_INVALID" in ex.codes and not self._damaged:
            self._damaged = True  # on its way to the target
            self._start_over()
            return False
        if not self._budget.spares(ex, self._sent):
            self._target.registry.client.wait_after(ex, self._budget.tries)
        received = self._session.received() if self._session else None
        if received is not None and received <= self._blob.size:
            self._resume(received)
            return False
        if self._target.has_blob(self._blob.digest):
            if self._session:
                self._session.cancel()
            return True
        self._start_over()
        return False

    def _resume(self, received: int) -> None:
        self._advanced(received - self._sent)
        self._sent = received
        self._reader.seek(self._verifier.rewind(min(received, self._verifier.position)))

    def _start_over(self) -> None:
        if self._session:
            self._session.cancel()
        self._session = None
        self._resume(0)


class _Budget:  # pylint: disable=too-few-public-methods
    """How often the target has failed since the last progress."""

    tries = 0
    furthest = 0
    spared = False

    def spares(self, ex: RegistryFailure, sent: int) -> bool:
        """Count a failure; say whether the next question to the registry mends it without a wait.

        That is a token that ended, or a session that is gone: once for each progress.
        """
        if sent >= self.furthest + PROGRESS_BYTES:
            self.tries, self.furthest, self.spared = 0, sent, False
        if isinstance(ex, RegistryError) and ex.status in (401, 404, 410, 416) and not self.spared:
            self.spared = True
            return True
        self.tries += 1
        return False
