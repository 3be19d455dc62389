# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""What a registry holds, in memory and safe to use from any thread."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from emulator.blobs import CHUNK_BYTES, Blob, DiscardedBlob, MemoryBlob, PatternBlob, digest_of

__all__ = [
    "CHUNK_BYTES",
    "DIGEST",
    "Blob",
    "DiscardedBlob",
    "MemoryBlob",
    "PatternBlob",
    "Repository",
    "Store",
    "StoredManifest",
    "UploadSession",
    "digest_of",
]

DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")


@dataclass(frozen=True)
class StoredManifest:
    """A manifest as it was put, and when (seconds since the epoch)."""

    content: bytes = field(repr=False)
    media_type: str
    digest: str
    created: float

    @property
    def json(self) -> dict[str, Any]:
        """What it says."""
        parsed = json.loads(self.content)
        return parsed if isinstance(parsed, dict) else {}

    @property
    def subject(self) -> str | None:
        """The digest of the manifest that this one refers to."""
        subject = self.json.get("subject")
        return subject.get("digest") if isinstance(subject, dict) else None

    def descriptor(self) -> dict[str, Any]:
        """A descriptor of it as the referrers API lists it."""
        parsed = self.json
        config = parsed.get("config")
        artifact_type = parsed.get("artifactType") or (config or {}).get("mediaType")
        described: dict[str, Any] = {
            "mediaType": self.media_type,
            "digest": self.digest,
            "size": len(self.content),
        }
        if artifact_type:
            described["artifactType"] = artifact_type
        if parsed.get("annotations"):
            described["annotations"] = parsed["annotations"]
        return described


class UploadSession:
    """A blob on its way in. Its bytes stay when a request breaks off, so a client can go on from ``size``."""

    def __init__(self, repository: str, *, keep: bool = True) -> None:
        self.id = secrets.token_hex(16)
        self.repository = repository
        self.size = 0
        self.last_chunk_bytes = 0
        self.lock = threading.Lock()  # held by the request that writes
        self._keep = keep
        self._chunks: list[bytes] = []
        self._digesters = {"sha256": hashlib.sha256()}

    def write(self, chunk: bytes) -> None:
        """Append some bytes."""
        for digester in self._digesters.values():
            digester.update(chunk)
        self.size += len(chunk)
        if self._keep:
            self._chunks.append(chunk)

    def digest(self, algorithm: str) -> str:
        """The digest of what has been written."""
        if algorithm in self._digesters:
            return f"{algorithm}:{self._digesters[algorithm].hexdigest()}"
        digester = hashlib.new(algorithm)
        for chunk in self._chunks:
            digester.update(chunk)
        return f"{algorithm}:{digester.hexdigest()}"

    def blob(self) -> Blob:
        """What has been written, as a blob."""
        return MemoryBlob(b"".join(self._chunks)) if self._keep else DiscardedBlob(self.size)


