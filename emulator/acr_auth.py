# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""How a client of an ACR proves who it is: the exchange of Entra tokens, access tokens with scopes, Basic."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass, field

from emulator import identity
from emulator.auth import Scope, basic_credentials, unauthorized
from emulator.entra import ACR_AUDIENCES, ARM_AUDIENCES
from emulator.identity import Directory
from emulator.jwts import Claims, Signer, TokenError
from emulator.messages import Request, Response
from emulator.resources import AzureRegistry

NULL_USER = "00000000-0000-0000-0000-000000000000"  # user of a docker login whose password is a refresh token

_ISSUER = "Azure Container Registry"
_REQUIRED = "authentication required, visit https://aka.ms/acr/authorization for more information."
_ALL = frozenset({"pull", "push", "delete", "metadata_read", "metadata_write", "deleted_read", "deleted_restore"})

# What a right in the resource manager allows in the data plane.
_ALLOWS = {
    identity.PULL: frozenset({"pull", "metadata_read"}),
    identity.PUSH: frozenset({"push", "metadata_write"}),
    identity.DELETE: frozenset({"delete", "deleted_read", "deleted_restore"}),
}


@dataclass(frozen=True)
class Caller:
    """Who asks: ``kind`` is principal, token (repository-scoped), admin or anonymous."""

    kind: str
    name: str = ""

    @classmethod
    def parse(cls, subject: str) -> Caller:
        kind, _, name = subject.partition(":")
        return cls(kind, name)

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"


ANONYMOUS = Caller("anonymous")


@dataclass(eq=False)
class Refused(Exception):
    """A request for a token that gets none."""

    status: int = 401
    code: str = "UNAUTHORIZED"
    message: str = _REQUIRED

    def response(self) -> Response:
        errors = [{"code": self.code, "message": self.message, "detail": None}]
        return Response.json(self.status, {"errors": errors})


