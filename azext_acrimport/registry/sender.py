# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""One request to a registry: with authorization, along redirects, and what a refusal says.

Everything that is asked of a registry comes by here.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from azext_acrimport.oci.reference import DOCKER_HUB
from azext_acrimport.registry.address import Origin
from azext_acrimport.registry.auth import Authenticator, Scope
from azext_acrimport.registry.causes import failure
from azext_acrimport.registry.credentials import Credentials
from azext_acrimport.registry.errors import (
    Cancelled,
    ConnectionFailed,
    ProtocolError,
    Reason,
    RegistryError,
    RegistryFailure,
)
from azext_acrimport.registry.follow import redirect_target, upload_location
from azext_acrimport.registry.response import HttpViolation, Response
from azext_acrimport.registry.retry import Clock, RetryPolicy, retry_after
from azext_acrimport.registry.said import read_error
from azext_acrimport.registry.scheme import Scheme
from azext_acrimport.registry.transport import Exchange, Transport

_API_HOSTS = {DOCKER_HUB: "registry-1.docker.io"}
REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MAX_REDIRECTS = 5
MAX_ERROR_BYTES = 64 << 10
_MAX_TOKEN_BYTES = 1 << 20
_FIRST_RETRIES = 2
_BUSY, _BUSY_SECONDS = frozenset({429, 503}), 1.0

logger = logging.getLogger(__name__)

T = TypeVar("T")
OnWait = Callable[[str, float, RegistryFailure], None]
"""Told before a wait: the registry's host, the seconds, and why."""


