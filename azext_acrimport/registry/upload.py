# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""Uploading one blob: an upload session, and the forms in which registries take the bytes.

Source: OCI distribution specification, "Pushing Blobs". What registries refuse, and the order in which the forms are
tried, is from reports: see docs/copier.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from enum import Enum

from azext_acrimport.registry.address import Origin
from azext_acrimport.registry.auth import Scope
from azext_acrimport.registry.client import Client
from azext_acrimport.registry.errors import ConnectionFailed, Reason, RegistryError, RegistryFailure
from azext_acrimport.registry.sender import Answer
from azext_acrimport.registry.transport import Exchange

MIB = 1 << 20
# What registries answer that have taken the bytes: 201 to a PUT and 202 to a PATCH, by the specification.
STORED = frozenset({200, 201, 202, 204})
_RANGE = r"(?:bytes=)?0-(\d{1,18})\Z"
_SESSION_GONE = frozenset({400, 404, 405, 410, 416})
# What says "not in this form" rather than "not at all": ACR 413 and 400, GHCR 416, others 405, 411 and 501.
_FORM_REFUSED = frozenset({405, 411, 413, 416, 501})
_FORM_CODES = frozenset({"CONTENT_LENGTH_INVALID", "SIZE_INVALID", "BLOB_UPLOAD_INVALID", "RANGE_INVALID"})

_NO_LIMIT = 1 << 62


class Form(Enum):
    """How a blob's bytes are sent: all in the closing PUT, all in one PATCH, or in PATCHes of a limited size."""

    PUT = 1
    PATCH = 2
    CHUNKS = 3


