# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""What is asked of one registry: until it is answered, ahead of time, or many requests at once."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing

from azext_acrimport.registry.address import Origin
from azext_acrimport.registry.auth import Scope
from azext_acrimport.registry.errors import RegistryFailure
from azext_acrimport.registry.pipeline import Pipeline
from azext_acrimport.registry.response import Response
from azext_acrimport.registry.sender import MAX_ERROR_BYTES, REDIRECTS, Answer, Sender
from azext_acrimport.registry.transport import Exchange

_MOST_CUT_SHORT = 3

logger = logging.getLogger(__name__)


class Client(Sender):
    """One registry. Safe for several threads."""

    _cut_short = 0  # pipelines in a row that were not answered to their end

    def call(
        self,
        method: str,
        path: str,
        *,
        scope: Scope,
        expect: frozenset[int],
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        limit: int = MAX_ERROR_BYTES,
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
        if not self._scheme.is_known:
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
        if self._cut_short >= _MOST_CUT_SHORT or self.is_busy:
            return None
        if behind and (behind.incomplete or behind.origin != self.origin):
            return None
        try:
            fields = {**headers, **self._authorization(self.origin, scope)}
            exchange = behind or self._transport.open(self.host, self.origin)
            exchange.send_all(method, paths, fields)
        except RegistryFailure:
            return None  # call() will meet the same failure, and deal with it
        logger.debug("%s %ss at once to %s", len(paths), method, self.origin)
        on_end = self._note_pipeline if self._scheme.is_known else _ignore  # sent to the wrong scheme, it tells nothing
        return Pipeline(exchange, on_end)

    def ask_all(  # pylint: disable=too-many-arguments
        self,
        method: str,
        paths: Sequence[str],
        *,
        scope: Scope,
        expect: frozenset[int],
        headers: Mapping[str, str] | None = None,
        limit: int = MAX_ERROR_BYTES,
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
        for response, path in zip(pipeline.answers() if pipeline else (), paths, strict=False):
            logger.debug("%s %s%s: %s", method, self.origin, path.partition("?")[0], response.status)
            try:
                content = self._read(response, limit)
            except RegistryFailure:
                found.append(None)
                continue
            expected = response.status in expect
            if not expected:
                self.note_refusal(response)
            found.append(Answer(response.status, response.headers, content) if expected else None)
        return found + [None] * (len(paths) - len(found))

    def open_all(
        self, paths: Sequence[str], *, scope: Scope, begun: Pipeline | None = None
    ) -> Generator[Response, None, None]:
        """Send GETs over one connection, all at once, and return the answers, unread, for as long as they are good.

        Each is to be read to its end before the next is asked for. Redirects are followed at once as well, where all
        lead to one host. What does not come is to be asked for by :meth:`open`. ``begun`` has sent them already.

        :raises RegistryFailure: a redirect leads where it must not.
        """
        elsewhere = []
        pipeline = begun or self.begin_all("GET", paths, scope=scope, headers={})
        if not pipeline:
            return
        with closing(pipeline):
            for response, path in zip(pipeline.answers(), paths, strict=False):
                logger.debug("GET %s%s: %s", self.origin, path, response.status)
                if response.status in REDIRECTS:
                    elsewhere.append(self._redirected(response, self.origin, path))
                elif response.status == 200 and not elsewhere:
                    yield response
                else:
                    self.note_refusal(response)
                    response.close()
                    return
        yield from self._open_elsewhere(elsewhere)

    def _open_elsewhere(self, urls: Sequence[tuple[Origin, str]]) -> Iterator[Response]:
        """Follow redirects, all to the same host, without authorization."""
        origins = {origin for origin, _ in urls}
        if len(origins) != 1:
            return
        origin = origins.pop()
        exchange = self._transport.open(self.host, origin)
        exchange.send_all("GET", [target for _, target in urls], {})
        with closing(Pipeline(exchange, _ignore)) as pipeline:  # another host's habits
            for response in pipeline.answers():
                logger.debug("GET %s: %s", origin, response.status)  # what else the address says may be a secret
                if response.status != 200:
                    self.note_refusal(response)
                    response.close()
                    return
                yield response

    def _note_pipeline(self, complete: bool) -> None:
        """Some servers and proxies close the connection after each answer: after a while, they are spared."""
        self._cut_short = 0 if complete else self._cut_short + 1


def _ignore(_: bool) -> None:
    """It does not matter whether all answers came."""