@dataclass
class AcrTokens:
    """The token endpoints of one registry, and the judge of the tokens that they issue.

    ``entra`` reads the tokens of Entra ID. The lifetimes are those that ACR documents or was seen to use; both count
    from the moment of issue.
    """

    registry: AzureRegistry
    directory: Directory
    entra: Signer
    clock: Callable[[], float]
    access_lifetime_seconds: float = 4500
    refresh_lifetime_seconds: float = 3 * 3600
    _signer: Signer = field(init=False)

    def __post_init__(self) -> None:
        self._signer = Signer(self.clock)

    def exchange(self, request: Request) -> Response:
        """``POST /oauth2/exchange``: an Entra access token for a refresh token of the registry."""
        form = dict(request.read_form())
        if not form.get("grant_type", "").startswith("access_token"):
            raise Refused(400, "UNSUPPORTED", f"grant_type {form.get('grant_type')} is not supported")
        self._check_service(form.get("service", ""))
        claims = self._entra_claims(form.get("access_token", ""))
        if form.get("tenant") and form["tenant"] != claims["tid"]:
            raise Refused(message="the tenant does not match that of the access token")
        holder = self.directory.holder(claims)
        if holder is None:
            raise Refused()
        return Response.json(200, {"refresh_token": self.refresh_token(Caller("principal", holder.client_id))})

    def token(self, request: Request) -> Response:
        """``/oauth2/token``: an access token for what the caller may do of the scopes asked for."""
        if request.method == "GET":
            service, scopes = request.arg("service") or "", request.args("scope")
            basic = basic_credentials(request.headers)
            caller = self._user(*basic) if basic else ANONYMOUS
        else:
            form = request.read_form()
            service, scopes = dict(form).get("service", ""), [value for name, value in form if name == "scope"]
            caller = self._granted_to(dict(form))
        self._check_service(service)
        wanted = [Scope.parse(part) for value in scopes for part in value.split()]
        if caller == ANONYMOUS and not self.registry.anonymous_pull:
            raise Refused()
        return Response.json(200, {"access_token": self.access_token(caller, wanted)})

    def refresh_token(self, caller: Caller) -> str:
        claims = {**self._claims(caller), "grant_type": "refresh_token", "permissions": {"actions": ["read"]}}
        return self._signer.issue(claims, lifetime_seconds=self.refresh_lifetime_seconds)

    def access_token(self, caller: Caller, scopes: list[Scope]) -> str:
        access = [
            {"type": scope.kind, "name": scope.name, "actions": sorted(self.allowed(caller, scope))} for scope in scopes
        ]
        claims = {**self._claims(caller), "grant_type": "access_token", "access": access}
        return self._signer.issue(claims, lifetime_seconds=self.access_lifetime_seconds)

    def revoke_all(self) -> None:
        """Make every token of this registry invalid, as a change of its keys would."""
        self._signer = Signer(self.clock)

    def allowed(self, caller: Caller, scope: Scope) -> frozenset[str]:
        """Return those of the scope's actions that the caller may do."""
        if scope.kind != "repository":
            whole = caller.kind == "admin" or "pull" in self._rights(caller, "")
            return scope.actions if whole and caller.kind != "token" else frozenset()
        rights = self._rights(caller, scope.name)
        return rights if "*" in scope.actions else scope.actions & rights

    def authorise(self, request: Request, needed: tuple[Scope, ...]) -> Response | None:
        """Refuse a request of the data plane that its token does not allow, with a challenge (an Authoriser)."""
        kind, _, token = (request.headers.get("Authorization") or "").partition(" ")
        if kind.lower() == "basic":
            basic = basic_credentials(request.headers)
            return None if basic and self._is_admin(*basic) else unauthorized(self._challenge(needed), needed)
        if kind.lower() != "bearer":
            return unauthorized(self._challenge(needed), needed)
        try:
            claims = self._read(token.strip(), "access_token")
        except Refused:
            return unauthorized(self._challenge(needed, "invalid_token"), needed)
        held = {(item["type"], item["name"]): set(item["actions"]) for item in claims["access"]}
        if all(scope.actions <= held.get((scope.kind, scope.name), set()) for scope in needed):
            return None
        return unauthorized(self._challenge(needed, "insufficient_scope"), needed)

    def _rights(self, caller: Caller, repository: str) -> frozenset[str]:
        if caller.kind == "admin":
            return _ALL
        if caller.kind == "anonymous":
            return frozenset({"pull", "metadata_read"}) if self.registry.anonymous_pull else frozenset()
        if caller.kind == "token":
            token = self.registry.scoped_tokens.get(caller.name)
            return token.grants.get(repository, frozenset()) if token else frozenset()
        principal = self.directory.principal(caller.name)
        if principal is None:
            return frozenset()
        held = [
            allowed for action, allowed in _ALLOWS.items() if self.directory.allows(principal, action, self.registry.id)
        ]
        return frozenset().union(*held)

    def _granted_to(self, form: dict[str, str]) -> Caller:
        grant = form.get("grant_type")
        if grant == "refresh_token":
            return Caller.parse(self._read(form.get("refresh_token", ""), "refresh_token")["sub"])
        if grant == "password":
            return self._user(form.get("username", ""), form.get("password", ""))
        raise Refused(400, "UNSUPPORTED", f"grant_type {grant} is not supported")

    def _user(self, name: str, password: str) -> Caller:
        """Return who a user and password are; service principals log in with their client ID and secret."""
        if name == NULL_USER:
            return Caller.parse(self._read(password, "refresh_token")["sub"])
        if self._is_admin(name, password):
            return Caller("admin", name)
        token = self.registry.scoped_tokens.get(name)
        if token and hmac.compare_digest(token.password, password):
            return Caller("token", name)
        principal = self.directory.principal(name)
        known = principal is not None and principal.tenant_id == self.registry.tenant_id
        if principal is None or not known or not hmac.compare_digest(principal.secret, password):
            raise Refused()
        return Caller("principal", principal.client_id)

    def _is_admin(self, name: str, password: str) -> bool:
        return self.registry.admin_user and name == self.registry.name and password in self.registry.admin_passwords

    def _check_service(self, service: str) -> None:
        if service != self.registry.login_server:
            raise Refused(400, "INVALID_SERVICE", f"service {service} is not {self.registry.login_server}")

    def _entra_claims(self, token: str) -> Claims:
        try:
            claims = self.entra.read(token)
        except TokenError as ex:
            raise Refused(message=f"{_REQUIRED} {ex.reason}") from ex
        audience = str(claims["aud"]).rstrip("/")
        as_arm = audience in ARM_AUDIENCES and self.registry.authentication_as_arm == "enabled"
        if claims["tid"] != self.registry.tenant_id or not (as_arm or audience in ACR_AUDIENCES):
            raise Refused()
        return claims

    def _read(self, token: str, kind: str) -> Claims:
        try:
            claims = self._signer.read(token)
        except TokenError as ex:
            raise Refused() from ex
        if claims["grant_type"] != kind:
            raise Refused()
        return claims

    def _claims(self, caller: Caller) -> Claims:
        return {
            "sub": str(caller),
            "iss": _ISSUER,
            "aud": self.registry.login_server,
            "version": "1.0",
            "tenant": self.registry.tenant_id,
        }

    def _challenge(self, needed: tuple[Scope, ...], error: str = "") -> str:
        host = self.registry.login_server
        challenge = f'Bearer realm="https://{host}/oauth2/token",service="{host}"'
        if needed:
            challenge += f',scope="{" ".join(str(scope) for scope in needed)}"'
        return challenge + (f',error="{error}"' if error else "")
