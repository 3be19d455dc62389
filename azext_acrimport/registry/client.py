# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""Requests to one registry, with authorization and retries. Everything that is asked of a registry comes by here."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from azext_acrimport.oci.reference import DOCKER_HUB
from azext_acrimport.registry.address import BadUrl, Origin, is_private, origin_of, split_url
from azext_acrimport.registry.auth import Authenticator, Scope
from azext_acrimport.registry.connection import HttpViolation, Response
from azext_acrimport.registry.credentials import Credentials
from azext_acrimport.registry.errors import (
    Cancelled,
    ConnectionFailed,
    ProtocolError,
    Reason,
    RegistryError,
    RegistryFailure,
)
from azext_acrimport.registry.pipeline import Pipeline
from azext_acrimport.registry.retry import Clock, RetryPolicy, retry_after
from azext_acrimport.registry.said import read_error
from azext_acrimport.registry.transport import Exchange, Transport, failure, is_certificate_refused

_API_HOSTS = {DOCKER_HUB: "registry-1.docker.io"}
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MAX_REDIRECTS = 5
_MAX_ERROR_BYTES = 64 << 10
_MAX_TOKEN_BYTES = 1 << 20
_FIRST_RETRIES = 2
_MOST_CUT_SHORT = 3

logger = logging.getLogger(__name__)

T = TypeVar("T")
OnWait = Callable[[str, float, RegistryFailure], None]
"""Told before a wait: the registry's host, the seconds, and why."""


