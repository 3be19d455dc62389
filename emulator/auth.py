# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Who may do what at a registry: none needed, Basic, or Bearer tokens from a token service."""

from __future__ import annotations

import base64
import binascii
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from emulator.messages import Headers, Request, Response

Grants = Mapping[str, Mapping[str, str]]
"""Per user (``""`` is anonymous): repository name (may hold shell wildcards) to actions, ``"pull,push"`` or ``"*"``."""


@dataclass(frozen=True)
class Scope:
    """A resource and what is to be done to it: ``repository:NAME:pull,push`` or ``registry:catalog:*``."""

    kind: str
    name: str
    actions: frozenset[str]

    @classmethod
    def repository(cls, name: str, *actions: str) -> Scope:
        """Actions on one repository."""
        return cls("repository", name, frozenset(actions))

    @classmethod
    def catalog(cls) -> Scope:
        """The list of all repositories."""
        return cls("registry", "catalog", frozenset({"*"}))

    @classmethod
    def parse(cls, text: str) -> Scope:
        """Read the written form; a name may hold colons (a port), the kind and the actions may not."""
        kind, _, rest = text.partition(":")
        name, _, actions = rest.rpartition(":")
        return cls(kind, name, frozenset(filter(None, actions.split(","))))

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}:{','.join(sorted(self.actions))}"


Authoriser = Callable[[Request, "tuple[Scope, ...]"], "Response | None"]
"""Asked before a request is served, with what it needs; a response refuses it, None lets it by."""


def anyone(request: Request, needed: tuple[Scope, ...]) -> Response | None:
    """Let everything by."""
    return None


