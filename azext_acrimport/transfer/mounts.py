# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""Blobs that need not be sent: there already, or to be had from another repository of the same registry.

One request asks for either and begins the upload where it is neither. Not every registry takes it so: what each one
does is remembered for the run.
"""

from __future__ import annotations

from collections.abc import Sequence

from azext_acrimport.registry.errors import RegistryError
from azext_acrimport.registry.repository import Repository
from azext_acrimport.registry.transport import Exchange
from azext_acrimport.registry.upload import UploadSession

_WORTH_ASKING_BYTES = 512 << 10  # one more request costs less than sending so much for nothing


class Mounts:
    """How registries answer to mounts. Threads may use it at once: what they learn only adds up."""

    def __init__(self) -> None:
        self._refusing: set[str] = set()
        self._mounting: set[str] = set()

    def may(self, target: Repository) -> bool:
        """Whether the registry has not refused a mount yet."""
        return target.registry.host not in self._refusing

    def ask(self, target: Repository, digest: str, mount_from: str) -> UploadSession | None:
        """Have the blob mounted from another repository; None says that it is there, a session that it must be sent."""
        try:
            return self._noted(target, target.start_upload(mount=digest, mount_from=mount_from))
        except RegistryError as ex:
            self._refused(target, ex)
            return self.know(target, digest, 0)

    def know(self, target: Repository, digest: str, size: int) -> UploadSession | None:
        """Ask whether the blob is there; None says that it is, a session that it must be sent.

        A registry that has never mounted anything may have ignored the question, so that it is put to it in another
        way as well, right behind, where the blob is large.
        """
        asks = self.must_ask_twice(target, size)
        begun = target.begin_upload(digest, target.name) if asks and self.may(target) else None
        also = None
        try:
            also = target.begin_has_blob(digest, behind=begun) if asks else None
            session = self._mount_to_itself(target, digest, begun)
        except BaseException:
            for exchange in (begun, also):
                if exchange:
                    exchange.close()
            raise
        if session and asks and self._has(target, digest, also, session):
            session.cancel()
            return None
        if also and not session:
            also.close()
        return session

    def must_ask_twice(self, target: Repository, size: int) -> bool:
        """Whether a blob of so many bytes is worth a second question."""
        return size > _WORTH_ASKING_BYTES and target.registry.host not in self._mounting

    def ask_all(self, target: Repository, digests: Sequence[str], mount_from: str) -> dict[str, UploadSession | None]:
        """Ask for several blobs at once, as :meth:`ask` or, without ``mount_from``, :meth:`know` do with a size of 0.

        What is not in it is to be asked for so.
        """
        found = target.start_uploads(digests, (mount_from or target.name) if self.may(target) else "")
        if None in found.values():
            self._mounting.add(target.registry.host)
        return found

    @staticmethod
    def _has(target: Repository, digest: str, begun: Exchange | None, session: UploadSession) -> bool:
        try:
            return target.has_blob(digest, begun=begun)
        except BaseException:
            session.cancel()
            raise

    def _mount_to_itself(self, target: Repository, digest: str, begun: Exchange | None = None) -> UploadSession | None:
        if begun or self.may(target):  # what has been asked is to be answered, whatever became known meanwhile
            try:
                return self._noted(target, target.start_upload(mount=digest, mount_from=target.name, begun=begun))
            except RegistryError as ex:
                self._refused(target, ex)
        return target.start_upload()

    def _noted(self, target: Repository, session: UploadSession | None) -> UploadSession | None:
        if session is None:
            self._mounting.add(target.registry.host)
        return session

    def _refused(self, target: Repository, ex: RegistryError) -> None:
        """Go on without mounts where they are not allowed, or not known; anything else is raised.

        Harbor answers 401 for a source that does not exist: https://github.com/goharbor/harbor/issues/17097
        """
        if ex.retryable or (ex.settled and ex.status >= 500):
            raise ex
        self._refusing.add(target.registry.host)
