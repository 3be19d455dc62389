# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""The lists of a repository: its tags, and what refers to a manifest, page by page."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from azext_acrimport.oci.descriptor import Descriptor
from azext_acrimport.oci.manifest import MAX_CHILDREN, MAX_MANIFEST_BYTES, Manifest
from azext_acrimport.registry.base import FOUND, OK, RepositoryBase
from azext_acrimport.registry.errors import ProtocolError, RegistryError
from azext_acrimport.registry.follow import next_page
from azext_acrimport.registry.sender import Answer

# A right of its own at ACR, which lists no tags without it:
# https://learn.microsoft.com/azure/container-registry/container-registry-token-based-repository-permissions
_METADATA = "metadata_read"
_MAX_TAG_PAGE_BYTES = 16 << 20
_MAX_PAGES = 20_000
# Bounds what a hostile list of referrers makes us read; each page counts for as much as an ordinary one has at least.
_MAX_REFERRERS_BYTES, _PAGE_BYTES = 32 << 20, 32 << 10
# What registries answer that do not list referrers, beside 404.
_NO_REFERRERS = frozenset({400, 401, 403, 404, 405, 406, 410, 501})
_NEXT = r'<([^<>]*)>\s*;[^,<]*\brel\s*=\s*"?next\b'


class Listings(RepositoryBase):
    """The part of a repository that lists what it has."""

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
            yield from self.asking_for(f"{self.actions},{_METADATA}").tags()
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

    def _pages(self, path: str, what: str, expect: frozenset[int], limit: int) -> Iterator[Answer]:
        """Read a list page by page: until one has no ``Link`` to another."""
        host, seen = self.registry.host, set[str]()
        while path not in seen and len(seen) < _MAX_PAGES:
            seen.add(path)
            answer = self._call("GET", path, expect=expect if len(seen) == 1 else OK, limit=limit)
            yield answer
            link = re.search(_NEXT, answer.headers.get("link", ""), re.IGNORECASE)
            if answer.status != 200 or not link:
                return
            path = next_page(host, link[1], self.registry.client.origin, path.partition("?")[0], what)
        raise ProtocolError(host, f"the registry's list of {what} does not end")


def _tags_of(answer: Answer, host: str) -> list[str]:
    try:
        fields = json.loads(answer.content)
        listed = fields.get("tags") if isinstance(fields, dict) else None
    except (ValueError, RecursionError) as ex:
        raise ProtocolError(host, "the registry's list of tags is not JSON") from ex
    # Some registries list nulls and digests among the tags: containers/image, docker_image.go.
    return [tag for tag in listed or [] if isinstance(tag, str) and ":" not in tag] if isinstance(listed, list) else []
