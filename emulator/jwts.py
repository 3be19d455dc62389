# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""JSON Web Tokens as Entra ID and ACR issue them: any client can read them, only the emulator can sign them."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Claims = dict[str, Any]


@dataclass
class Clock:
    """The emulator's time in seconds since the epoch; a test moves it on and so lets tokens expire."""

    offset_seconds: float = 0.0

    def __call__(self) -> float:
        return time.time() + self.offset_seconds

    def advance(self, seconds: float) -> None:
        self.offset_seconds += seconds


@dataclass(eq=False)
class TokenError(Exception):
    """A token that is not one of ours, or no longer valid (``expired``)."""

    reason: str
    expired: bool = False


@dataclass
class Signer:
    """Issues and reads HS256 tokens."""

    clock: Callable[[], float]
    _key: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    _revoked: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def issue(self, claims: Claims, *, lifetime_seconds: float) -> str:
        """Return a token with these claims and ``iat``, ``nbf``, ``exp`` and ``jti`` added."""
        now = int(self.clock())
        times = {"iat": now, "nbf": now, "exp": now + int(lifetime_seconds), "jti": secrets.token_hex(16)}
        head = _encode(_compact({"typ": "JWT", "alg": "HS256", "kid": "emulator"}))
        body = _encode(_compact({**claims, **times}))
        return f"{head}.{body}.{self._signature(head, body)}"

    def read(self, token: str) -> Claims:
        """Return the claims of a token of ours.

        :raises TokenError: it is malformed, has another signature, was revoked, or has expired.
        """
        head, body, signature = split(token)
        if not hmac.compare_digest(signature, self._signature(head, body)):
            raise TokenError("signature is invalid")
        claims = _decoded(body)
        if claims["jti"] in self._revoked:
            raise TokenError("token was revoked")
        if claims["exp"] <= self.clock():
            raise TokenError("lifetime validation failed, the token is expired", expired=True)
        return claims

    def revoke(self, token: str) -> None:
        """Refuse this token from now on."""
        with self._lock:
            self._revoked.add(str(unverified(token)["jti"]))

    def _signature(self, head: str, body: str) -> str:
        return _encode(hmac.new(self._key, f"{head}.{body}".encode(), hashlib.sha256).digest())


def split(token: str) -> tuple[str, str, str]:
    """Return a token's three parts, still encoded.

    :raises TokenError: there are not three.
    """
    parts = token.split(".")
    if len(parts) != 3:
        raise TokenError("JWT is not well formed")
    return parts[0], parts[1], parts[2]


def unverified(token: str) -> Claims:
    """Return a token's claims without a look at its signature.

    :raises TokenError: it is malformed.
    """
    return _decoded(split(token)[1])


def _compact(claims: Claims) -> bytes:
    return json.dumps(claims, separators=(",", ":")).encode()


def _encode(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode("ascii")


def _decoded(part: str) -> Claims:
    try:
        claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (ValueError, binascii.Error) as ex:
        raise TokenError("JWT is not well formed") from ex
    if not isinstance(claims, dict):
        raise TokenError("JWT is not well formed")
    return claims