def basic_credentials(headers: Headers) -> tuple[str, str] | None:
    """User and password of an ``Authorization: Basic`` field, None when there is none that can be read."""
    kind, _, value = (headers.get("Authorization") or "").partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(value.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (user, password) if colon else None


def unauthorized(challenge: str, needed: tuple[Scope, ...] = ()) -> Response:
    """A 401 with a challenge and the error body that registries send."""
    detail = [
        {"Type": scope.kind, "Class": "", "Name": scope.name, "Action": action}
        for scope in needed
        for action in sorted(scope.actions)
    ]
    error = {"code": "UNAUTHORIZED", "message": "authentication required", "detail": detail or None}
    headers = {"WWW-Authenticate": challenge, "Docker-Distribution-Api-Version": "registry/2.0"}
    return Response.json(401, {"errors": [error]}, headers)


def allowed_actions(grants: Grants, user: str, scope: Scope) -> frozenset[str]:
    """Those of the scope's actions that the user has been granted."""
    granted: set[str] = set()
    for pattern, actions in grants.get(user, {}).items():
        if fnmatchcase(scope.name, pattern):
            granted.update(actions.split(","))
    return scope.actions if "*" in granted else scope.actions & granted


class BasicAuth:
    """An authoriser: Basic credentials with every request. Users are allowed everything unless ``grants`` says less."""

    def __init__(self, users: Mapping[str, str], *, realm: str = "registry", grants: Grants | None = None) -> None:
        self.users = dict(users)
        self.realm = realm
        self.grants = grants

    def __call__(self, request: Request, needed: tuple[Scope, ...]) -> Response | None:
        credentials = basic_credentials(request.headers)
        user = credentials[0] if credentials and self.users.get(credentials[0]) == credentials[1] else ""
        grants = self.grants if self.grants is not None else {name: {"*": "*"} for name in self.users}
        if all(allowed_actions(grants, user, scope) == scope.actions for scope in needed) and (user or needed):
            return None
        if user:
            error = {"code": "DENIED", "message": "requested access to the resource is denied", "detail": None}
            return Response.json(403, {"errors": [error]})
        return unauthorized(f'Basic realm="{self.realm}"', needed)


@dataclass(frozen=True)
class _Token:
    user: str
    scopes: tuple[Scope, ...]
    expires: float


class TokenService:
    """A token realm: an app for ``GET`` (Basic or anonymous) and ``POST`` (``password``, ``refresh_token``).

    Tokens are random strings in a table. Without ``grants`` a user may do everything and nobody else anything.
    ``clock`` gives seconds. A request with wrong credentials gets a 401. ``token_field`` names the token in the answer
    to a ``GET``.
    """

    def __init__(
        self,
        users: Mapping[str, str] | None = None,
        *,
        grants: Grants | None = None,
        lifetime_seconds: float = 300,
        clock: Callable[[], float] = time.time,
        token_field: str = "token",
    ) -> None:
        self.users = dict(users or {})
        self.grants: Grants = grants if grants is not None else {name: {"*": "*"} for name in self.users}
        self.lifetime_seconds = lifetime_seconds
        self.clock = clock
        self.token_field = token_field
        self._lock = threading.Lock()
        self._tokens: dict[str, _Token] = {}
        self._refresh_tokens: dict[str, str] = {}

    def __call__(self, request: Request) -> Response:
        if request.method == "GET":
            return self._by_get(request)
        if request.method == "POST":
            return self._by_post(request)
        return Response.text(405, "method not allowed\n")

    def issue(self, user: str, scopes: Iterable[Scope]) -> str:
        """A token for what the user is granted of the scopes (``""``: nobody in particular)."""
        token = secrets.token_urlsafe(48)
        granted = tuple(Scope(s.kind, s.name, allowed_actions(self.grants, user, s)) for s in scopes)
        with self._lock:
            self._tokens[token] = _Token(user, granted, self.clock() + self.lifetime_seconds)
        return token

    def issue_refresh_token(self, user: str) -> str:
        """A refresh token (an identity token, in Docker's words) for the user."""
        token = secrets.token_urlsafe(48)
        with self._lock:
            self._refresh_tokens[token] = user
        return token

    def check(self, token: str, needed: tuple[Scope, ...]) -> str | None:
        """Why a token is not enough: ``invalid_token``, ``insufficient_scope``; None when it is."""
        with self._lock:
            found = self._tokens.get(token)
        if found is None or found.expires <= self.clock():
            return "invalid_token"
        for scope in needed:
            held = [s.actions for s in found.scopes if (s.kind, s.name) == (scope.kind, scope.name)]
            if not scope.actions <= frozenset().union(*held):
                return "insufficient_scope"
        return None

    def user(self, token: str) -> str:
        """Whose token it is; empty for anonymous and unknown ones."""
        with self._lock:
            found = self._tokens.get(token)
        return found.user if found is not None else ""

    def revoke_all(self) -> None:
        """Make every access token invalid at once."""
        with self._lock:
            self._tokens.clear()

    def _by_get(self, request: Request) -> Response:
        user = ""
        if "Authorization" in request.headers:
            credentials = basic_credentials(request.headers)
            if credentials is None or not self._known(*credentials):
                return _refused("incorrect username or password")
            user = credentials[0]
        scopes = [Scope.parse(part) for value in request.args("scope") for part in value.split()]
        extra = {"refresh_token": self.issue_refresh_token(user)} if user and request.arg("offline_token") else {}
        return self._answer(user, scopes, extra)

    def _by_post(self, request: Request) -> Response:
        form = request.read_form()
        fields = dict(form)
        if fields.get("grant_type") == "refresh_token":
            with self._lock:
                user = self._refresh_tokens.get(fields.get("refresh_token", ""))
            if user is None:
                return _refused("invalid refresh token")
        elif fields.get("grant_type") == "password":
            user = fields.get("username", "")
            if not self._known(user, fields.get("password", "")):
                return _refused("incorrect username or password")
        else:
            return Response.json(400, {"error": "unsupported_grant_type"})
        scopes = [Scope.parse(part) for name, value in form if name == "scope" for part in value.split()]
        extra = {"refresh_token": self.issue_refresh_token(user)} if fields.get("access_type") == "offline" else {}
        return self._answer(user, scopes, extra, token_field="access_token")

    def _known(self, user: str, password: str) -> bool:
        return self.users.get(user) == password

    def _answer(
        self, user: str, scopes: list[Scope], extra: Mapping[str, str], token_field: str | None = None
    ) -> Response:
        content = {(token_field or self.token_field): self.issue(user, scopes), "expires_in": self.lifetime_seconds}
        return Response.json(200, {**content, **extra})


class BearerAuth:
    """An authoriser: Bearer tokens of a token service, with a challenge that names its realm."""

    def __init__(self, tokens: TokenService, *, realm: str, service: str, challenge_scope: bool = True) -> None:
        self.tokens = tokens
        self.realm = realm
        self.service = service
        self.challenge_scope = challenge_scope

    def __call__(self, request: Request, needed: tuple[Scope, ...]) -> Response | None:
        kind, _, token = (request.headers.get("Authorization") or "").partition(" ")
        error = self.tokens.check(token.strip(), needed) if kind.lower() == "bearer" else ""
        if error is None:
            return None
        return unauthorized(self._challenge(needed, error), needed)

    def _challenge(self, needed: tuple[Scope, ...], error: str) -> str:
        challenge = f'Bearer realm="{self.realm}",service="{self.service}"'
        if needed and self.challenge_scope:
            challenge += f',scope="{" ".join(str(scope) for scope in needed)}"'
        return challenge + (f',error="{error}"' if error else "")


def _refused(message: str) -> Response:
    return Response.json(401, {"details": message, "errors": [{"code": "UNAUTHORIZED", "message": message}]})