class Repository:
    """Blobs, manifests and tags under one name."""

    def __init__(self, name: str, *, lock: threading.RLock, keep_blobs: bool) -> None:
        self.name = name
        self._lock = lock
        self._keep_blobs = keep_blobs
        self._blobs: dict[str, Blob] = {}
        self._manifests: dict[str, StoredManifest] = {}
        self._tags: dict[str, str] = {}
        self._uploads: dict[str, UploadSession] = {}

    @property
    def blobs(self) -> dict[str, Blob]:
        """A copy of the blobs by digest."""
        with self._lock:
            return dict(self._blobs)

    @property
    def manifests(self) -> dict[str, StoredManifest]:
        """A copy of the manifests by digest."""
        with self._lock:
            return dict(self._manifests)

    @property
    def tags(self) -> dict[str, str]:
        """A copy of the tags: name to digest."""
        with self._lock:
            return dict(self._tags)

    @property
    def uploads(self) -> dict[str, UploadSession]:
        """A copy of the open upload sessions by ID."""
        with self._lock:
            return dict(self._uploads)

    def add_blob(self, content: bytes | Blob, digest: str | None = None) -> str:
        """Put a blob; its digest. A ``Blob`` needs its digest given."""
        blob: Blob = MemoryBlob(content) if isinstance(content, bytes) else content
        if digest is None:
            digest = digest_of(b"".join(blob.chunks(0, blob.size)))
        with self._lock:
            self._blobs[digest] = blob
        return digest

    def add_manifest(
        self, content: bytes, media_type: str, *, tags: Iterable[str] = (), digest: str | None = None
    ) -> str:
        """Put a manifest, unchecked, and tag it; its digest."""
        digest = digest or digest_of(content)
        with self._lock:
            if digest not in self._manifests:
                self._manifests[digest] = StoredManifest(content, media_type, digest, time.time())
            for tag in tags:
                self._tags[tag] = digest
        return digest

    def blob(self, digest: str) -> Blob | None:
        """A blob by digest."""
        with self._lock:
            return self._blobs.get(digest)

    def read_blob(self, digest: str) -> bytes:
        """The content of a blob.

        :raises KeyError: when it is not there.
        """
        with self._lock:
            blob = self._blobs[digest]
        return b"".join(blob.chunks(0, blob.size))

    def manifest(self, reference: str) -> StoredManifest | None:
        """A manifest by tag or digest."""
        with self._lock:
            return self._manifests.get(self._tags.get(reference, reference))

    def tag(self, name: str, digest: str) -> None:
        """Point a tag at a manifest."""
        with self._lock:
            self._tags[name] = digest

    def delete_tag(self, name: str) -> bool:
        """Remove a tag; whether it was there."""
        with self._lock:
            return self._tags.pop(name, None) is not None

    def delete_manifest(self, digest: str) -> bool:
        """Remove a manifest and the tags that point to it; whether it was there."""
        with self._lock:
            self._tags = {tag: target for tag, target in self._tags.items() if target != digest}
            return self._manifests.pop(digest, None) is not None

    def delete_blob(self, digest: str) -> bool:
        """Remove a blob; whether it was there."""
        with self._lock:
            return self._blobs.pop(digest, None) is not None

    def referrers(self, digest: str) -> list[StoredManifest]:
        """The manifests whose subject is ``digest``, in the order in which they were put."""
        return [manifest for manifest in self.manifests.values() if manifest.subject == digest]

    def open_upload(self) -> UploadSession:
        """Begin an upload."""
        session = UploadSession(self.name, keep=self._keep_blobs)
        with self._lock:
            self._uploads[session.id] = session
        return session

    def upload(self, session_id: str) -> UploadSession | None:
        """An open upload by its ID."""
        with self._lock:
            return self._uploads.get(session_id)

    def end_upload(self, session: UploadSession, digest: str | None = None) -> None:
        """Forget an upload; with a digest its bytes become that blob."""
        with self._lock:
            self._uploads.pop(session.id, None)
            if digest is not None:
                self._blobs[digest] = session.blob()


class Store:
    """All repositories of one registry.

    With ``keep_blobs=False`` uploaded blobs are checked and counted but not kept in memory.
    """

    def __init__(self, *, keep_blobs: bool = True) -> None:
        self._lock = threading.RLock()
        self._keep_blobs = keep_blobs
        self._repositories: dict[str, Repository] = {}
        self._secret = secrets.token_bytes(16)

    def repository(self, name: str) -> Repository:
        """A repository by name, made when it is not there."""
        with self._lock:
            if name not in self._repositories:
                self._repositories[name] = Repository(name, lock=self._lock, keep_blobs=self._keep_blobs)
            return self._repositories[name]

    def get(self, name: str) -> Repository | None:
        """A repository by name, None when nothing was ever put there."""
        with self._lock:
            return self._repositories.get(name)

    def names(self) -> list[str]:
        """The names of the repositories that hold manifests, sorted."""
        with self._lock:
            return sorted(name for name, repository in self._repositories.items() if repository.manifests)

    def delete(self, name: str) -> bool:
        """Remove a repository with all it holds; whether it was there."""
        with self._lock:
            return self._repositories.pop(name, None) is not None

    def sign(self, path: str) -> str:
        """The signature that lets its holder read ``path`` from the blob storage behind the registry."""
        return hmac.new(self._secret, path.encode(), "sha256").hexdigest()
