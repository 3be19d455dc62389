# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Blobs over HTTP, from a registry or from the storage behind it: whole, or one range."""

from __future__ import annotations

import re

from emulator.messages import Headers, Request, Response
from emulator.store import Blob, MemoryBlob, Store

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_BAD_AUTHORIZATION = (
    "Authentication information is not given in the correct format. Check the value of Authorization header."
)
_STORAGE_PATH = re.compile(r"/blobs/(?P<name>.+)/(?P<digest>[a-z0-9]+:[0-9a-f]+)")


def blob_response(request: Request, blob: Blob, headers: Headers, *, ranges: bool) -> Response:
    """Answer a GET or HEAD for a blob: 200, or 206 and 416 where a range was asked for and is honoured."""
    headers["Content-Type"] = "application/octet-stream"
    start, stop, status = 0, blob.size, 200
    if ranges:
        headers["Accept-Ranges"] = "bytes"
        wanted = _RANGE.fullmatch((request.headers.get("Range") or "").strip())
        if wanted and request.method == "GET" and any(wanted.groups()):
            start, stop = _bounds(wanted, blob.size)
            if start >= stop:
                return Response(416, [*headers.items(), ("Content-Range", f"bytes */{blob.size}")])
            status = 206
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{blob.size}"
    headers["Content-Length"] = str(stop - start)
    if isinstance(blob, MemoryBlob) and stop - start == blob.size:
        return Response(status, headers.items(), blob.content)
    return Response(status, headers.items(), blob.chunks(start, stop))


def _bounds(wanted: re.Match[str], size: int) -> tuple[int, int]:
    first, last = wanted.groups()
    if not first:  # the last so many bytes
        return max(0, size - int(last)), size
    return int(first), min(size, int(last) + 1) if last else size


def storage_path(name: str, digest: str) -> str:
    """Where the storage has a blob of a repository."""
    return f"/blobs/{name}/{digest}"


class BlobStorageApp:
    """The storage behind a registry with ``redirect_blobs_to``.

    Like Azure Storage it takes the signature in the query alone, and refuses any request that has
    an ``Authorization`` field.
    """

    def __init__(self, store: Store, *, ranges: bool = True) -> None:
        self.store = store
        self.ranges = ranges

    def __call__(self, request: Request) -> Response:
        if "Authorization" in request.headers:
            return _storage_error(403, "InvalidAuthenticationInfo", _BAD_AUTHORIZATION)
        if request.arg("sig") != self.store.sign(request.decoded_path):
            message = "Server failed to authenticate the request. Signature did not match."
            return _storage_error(403, "AuthenticationFailed", message)
        found = _STORAGE_PATH.fullmatch(request.decoded_path)
        repository = self.store.get(found["name"]) if found else None
        blob = repository.blob(found["digest"]) if found and repository else None
        if blob is None:
            return _storage_error(404, "BlobNotFound", "The specified blob does not exist.")
        if request.method not in ("GET", "HEAD"):
            return _storage_error(405, "UnsupportedHttpVerb", "The resource doesn't support the specified HTTP verb.")
        headers = Headers({"x-ms-blob-type": "BlockBlob", "x-ms-version": "2021-12-02"})
        return blob_response(request, blob, headers, ranges=self.ranges)


def _storage_error(status: int, code: str, message: str) -> Response:
    page = f'<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'
    return Response(status, {"Content-Type": "application/xml", "x-ms-error-code": code}, page.encode())