class UploadHabits:
    """What a registry takes, as far as we know; what it refuses is remembered for the rest of the run.

    Threads may change it at once: each change only makes it more careful, so the order does not matter.
    """

    def __init__(
        self, *, put_limit: int = _NO_LIMIT, patch_limit: int = _NO_LIMIT, chunk_bytes: int = 16 * MIB
    ) -> None:
        self.put_limit = put_limit
        self.patch_limit = patch_limit
        self.chunk_bytes = chunk_bytes

    def form_for(self, size: int) -> Form:
        """The form for a blob of this size, in bytes."""
        if size <= self.put_limit:
            return Form.PUT
        return Form.PATCH if size <= self.patch_limit else Form.CHUNKS

    def refused(self, form: Form, size: int) -> bool:
        """Take the next form for blobs of this size from now on; False when there is none left."""
        if form is Form.PUT:
            self.put_limit = min(self.put_limit, size // 2)
        elif form is Form.PATCH:
            self.patch_limit = min(self.patch_limit, size // 2)
        elif self.chunk_bytes > MIB:
            self.chunk_bytes = min(self.chunk_bytes, max(MIB, self.chunk_bytes // 4))
        else:
            return False
        return True


def habits_for(host: str) -> UploadHabits:
    """What is known of a registry before the first upload.

    ACR refuses a PUT of more than some 20 MB with 413 (https://github.com/goharbor/harbor/issues/23015), and takes one
    streaming PATCH of any size, which is what docker and crane send. GHCR takes chunks of up to 4 MiB
    (https://github.com/oras-project/rust-oci-client/issues/35) and a PUT of any size.
    """
    if ".azurecr." in host:
        return UploadHabits(put_limit=4 * MIB, chunk_bytes=4 * MIB)
    if host == "ghcr.io":
        return UploadHabits(chunk_bytes=4 * MIB)
    return UploadHabits()


def is_form_refused(ex: RegistryFailure) -> bool:
    """Whether the registry may take the same bytes in another form."""
    if not isinstance(ex, RegistryError):
        return False
    return ex.status in _FORM_REFUSED or (ex.status == 400 and not _FORM_CODES.isdisjoint(ex.codes))


class UploadSession:
    """An upload that a registry has begun. ``location`` moves on with each answer."""

    def __init__(self, client: Client, scope: Scope, location: tuple[Origin, str], min_chunk_bytes: int) -> None:
        self.min_chunk_bytes = min_chunk_bytes
        self._client = client
        self._scope = scope
        self._location = location

    @staticmethod
    def from_answer(client: Client, scope: Scope, answer: Answer, path: str) -> UploadSession:
        """The session that the answer to a POST speaks of.

        :raises ProtocolError: it has no location that can be followed.
        """
        location = client.locate(answer.headers.get("location"), path)
        least = answer.headers.get("oci-chunk-min-length", "")
        return UploadSession(client, scope, location, int(least[:12]) if least.isascii() and least.isdigit() else 0)

    @property
    def origin(self) -> Origin:
        """Where the upload goes."""
        return self._location[0]

    @property
    def path(self) -> str:
        """What the registry calls it there, with its query."""
        return self._location[1]

    def start_put(
        self, digest: str, length: int, first: memoryview | bytes = b"", *, behind: Exchange | None = None
    ) -> Exchange:
        """Begin the PUT that brings the whole blob (``length`` bytes, of them now the first) and closes the session.

        ``behind`` has sent another request to the same origin, whose answer is read first.
        """
        origin, target = self._location
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(length)}
        return self._client.start("PUT", (origin, _with_digest(target, digest)), headers, self._scope, first, behind)

    def start_patch(self, offset: int, length: int, first: memoryview, *, ranged: bool) -> Exchange:
        """Begin a PATCH that brings ``length`` bytes from ``offset`` on; ``ranged`` says so in a header."""
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(length)}
        if ranged:
            headers["Content-Range"] = f"{offset}-{offset + length - 1}"
        return self._client.start("PATCH", self._location, headers, self._scope, first)

    def finish_put(self, exchange: Exchange) -> None:
        """Read the answer to the PUT: the blob is stored.

        :raises RegistryFailure: it is not.
        """
        self._client.finish(exchange, self._named("PUT"), STORED)

    def finish_patch(self, exchange: Exchange) -> None:
        """Read the answer to a PATCH, and where the session goes on.

        :raises RegistryFailure: the bytes were not taken.
        """
        self._follow(self._client.finish(exchange, self._named("PATCH"), STORED).headers)

    def received(self) -> int | None:
        """Ask how many bytes the registry has; None when the session is gone, or as good as.

        Source: OCI distribution specification, "Resuming a chunked upload". ``Range: 0-0`` is one byte, and some
        registries also say it for none: a new session is cheaper than to find out.
        """
        origin, target = self._location
        if origin != self._client.origin:
            return None  # no credentials go there, and so no questions
        expect = frozenset({204, 202, 200}) | _SESSION_GONE
        answer = self._client.call("GET", target, scope=self._scope, expect=expect)
        found = re.match(_RANGE, answer.headers.get("range", "").strip())
        if answer.status in _SESSION_GONE:
            return None
        self._follow(answer.headers)
        return int(found[1]) + 1 if found and int(found[1]) else None

    def cancel(self, *others: UploadSession) -> None:
        """Tell the registry that the upload, and others like it, will not be completed; it need not listen."""
        origin = self._client.origin
        paths = [each.path for each in (self, *others) if each.origin == origin]
        if paths:
            self._client.farewell("DELETE", paths, scope=self._scope)

    def interrupted(self, detail: str) -> ConnectionFailed:
        """An error that says that the upload broke off."""
        return ConnectionFailed(self._client.host, self._location[0].authority, Reason.BROKEN, detail)

    def _follow(self, headers: Mapping[str, str]) -> None:
        if headers.get("location"):
            self._location = self._client.locate(headers["location"], self._location[1].partition("?")[0])

    def _named(self, method: str) -> str:
        origin, target = self._location
        return f"{method} {origin}{target.partition('?')[0]}"


class BlobWriter:  # pylint: disable=too-many-instance-attributes
    """The bytes of one blob on their way into a session, from ``offset`` on, in one of the forms."""

    def __init__(
        self, session: UploadSession, form: Form, *, digest: str, size: int, offset: int, chunk_bytes: int
    ) -> None:
        self._session = session
        # What was begun as a PUT and broke off goes on as a PATCH: a PUT always brings the whole.
        self._form = Form.PATCH if form is Form.PUT and offset else form
        self._ranged = bool(offset) or form is Form.CHUNKS
        self._digest = digest
        self._size = size
        self._position = offset
        self._chunk_bytes = max(chunk_bytes, session.min_chunk_bytes)
        self._exchange: Exchange | None = None
        self._left = 0  # bytes to come in the request that is under way

    def write(self, data: memoryview) -> None:
        """Send the next bytes.

        :raises RegistryFailure: the registry refused them, or the connection broke.
        """
        while len(data):
            if self._exchange is None:
                count = self._begin(data)
            else:
                count = min(len(data), self._left)
                self._send(self._exchange, data[:count])
            data = data[count:]
            self._position += count
            self._left -= count
            if not self._left and self._form is not Form.PUT:
                self._end_patch()

    def close(self, closing: Callable[[Exchange], None]) -> None:
        """All bytes have been written: store the blob. ``closing`` is told before the last answer is awaited.

        :raises RegistryFailure: it is not stored.
        """
        if self._exchange is None:  # not in a PUT: a PATCH ends with its last byte
            self._exchange = self._session.start_put(self._digest, 0)
        closing(self._exchange)
        exchange, self._exchange = self._exchange, None
        self._session.finish_put(exchange)

    def abort(self) -> None:
        """Break off the request that is under way, if any."""
        exchange, self._exchange = self._exchange, None
        if exchange:
            exchange.close()

    def _begin(self, data: memoryview) -> int:
        """Begin a request and send what it takes of the data with it; return how much that was."""
        rest = self._size - self._position
        self._left = min(rest, self._chunk_bytes) if self._form is Form.CHUNKS else rest
        first = data[: self._left]
        if self._form is Form.PUT:
            self._exchange = self._session.start_put(self._digest, self._left, first)
        else:
            self._exchange = self._session.start_patch(self._position, self._left, first, ranged=self._ranged)
        return len(first)

    def _send(self, exchange: Exchange, data: memoryview) -> None:
        """Send the data; raise what the registry says when it answers before it has all."""
        if not exchange.answered() and exchange.write(data):
            return
        self._exchange = None
        exchange.incomplete = True
        if self._form is Form.PUT:
            self._session.finish_put(exchange)
        else:
            self._session.finish_patch(exchange)
        # It says that it is content with a part. Whether it has the rest from elsewhere, its own word will tell later.
        raise self._session.interrupted("it answered before it had all bytes")

    def _end_patch(self) -> None:
        exchange, self._exchange = self._exchange, None
        if exchange:
            self._session.finish_patch(exchange)


def _with_digest(target: str, digest: str) -> str:
    return f"{target}{'&' if '?' in target else '?'}digest={digest}"
