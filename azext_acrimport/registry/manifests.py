# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""The manifests of a repository: their digests, their content, and how they are stored.

Source: OCI distribution specification, "Pulling manifests" and "Pushing Manifests".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from azext_acrimport.oci.digest import algorithm_of, digest_of, is_digest, printable
from azext_acrimport.oci.errors import OciError
from azext_acrimport.oci.manifest import MAX_MANIFEST_BYTES, Manifest, too_large
from azext_acrimport.oci.media_types import ACCEPT
from azext_acrimport.registry.base import FOUND, OK, RepositoryBase
from azext_acrimport.registry.errors import ContentMismatch, RegistryError, TooLarge
from azext_acrimport.registry.pipeline import Pipeline
from azext_acrimport.registry.sender import Answer
from azext_acrimport.registry.transport import Exchange

# What servers answer that know no HEAD for manifests.
_HEAD_REFUSED = frozenset({400, 405, 501})
_STORED = frozenset({200, 201, 202})
# Of each manifest where many are asked for: bounds what a hostile registry makes us keep.
_MAX_BYTES_AT_ONCE = 256 << 10


class Manifests(RepositoryBase):
    """The part of a repository that is about manifests."""

    def digest_of(self, identifier: str, *, begun: Exchange | None = None) -> str | None:
        """The digest of the manifest with this tag or digest; None when there is none.

        :raises RegistryFailure: the registry does not tell.
        """
        path = self._path("manifests", identifier)
        expect = FOUND | _HEAD_REFUSED | {403}
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
            raise too_large() from ex
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
        answer = self._call("PUT", path, expect=_STORED, headers=headers, body=manifest.content, begun=begun)
        if manifest.subject:
            # Source: OCI distribution specification, "Pushing Manifests with Subject".
            self.registry.lists_referrers = "oci-subject" in answer.headers
        digest = answer.headers.get("docker-content-digest", manifest.digest)
        if digest != manifest.digest and algorithm_of(digest) == algorithm_of(manifest.digest):
            detail = f"the registry stored the manifest {manifest.digest} as another one ({printable(digest)})"
            raise ContentMismatch(self.registry.host, detail)
