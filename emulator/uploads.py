# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Blob uploads: monolithic, streamed, in chunks, by mount; and what may go wrong with them."""

from __future__ import annotations

import re
from collections.abc import Callable

from emulator import refusals
from emulator.behaviour import Behaviour
from emulator.messages import Headers, Request, Response
from emulator.store import DIGEST, Repository, Store, UploadSession

_CONTENT_RANGE = re.compile(r"(\d+)-(\d+)")
_LOCK_SECONDS = 5.0  # longer than the server takes to notice that the request which writes has broken off

MayRead = Callable[[str], bool]


class _Refused(Exception):
    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response


class Uploads:
    """The upload endpoints of one repository for the length of one request."""

    def __init__(self, store: Store, repository: Repository, behaviour: Behaviour, *, may_read: MayRead) -> None:
        self._store = store
        self._repository = repository
        self._behaviour = behaviour
        self._may_read = may_read

    def begin(self, request: Request) -> Response:
        """``POST``: mount, or take the whole blob, or open a session."""
        mount = request.arg("mount")
        if mount is not None and self._mount(mount, request.arg("from")):
            return self._created(request, mount)
        session = self._repository.open_upload()
        digest = request.arg("digest")
        if mount is not None or digest is None or not self._behaviour.monolithic_post:
            return self._accepted(request, session)
        return self._guarded(session, lambda: self._finish(request, session))

    def handle(self, request: Request, session_id: str) -> Response:
        """``PATCH``, ``PUT``, ``GET`` and ``DELETE`` of a session."""
        session = self._repository.upload(session_id)
        if session is None:
            return refusals.upload_unknown()
        if request.arg("_state") != self._state(session):
            return refusals.error(400, "BLOB_UPLOAD_INVALID", "blob upload invalid")
        if request.method == "PATCH":
            return self._guarded(session, lambda: self._patch(request, session))
        if request.method == "PUT":
            return self._guarded(session, lambda: self._finish(request, session))
        if request.method in ("GET", "HEAD"):
            return self._guarded(session, lambda: self._progress(request, session, 204))
        if request.method == "DELETE":
            self._repository.end_upload(session)
            return Response(204)
        return refusals.unsupported()

    def _guarded(self, session: UploadSession, act: Callable[[], Response]) -> Response:
        """Act while no other request writes to the session."""
        if not session.lock.acquire(timeout=_LOCK_SECONDS):
            return refusals.error(409, "BLOB_UPLOAD_INVALID", "another request is writing to this upload")
        try:
            return act()
        except _Refused as refusal:
            return refusal.response
        finally:
            session.lock.release()

    def _mount(self, digest: str, source: str | None) -> bool:
        if not self._behaviour.mount or not DIGEST.fullmatch(digest):
            return False
        if source is None and not self._behaviour.mount_without_from:
            return False
        names = [source] if source is not None else self._store.names()
        for name in names:
            repository = self._store.get(name)
            blob = repository.blob(digest) if repository is not None else None
            if blob is not None and self._may_read(name):
                self._repository.add_blob(blob, digest)
                return True
        return False

    def _patch(self, request: Request, session: UploadSession) -> Response:
        self._check_length(request)
        self._check_place(request, session)
        behaviour = self._behaviour
        if behaviour.min_chunk_bytes and session.last_chunk_bytes < behaviour.min_chunk_bytes and session.size:
            raise _Refused(self._wrong_range(request, session, "only the last chunk may be below the minimum"))
        self._receive(
            request, session, behaviour.chunk_limit_bytes, self._wrong_range(request, session, "chunk too large")
        )
        return self._progress(request, session, 201 if behaviour.early_created else 202)

    def _finish(self, request: Request, session: UploadSession) -> Response:
        digest = request.arg("digest") or ""
        if not DIGEST.fullmatch(digest):
            return refusals.digest_invalid(digest)
        self._check_length(request)
        self._check_place(request, session)
        self._receive(request, session, self._behaviour.monolithic_limit_bytes, refusals.too_large())
        if session.digest(digest.partition(":")[0]) != digest:
            self._repository.end_upload(session)
            return refusals.digest_invalid(digest)
        self._repository.end_upload(session, digest)
        return self._created(request, digest)

    def _check_length(self, request: Request) -> None:
        if self._behaviour.refuse_chunked_transfer_encoding and "Transfer-Encoding" in request.headers:
            message = "the Content-Length header is missing or invalid"
            raise _Refused(refusals.error(400, "CONTENT_LENGTH_INVALID", message))

    def _check_place(self, request: Request, session: UploadSession) -> None:
        """Where the request says which bytes it brings, they must be the next ones."""
        given = request.headers.get("Content-Range")
        if given is None:
            return
        found = _CONTENT_RANGE.fullmatch(given.strip())
        if not found:
            message = "the Content-Range header format is invalid"
            raise _Refused(refusals.error(400, "CONTENT_RANGE_INVALID", message))
        start, end = int(found[1]), int(found[2])
        if start != session.size or end < start:
            raise _Refused(self._wrong_range(request, session, "the chunk is out of order"))
        length = request.headers.get("Content-Length")
        if length is not None and int(length) != end - start + 1:
            raise _Refused(refusals.error(400, "SIZE_INVALID", "Content-Range and Content-Length differ"))

    def _receive(self, request: Request, session: UploadSession, limit: int | None, refusal: Response) -> None:
        if limit is not None and int(request.headers.get("Content-Length") or 0) > limit:
            raise _Refused(refusal)
        before = session.size
        for chunk in request.chunks():
            session.write(chunk)
            if limit is not None and session.size - before > limit:
                raise _Refused(refusal)
        session.last_chunk_bytes = session.size - before

    def _wrong_range(self, request: Request, session: UploadSession, message: str) -> Response:
        headers = self._session_headers(request, session).items()
        return refusals.error(416, "REQUESTED_RANGE_NOT_SATISFIABLE", message, headers=headers)

    def _accepted(self, request: Request, session: UploadSession) -> Response:
        response = self._progress(request, session, 202)
        if self._behaviour.min_chunk_bytes is not None:
            response.headers["OCI-Chunk-Min-Length"] = str(self._behaviour.min_chunk_bytes)
        return response

    def _progress(self, request: Request, session: UploadSession, status: int) -> Response:
        return Response(status, self._session_headers(request, session).items())

    def _session_headers(self, request: Request, session: UploadSession) -> Headers:
        path = f"/v2/{self._repository.name}/blobs/uploads/{session.id}?_state={self._state(session)}"
        # An empty session reads like one of a single byte; the reference implementation does the same.
        headers = Headers({"Location": self._locate(request, path), "Range": f"0-{max(0, session.size - 1)}"})
        headers["Docker-Upload-UUID"] = session.id
        headers["Docker-Distribution-Api-Version"] = "registry/2.0"
        return headers

    def _created(self, request: Request, digest: str) -> Response:
        headers = Headers({"Location": self._locate(request, f"/v2/{self._repository.name}/blobs/{digest}")})
        headers["Docker-Distribution-Api-Version"] = "registry/2.0"
        if self._behaviour.docker_content_digest:
            headers["Docker-Content-Digest"] = digest
        return Response(201, headers.items())

    def _locate(self, request: Request, path: str) -> str:
        return path if self._behaviour.relative_location else request.base_url + path

    def _state(self, session: UploadSession) -> str:
        return self._store.sign(session.id)