@dataclass(frozen=True)
class Answer:
    """An answer whose body has been read whole. Names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    content: bytes


class Client:  # pylint: disable=too-many-instance-attributes
    """One registry. Safe for several threads."""

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
        api_host = _API_HOSTS.get(host, host)
        secure = origin_of(api_host, "https")
        # Registries on this machine mostly speak plain http. The first answer tells; it is asked without credentials.
        self._scheme_is_known = not secure.is_loopback
        self._has_answered = False
        self._cut_short = 0  # pipelines in a row that were not answered to their end
        self.origin = secure if self._scheme_is_known else origin_of(api_host, "http")

    def call(
        self,
        method: str,
        path: str,
        *,
        scope: Scope,
        expect: frozenset[int],
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        limit: int = _MAX_ERROR_BYTES,
        begun: Exchange | None = None,
    ) -> Answer:
        """Send a request until it is answered with one of the expected statuses; read the body, of ``limit`` bytes.

        ``begun`` has sent it already, for the first time.

        :raises RegistryFailure: it was not, and further tries are no use or used up.
        """
        first = [begun] if begun else []

        def send() -> Answer:
            response = self._open(method, path, scope, headers or {}, body, expect, first.pop() if first else None)
            return Answer(response.status, response.headers, self._read(response, limit))

        try:
            return self.retrying(send)
        finally:
            for unused in first:  # the run was stopped, or its time was up, before it was read
                unused.close()

    def open(
        self,
        path: str,
        *,
        scope: Scope,
        expect: frozenset[int],
        headers: Mapping[str, str],
        begun: Exchange | None = None,
    ) -> Response:
        """Send a GET, once, and return the answer with its body unread. ``begun`` has sent it already.

        :raises RegistryFailure: it was not answered with one of the expected statuses.
        """
        return self._open("GET", path, scope, headers, b"", expect, begun)

    def begin(
        self,
        method: str,
        path: str,
        *,
        scope: Scope,
        headers: Mapping[str, str],
        body: bytes = b"",
        behind: Exchange | None = None,
    ) -> Exchange | None:
        """Send a request whose answer :meth:`open` or :meth:`call` reads; None when that cannot be done just now.

        ``behind`` has sent another request, whose answer is read first.
        """
        if not self._scheme_is_known:
            return None
        try:
            return self.start(method, (self.origin, path), headers, scope, body, behind)
        except RegistryFailure:
            return None  # open() will meet the same failure, and deal with it

    def begin_all(
        self,
        method: str,
        paths: Sequence[str],
        *,
        scope: Scope,
        headers: Mapping[str, str],
        behind: Exchange | None = None,
    ) -> Pipeline | None:
        """Send requests without bodies over one connection, all at once; None when that cannot be done just now.

        ``behind`` has sent a request whose answer is read first.
        """
        self.clock.check(self.host)
        if self._cut_short >= _MOST_CUT_SHORT or (behind and (behind.incomplete or behind.origin != self.origin)):
            return None
        try:
            fields = {**headers, **self._authorization(self.origin, scope)}
            exchange = behind or self._transport.open(self.host, self.origin)
            exchange.send_all(method, paths, fields)
        except RegistryFailure:
            return None  # call() will meet the same failure, and deal with it
        logger.debug("%s %ss at once to %s", len(paths), method, self.origin)
        return Pipeline(exchange, self._note_pipeline)

    def ask_all(  # pylint: disable=too-many-arguments
        self,
        method: str,
        paths: Sequence[str],
        *,
        scope: Scope,
        expect: frozenset[int],
        headers: Mapping[str, str] | None = None,
        limit: int = _MAX_ERROR_BYTES,
        begun: Pipeline | None = None,
    ) -> list[Answer | None]:
        """Send requests without bodies over one connection, all at once, and read the answers.

        None stands for what was not answered with one of the expected statuses: it is to be asked for by :meth:`call`.
        ``begun`` has sent them already.
        """
        found: list[Answer | None] = []
        if not paths:
            return found
        pipeline = begun or self.begin_all(method, paths, scope=scope, headers=headers or {})
        for response in pipeline.answers() if pipeline else ():
            try:
                content = self._read(response, limit)
            except RegistryFailure:
                found.append(None)
                continue
            expected = response.status in expect
            found.append(Answer(response.status, response.headers, content) if expected else None)
        return found + [None] * (len(paths) - len(found))

    def _note_pipeline(self, complete: bool) -> None:
        """Some servers and proxies close the connection after each answer: after a while, they are spared."""
        self._cut_short = 0 if complete else self._cut_short + 1

    def start(
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
        return Answer(response.status, response.headers, self._read(response, _MAX_ERROR_BYTES))

    def shown_token(self, scope: Scope) -> str | None:
        """The bearer token that requests for the scope were last sent with; None without one."""
        scheme, _, token = (self._auth.known_header(scope) or "").partition(" ")
        return token if scheme == "Bearer" else None

    def farewell(self, method: str, path: str, *, scope: Scope) -> None:
        """Send a request whose answer does not matter: once, and also when the run has been stopped."""
        try:
            if self.clock.cancelled.is_set():
                header = self._auth.known_header(scope)
                headers = {"Authorization": header} if header else {}
                self._drop(self._transport.request(self.host, self.origin, method, path, headers))
            else:
                self._drop(self._open(method, path, scope, {}, b"", frozenset(range(200, 500))))
        except (RegistryFailure, Cancelled) as ex:
            logger.debug("%s %s: %s", method, self.origin, ex)

    def locate(self, location: str | None, path: str) -> tuple[Origin, str]:
        """Read the ``Location`` of an upload session.

        :raises ProtocolError: there is none, or it leads where a registry has no business to send us.
        """
        if not location:
            raise ProtocolError(self.host, "the registry began an upload and did not say where it goes on")
        try:
            origin, target = split_url(location, self.origin, path)
        except BadUrl as ex:
            raise ProtocolError(self.host, f"the registry sent {ex} for an upload") from ex
        if origin != self.origin:
            if origin.host == self.origin.host and origin.scheme == "http":
                return self.origin, target  # a registry behind a TLS proxy that thinks it is spoken to in plain http
            if origin.scheme != "https" or (is_private(origin.host) and not is_private(self.origin.host)):
                raise ProtocolError(self.host, f"the registry sends uploads to {origin}, which is not followed")
        return origin, target

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
        if not self._has_answered and isinstance(ex, ConnectionFailed) and tries > _FIRST_RETRIES:
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
                origin = self._other_scheme(ex, origin)
                continue
            begun = None
            request = f"{method} {origin}{target.partition('?')[0]}"  # the query may hold a signature
            logger.debug("%s: %s", request, response.status)
            if response.status == 400 and not self._scheme_is_known and origin.scheme == "http":
                response.close()  # this is also what servers say to plain http on a port for TLS
                origin = replace(origin, scheme="https")
                continue
            self._know_scheme(origin)
            if response.status == 401 and origin == self.origin and not challenged:
                challenged = True
                if self._answers(response, scope, authorization.get("Authorization")):
                    continue
            elif response.status in _REDIRECTS and method in ("GET", "HEAD") and response.status not in expect:
                origin, target = self._redirected(response, origin, target)
                continue
            if response.status in expect:
                return response
            raise self._refusal(response, request)
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
        try:
            answer = self._auth.answer(self.origin, challenge, scope, refused) if challenge else None
        except BaseException:
            response.close()
            raise
        if answer is None:
            return False
        self._drop(response)
        return True

    def _redirected(self, response: Response, origin: Origin, target: str) -> tuple[Origin, str]:
        location = response.headers.get("location", "")
        self._drop(response)
        try:
            found, path = split_url(location, origin, target.partition("?")[0])
        except BadUrl as ex:
            raise ProtocolError(self.host, f"the registry redirects to {ex}") from ex
        if not location or (found.scheme == "http" and not (origin.scheme == "http" and found.is_loopback)):
            raise ProtocolError(self.host, f"the registry redirects to {found}, which is not followed")
        return found, path

    def _other_scheme(self, ex: RegistryFailure, origin: Origin) -> Origin:
        """Where to go on after no answer that makes sense; raises ``ex`` unless the scheme was still the question.

        Each thread finds out for itself: plain http, then TLS, then plain http for good.
        """
        no_http = isinstance(ex, ProtocolError) or (
            isinstance(ex, ConnectionFailed) and ex.reason in (Reason.BROKEN, Reason.TLS)
        )
        if not no_http or is_certificate_refused(ex) or replace(origin, scheme=self.origin.scheme) != self.origin:
            raise ex
        if self._scheme_is_known:
            if origin == self.origin:
                raise ex
            return self.origin  # another thread has found out meanwhile
        if origin.scheme == "http":
            return replace(origin, scheme="https")
        self._know_scheme(self.origin)
        return self.origin

    def _know_scheme(self, origin: Origin) -> None:
        """The registry has answered at this origin, unless it is one that it redirected to."""
        self._has_answered = True
        if not self._scheme_is_known and (origin.host, origin.port) == (self.origin.host, self.origin.port):
            self.origin = origin
            self._scheme_is_known = True

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

    def _refusal(self, response: Response, request: str) -> RegistryError:
        try:
            content = self._read(response, _MAX_ERROR_BYTES)
        except RegistryFailure:
            content = b""  # the status says enough
        codes, message = read_error(content)
        message = self._auth.redacted(message)
        wait = retry_after(response.headers, self.clock.today())
        return RegistryError(self.host, request, response.status, codes, message, wait)

    def _read(self, response: Response, limit: int) -> bytes:
        try:
            return response.read(limit)
        except (OSError, HttpViolation) as ex:
            response.close()
            raise failure(self.host, self.origin, ex) from ex

    def _drop(self, response: Response) -> None:
        """Read a small body away, so that the connection can be used again."""
        try:
            response.read(_MAX_ERROR_BYTES)
        except (OSError, HttpViolation):
            response.close()
