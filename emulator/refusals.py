# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Error answers of registries: the body of the distribution specification, and the few that look otherwise."""

from __future__ import annotations

from typing import Any

from emulator.messages import HeaderInput, Headers, Response

_DISALLOWED = (
    "The operation is disallowed on this registry, repository or image. View troubleshooting steps at "
    "https://aka.ms/acr/faq/#why-does-my-pull-or-push-request-fail-with-disallowed-operation"
)


def error(status: int, code: str, message: str, *, detail: Any = None, headers: HeaderInput = ()) -> Response:
    """A refusal in the specification's form."""
    content = {"errors": [{"code": code, "message": message, "detail": detail}]}
    fields = Headers(headers)
    fields["Docker-Distribution-Api-Version"] = "registry/2.0"
    return Response.json(status, content, fields.items())


def name_invalid(name: str) -> Response:
    """The repository name breaks the rules."""
    return error(400, "NAME_INVALID", "invalid repository name", detail={"name": name})


def name_unknown(name: str) -> Response:
    """There is no such repository."""
    return error(404, "NAME_UNKNOWN", "repository name not known to registry", detail={"name": name})


def manifest_unknown(reference: str) -> Response:
    """There is no such tag or manifest."""
    kind = "digest" if ":" in reference else "tag"
    message = f'manifest {"" if kind == "digest" else "tagged by "}"{reference}" is not found'
    return error(404, "MANIFEST_UNKNOWN", message, detail={kind: reference})


def manifest_invalid(message: str) -> Response:
    """What was put is no manifest."""
    return error(400, "MANIFEST_INVALID", message)


def blob_unknown(digest: str) -> Response:
    """There is no such blob."""
    return error(404, "BLOB_UNKNOWN", "blob unknown to registry", detail=digest)


def digest_invalid(digest: str) -> Response:
    """The digest is malformed or not that of the content."""
    return error(400, "DIGEST_INVALID", "provided digest did not match uploaded content", detail=digest)


def upload_unknown() -> Response:
    """There is no such upload session, or it has ended."""
    return error(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry")


def unsupported() -> Response:
    """The registry does not do this."""
    return error(405, "UNSUPPORTED", "The operation is unsupported.")


def disallowed() -> Response:
    """The tag, the repository or the registry is locked."""
    return error(405, "REGISTRY_DISALLOWED_OPERATION", _DISALLOWED, detail={})


def too_large() -> Response:
    """The request body is over a limit of the web server in front of the registry: no JSON."""
    page = (
        "<html><head><title>413 Request Entity Too Large</title></head><body>413 Request Entity Too Large</body></html>"
    )
    return Response(413, {"Content-Type": "text/html"}, page.encode())