class Answer(NamedTuple):
    """An answer whose body has been read whole. Names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    content: bytes


class Sender:  # pylint: disable=too-many-instance-attributes
    """One registry's requests, each sent once. Safe for several threads."""

    def __init__(
        self,
        host: str,
        transport: Transport,
        *,
        credentials: Credentials | None = None,
        policy: RetryPolicy | None = None,
        clock: Clock | None = None,
        on_wait: OnWait | None = None,
    ) -> None:
        self.host = host
        self.policy = policy or RetryPolicy()
        self.clock = clock or Clock()
        self.on_wait = on_wait
        self._transport = transport
        self._auth = Authenticator(host, credentials, self._fetch_token, self.clock)
        self._scheme = Scheme(_API_HOSTS.get(host, host))
        self._busy_until = 0.0  # on the run's clock

    @property
    def origin(self) -> Origin:
        """Where the registry is asked, as far as is known."""
        return self._scheme.origin

    @property
    def is_busy(self) -> bool:
        """Whether it has asked for patience just now: requests are sent one by one then."""
        return self.clock.now() < self._busy_until

    def note_refusal(self, response: Response) -> None:
        """Remember for how long a registry that has had too many requests wants to be spared."""
        if response.status in _BUSY:
            asked = retry_after(response.headers, self.clock.today())
            self._busy_until = max(self._busy_until, self.clock.now() + (asked or _BUSY_SECONDS))

    def start(  # pylint: disable=too-many-positional-arguments
        self,
        method: str,
        url: tuple[Origin, str],
        headers: Mapping[str, str],
        scope: Scope,
        first: memoryview | bytes = b"",
        behind: Exchange | None = None,
    ) -> Exchange:
        """Begin a request whose body is streamed: once, with the authorization at hand. See :meth:`finish`.

        ``first`` is the beginning of the body; the headers give its whole length. ``behind`` has sent another request,
        whose answer is read first.
        """
        origin, target = url
        self.clock.check(self.host)
        fields = {**headers, **self._authorization(origin, scope)}
        exchange = behind or self._transport.open(self.host, origin)
        exchange.send(method, target, fields, first)
        return exchange

    def finish(self, exchange: Exchange, request: str, expect: frozenset[int]) -> Answer:
        """Read the answer to a request that :meth:`start` began. ``request`` names it in errors.

        :raises RegistryFailure: it was not answered with one of the expected statuses.
        """
        response = exchange.receive()
        logger.debug("%s: %s", request, response.status)
        if response.status not in expect:
            raise self._refusal(response, request)
        return Answer(response.status, response.headers, self._read(response, MAX_ERROR_BYTES))

    def shown_token(self, scope: Scope) -> str | None:
        """The bearer token that requests for the scope were last sent with; None without one."""
        scheme, _, token = (self._auth.known_header(scope) or "").partition(" ")
        return token if scheme == "Bearer" else None

    def farewell(self, method: str, paths: Sequence[str], *, scope: Scope) -> None:
        """Send requests whose answers do not matter: all at once, and also when the run has been stopped.

        Unless it has, those that do not arrive or whose token is refused are sent once more, one by one.
        """
        try:
            unheard = self._farewell_at_once(method, paths, scope)
            for path in () if self.clock.cancelled.is_set() else unheard:
                self._open(method, path, scope, {}, b"", frozenset(range(200, 500))).drain()
        except (RegistryFailure, Cancelled) as ex:
            logger.debug("%s %s: %s", method, self.origin, ex)

    def _farewell_at_once(self, method: str, paths: Sequence[str], scope: Scope) -> list[str]:
        """Send all with the authorization at hand; return those that are worth another try."""
        header = self._auth.known_header(scope)
        unheard = list(paths)
        try:
            exchange = self._transport.open(self.host, self.origin)
            exchange.send_all(method, paths, {"Authorization": header} if header else {})
            for path in paths:
                response = exchange.receive()
                logger.debug("%s %s%s: %s", method, self.origin, path.partition("?")[0], response.status)
                if response.status != 401:
                    unheard.remove(path)
                response.drain()
        except ConnectionFailed as ex:
            if ex.reason is not Reason.BROKEN:
                raise
        return unheard

    def locate(self, location: str | None, path: str) -> tuple[Origin, str]:
        """Read the ``Location`` of an upload session.

        :raises ProtocolError: there is none, or it leads where a registry has no business to send us.
        """
        return upload_location(self.host, location, self.origin, path)

    def retrying(self, send: Callable[[], T]) -> T:
        """Call ``send`` until it returns, as often and as patiently as the policy says."""
        tries = 0
        while True:
            self.clock.check(self.host)
            try:
                return send()
            except RegistryFailure as ex:
                tries += 1
                self.wait_after(ex, tries)

    def wait_after(self, ex: RegistryFailure, tries: int) -> None:
        """Wait before the next try; raise ``ex`` when there is none."""
        self.clock.check(self.host)
        asked = ex.retry_after if isinstance(ex, RegistryError) else None
        delay = self.policy.delay(tries, asked, self.clock.chance())
        if not self._scheme.has_answered and isinstance(ex, ConnectionFailed) and tries > _FIRST_RETRIES:
            delay = None  # a name or a port that never answered is more likely wrong than busy
        if ex.settled or not ex.retryable or delay is None:
            ex.settled = True
            raise ex
        if self.on_wait:
            self.on_wait(self.host, delay, ex)
        self.clock.sleep(delay)

    def _open(  # pylint: disable=too-many-positional-arguments
        self,
        method: str,
        path: str,
        scope: Scope,
        headers: Mapping[str, str],
        body: bytes,
        expect: frozenset[int],
        begun: Exchange | None = None,
    ) -> Response:
        """Send a request, answer challenges, follow redirects. ``begun`` has sent it already."""
        origin, target = self.origin, path
        challenged = False
        for _ in range(_MAX_REDIRECTS + 3):
            authorization = self._authorization(origin, scope)
            try:
                response = self._begun_response(begun) or self._transport.request(
                    self.host, origin, method, target, {**headers, **authorization}, body
                )
            except RegistryFailure as ex:
                origin = self._scheme.other(ex, origin)
                continue
            begun = None
            request = f"{method} {origin}{target.partition('?')[0]}"  # the query may hold a signature
            logger.debug("%s: %s", request, response.status)
            if self._scheme.wants_tls(origin, response.status):
                response.close()
                origin = origin._replace(scheme="https")
                continue
            self._scheme.settle(origin)
            content: bytes | None = None
            if response.status == 401 and origin == self.origin and not challenged:
                challenged = True
                content = self._read_refusal(response)  # which gives its connection back, for the token's request
                if self._answers(response, scope, authorization.get("Authorization")):
                    continue
            elif response.status in REDIRECTS and method in ("GET", "HEAD") and response.status not in expect:
                origin, target = self._redirected(response, origin, target)
                continue
            if response.status in expect:
                return response
            raise self._refusal(response, request, content)
        raise ProtocolError(self.host, "too many redirects")

    @staticmethod
    def _begun_response(begun: Exchange | None) -> Response | None:
        try:
            return begun.receive() if begun else None
        except RegistryFailure:
            return None  # as if it had never been sent

    def _authorization(self, origin: Origin, scope: Scope) -> dict[str, str]:
        """The header for a request to the origin: nothing for any other than the registry's own."""
        header = self._auth.header(scope) if origin == self.origin and scope else None
        return {"Authorization": header} if header else {}

    def _answers(self, response: Response, scope: Scope, refused: str | None) -> bool:
        challenge = response.headers.get("www-authenticate", "")
        return bool(challenge) and self._auth.answer(self.origin, challenge, scope, refused) is not None

    def _redirected(self, response: Response, origin: Origin, target: str) -> tuple[Origin, str]:
        location = response.headers.get("location", "")
        response.drain()
        return redirect_target(self.host, location, origin, target.partition("?")[0])

    def _fetch_token(
        self, origin: Origin, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> dict[str, object]:
        request = f"{method} {origin}{target.partition('?')[0]}"

        def send() -> dict[str, object]:
            response = self._transport.request(self.host, origin, method, target, headers, body)
            logger.debug("%s: %s", request, response.status)
            if response.status != 200:
                raise self._refusal(response, request)
            try:
                answer = json.loads(self._read(response, _MAX_TOKEN_BYTES))
            except (ValueError, RecursionError) as ex:
                raise ProtocolError(self.host, "the registry's token service did not answer with JSON") from ex
            return answer if isinstance(answer, dict) else {}

        return self.retrying(send)

    def _refusal(self, response: Response, request: str, content: bytes | None = None) -> RegistryError:
        """What the registry says; ``content`` is the body, where it has been read."""
        content = self._read_refusal(response) if content is None else content
        self.note_refusal(response)
        codes, message = read_error(content)
        message = self._auth.redacted(message)
        wait = retry_after(response.headers, self.clock.today())
        return RegistryError(self.host, request, response.status, codes=codes, message=message, retry_after=wait)

    def _read_refusal(self, response: Response) -> bytes:
        try:
            return self._read(response, MAX_ERROR_BYTES)
        except RegistryFailure:
            return b""  # the status says enough

    def _read(self, response: Response, limit: int) -> bytes:
        try:
            return response.read(limit)
        except (OSError, HttpViolation) as ex:
            response.close()
            raise failure(self.host, self.origin, ex) from ex
