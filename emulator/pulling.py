# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""How the import service reads a source: over HTTP as any client does, or straight from the registry that it trusts."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Protocol
from urllib.parse import urlencode

from emulator.messages import App, Request, Response
from emulator.store import Blob

ACCEPT = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.oci.artifact.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
    )
)
NOT_RANGED = "The remote server may not be RFC 7233 compliant"
NO_ANSWER = (
    "A connection attempt failed because the connected party did not properly respond after a period of time, or "
    "established connection failed because connected host has failed to respond. ({host}:443)"
)
UNKNOWN_HOST = "No such host is known. ({host}:443)"

_REDIRECTS = (301, 302, 303, 307, 308)
_PARAMETER = re.compile(r'(\w+)="([^"]*)"')


@dataclass(eq=False)
class PullError(Exception):
    """The source did not give what was asked of it; the text is what the service reports."""

    text: str


@dataclass(frozen=True)
class PulledManifest:
    """A manifest as its registry sent it."""

    digest: str
    media_type: str
    content: bytes


class Source(Protocol):
    """One repository that an image is imported from."""

    def manifest(self, reference: str) -> PulledManifest:
        """Return the manifest with this tag or digest.

        :raises PullError: the registry refused, or has none.
        """

    def blob(self, digest: str, size: int) -> bytes | Blob:
        """Return a blob's content.

        :raises PullError: the registry refused, has none, or does not serve ranges.
        """


@dataclass(frozen=True)
class SourceCredentials:
    """What the caller gave for the source; a password alone is a token."""

    username: str = ""
    password: str = field(default="", repr=False)

    @property
    def basic(self) -> str:
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode("ascii")


@dataclass
class RemoteSource:
    """A repository behind a registry's public API, whichever registry that is."""

    resolve: Callable[[str], App | None]
    host: str
    repository: str
    credentials: SourceCredentials | None = None
    unreachable: frozenset[str] = frozenset()
    _authorization: str = field(default="", repr=False)

    def manifest(self, reference: str) -> PulledManifest:
        response = self._get(f"/v2/{self.repository}/manifests/{reference}", {"Accept": ACCEPT})
        if response.status == HTTPStatus.TOO_MANY_REQUESTS:
            raise PullError(
                f"An error occurred when getting manifest. StatusCode: 429, Reason: Too Many Requests, "
                f"Details: {_body(response)}"
            )
        _check(response)
        media_type = (response.headers.get("Content-Type") or "").partition(";")[0]
        digest = response.headers.get("Docker-Content-Digest")
        if not digest:
            raise PullError(f"Invalid message No value specified for Docker-Content-Digest OK OK {_body(response)}")
        return PulledManifest(digest, media_type, response.content())

    def blob(self, digest: str, size: int) -> bytes:
        ranged = {"Range": f"bytes=0-{size - 1}"} if size else {}
        response = self._get(f"/v2/{self.repository}/blobs/{digest}", ranged)
        if response.status >= HTTPStatus.BAD_REQUEST:
            _check(response)
        if ranged and response.status == HTTPStatus.OK:
            raise PullError(NOT_RANGED)
        if response.status not in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
            raise PullError("Unexpected response status code")
        content = response.content()
        if len(content) != size:
            raise PullError("Unexpected length of body in response")
        return content

    def _get(self, path: str, headers: dict[str, str]) -> Response:
        url = f"https://{self.host}{path}"
        response = self._send("GET", url, self._with_authorization(headers))
        if response.status == HTTPStatus.UNAUTHORIZED and not self._authorization:
            self._authorization = self._answer(response.headers.get("WWW-Authenticate") or "", response)
            response = self._send("GET", url, self._with_authorization(headers))
        hops = 0
        while response.status in _REDIRECTS and hops < 5:
            hops += 1
            response = self._send("GET", response.headers["Location"], headers)  # no Authorization for another host
        return response

    def _with_authorization(self, headers: dict[str, str]) -> dict[str, str]:
        return {**headers, "Authorization": self._authorization} if self._authorization else headers

    def _send(self, method: str, url: str, headers: dict[str, str], body: bytes = b"") -> Response:
        request = Request.build(method, url, headers=headers, body=body, client="service")
        if request.host in self.unreachable:
            raise PullError(NO_ANSWER.format(host=request.host))
        app = self.resolve(request.host)
        if app is None:
            raise PullError(UNKNOWN_HOST.format(host=request.host))
        return app(request)

    def _answer(self, challenge: str, refused: Response) -> str:
        """Return the Authorization field that a challenge asks for."""
        kind, _, rest = challenge.partition(" ")
        if kind.lower() == "basic" and self.credentials:
            return self.credentials.basic
        if kind.lower() != "bearer":
            _check(refused)
        parameters = dict(_PARAMETER.findall(rest))
        if "scope" not in parameters:
            errors = [{"code": "UNAUTHORIZED", "message": "Access to the requested resource is not authorized"}]
            raise PullError(f"Invalid message Unauthorized Unauthorized {json.dumps({'errors': errors})}")
        return f"Bearer {self._token(parameters)}"

    def _token(self, challenge: dict[str, str]) -> str:
        query = {"service": challenge.get("service", ""), "scope": challenge["scope"]}
        if self.credentials and not self.credentials.username:
            return self._token_from_token(challenge["realm"], query, self.credentials.password)
        headers = {"Authorization": self.credentials.basic} if self.credentials else {}
        response = self._send("GET", f"{challenge['realm']}?{urlencode(query)}", headers)
        _check(response)
        return _token_in(response)

    def _token_from_token(self, realm: str, query: dict[str, str], token: str) -> str:
        """Trade an Entra access token, or a refresh token of the registry itself, for a token with the scope."""
        exchange = {"grant_type": "access_token", "service": query["service"], "access_token": token}
        traded = self._post(realm.rpartition("/")[0] + "/exchange", exchange)
        if traded.status == HTTPStatus.OK:
            token = str(json.loads(traded.content())["refresh_token"])
        response = self._post(realm, {"grant_type": "refresh_token", "refresh_token": token, **query})
        _check(response)
        return _token_in(response)

    def _post(self, url: str, form: dict[str, str]) -> Response:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return self._send("POST", url, headers, urlencode(form).encode())


def _token_in(response: Response) -> str:
    body = json.loads(response.content())
    return str(body.get("access_token") or body["token"])


def _body(response: Response) -> str:
    """Return the body as the service quotes it: JSON without blanks."""
    text = response.content().decode("utf-8", "replace")
    try:
        return json.dumps(json.loads(text), separators=(",", ":"))
    except ValueError:
        return text


def _check(response: Response) -> None:
    """Raise what the service reports for an answer that is not the expected one."""
    if response.status >= HTTPStatus.BAD_REQUEST:
        status = HTTPStatus(response.status)
        name = status.phrase.replace(" ", "").replace("-", "")  # as .NET names it
        raise PullError(f"Invalid message {name} {status.phrase} {_body(response)}")
