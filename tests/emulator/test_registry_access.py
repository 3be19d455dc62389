# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Who gets in: Basic, Bearer with a token service, and the registries outside Azure."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest

from emulator import content
from emulator.auth import BasicAuth, BearerAuth, Scope, TokenService
from emulator.http import Server
from emulator.messages import App, Client, Request, Response
from emulator.public import DockerHub, GitHubRegistry, MicrosoftRegistry, PrivateRegistry
from emulator.registry import RegistryApp
from tests.emulator.registry_client import Client as HttpClient


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def ask(
    app: App,
    method: str,
    url: str,
    headers: dict[str, str] | None = None,
    body: bytes = b"",
    client: Client = "direct",
) -> Response:
    return app(Request.build(method, url, headers=headers or {}, body=body, client=client))


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    "text", ["repository:team/app:pull,push", "registry:catalog:*", "repository:127.0.0.1:5000/app:pull"]
)
def test_scope_reads_what_it_writes(text: str) -> None:
    assert str(Scope.parse(text)) == text


class TestBasic:
    @pytest.fixture
    def app(self) -> RegistryApp:
        registry = RegistryApp(authorise=BasicAuth({"user": "pass"}))
        content.image().put(registry.store.repository("app"), "v1")
        return registry

    @pytest.mark.parametrize("path", ["/v2/", "/v2/app/manifests/v1", "/v2/_catalog"])
    def test_only_with_the_password(self, app: RegistryApp, path: str) -> None:
        url = f"https://r.example{path}"
        assert ask(app, "GET", url, basic("user", "pass")).status == 200
        for headers in ({}, basic("user", "wrong"), basic("", ""), bearer("x"), {"Authorization": "Basic %%"}):
            refusal = ask(app, "GET", url, headers)
            assert (refusal.status, refusal.headers["WWW-Authenticate"]) == (401, 'Basic realm="registry"')

    def test_grants_are_for_reading_and_writing_apart(self, app: RegistryApp) -> None:
        app.authorise = BasicAuth({"user": "pass"}, grants={"user": {"app": "pull"}, "": {"public": "pull"}})
        url = "https://r.example/v2/app/"
        assert ask(app, "GET", f"{url}manifests/v1", basic("user", "pass")).status == 200
        assert ask(app, "POST", f"{url}blobs/uploads/", basic("user", "pass")).status == 403
        assert ask(app, "GET", "https://r.example/v2/public/manifests/v1").status == 404


