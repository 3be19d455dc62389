# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""An ACR's own API beside that of the OCI specification: repositories, tags and manifests with their attributes."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from emulator.auth import Authoriser, Scope
from emulator.messages import Request, Response
from emulator.resources import AzureRegistry
from emulator.store import Repository, StoredManifest

_PATH = re.compile(r"/acr/v1/(?P<name>[a-z0-9][a-z0-9._/-]*?)(/(?P<kind>_tags|_manifests)(/(?P<key>[^/]+))?)?")
_PAGE = 100
_MAX_PAGE = 1000
_ACTIONS = {"GET": "metadata_read", "PATCH": "metadata_write", "DELETE": "delete"}


@dataclass
class MetadataApp:
    """``/acr/v1/``, as ``az acr repository`` and ``az acr manifest`` use it."""

    registry: AzureRegistry
    authorise: Authoriser

    def __call__(self, request: Request) -> Response:
        if request.path == "/acr/v1/_catalog":
            return self.authorise(request, (Scope.catalog(),)) or self._catalog(request)
        match = _PATH.fullmatch(request.decoded_path)
        if match is None or request.method not in _ACTIONS:
            return _error(404, "NOT_FOUND", "resource not found")
        needed = (Scope.repository(match["name"], _ACTIONS[request.method]),)
        return self.authorise(request, needed) or self._serve(request, match)

    def _serve(self, request: Request, match: re.Match[str]) -> Response:
        name, kind, key = match["name"], match["kind"] or "", match["key"] or ""
        repository = self.registry.store.get(name)
        if repository is None or not repository.manifests:
            return _error(404, "NAME_UNKNOWN", f'repository "{name}" is not found')
        if request.method == "DELETE":
            return self._delete(repository, kind, key)
        if request.method == "PATCH":
            self._lock(name, kind, key, request.read_json() or {})
        handlers: dict[str, Callable[[Request, Repository, str], Response]] = {
            "": self._repository,
            "_tags": self._tags,
            "_manifests": self._manifests,
        }
        return handlers[kind](request, repository, key)

    def _catalog(self, request: Request) -> Response:
        page, headers = _page(request, self.registry.store.names(), str)
        return Response.json(200, {"repositories": page}, headers)

    def _repository(self, request: Request, repository: Repository, key: str) -> Response:
        times = [manifest.created for manifest in repository.manifests.values()]
        body = {
            **self._names(repository),
            "createdTime": _stamp(min(times)),
            "lastUpdateTime": _stamp(max(times)),
            "manifestCount": len(repository.manifests),
            "tagCount": len(repository.tags),
            "changeableAttributes": self._attributes(repository.name, ""),
        }
        return Response.json(200, body)

    def _tags(self, request: Request, repository: Repository, key: str) -> Response:
        if key:
            if key not in repository.tags:
                return _error(404, "TAG_UNKNOWN", f"the specified tag does not exist: {key}")
            return Response.json(200, {**self._names(repository), "tag": self._tag(repository, key)})
        tags = [self._tag(repository, tag) for tag in sorted(repository.tags)]
        wanted = request.arg("digest")
        tags = [tag for tag in tags if wanted in (None, tag["digest"])]
        page, headers = _page(request, _ordered(request, tags), lambda tag: str(tag["name"]))
        return Response.json(200, {**self._names(repository), "tags": page}, headers)

    def _manifests(self, request: Request, repository: Repository, key: str) -> Response:
        if key:
            manifest = repository.manifests.get(key)
            if manifest is None:
                return _error(404, "MANIFEST_UNKNOWN", f'manifest "{key}" is not found')
            return Response.json(200, {**self._names(repository), "manifest": self._manifest(repository, manifest)})
        items = [self._manifest(repository, repository.manifests[digest]) for digest in sorted(repository.manifests)]
        page, headers = _page(request, _ordered(request, items), lambda item: str(item["digest"]))
        return Response.json(200, {**self._names(repository), "manifests": page}, headers)

    def _delete(self, repository: Repository, kind: str, key: str) -> Response:
        if kind == "_tags":
            return Response(202) if repository.delete_tag(key) else _error(404, "TAG_UNKNOWN", "tag is not found")
        if kind == "_manifests":
            found = repository.delete_manifest(key)
            return Response(202) if found else _error(404, "MANIFEST_UNKNOWN", "manifest is not found")
        removed = {"manifestsDeleted": sorted(repository.manifests), "tagsDeleted": sorted(repository.tags)}
        self.registry.store.delete(repository.name)
        return Response.json(202, removed)

    def _lock(self, repository: str, kind: str, key: str, attributes: dict[str, Any]) -> None:
        """Take over ``writeEnabled``, the one attribute that the emulator acts on."""
        if "writeEnabled" not in attributes or kind == "_manifests":
            return
        behaviour = self.registry.behaviour
        tags, repositories = set(behaviour.locked_tags), set(behaviour.locked_repositories)
        held, item = (tags, key) if kind else (repositories, repository)
        if attributes["writeEnabled"]:
            held.discard(item)
        else:
            held.add(item)
        self.registry.behaviour = replace(
            behaviour, locked_tags=frozenset(tags), locked_repositories=frozenset(repositories)
        )

    def _names(self, repository: Repository) -> dict[str, str]:
        return {"registry": self.registry.login_server, "imageName": repository.name}

    def _attributes(self, repository: str, tag: str) -> dict[str, bool]:
        behaviour = self.registry.behaviour
        locked = repository in behaviour.locked_repositories or tag in behaviour.locked_tags
        return {"deleteEnabled": True, "writeEnabled": not locked, "readEnabled": True, "listEnabled": True}

    def _tag(self, repository: Repository, tag: str) -> dict[str, Any]:
        digest = repository.tags[tag]
        time_stamp = _stamp(repository.manifests[digest].created)
        return {
            "name": tag,
            "digest": digest,
            "createdTime": time_stamp,
            "lastUpdateTime": time_stamp,
            "signed": False,
            "changeableAttributes": self._attributes(repository.name, tag),
        }

    def _manifest(self, repository: Repository, manifest: StoredManifest) -> dict[str, Any]:
        content = manifest.json
        blobs = [content.get("config") or {}, *(content.get("layers") or [])]
        body = {
            "digest": manifest.digest,
            "imageSize": len(manifest.content) + sum(int(blob.get("size", 0)) for blob in blobs),
            "createdTime": _stamp(manifest.created),
            "lastUpdateTime": _stamp(manifest.created),
            "mediaType": manifest.media_type,
            "tags": sorted(tag for tag, digest in repository.tags.items() if digest == manifest.digest),
            "changeableAttributes": self._attributes(repository.name, ""),
        }
        config = content.get("config") or {}
        if config:
            body["configMediaType"] = config.get("mediaType")
            body.update(_platform(repository, str(config.get("digest"))))
        return body


