# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""The registries outside Azure that images come from: Docker Hub, MCR, GitHub's, and a private one."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from emulator import content
from emulator.auth import BasicAuth, BearerAuth, Scope, TokenService, basic_credentials, unauthorized
from emulator.behaviour import MIB, Behaviour
from emulator.http import Server
from emulator.messages import Client, Request, Response
from emulator.registry import BlobStorageApp, RegistryApp
from emulator.store import Store

_LIMIT_TEXT = "You have reached your unauthenticated pull rate limit. https://www.docker.com/increase-rate-limit"
_WINDOW_SECONDS = 21600


class DockerHub:
    """Docker Hub: a token realm on another host, ``library/``, rate limits, blobs on a third host.

    Repositories under ``library/`` and ``public/`` are for everybody, all others for ``users`` only. ``limited`` names
    the clients whose anonymous pulls are refused with 429: ``{"service"}`` is the case where the shared addresses of
    the import service have used up the limit.
    """

    HOSTS = ("registry-1.docker.io", "index.docker.io", "docker.io")
    REALM_HOST = "auth.docker.io"
    BLOB_HOST = "production.cloudflare.docker.com"

    def __init__(self, users: Mapping[str, str] | None = None) -> None:
        self.users = dict(users if users is not None else {"contoso": "hub-password"})
        self.store = Store()
        self.limited: set[Client] = set()
        self.limit = 100
        self.remaining = self.limit
        everything = {name: {"*": "pull,push"} for name in self.users}
        self.tokens = TokenService(
            self.users, grants={"": {"library/*": "pull", "public/*": "pull"}, **everything}, lifetime_seconds=300
        )
        authorise = BearerAuth(self.tokens, realm=f"https://{self.REALM_HOST}/token", service="registry.docker.io")
        self.registry = RegistryApp(
            self.store, behaviour=Behaviour(redirect_blobs_to=self.BLOB_HOST, referrers=False), authorise=authorise
        )
        self._lock = threading.Lock()

    def install(self, server: Server) -> None:
        """Play the hosts on a server."""
        for host in self.HOSTS:
            server.add_host(host, self)
        server.add_host(self.REALM_HOST, self.tokens)
        server.add_host(self.BLOB_HOST, BlobStorageApp(self.store))

    def fill(self) -> None:
        """Put some images there."""
        library = self.store.repository
        content.multi_arch("hello-world", docker=True).put(library("library/hello-world"), "latest", "linux")
        content.multi_arch("alpine").put(library("library/alpine"), "3.20", "latest")
        content.multi_arch("nginx", layers=(90_000, 40_000, 700)).put(library("library/nginx"), "1.27", "latest")
        content.image("public-tool").put(library("public/tool"), "v1")
        content.image("private-app").put(library("contoso/private-app"), "v1")

    def __call__(self, request: Request) -> Response:
        response = self.registry(request)
        pulls = request.method == "GET" and "/manifests/" in request.path and response.status == 200
        if not pulls or self._signed_in(request):
            return response
        with self._lock:
            refused = request.client in self.limited or self.remaining <= 0
            self.remaining -= 0 if refused else 1
            remaining = self.remaining
        if refused:
            response = Response.json(429, {"errors": [{"code": "TOOMANYREQUESTS", "message": _LIMIT_TEXT}]})
            remaining = 0
        response.headers["ratelimit-limit"] = f"{self.limit};w={_WINDOW_SECONDS}"
        response.headers["ratelimit-remaining"] = f"{remaining};w={_WINDOW_SECONDS}"
        return response

    def _signed_in(self, request: Request) -> bool:
        _, _, token = (request.headers.get("Authorization") or "").partition(" ")
        return bool(self.tokens.user(token))


class MicrosoftRegistry:
    """MCR: anonymous, blobs on a regional data endpoint."""

    HOSTS = ("mcr.microsoft.com",)
    BLOB_HOST = "westeurope.data.mcr.microsoft.com"

    def __init__(self) -> None:
        self.store = Store()
        behaviour = Behaviour(redirect_blobs_to=self.BLOB_HOST, read_only=True)
        self.registry = RegistryApp(self.store, behaviour=behaviour)

    def install(self, server: Server) -> None:
        """Play the hosts on a server."""
        for host in self.HOSTS:
            server.add_host(host, self.registry)
        server.add_host(self.BLOB_HOST, BlobStorageApp(self.store))

    def fill(self) -> None:
        """Put some images there, one of them with layers that are kept elsewhere."""
        repository = self.store.repository
        content.windows_image("servercore").put(repository("windows/servercore"), "ltsc2022")
        content.multi_arch("dotnet", docker=True).put(repository("dotnet/runtime"), "8.0")
        content.image("hello").put(repository("hello-world"), "latest")


class PrivateRegistry:
    """A registry of a company's own with Basic authentication; nothing in it is for everybody."""

    HOSTS = ("registry.contoso.example",)

    def __init__(self, users: Mapping[str, str] | None = None) -> None:
        self.users = dict(users if users is not None else {"builder": "private-password"})
        self.store = Store()
        self.registry = RegistryApp(self.store, authorise=BasicAuth(self.users, realm="Contoso registry"))

    def install(self, server: Server) -> None:
        """Play the hosts on a server."""
        for host in self.HOSTS:
            server.add_host(host, self.registry)

    def fill(self) -> None:
        """Put an image and a chart there."""
        content.multi_arch("private-team-app").put(self.store.repository("team/app"), "v1", "latest")
        content.helm_chart("billing", "2.1.0").put(self.store.repository("charts/billing"), "2.1.0")


class GitHubRegistry:
    """GHCR's ways: a token even for public images, a placeholder scope at ``/v2/``, small chunks, no referrers."""

    HOSTS = ("ghcr.io",)

    def __init__(self, users: Mapping[str, str] | None = None) -> None:
        self.users = dict(users if users is not None else {"octocat": "github-token"})
        self.store = Store()
        everything = {name: {"*": "pull,push"} for name in self.users}
        self.tokens = TokenService(self.users, grants={"": {"public/*": "pull"}, **everything})
        self._bearer = BearerAuth(self.tokens, realm="https://ghcr.io/token", service="ghcr.io")
        behaviour = Behaviour(referrers=False, chunk_limit_bytes=4 * MIB)
        self.registry = RegistryApp(self.store, behaviour=behaviour, authorise=self._authorise)

    def install(self, server: Server) -> None:
        """Play the hosts on a server."""
        for host in self.HOSTS:
            server.add_host(host, self)

    def __call__(self, request: Request) -> Response:
        return self._token(request) if request.path == "/token" else self.registry(request)

    def _token(self, request: Request) -> Response:
        scopes = [Scope.parse(value) for value in request.args("scope")]
        public = all(scope.name.startswith("public/") and scope.actions <= {"pull"} for scope in scopes)
        if basic_credentials(request.headers) is None and not public:
            error = {"code": "UNAUTHORIZED", "message": "authentication required"}
            return Response.json(401, {"errors": [error]})
        return self.tokens(request)

    def _authorise(self, request: Request, needed: tuple[Scope, ...]) -> Response | None:
        refusal = self._bearer(request, needed)
        if refusal is None or needed:
            return refusal
        placeholder = Scope.repository("user/image", "pull")
        return unauthorized(f'Bearer realm="https://ghcr.io/token",service="ghcr.io",scope="{placeholder}"')
