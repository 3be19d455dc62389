# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Manifests over HTTP: get, put with all the checks that registries make, delete, list what refers to one."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from emulator import refusals
from emulator.behaviour import Behaviour
from emulator.messages import READ_BYTES, Headers, Request, Response
from emulator.store import DIGEST, Repository

TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"

_WORDS = {  # what the service calls a type when a client's Accept leaves it out
    INDEX_TYPE: ("OCI index", "OCI indexes"),
    "application/vnd.oci.image.manifest.v1+json": ("OCI manifest", "OCI manifests"),
    "application/vnd.docker.distribution.manifest.list.v2+json": ("Manifest list", "manifest lists"),
    "application/vnd.docker.distribution.manifest.v2+json": ("Schema 2 manifest", "schema 2 manifests"),
}
_FOREIGN = ("nondistributable", "foreign")


class Manifests:
    """The manifest endpoints of one repository for the length of one request."""

    def __init__(self, repository: Repository, behaviour: Behaviour) -> None:
        self._repository = repository
        self._behaviour = behaviour

    def handle(self, request: Request, reference: str) -> Response:
        """``GET``, ``HEAD``, ``PUT`` and ``DELETE`` of a tag or a digest."""
        if ":" in reference and not DIGEST.fullmatch(reference):
            return refusals.error(400, "DIGEST_INVALID", "invalid digest", detail=reference)
        if ":" not in reference and not TAG.fullmatch(reference):
            # No tag can have that name, so it is not there; the conformance suite asks for one to see a 404.
            if request.method != "PUT":
                return refusals.manifest_unknown(reference)
            return refusals.error(400, "TAG_INVALID", "invalid tag", detail=reference)
        if request.method in ("GET", "HEAD"):
            return self._get(request, reference)
        if request.method == "PUT":
            return self._put(request, reference)
        if request.method == "DELETE":
            return self._delete(reference)
        return refusals.unsupported()

    def referrers(self, request: Request, digest: str) -> Response:
        """``GET`` of the referrers of a digest."""
        if not self._behaviour.referrers:
            return Response.text(404, "404 page not found\n")
        if not DIGEST.fullmatch(digest):
            return refusals.error(400, "DIGEST_INVALID", "invalid digest", detail=digest)
        wanted = request.arg("artifactType") if self._behaviour.filters_referrers else None
        described = [manifest.descriptor() for manifest in self._repository.referrers(digest)]
        if wanted:
            described = [item for item in described if item.get("artifactType") == wanted]
        start, end = int(request.arg("skip") or 0), len(described)
        end = min(end, start + self._behaviour.max_referrers_page)
        headers = Headers({"Content-Type": INDEX_TYPE})
        if wanted:
            headers["OCI-Filters-Applied"] = "artifactType"
        if end < len(described):
            query = f"skip={end}" + (f"&artifactType={quote(wanted, safe='')}" if wanted else "")
            headers["Link"] = f'</v2/{self._repository.name}/referrers/{digest}?{query}>; rel="next"'
        index = {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": described[start:end]}
        return Response.json(200, index, headers.items())

    def _get(self, request: Request, reference: str) -> Response:
        manifest = self._repository.manifest(reference)
        if manifest is None:
            return refusals.manifest_unknown(reference)
        if self._behaviour.strict_accept and not _accepted(request, manifest.media_type):
            one, many = _WORDS.get(manifest.media_type, (manifest.media_type, manifest.media_type))
            return refusals.error(404, "MANIFEST_UNKNOWN", f"{one} found, but accept header does not support {many}")
        headers = self._headers(manifest.digest)
        headers["Content-Type"] = manifest.media_type
        headers["Content-Length"] = str(len(manifest.content))
        if self._behaviour.ratelimit:
            headers["ratelimit-limit"], headers["ratelimit-remaining"] = self._behaviour.ratelimit
        return Response(200, headers.items(), manifest.content)

    def _put(self, request: Request, reference: str) -> Response:
        tags = request.args("tag") if ":" in reference else [reference]
        if self._locked(tags):
            return refusals.disallowed()
        content = _read_limited(request, self._behaviour.max_manifest_bytes)
        if content is None:
            return refusals.error(413, "SIZE_INVALID", "the manifest is too large")
        digest = _digest_for(reference, content)
        if ":" in reference and digest != reference:
            return refusals.digest_invalid(reference)
        parsed = _parse(content)
        media_type = _media_type(request, parsed)
        if parsed is None or media_type is None:
            return refusals.manifest_invalid("manifest invalid")
        missing = self._missing(parsed) if self._behaviour.require_blobs else None
        if missing is not None:
            return refusals.error(400, "MANIFEST_BLOB_UNKNOWN", "blob unknown to registry", detail={"digest": missing})
        self._repository.add_manifest(content, media_type, tags=tags, digest=digest)
        return self._created(parsed, digest, request.args("tag"))

    def _created(self, parsed: dict[str, Any], digest: str, tags: list[str]) -> Response:
        headers = self._headers(digest)
        headers["Location"] = f"/v2/{self._repository.name}/manifests/{digest}"
        subject = parsed.get("subject")
        if isinstance(subject, dict) and self._behaviour.referrers:
            headers["OCI-Subject"] = str(subject.get("digest"))
        for tag in tags:
            headers.add("OCI-Tag", tag)
        return Response(201, headers.items())

    def _delete(self, reference: str) -> Response:
        if not self._behaviour.deletes:
            return refusals.unsupported()
        tags = [reference]
        if ":" in reference:
            tags = [tag for tag, digest in self._repository.tags.items() if digest == reference]
        if self._locked(tags):
            return refusals.disallowed()
        delete = self._repository.delete_manifest if ":" in reference else self._repository.delete_tag
        return Response(202) if delete(reference) else refusals.manifest_unknown(reference)

    def _locked(self, tags: list[str]) -> bool:
        locked = self._behaviour.locked_tags
        return any(tag in locked or f"{self._repository.name}:{tag}" in locked for tag in tags)

    def _missing(self, parsed: dict[str, Any]) -> str | None:
        """The digest of something that the manifest needs and the repository has not."""
        for descriptor in _descriptors(parsed, "manifests"):
            if self._repository.manifest(str(descriptor.get("digest"))) is None:
                return str(descriptor.get("digest"))
        for descriptor in _needed_blobs(parsed):
            if self._repository.blob(str(descriptor.get("digest"))) is None:
                return str(descriptor.get("digest"))
        return None

    def _headers(self, digest: str) -> Headers:
        headers = Headers({"Docker-Distribution-Api-Version": "registry/2.0"})
        if self._behaviour.docker_content_digest:
            headers["Docker-Content-Digest"] = digest
        return headers


def _accepted(request: Request, media_type: str) -> bool:
    values = ",".join(request.headers.get_all("Accept"))
    accepted = {part.partition(";")[0].strip() for part in values.split(",")} - {""}
    return not accepted or "*/*" in accepted or "application/*" in accepted or media_type in accepted


def _read_limited(request: Request, limit: int) -> bytes | None:
    content = bytearray()
    while chunk := request.body.read(READ_BYTES):
        content += chunk
        if len(content) > limit:
            return None
    return bytes(content)


def _digest_for(reference: str, content: bytes) -> str:
    algorithm = reference.partition(":")[0] if ":" in reference else "sha256"
    return f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"


def _parse(content: bytes) -> dict[str, Any] | None:
    try:
        parsed = json.loads(content)
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) else None


def _media_type(request: Request, parsed: dict[str, Any] | None) -> str | None:
    """The type that the request gives, which must not contradict the manifest; None when there is none."""
    given = (request.headers.get("Content-Type") or "").partition(";")[0].strip()
    inside = (parsed or {}).get("mediaType")
    if given and inside and given != inside:
        return None
    return given or inside


def _descriptors(parsed: dict[str, Any], name: str) -> Iterator[dict[str, Any]]:
    listed = parsed.get(name)
    yield from (item for item in (listed if isinstance(listed, list) else []) if isinstance(item, dict))


def _needed_blobs(parsed: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Config and layers (also ``blobs`` and ``fsLayers`` of older forms) but for those that are kept elsewhere."""
    if isinstance(parsed.get("config"), dict):
        yield parsed["config"]
    for name in ("layers", "blobs"):
        for layer in _descriptors(parsed, name):
            if not layer.get("urls") and not any(word in str(layer.get("mediaType")) for word in _FOREIGN):
                yield layer
    for layer in _descriptors(parsed, "fsLayers"):
        yield {"digest": layer.get("blobSum")}