def _platform(repository: Repository, digest: str) -> dict[str, str]:
    """Return what an image's config says about where it runs; other artifacts' configs say nothing."""
    try:
        config = json.loads(repository.read_blob(digest))
    except (KeyError, ValueError):
        return {}
    return {key: config[key] for key in ("architecture", "os") if isinstance(config, dict) and key in config}


def _ordered(request: Request, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    order = request.arg("orderby")
    if order not in ("timeasc", "timedesc"):
        return items
    return sorted(items, key=lambda item: str(item["lastUpdateTime"]), reverse=order == "timedesc")


def _page(request: Request, items: Iterable[Any], name: Callable[[Any], str]) -> tuple[list[Any], dict[str, str]]:
    """Return the items after ``last``, at most ``n``, and the Link to what follows."""
    found, last = list(items), request.arg("last")
    if last is not None:
        position = next((i for i, item in enumerate(found) if name(item) == last), -1)
        found = found[position + 1 :]
    asked = request.arg("n") or ""
    size = min(int(asked) if asked.isdecimal() else _PAGE, _MAX_PAGE)
    page = found[:size]
    if len(found) <= size or not page:
        return page, {}
    query = {"last": name(page[-1]), "n": str(size), "orderby": request.arg("orderby") or ""}
    return page, {"Link": f'<{request.path}?{urlencode(query)}>; rel="next"'}


def _stamp(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds % 1 * 1e7):07d}Z"


def _error(status: int, code: str, message: str) -> Response:
    return Response.json(status, {"errors": [{"code": code, "message": message}]})
