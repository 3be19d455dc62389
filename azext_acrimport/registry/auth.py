# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""Authorization for one registry: answers its challenges, keeps a token for each repository, renews it in time.

Sources: the distribution project's token authentication specification (GET with Basic), its OAuth 2 variant (POST),
and https://github.com/Azure/acr/blob/main/docs/AAD-OAuth.md for the exchange of Microsoft Entra tokens.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode

from azext_acrimport.registry.address import Origin
from azext_acrimport.registry.claims import claims_of
from azext_acrimport.registry.credentials import (
    BearerToken,
    Credentials,
    EntraIdentity,
    EntraToken,
    IdentityToken,
    Password,
    basic_authorization,
)
from azext_acrimport.registry.errors import NoToken, ProtocolError, RegistryError, RegistryFailure
from azext_acrimport.registry.follow import token_service
from azext_acrimport.registry.retry import Clock

if TYPE_CHECKING:
    from azext_acrimport.registry.challenge import Challenge

_DEFAULT_LIFETIME_SECONDS = 60.0  # what the specification says to assume
_RENEW_BEFORE_SECONDS = 20.0  # a request that is sent with a token should arrive before the token ends
_FAILURE_LASTS_SECONDS = 10.0
_AUTHORIZATION = r"(?i)\b(Basic|Bearer)\s+[\w.~+/=-]+"
_LEAST_SECRET = 4  # a shorter one stands in too many words
_REFUSED = frozenset({400, 401, 403, 404})
_CLIENT_ID = "acrimport"

Scope = tuple[str, ...]
"""What a token is for: ``repository:NAME:ACTIONS``, one or two of them."""

Fetch = Callable[[Origin, str, str, Mapping[str, str], bytes], "dict[str, object]"]
"""Sends a request to a realm (origin, method, target, headers, body) and returns the JSON object of its answer."""


class Token(NamedTuple):
    """What goes into ``Authorization``, and until when (seconds on the clock of the run; None: for ever)."""

    header: str
    renew_at: float | None = None

    def __repr__(self) -> str:
        return f"Token(renew_at={self.renew_at})"


