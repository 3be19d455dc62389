# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""What an application shows Entra ID in place of a secret: a JWT signed by its certificate or by a trusted issuer.

Sources: https://learn.microsoft.com/entra/identity-platform/certificate-credentials and
https://learn.microsoft.com/entra/workload-id/workload-identity-federation-create-trust
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from emulator.entra_errors import OAuthError
from emulator.identity import Principal
from emulator.jwts import Claims, Signer, TokenError, split, unverified

EXCHANGE_AUDIENCE = "api://AzureADTokenExchange"

# How Entra takes a signature: by the name of its algorithm, the padding, and by the fields that name the certificate.
_PADDINGS: dict[str, padding.AsymmetricPadding] = {
    "RS256": padding.PKCS1v15(),
    "PS256": padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH),
}
_THUMBPRINTS: dict[str, hashes.HashAlgorithm] = {"x5t": hashes.SHA1(), "x5t#S256": hashes.SHA256()}


@dataclass
class Assertions:
    """The certificates that are registered on applications, and the issuers that they trust."""

    clock: Callable[[], float]
    _certificates: dict[str, list[x509.Certificate]] = field(default_factory=dict)
    _trusted: set[tuple[str, str, str]] = field(default_factory=set)
    _issuers: dict[str, Signer] = field(default_factory=dict)

    def register(self, principal: Principal, certificate: x509.Certificate) -> None:
        """Let the application sign in with this certificate."""
        self._certificates.setdefault(principal.client_id, []).append(certificate)

    def trust(self, principal: Principal, *, issuer: str, subject: str) -> None:
        """Let the application sign in with tokens of the issuer that are about the subject."""
        self._trusted.add((principal.client_id, issuer, subject))

    def issue(self, *, issuer: str, subject: str, audience: str = EXCHANGE_AUDIENCE, lifetime: float = 600) -> str:
        """Return a token as a Kubernetes cluster or a build service issues it."""
        signer = self._issuers.setdefault(issuer, Signer(self.clock))
        return signer.issue({"iss": issuer, "sub": subject, "aud": audience}, lifetime_seconds=lifetime)

    def check(self, principal: Principal, assertion: str, endpoints: tuple[str, ...]) -> None:
        """Check an assertion; one that the application has signed itself is for one of the ``endpoints``.

        :raises OAuthError: it proves nothing.
        """
        try:
            claims = unverified(assertion)
        except TokenError as ex:
            raise _refused(50027, f"JWT token is invalid or malformed: {ex.reason}.") from ex
        if claims.get("iss") in self._issuers:
            self._check_federated(principal, assertion, claims)
        else:
            self._check_own(principal, assertion, claims, endpoints)

    def _check_federated(self, principal: Principal, assertion: str, claims: Claims) -> None:
        issuer, subject = str(claims["iss"]), str(claims.get("sub"))
        try:
            self._issuers[issuer].read(assertion)
        except TokenError as ex:
            code = 700024 if ex.expired else 50013
            raise _refused(code, f"Client assertion failed its validation: {ex.reason}.") from ex
        if claims.get("aud") != EXCHANGE_AUDIENCE:
            raise _refused(700212, f"No matching federated identity record found for audience '{claims.get('aud')}'.")
        if (principal.client_id, issuer, subject) not in self._trusted:
            text = f"No matching federated identity record found for presented assertion subject '{subject}'."
            raise _refused(700213, text)

    def _check_own(self, principal: Principal, assertion: str, claims: Claims, endpoints: tuple[str, ...]) -> None:
        if claims.get("iss") != principal.client_id or claims.get("sub") != principal.client_id:
            raise _refused(700021, "Client assertion application identifier doesn't match 'client_id' parameter.")
        if claims.get("aud") not in endpoints:
            raise _refused(700023, f"Client assertion audience claim '{claims.get('aud')}' doesn't match the endpoint.")
        if not claims.get("nbf", 0) - 300 <= self.clock() < claims.get("exp", 0):
            raise _refused(700024, "Client assertion is not within its valid time range.")
        if not any(_signed(assertion, each) for each in self._certificates.get(principal.client_id, [])):
            text = "The certificate used to sign the client assertion is not registered on application."
            raise _refused(700027, text)


def _signed(assertion: str, certificate: x509.Certificate) -> bool:
    head, body, signature = split(assertion)
    header = json.loads(_decoded(head))
    named = {name: header[name] for name in _THUMBPRINTS if name in header}
    key = certificate.public_key()
    if not named or header.get("alg") not in _PADDINGS or not isinstance(key, rsa.RSAPublicKey):
        return False
    if any(_decoded(value) != certificate.fingerprint(_THUMBPRINTS[name]) for name, value in named.items()):
        return False
    try:
        key.verify(_decoded(signature), f"{head}.{body}".encode(), _PADDINGS[header["alg"]], hashes.SHA256())
    except InvalidSignature:
        return False
    return True


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _refused(code: int, text: str) -> OAuthError:
    return OAuthError(401, "invalid_client", code, text)
