# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""The registry API of the OCI distribution specification, version 1.1, over a store."""

from __future__ import annotations

import re
from urllib.parse import quote

from emulator import refusals
from emulator.auth import Authoriser, Scope, anyone
from emulator.behaviour import Behaviour
from emulator.downloads import BlobStorageApp, blob_response, storage_path
from emulator.manifests import Manifests
from emulator.messages import Headers, Request, Response
from emulator.store import DIGEST, Repository, Store
from emulator.uploads import Uploads

__all__ = ["Behaviour", "BlobStorageApp", "RegistryApp"]

_ROUTE = re.compile(
    r"/v2/(?P<name>.+)/(?:"
    r"blobs/uploads/?(?P<upload>[^/]*)|blobs/(?P<blob>[^/]+)|manifests/(?P<manifest>[^/]+)"
    r"|tags/(?P<tags>list)|referrers/(?P<referrers>[^/]+))"
)
_NAME = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*")
_MAX_NAME = 255
_READS = ("GET", "HEAD")


class RegistryApp:
    """A registry. ``behaviour`` and ``authorise`` may be replaced at any time; ``store`` is what it holds."""

    def __init__(
        self, store: Store | None = None, *, behaviour: Behaviour | None = None, authorise: Authoriser = anyone
    ) -> None:
        self.store = store if store is not None else Store()
        self.behaviour = behaviour if behaviour is not None else Behaviour()
        self.authorise = authorise

    def __call__(self, request: Request) -> Response:
        path = request.decoded_path
        if path in ("/v2", "/v2/"):
            return self.authorise(request, ()) or _base()
        if path == "/v2/_catalog":
            return self.authorise(request, (Scope.catalog(),)) or self._catalog(request)
        route = _ROUTE.fullmatch(path)
        if route is None:
            return Response.text(404, "404 page not found\n")
        name = route["name"]
        if not _NAME.fullmatch(name) or len(name) > _MAX_NAME:
            return refusals.name_invalid(name)
        refusal = self.authorise(request, (self._scope(request, route),))
        return refusal or self._dispatch(request, route, name)

    def _scope(self, request: Request, route: re.Match[str]) -> Scope:
        if request.method == "DELETE" and route["upload"] is None:
            return Scope.repository(route["name"], "delete")
        if request.method in _READS and route["upload"] is None:
            return Scope.repository(route["name"], self.behaviour.tags_action if route["tags"] else "pull")
        return Scope.repository(route["name"], "pull", "push")

    def _dispatch(self, request: Request, route: re.Match[str], name: str) -> Response:
        writes = request.method not in _READS
        if writes and (self.behaviour.read_only or name in self.behaviour.locked_repositories):
            return refusals.disallowed()
        pushes = request.method in ("POST", "PUT", "PATCH")
        repository = self.store.repository(name) if pushes else self.store.get(name)
        if repository is None:
            return self._absent(request, route, name)
        if route["upload"] is not None:
            return self._upload(request, repository, route["upload"])
        if route["blob"]:
            return self._blob(request, repository, route["blob"])
        if route["tags"]:
            return self._tags(request, repository)
        manifests = Manifests(repository, self.behaviour)
        if route["referrers"]:
            return manifests.referrers(request, route["referrers"])
        return manifests.handle(request, route["manifest"])

    def _absent(self, request: Request, route: re.Match[str], name: str) -> Response:
        """Answer for a repository where nothing was ever pushed."""
        if route["referrers"]:
            return Manifests(Store().repository(name), self.behaviour).referrers(request, route["referrers"])
        return refusals.name_unknown(name)

    def _upload(self, request: Request, repository: Repository, session_id: str) -> Response:
        def may_read(source: str) -> bool:
            return self.authorise(request, (Scope.repository(source, "pull"),)) is None

        uploads = Uploads(self.store, repository, self.behaviour, may_read=may_read)
        if session_id:
            return uploads.handle(request, session_id)
        return uploads.begin(request) if request.method == "POST" else refusals.unsupported()

    def _blob(self, request: Request, repository: Repository, digest: str) -> Response:
        if not DIGEST.fullmatch(digest):
            return refusals.error(400, "DIGEST_INVALID", "invalid digest", detail=digest)
        blob = repository.blob(digest)
        if blob is None:
            return refusals.blob_unknown(digest)
        if request.method == "DELETE":
            if not self.behaviour.deletes:
                return refusals.unsupported()
            repository.delete_blob(digest)
            return Response(202)
        if request.method not in _READS:
            return refusals.unsupported()
        if self.behaviour.redirect_blobs_to and request.method == "GET":
            return Response(307, {"Location": self._storage_url(repository.name, digest)})
        headers = Headers({"Docker-Distribution-Api-Version": "registry/2.0"})
        if self.behaviour.docker_content_digest:
            headers["Docker-Content-Digest"] = digest
        return blob_response(request, blob, headers, ranges=self.behaviour.ranges)

    def _storage_url(self, name: str, digest: str) -> str:
        base = self.behaviour.redirect_blobs_to or ""
        path = storage_path(name, digest)
        return f"{base if '://' in base else 'https://' + base}{path}?sig={self.store.sign(path)}"

    def _tags(self, request: Request, repository: Repository) -> Response:
        if request.method not in _READS:
            return refusals.unsupported()
        tags = sorted(repository.tags)
        return self._page(request, f"/v2/{repository.name}/tags/list", tags, {"name": repository.name}, "tags")

    def _catalog(self, request: Request) -> Response:
        return self._page(request, "/v2/_catalog", self.store.names(), {}, "repositories")

    def _page(self, request: Request, path: str, names: list[str], content: dict[str, object], key: str) -> Response:
        """One page of a sorted list, with a relative ``Link`` to the next where there is one."""
        given = request.arg("n")
        if given is not None and not given.isdigit():
            return refusals.error(400, "PAGINATION_NUMBER_INVALID", "invalid number of results requested")
        asked = int(given) if given is not None else self.behaviour.default_tags_page
        count = self.behaviour.max_tags_page if asked is None else min(asked, self.behaviour.max_tags_page)
        last = request.arg("last")
        rest = [name for name in names if last is None or name > last]
        page = rest[:count]
        response = Response.json(200, {**content, key: page})
        if page and len(rest) > count:
            response.headers["Link"] = f'<{path}?last={quote(page[-1], safe="")}&n={count}>; rel="next"'
        return response


def _base() -> Response:
    return Response.json(200, {}, {"Docker-Distribution-Api-Version": "registry/2.0"})