class Authenticator:  # pylint: disable=too-many-instance-attributes
    """The authorization of one registry. Safe for several threads: one fetches a token, the others wait for it."""

    def __init__(self, host: str, credentials: Credentials | None, fetch: Fetch, clock: Clock) -> None:
        self._host = host
        self._credentials = credentials
        self._fetch = fetch
        self._clock = clock
        self._lock = threading.Lock()
        self._renewing: dict[Scope, threading.Lock] = {}
        self._tokens: dict[Scope, Token] = {}
        self._shortest_token = 0
        self._challenge: Challenge | None = None
        self._realm: tuple[Origin, str] | None = None
        self._failures: dict[Scope, tuple[RegistryFailure, float]] = {}
        self._exchanging = threading.Lock()
        self._refresh_token: str | None = None

    def header(self, scope: Scope) -> str | None:
        """The value of ``Authorization`` for the scope; None while the registry has not asked for one."""
        if isinstance(self._credentials, BearerToken) and self._challenge:
            if not _fits_a_header(self._credentials.token):
                raise ProtocolError(self._host, "the access token has characters that no token has")
            return f"Bearer {self._credentials.token}"
        token = self._tokens.get(scope)
        if token and (token.renew_at is None or self._clock.now() < token.renew_at):
            return token.header
        return self._renew(scope, token) if self._challenge else None

    def known_header(self, scope: Scope) -> str | None:
        """The value of ``Authorization`` that was good so far, without asking for another."""
        token = self._tokens.get(scope)
        return token.header if token else None

    def redacted(self, text: str) -> str:
        """The text without the secrets that a registry or a proxy may say back."""
        text = re.sub(_AUTHORIZATION, r"\1 ***", text)
        for secret in self._secrets(len(text)):
            if len(secret) >= _LEAST_SECRET:
                text = text.replace(secret, "***")
        return text

    def _secrets(self, length: int) -> Iterator[str]:
        """What may stand in a text of this length. Of tokens there may be thousands, which few texts can hold."""
        credentials = self._credentials
        if isinstance(credentials, Password):
            yield credentials.password
            yield _basic(credentials).partition(" ")[2]
        elif isinstance(credentials, (IdentityToken, BearerToken)):
            yield credentials.token
        if length >= self._shortest_token:
            yield from (_secret_of(token) for token in list(self._tokens.values()))
        yield self._refresh_token or ""

    def answer(self, origin: Origin, challenge: str, scope: Scope, refused: str | None) -> str | None:
        """A new value of ``Authorization`` after a 401; None when there is nothing (more) to show.

        ``refused`` is the value that was sent. What scope the challenge names does not matter: we ask for what the
        job needs and for no more.
        """
        from azext_acrimport.registry.challenge import parse_challenges  # not every registry asks

        challenges = {each.scheme: each for each in parse_challenges(challenge)}
        chosen = challenges.get("bearer") or challenges.get("basic")
        if not chosen:
            return None
        with self._lock:
            if not self._challenge or self._challenge.scheme != chosen.scheme:
                self._realm = self._check_realm(origin, chosen) if chosen.scheme == "bearer" else None
                self._challenge = chosen
            token = self._tokens.get(scope)
        if isinstance(self._credentials, BearerToken):
            return None if refused else self.header(scope)
        if token and token.header != refused:
            return token.header  # another thread was faster
        renewed = self._renew(scope, token)
        return renewed if renewed != refused else None

    def _renew(self, scope: Scope, old: Token | None) -> str | None:
        with self._lock:
            lock = self._renewing.setdefault(scope, threading.Lock())
        with lock:
            token = self._tokens.get(scope)
            if token and token is not old:
                return token.header  # another thread was faster
            failure, until = self._failures.get(scope, (None, 0.0))
            if failure and self._clock.now() < until:
                raise failure  # another thread has used up the tries: they were for all
            try:
                token = self._obtain(scope)
            except RegistryFailure as ex:
                self._failures[scope] = (ex, self._clock.now() + _FAILURE_LASTS_SECONDS)
                raise
            if token:
                size = len(_secret_of(token))
                with self._lock:
                    self._shortest_token = min(self._shortest_token or size, size)
                    self._tokens[scope] = token
            return token.header if token else None

    def _obtain(self, scope: Scope) -> Token | None:
        if self._challenge is None or self._challenge.scheme == "basic":
            return Token(_basic(self._credentials)) if isinstance(self._credentials, Password) else None
        if isinstance(self._credentials, EntraIdentity):
            return self._token_of_identity(scope, self._credentials)
        if isinstance(self._credentials, IdentityToken):
            return self._token_by_refresh(scope, self._credentials.token)
        headers = {"Authorization": _basic(self._credentials)} if isinstance(self._credentials, Password) else {}
        return self._token_by_get(scope, headers)

    def _token_by_get(self, scope: Scope, headers: Mapping[str, str]) -> Token:
        origin, path = self._realm_or_raise()
        query = [("service", self._service)] if self._service else []
        query += [("scope", each) for each in scope]
        target = f"{path}{'&' if '?' in path else '?'}{urlencode(query)}"
        return self._read(self._fetch(origin, "GET", target, headers, b""))

    def _token_by_refresh(self, scope: Scope, refresh_token: str) -> Token:
        origin, path = self._realm_or_raise()
        form = [("grant_type", "refresh_token"), ("service", self._service), ("client_id", _CLIENT_ID)]
        form += [("scope", each) for each in scope] if self._is_acr else [("scope", " ".join(scope))]
        form += [("refresh_token", refresh_token)]
        return self._read(self._post(origin, path, form))

    def _token_of_identity(self, scope: Scope, identity: EntraIdentity) -> Token:
        """Exchange the identity's token for the registry's, in two steps; anonymously where the first is refused."""
        known = self._refresh_token
        try:
            refresh_token = self._exchanged(identity)
        except RegistryError as ex:
            if ex.status not in _REFUSED or not _only_pull(scope) or ex.message.startswith("client with IP"):
                raise
            try:
                return self._token_by_get(scope, {})  # the registry may allow anonymous pull
            except RegistryFailure:
                raise ex from None
        try:
            return self._token_by_refresh(scope, refresh_token)
        except RegistryError as ex:
            self._forget(refresh_token)
            if refresh_token != known or ex.status not in (400, 401):
                raise
        return self._token_by_refresh(scope, self._exchanged(identity))  # the one that was known had expired

    def _exchanged(self, identity: EntraIdentity) -> str:
        """The registry's refresh token, exchanged once for all repositories."""
        with self._exchanging:
            if self._refresh_token is None:
                self._refresh_token = self._exchange(identity)
            return self._refresh_token

    def _forget(self, refresh_token: str) -> None:
        with self._exchanging:
            if self._refresh_token == refresh_token:
                self._refresh_token = None

    def _exchange(self, identity: EntraIdentity) -> str:
        origin, _ = self._realm_or_raise()
        refusal: RegistryError | None = None
        for audience in identity.audiences:
            entra = self._token_of(identity, audience)
            form = [("grant_type", "access_token"), ("service", self._service)]
            form += [("tenant", entra.tenant)] if entra.tenant else []
            try:
                answer = self._post(origin, "/oauth2/exchange", [*form, ("access_token", entra.token)])
            except RegistryError as ex:
                if ex.status not in (400, 401):
                    raise
                refusal = ex
                continue
            token = answer.get("refresh_token")
            if not isinstance(token, str) or not token:
                raise ProtocolError(self._host, "the registry's answer to the exchange of a token has none in it")
            return token
        raise refusal or ProtocolError(self._host, "there is no identity to exchange")

    def _token_of(self, identity: EntraIdentity, audience: str) -> EntraToken:
        try:
            return identity.get_token(audience)
        except Exception as ex:
            raise NoToken(self._host) from ex  # it concerns this registry, and no other image of a run

    def _post(self, origin: Origin, path: str, form: list[tuple[str, str]]) -> dict[str, object]:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return self._fetch(origin, "POST", path, headers, urlencode(form).encode())

    def _read(self, answer: dict[str, object]) -> Token:
        token = answer.get("access_token") or answer.get("token")
        if not isinstance(token, str) or not _fits_a_header(token):
            raise ProtocolError(self._host, "the registry's token service answered without a token")
        lifetime = answer.get("expires_in")
        if not isinstance(lifetime, (int, float)) or isinstance(lifetime, bool) or lifetime <= 0:
            lifetime = _lifetime_of_jwt(token, self._clock.today())
        margin = min(_RENEW_BEFORE_SECONDS, lifetime / 4)
        return Token(f"Bearer {token}", self._clock.now() + lifetime - margin)

    @property
    def _service(self) -> str:
        return (self._challenge.parameters.get("service", "") if self._challenge else "")[:1024]

    @property
    def _is_acr(self) -> bool:
        return self._realm is not None and self._realm[1].partition("?")[0] == "/oauth2/token"

    def _realm_or_raise(self) -> tuple[Origin, str]:
        if not self._realm:
            raise ProtocolError(self._host, "the registry asks for a token and does not say where to get one")
        return self._realm

    def _check_realm(self, origin: Origin, challenge: Challenge) -> tuple[Origin, str]:
        found, path = token_service(self._host, challenge.parameters.get("realm", ""), origin)
        if isinstance(self._credentials, EntraIdentity) and found != origin:
            raise ProtocolError(self._host, f"the registry wants the identity's token sent to {found.authority}")
        return found, path


def _secret_of(token: Token) -> str:
    return token.header.partition(" ")[2]


def _basic(credentials: Password) -> str:
    return basic_authorization(credentials.username, credentials.password)


def _fits_a_header(token: str) -> bool:
    return bool(token) and token.isascii() and token.isprintable()


def _only_pull(scope: Scope) -> bool:
    return all(each.rpartition(":")[2] == "pull" for each in scope)


def _lifetime_of_jwt(token: str, today: float) -> float:
    """Seconds that the token lives by its own ``exp``; the specification's default where it does not say."""
    try:
        return max(1.0, float(claims_of(token)["exp"]) - today)
    except (KeyError, TypeError, ValueError, OverflowError):
        return _DEFAULT_LIFETIME_SECONDS
