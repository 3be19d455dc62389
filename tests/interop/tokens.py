# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""A token service for docker-registry: who signs in gets tokens that the registry believes, signed with RSA.

Source: https://distribution.github.io/distribution/spec/auth/token/ and .../spec/auth/jwt/
"""

from __future__ import annotations

import base64
import datetime
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

_SERVICE, _ISSUER = "registry.test", "tokens.test"
_LIFETIME_SECONDS = 300


@dataclass
class TokenService:
    """Gives tokens to ``users``; ``asked`` are the scopes that tokens were asked for, with the user's name."""

    users: dict[str, str]
    asked: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    url: str = ""
    _key: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65537, 2048), repr=False)

    def __post_init__(self) -> None:
        self._certificate = self._certify()

    def settings(self, directory: Path) -> dict[str, Any]:
        """The settings of a registry that believes these tokens."""
        bundle = directory / "token-root.pem"
        bundle.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))
        token = {"realm": f"{self.url}/token", "service": _SERVICE, "issuer": _ISSUER, "rootcertbundle": str(bundle)}
        return {"auth": {"token": token}}

    def answer(self, url: str, authorization: str) -> tuple[int, dict[str, Any]]:
        """The status and the body for a request for a token."""
        user = self._user(authorization)
        query = parse_qs(urlsplit(url).query)
        if user is None or query.get("service") != [_SERVICE]:
            return 401, {"details": "incorrect username or password"}
        scopes = tuple(query.get("scope", ()))
        self.asked.append((user, scopes))
        return 200, {"token": self._issue(user, scopes), "expires_in": _LIFETIME_SECONDS}

    def _user(self, authorization: str) -> str | None:
        if not authorization:
            return ""
        user, _, password = base64.b64decode(authorization.partition(" ")[2]).decode().partition(":")
        return user if password and self.users.get(user) == password else None

    def _issue(self, user: str, scopes: tuple[str, ...]) -> str:
        """A token for what the user may do: whoever signed in everything, others nothing."""
        now = int(time.time())
        parts = [scope.split(":") for scope in scopes if user]
        certificate = base64.b64encode(self._certificate.public_bytes(serialization.Encoding.DER)).decode()
        head = {"typ": "JWT", "alg": "RS256", "x5c": [certificate]}
        claims = {
            "iss": _ISSUER,
            "sub": user,
            "aud": _SERVICE,
            "iat": now,
            "nbf": now - 10,
            "exp": now + _LIFETIME_SECONDS,
            "jti": secrets.token_hex(8),
            "access": [{"type": kind, "name": name, "actions": what.split(",")} for kind, name, what in parts],
        }
        signed = f"{_encode(json.dumps(head).encode())}.{_encode(json.dumps(claims).encode())}"
        return f"{signed}.{_encode(self._key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"

    def _certify(self) -> x509.Certificate:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _ISSUER)])
        now = datetime.datetime.now(datetime.timezone.utc)
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )


def _encode(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


@contextmanager
def serving_tokens(users: dict[str, str]) -> Iterator[TokenService]:
    """Run a token service while a test lasts."""
    service = TokenService(users)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = service.answer(self.path, self.headers.get("Authorization", ""))
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        service.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield service
        finally:
            server.shutdown()
            thread.join()