class TestBearer:
    @pytest.fixture
    def clock(self) -> Clock:
        return Clock()

    @pytest.fixture
    def tokens(self, clock: Clock) -> TokenService:
        grants = {"": {"public/*": "pull"}, "reader": {"*": "pull"}, "writer": {"*": "*"}}
        return TokenService({"reader": "r", "writer": "w"}, grants=grants, lifetime_seconds=60, clock=clock)

    @pytest.fixture
    def app(self, tokens: TokenService) -> RegistryApp:
        authorise = BearerAuth(tokens, realm="https://auth.example/token", service="r.example")
        registry = RegistryApp(authorise=authorise)
        content.image().put(registry.store.repository("public/app"), "v1")
        content.image().put(registry.store.repository("team/app"), "v1")
        return registry

    def token(self, tokens: TokenService, scope: str, headers: dict[str, str] | None = None) -> str:
        response = ask(tokens, "GET", f"https://auth.example/token?service=x&{urlencode({'scope': scope})}", headers)
        assert response.status == 200
        return str(json.loads(response.content())["token"])

    def pull(self, app: RegistryApp, name: str, token: str) -> Response:
        return ask(app, "GET", f"https://r.example/v2/{name}/manifests/v1", bearer(token))

    def test_challenge_names_realm_service_and_scope(self, app: RegistryApp) -> None:
        challenge = 'Bearer realm="https://auth.example/token",service="r.example"'
        assert ask(app, "GET", "https://r.example/v2/").headers["WWW-Authenticate"] == challenge
        refusal = ask(app, "POST", "https://r.example/v2/team/app/blobs/uploads/")
        assert refusal.headers["WWW-Authenticate"] == f'{challenge},scope="repository:team/app:pull,push"'
        assert json.loads(refusal.content())["errors"][0]["code"] == "UNAUTHORIZED"

    def test_anonymous_token_reads_what_is_public(self, app: RegistryApp, tokens: TokenService) -> None:
        assert self.pull(app, "public/app", self.token(tokens, "repository:public/app:pull")).status == 200
        refusal = self.pull(app, "team/app", self.token(tokens, "repository:team/app:pull"))
        assert refusal.status == 401
        assert 'error="insufficient_scope"' in refusal.headers["WWW-Authenticate"]

    def test_scope_is_per_repository_and_action(self, app: RegistryApp, tokens: TokenService) -> None:
        token = self.token(tokens, "repository:team/app:pull,push", basic("reader", "r"))
        assert self.pull(app, "team/app", token).status == 200
        assert self.pull(app, "public/app", token).status == 401
        url = "https://r.example/v2/team/app/blobs/uploads/"
        assert ask(app, "POST", url, bearer(token)).status == 401
        write = self.token(tokens, "repository:team/app:pull,push", basic("writer", "w"))
        assert ask(app, "POST", url, bearer(write)).status == 202

    def test_tokens_end_with_the_clock(self, app: RegistryApp, tokens: TokenService, clock: Clock) -> None:
        token = self.token(tokens, "repository:public/app:pull")
        clock.now += 59
        assert self.pull(app, "public/app", token).status == 200
        clock.now += 1
        assert 'error="invalid_token"' in self.pull(app, "public/app", token).headers["WWW-Authenticate"]

    def test_revoked(self, app: RegistryApp, tokens: TokenService) -> None:
        token = self.token(tokens, "repository:public/app:pull")
        tokens.revoke_all()
        assert self.pull(app, "public/app", token).status == 401

    def test_wrong_password_at_the_realm(self, tokens: TokenService) -> None:
        assert ask(tokens, "GET", "https://auth.example/token", basic("reader", "wrong")).status == 401

    @pytest.mark.parametrize("wrong", [True, False])
    def test_post_with_password_then_refresh_token(self, app: RegistryApp, tokens: TokenService, wrong: bool) -> None:
        def post(**fields: str) -> Response:
            body = urlencode({"scope": "repository:team/app:pull", **fields}).encode()
            return ask(tokens, "POST", "https://auth.example/token", body=body)

        first = post(grant_type="password", username="reader", password="x" if wrong else "r", access_type="offline")
        if wrong:
            assert first.status == 401
            assert post(grant_type="refresh_token", refresh_token="x").status == 401
            assert post(grant_type="other").status == 400
            return
        second = post(grant_type="refresh_token", refresh_token=json.loads(first.content())["refresh_token"])
        for response in (first, second):
            assert self.pull(app, "team/app", json.loads(response.content())["access_token"]).status == 200

    def test_mount_needs_the_right_to_read_the_source(self, app: RegistryApp, tokens: TokenService) -> None:
        image = content.image()
        digest = next(iter(image.all_blobs))
        url = f"https://r.example/v2/team/new/blobs/uploads/?mount={digest}&from=team/app"
        one = self.token(tokens, "repository:team/new:pull,push", basic("writer", "w"))
        assert ask(app, "POST", url, bearer(one)).status == 202
        both = self.token(tokens, "repository:team/new:pull,push repository:team/app:pull", basic("writer", "w"))
        assert ask(app, "POST", url, bearer(both)).status == 201


