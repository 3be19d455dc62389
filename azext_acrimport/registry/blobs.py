# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""The blobs of a repository: whether they are there, their bytes, and the uploads that bring them.

Source: OCI distribution specification, "Pulling blobs" and "Pushing Blobs".
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence

from azext_acrimport.oci.descriptor import Descriptor
from azext_acrimport.registry.base import FOUND, OK, RepositoryBase
from azext_acrimport.registry.download import BlobReader
from azext_acrimport.registry.errors import ProtocolError
from azext_acrimport.registry.pipeline import Pipeline
from azext_acrimport.registry.response import Response
from azext_acrimport.registry.series import BlobSeries
from azext_acrimport.registry.transport import Exchange
from azext_acrimport.registry.upload import UploadSession

_BEGUN = frozenset({201, 202})


class Blobs(RepositoryBase):
    """The part of a repository that is about blobs."""

    def begin_has_blob(self, digest: str, *, behind: Exchange | None = None) -> Exchange | None:
        """Send the request whose answer :meth:`has_blob` reads, ``behind`` one that is read first."""
        path = self._path("blobs", digest)
        return self.registry.client.begin("HEAD", path, scope=self.scope, headers={}, behind=behind)

    def has_blob(self, digest: str, *, begun: Exchange | None = None) -> bool:
        """Whether the blob is there."""
        return self._call("HEAD", self._path("blobs", digest), expect=FOUND, begun=begun).status == 200

    def begin_blob(self, digest: str, *, offset: int = 0, last: int | None = None) -> Exchange | None:
        """Send the request for a blob whose answer :meth:`open_blob` reads."""
        path = self._path("blobs", digest)
        return self.registry.client.begin("GET", path, scope=self.scope, headers=_range(offset, last))

    def open_blob(
        self, digest: str, *, offset: int = 0, last: int | None = None, begun: Exchange | None = None
    ) -> Response:
        """The blob's bytes from ``offset`` on, once: 206 says that they begin there, 200 at the blob's beginning.

        ``last`` is the position of the last byte to be sent, where not all are.

        :raises RegistryFailure: they cannot be had.
        """
        headers = _range(offset, last)
        expect = frozenset({200, 206}) if headers else OK
        path = self._path("blobs", digest)
        return self.registry.client.open(path, scope=self.scope, expect=expect, headers=headers, begun=begun)

    def reader(self, blob: Descriptor, *, lanes: Callable[[], int] = lambda: 1) -> BlobReader:
        """Read a blob, going on wherever it breaks off; ``lanes`` tells how many connections that may take."""
        return BlobReader(self, blob, lanes=lanes)

    def series(self, blobs: Sequence[Descriptor]) -> BlobSeries:
        """Read several small blobs in order, all asked for at once."""
        return BlobSeries(self, blobs)

    def begin_blobs(self, digests: Sequence[str]) -> Pipeline | None:
        """Send the requests for several blobs whose answers :meth:`open_blobs` reads."""
        paths = [self._path("blobs", digest) for digest in digests]
        return self.registry.client.begin_all("GET", paths, scope=self.scope, headers={})

    def open_blobs(self, digests: Sequence[str], begun: Pipeline | None) -> Generator[Response, None, None]:
        """The bytes of several blobs, in order, for as long as they come; see :meth:`Client.open_all`."""
        paths = [self._path("blobs", digest) for digest in digests]
        return self.registry.client.open_all(paths, scope=self.scope, begun=begun)

    def start_upload_of_bytes(self) -> UploadSession:
        """Begin an upload whatever is there."""
        session = self.start_upload()
        if session is None:  # which start_upload() does not return without a mount
            raise ProtocolError(self.registry.host, "the registry began no upload")
        return session

    def begin_upload(self, mount: str, mount_from: str) -> Exchange | None:
        """Send the request whose answer :meth:`start_upload` reads."""
        path, scope = self._uploads(mount, mount_from), self._scope_to_mount(mount_from)
        return self.registry.client.begin("POST", path, scope=scope, headers={})

    def start_upload(
        self, *, mount: str = "", mount_from: str = "", begun: Exchange | None = None
    ) -> UploadSession | None:
        """Begin an upload; None when the registry has put the blob ``mount`` there from ``mount_from`` instead.

        With the repository's own name for ``mount_from``, one request asks whether the blob is there and begins its
        upload where it is not. Source: OCI distribution specification, "Mounting a blob from another repository".
        """
        path = self._uploads(mount, mount_from)
        scope = self._scope_to_mount(mount_from)
        client = self.registry.client
        answer = client.call("POST", path, scope=scope, expect=_BEGUN, begun=begun)
        if answer.status == 202 and "location" not in answer.headers:  # it may have got lost on the way
            answer = client.call("POST", path, scope=scope, expect=_BEGUN)
        if answer.status == 201:
            if not mount:
                raise ProtocolError(self.registry.host, "the registry says that it has a blob that was not sent")
            return None
        return UploadSession.from_answer(client, self.scope, answer, path.partition("?")[0])

    def start_uploads(self, digests: Sequence[str], mount_from: str) -> dict[str, UploadSession | None]:
        """Begin the uploads of several blobs at once, as :meth:`start_upload` does for one.

        Without ``mount_from`` nothing is asked. What is not in it must be begun by :meth:`start_upload`.
        """
        client = self.registry.client
        paths = [self._uploads(digest if mount_from else "", mount_from) for digest in digests]
        answers = client.ask_all("POST", paths, scope=self._scope_to_mount(mount_from), expect=_BEGUN)
        found: dict[str, UploadSession | None] = {}
        for digest, path, answer in zip(digests, paths, answers, strict=True):
            try:
                if answer and answer.status == 202:
                    found[digest] = UploadSession.from_answer(client, self.scope, answer, path.partition("?")[0])
                elif answer and mount_from:
                    found[digest] = None
            except ProtocolError:
                pass  # it told no location
        return found

    def _uploads(self, mount: str, mount_from: str) -> str:
        # A digest and a repository's name stand in a query as they are: RFC 3986, section 3.4.
        query = f"?mount={mount}&from={mount_from}" if mount else ""
        return f"/v2/{self.name}/blobs/uploads/{query}"

    def _scope_to_mount(self, mount_from: str) -> tuple[str, ...]:
        others = mount_from and mount_from != self.name
        return (*self.scope, f"repository:{mount_from}:pull") if others else self.scope


def _range(offset: int, last: int | None) -> dict[str, str]:
    return {"Range": f"bytes={offset}-{'' if last is None else last}"} if offset or last is not None else {}
