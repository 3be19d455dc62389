# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""A repository of a registry: its manifests, tags and blobs, as the OCI distribution specification lets us ask."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from azext_acrimport.oci.descriptor import Descriptor
from azext_acrimport.oci.digest import algorithm_of, digest_of, is_digest, printable
from azext_acrimport.oci.errors import InvalidManifest, OciError
from azext_acrimport.oci.manifest import MAX_CHILDREN, MAX_MANIFEST_BYTES, Manifest
from azext_acrimport.oci.media_types import ACCEPT
from azext_acrimport.oci.reference import DOCKER_HUB, check_repository
from azext_acrimport.registry.address import BadUrl, split_url
from azext_acrimport.registry.claims import granted_actions
from azext_acrimport.registry.client import Answer, Client, OnWait
from azext_acrimport.registry.connection import Response
from azext_acrimport.registry.credentials import Credentials
from azext_acrimport.registry.download import BlobReader
from azext_acrimport.registry.errors import (
    ContentMismatch,
    ProtocolError,
    RegistryError,
    RegistryFailure,
    TooLarge,
)
from azext_acrimport.registry.pipeline import Pipeline
from azext_acrimport.registry.retry import Clock, RetryPolicy
from azext_acrimport.registry.transport import Exchange, Transport
from azext_acrimport.registry.upload import UploadHabits, UploadSession, habits_for

OK = frozenset({200})
FOUND = frozenset({200, 404})
_BEGUN = frozenset({201, 202})
# What servers answer that know no HEAD for manifests.
HEAD_REFUSED = frozenset({400, 405, 501})
# A right of its own at ACR, which lists no tags without it:
# https://learn.microsoft.com/azure/container-registry/container-registry-token-based-repository-permissions
_METADATA = "metadata_read"
_MAX_TAG_PAGE_BYTES = 16 << 20
_MAX_BYTES_AT_ONCE = (
    256 << 10
)  # of each manifest where many are asked for: bounds what a hostile registry makes us keep
_MAX_PAGES = 20_000
# Bounds what a hostile list of referrers makes us read; each page counts for as much as an ordinary one has at least.
_MAX_REFERRERS_BYTES, _PAGE_BYTES = 32 << 20, 32 << 10
# What registries answer that do not list referrers, beside 404.
_NO_REFERRERS = frozenset({400, 401, 403, 404, 405, 406, 410, 501})
_NEXT = re.compile(r'<([^<>]*)>\s*;[^,<]*\brel\s*=\s*"?next\b', re.IGNORECASE)


class Registry:
    """A registry by its host, as the user wrote it, with the credentials to show it."""

    def __init__(
        self,
        host: str,
        *,
        transport: Transport,
        credentials: Credentials | None = None,
        policy: RetryPolicy | None = None,
        clock: Clock | None = None,
        on_wait: OnWait | None = None,
    ) -> None:
        self.host = host
        self.transport = transport
        self.client = Client(host, transport, credentials=credentials, policy=policy, clock=clock, on_wait=on_wait)
        self.habits: UploadHabits = habits_for(host)
        self.lists_referrers: bool | None = None  # as far as it has shown when it was given some
        self.refuses_tags = False  # whether it has refused to list them: ACR may want a right of its own for that

    @property
    def counts_pulls(self) -> bool:
        """Whether each manifest that is fetched counts against a limit, and a look at its digest does not.

        Source: https://docs.docker.com/docker-hub/usage/pulls/
        """
        return self.host == DOCKER_HUB

    @property
    def round_trip_seconds(self) -> float:
        """How long a request takes at least; 0 before the first."""
        return self.transport.round_trip_seconds(self.client.origin)

    def listen(self, on_wait: OnWait) -> None:
        """Tell of waits from now on, before whoever is told already."""
        also = self.client.on_wait

        def told(host: str, seconds: float, cause: RegistryFailure) -> None:
            on_wait(host, seconds, cause)
            if also:
                also(host, seconds, cause)

        self.client.on_wait = told

    def connect_ahead(self, count: int) -> None:
        """Have so many connections for further requests, at least begun. Waits for the very first one only.

        :raises ConnectionFailed: that one cannot be made.
        """
        self.transport.connect_ahead(self.host, self.client.origin, count)

    def interrupt(self) -> None:
        """Break off what is under way, in all threads; only farewells are still said."""
        self.client.clock.cancelled.set()
        self.transport.interrupt()

    def stop(self) -> None:
        """Break off what is under way, in all threads; nothing further is asked of the registry."""
        self.client.clock.cancelled.set()
        self.transport.abort()

    def repository(self, name: str) -> Repository:
        """The repository of this name.

        :raises InvalidReference: it is not a name that a repository can have.
        """
        return Repository(self, check_repository(name))