class TestPublicRegistries:
    @pytest.fixture
    def server(self) -> Iterator[Server]:
        with Server() as running:
            yield running
            assert running.errors == []

    def hub_token(self, hub: DockerHub, name: str, headers: dict[str, str] | None = None) -> str:
        url = f"https://auth.docker.io/token?service=registry.docker.io&scope=repository:{name}:pull"
        return str(json.loads(ask(hub.tokens, "GET", url, headers).content())["token"])

    def hub_pull(self, hub: DockerHub, name: str, *, user: bool = False, client: Client = "direct") -> Response:
        token = self.hub_token(hub, name, basic("contoso", "hub-password") if user else None)
        url = f"https://registry-1.docker.io/v2/{name}/manifests/latest"
        return ask(hub, "GET", url, bearer(token), client=client)

    def test_hub_counts_anonymous_pulls(self) -> None:
        hub = DockerHub()
        hub.fill()
        assert self.hub_pull(hub, "library/hello-world").headers["ratelimit-remaining"] == "99;w=21600"
        assert self.hub_pull(hub, "library/hello-world").headers["ratelimit-remaining"] == "98;w=21600"
        assert "ratelimit-remaining" not in self.hub_pull(hub, "library/hello-world", user=True).headers

    def test_hub_refuses_limited_clients(self) -> None:
        hub = DockerHub()
        hub.fill()
        hub.limited = {"service"}
        refusal = self.hub_pull(hub, "library/alpine", client="service")
        assert (refusal.status, json.loads(refusal.content())["errors"][0]["code"]) == (429, "TOOMANYREQUESTS")
        assert self.hub_pull(hub, "library/alpine", client="service", user=True).status == 200
        assert self.hub_pull(hub, "library/alpine").status == 200

    def test_hub_keeps_private_repositories_to_its_users(self) -> None:
        hub = DockerHub()
        hub.fill()
        url = "https://registry-1.docker.io/v2/contoso/private-app/manifests/v1"
        name = "contoso/private-app"
        assert ask(hub, "GET", url, bearer(self.hub_token(hub, name))).status == 401
        token = self.hub_token(hub, name, basic("contoso", "hub-password"))
        assert ask(hub, "GET", url, bearer(token)).status == 200

    def test_hosts_are_played_by_name(self, server: Server) -> None:
        hub, mcr, private, github = DockerHub(), MicrosoftRegistry(), PrivateRegistry(), GitHubRegistry()
        for registry in (hub, mcr, private, github):
            registry.install(server)
        hosts = [*DockerHub.HOSTS, "auth.docker.io", "mcr.microsoft.com", "registry.contoso.example", "ghcr.io"]
        assert all(server.app_for(host) for host in hosts)
        assert server.app_for(MicrosoftRegistry.BLOB_HOST)

    def test_mcr_has_a_windows_image_with_a_layer_elsewhere(self) -> None:
        mcr = MicrosoftRegistry()
        mcr.fill()
        repository = mcr.store.repository("windows/servercore")
        layers = [layer for found in repository.manifests.values() for layer in found.json.get("layers", [])]
        elsewhere = [layer for layer in layers if layer.get("urls")]
        assert len(elsewhere) == 1
        assert repository.blob(elsewhere[0]["digest"]) is None
        url = f"https://mcr.microsoft.com/v2/windows/servercore/blobs/{layers[-1]['digest']}"
        response = ask(mcr.registry, "GET", url)
        assert response.headers["Location"].startswith("https://westeurope.data.mcr.microsoft.com/")

    def test_private_registry_wants_basic(self) -> None:
        private = PrivateRegistry()
        private.fill()
        url = "https://registry.contoso.example/v2/team/app/manifests/v1"
        assert ask(private.registry, "GET", url).status == 401
        assert ask(private.registry, "GET", url, basic("builder", "private-password")).status == 200

    def test_github_wants_a_token_even_for_public_images(self, server: Server) -> None:
        github = GitHubRegistry()
        content.image().put(github.store.repository("public/app"), "v1")
        with HttpClient(server.serve_plain(github)) as client:
            challenge = client("GET", "/v2/").headers["WWW-Authenticate"]
            assert re.search(r'scope="repository:user/image:pull"', challenge)
            assert client("GET", "/token?scope=repository:public/app:pull,push").status == 401
            token = client("GET", "/token?scope=repository:public/app:pull").json["token"]
            assert client("GET", "/v2/public/app/manifests/v1", headers=bearer(token)).status == 200