@dataclass(frozen=True)
class Repository:
    """One repository. ``actions`` is what the token is asked for: ``pull``, or ``pull,push`` at a target."""

    registry: Registry
    name: str
    actions: str = "pull"

    def __str__(self) -> str:
        return f"{self.registry.host}/{self.name}"

    def to_push(self) -> Repository:
        """The same repository, to be written to."""
        return replace(self, actions="pull,push")

    @property
    def scope(self) -> tuple[str, ...]:
        """What this repository's token is for."""
        return (f"repository:{self.name}:{self.actions}",)

    @property
    def granted(self) -> frozenset[str] | None:
        """What its token allows, once a request has been sent with it; None where it does not tell."""
        token = self.registry.client.shown_token(self.scope)
        return granted_actions(token, self.name) if token else None

    def begin_digest_of(self, identifier: str) -> Exchange | None:
        """Send the request whose answer :meth:`digest_of` reads."""
        path = self._path("manifests", identifier)
        return self.registry.client.begin("HEAD", path, scope=self.scope, headers={"Accept": ACCEPT})

    def digest_of(self, identifier: str, *, begun: Exchange | None = None) -> str | None:
        """The digest of the manifest with this tag or digest; None when there is none.

        :raises RegistryFailure: the registry does not tell.
        """
        path = self._path("manifests", identifier)
        expect = FOUND | HEAD_REFUSED | {403}
        answer = self._call("HEAD", path, expect=expect, headers={"Accept": ACCEPT}, begun=begun)
        digest = answer.headers.get("docker-content-digest", "")
        if answer.status == 404:
            return None
        if answer.status == 200 and is_digest(digest):
            return digest
        # No HEAD, no digest in it, or a refusal whose reason only the answer to a GET can hold.
        try:
            return self.manifest(identifier).digest
        except RegistryError as ex:
            if ex.status == 404:
                return None
            raise

    def begin_digests_of(self, identifiers: Sequence[str], *, behind: Exchange | None = None) -> Pipeline | None:
        """Send the requests whose answers :meth:`digests_of` reads, ``behind`` one that is read first."""
        paths = [self._path("manifests", each) for each in identifiers]
        client = self.registry.client
        return client.begin_all("HEAD", paths, scope=self.scope, headers={"Accept": ACCEPT}, behind=behind)

    def digests_of(self, identifiers: Sequence[str], *, begun: Pipeline | None = None) -> dict[str, str | None]:
        """The digests of several manifests, asked for at once; None for those that do not exist.

        What is not in it must be asked for by :meth:`digest_of`.

        :raises RegistryFailure: the registry does not tell.
        """
        found = self.digests_at_once(identifiers, begun) if identifiers else {}
        if found or not identifiers:
            return found
        # It may want authorization first, which one question on its own brings about.
        first, *others = identifiers
        return {first: self.digest_of(first), **(self.digests_at_once(others) if others else {})}

    def digests_at_once(self, identifiers: Sequence[str], begun: Pipeline | None = None) -> dict[str, str | None]:
        """Those of the digests that the registry tells at the first attempt; None for what does not exist."""
        paths = [self._path("manifests", each) for each in identifiers]
        answers = self.registry.client.ask_all(
            "HEAD", paths, scope=self.scope, expect=FOUND, headers={"Accept": ACCEPT}, begun=begun
        )
        found: dict[str, str | None] = {}
        for identifier, answer in zip(identifiers, answers, strict=True):
            digest = answer.headers.get("docker-content-digest", "") if answer else ""
            if answer and (answer.status == 404 or is_digest(digest)):
                found[identifier] = None if answer.status == 404 else digest
        return found

    def manifests(self, identifiers: Sequence[str]) -> dict[str, Manifest]:
        """Several manifests, asked for at once.

        What is not in it, for whatever reason, must be asked for by :meth:`manifest`.

        :raises RegistryFailure: the registry cannot be asked.
        """
        found = self._manifests_at_once(identifiers)
        if found or len(identifiers) < 2:
            return found
        # It may want authorization first, which one question on its own brings about.
        first, *others = identifiers
        try:
            return {first: self.manifest(first), **self._manifests_at_once(others)}
        except (RegistryError, ContentMismatch, OciError) as ex:
            if isinstance(ex, RegistryError) and ex.status != 404:
                raise
            return self._manifests_at_once(others)  # whoever needs the first one is told what is the matter with it

    def _manifests_at_once(self, identifiers: Sequence[str]) -> dict[str, Manifest]:
        paths = [self._path("manifests", each) for each in identifiers]
        answers = self.registry.client.ask_all(
            "GET", paths, scope=self.scope, expect=OK, headers={"Accept": ACCEPT}, limit=_MAX_BYTES_AT_ONCE
        )
        found = {}
        for identifier, answer in zip(identifiers, answers, strict=True):
            try:
                if answer:
                    found[identifier] = self._read_manifest(identifier, answer)
            except (ContentMismatch, OciError):
                pass
        return found

    def manifest(self, identifier: str) -> Manifest:
        """The manifest with this tag or digest. One that came damaged is read once more.

        :raises RegistryFailure: it cannot be had, or it is not what its digest says.
        :raises OciError: it cannot be read.
        """
        try:
            return self._manifest(identifier)
        except ContentMismatch:
            return self._manifest(identifier)

    def _manifest(self, identifier: str) -> Manifest:
        path = self._path("manifests", identifier)
        try:
            answer = self._call("GET", path, expect=OK, headers={"Accept": ACCEPT}, limit=MAX_MANIFEST_BYTES)
        except TooLarge as ex:
            raise InvalidManifest(f"the manifest is larger than {MAX_MANIFEST_BYTES >> 20} MiB") from ex
        return self._read_manifest(identifier, answer)

    def _read_manifest(self, identifier: str, answer: Answer) -> Manifest:
        named = identifier if is_digest(identifier) else answer.headers.get("docker-content-digest", "")
        algorithm = algorithm_of(named) if is_digest(named) else "sha256"
        found = digest_of(answer.content, algorithm)
        if is_digest(named) and found != named:
            raise ContentMismatch(self.registry.host, f"the manifest {named} was sent with other content ({found})")
        return Manifest.parse(answer.content, answer.headers.get("content-type", ""), algorithm=algorithm)

    def put_manifest(
        self, manifest: Manifest, identifier: str, *, closing: Callable[[Exchange], None] | None = None
    ) -> None:
        """Store the manifest under a tag, or under its own digest.

        ``closing`` is told when it has been sent, before its answer is awaited.

        :raises RegistryFailure: the registry does not take it, or stored it under another digest.
        """
        path = self._path("manifests", identifier)
        headers = {"Content-Type": manifest.media_type}
        stored = frozenset({200, 201, 202})
        client, begun = self.registry.client, None
        if closing:
            begun = client.begin("PUT", path, scope=self.scope, headers=headers, body=manifest.content)
        try:
            if begun and closing:
                closing(begun)
        except BaseException:
            if begun:
                begun.close()
            raise
        answer = self._call("PUT", path, expect=stored, headers=headers, body=manifest.content, begun=begun)
        if manifest.subject:
            # Source: OCI distribution specification, "Pushing Manifests with Subject".
            self.registry.lists_referrers = "oci-subject" in answer.headers
        digest = answer.headers.get("docker-content-digest", manifest.digest)
        if digest != manifest.digest and algorithm_of(digest) == algorithm_of(manifest.digest):
            detail = f"the registry stored the manifest {manifest.digest} as another one ({printable(digest)})"
            raise ContentMismatch(self.registry.host, detail)

    def tags(self) -> Iterator[str]:
        """The tags, page by page; none for a repository that does not exist.

        Source: OCI distribution specification, "Listing Tags"; registries differ in ``Link``, so it is followed as
        it is sent.
        """
        pages = self._tag_pages()
        try:
            yield from next(pages, [])
        except RegistryError as ex:
            if ex.status not in (401, 403) or _METADATA in self.actions:
                raise
            yield from replace(self, actions=f"{self.actions},{_METADATA}").tags()
        for page in pages:
            yield from page

    def _tag_pages(self) -> Iterator[list[str]]:
        for answer in self._pages(f"/v2/{self.name}/tags/list?n=1000", "tags", FOUND, _MAX_TAG_PAGE_BYTES):
            if answer.status == 200:
                yield _tags_of(answer, self.registry.host)

    def referrers(self, digest: str) -> list[Descriptor] | None:
        """What refers to the manifest with this digest; None where the registry does not list that.

        It is asked for all types: some registries do not know that of each, https://github.com/Azure/acr/issues/784.
        Source: OCI distribution specification, "Listing Referrers".

        :raises RegistryFailure: it cannot be had.
        :raises OciError: it cannot be read.
        """
        found: list[Descriptor] = []
        expect, size = OK | _NO_REFERRERS, 0
        for answer in self._pages(self._path("referrers", digest), "referrers", expect, MAX_MANIFEST_BYTES):
            if answer.status != 200:
                return None
            found += Manifest.parse(answer.content, answer.headers.get("content-type", "")).manifests
            size += len(answer.content) + _PAGE_BYTES
            if len(found) > MAX_CHILDREN or size > _MAX_REFERRERS_BYTES:
                raise ProtocolError(self.registry.host, f"the registry lists more referrers of {digest} than we follow")
        return found

    def has_tags(self) -> bool | None:
        """Whether there is any tag; None where the registry does not tell: it is then asked no more."""
        if self.registry.refuses_tags:
            return None
        try:
            answer = self._call("GET", f"/v2/{self.name}/tags/list?n=1", expect=FOUND, limit=_MAX_TAG_PAGE_BYTES)
        except RegistryError as ex:
            if ex.status in (400, 401, 403, 405):
                self.registry.refuses_tags = True
                return None
            raise
        return answer.status == 200 and bool(_tags_of(answer, self.registry.host))

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

        What is not in it must be begun by :meth:`start_upload`.
        """
        client = self.registry.client
        paths = [self._uploads(digest, mount_from) for digest in digests]
        answers = client.ask_all("POST", paths, scope=self._scope_to_mount(mount_from), expect=_BEGUN)
        found: dict[str, UploadSession | None] = {}
        for digest, path, answer in zip(digests, paths, answers, strict=True):
            try:
                if answer:
                    is_there = answer.status == 201
                    path = path.partition("?")[0]
                    found[digest] = None if is_there else UploadSession.from_answer(client, self.scope, answer, path)
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

    def _path(self, kind: str, identifier: str) -> str:
        return f"/v2/{self.name}/{kind}/{identifier}"

    def _pages(self, path: str, what: str, expect: frozenset[int], limit: int) -> Iterator[Answer]:
        """Read a list page by page: until one has no ``Link`` to another."""
        seen: set[str] = set()
        while path not in seen and len(seen) < _MAX_PAGES:
            seen.add(path)
            answer = self._call("GET", path, expect=expect if len(seen) == 1 else OK, limit=limit)
            yield answer
            link = _NEXT.search(answer.headers.get("link", ""))
            if answer.status != 200 or not link:
                return
            path = self._next_page(link[1], path, what)
        raise ProtocolError(self.registry.host, f"the registry's list of {what} does not end")

    def _next_page(self, link: str, path: str, what: str) -> str:
        client = self.registry.client
        try:
            origin, target = split_url(link, client.origin, path.partition("?")[0])
        except BadUrl as ex:
            raise ProtocolError(self.registry.host, f"the registry's list of {what} goes on at {ex}") from ex
        if (origin.host, origin.port) != (client.origin.host, client.origin.port):
            raise ProtocolError(self.registry.host, f"the registry's list of {what} goes on at {origin}")
        return target

    def _call(
        self,
        method: str,
        path: str,
        *,
        expect: frozenset[int],
        headers: dict[str, str] | None = None,
        body: bytes = b"",
        limit: int = 64 << 10,
        begun: Exchange | None = None,
    ) -> Answer:
        return self.registry.client.call(
            method, path, scope=self.scope, expect=expect, headers=headers, body=body, limit=limit, begun=begun
        )


def _range(offset: int, last: int | None) -> dict[str, str]:
    return {"Range": f"bytes={offset}-{'' if last is None else last}"} if offset or last is not None else {}


def _tags_of(answer: Answer, host: str) -> list[str]:
    try:
        fields = json.loads(answer.content)
        listed = fields.get("tags") if isinstance(fields, dict) else None
    except (ValueError, RecursionError) as ex:
        raise ProtocolError(host, "the registry's list of tags is not JSON") from ex
    # Some registries list nulls and digests among the tags: containers/image, docker_image.go.
    return [tag for tag in listed or [] if isinstance(tag, str) and ":" not in tag] if isinstance(listed, list) else []
