# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Scripted faults: what a server does to chosen requests instead of, or on top of, answering them.

A fault is a value::

    server.faults.add(Fault(CutResponse(after=1000), method="GET", path="/blobs/", times=2))

The first fault that matches a request takes it, in the order in which they were added. ``method="CONNECT"`` matches
the tunnels that clients ask a proxy for (path ``host:port``), ``method="ACCEPT"`` new connections (the host is
``127.0.0.1:PORT`` of the listener); a fault without a method matches neither of them.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from emulator import streams
from emulator.injection import Action, Disconnect, Fault, Faults, Line
from emulator.messages import Request, Response

__all__ = [
    "Action",
    "Answer",
    "Close",
    "CloseQuietly",
    "CutRequest",
    "CutResponse",
    "Disconnect",
    "DropHeader",
    "Fault",
    "Faults",
    "FlipBit",
    "Hold",
    "HoldResponse",
    "Line",
    "LoseResponse",
    "Reset",
    "SetHeader",
    "Stall",
    "redirect",
    "registry_error",
]


@dataclass(frozen=True)
class Answer(Action):
    """Answer this instead of asking the app.

    With ``early`` the answer goes out before the request body is read, and the connection ends after it: ``close`` lets
    the client finish sending first, ``reset`` does not.
    """

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    early: Literal["", "close", "reset"] = ""

    def on_request(self, request: Request, line: Line) -> Response | None:
        if not self.early:
            streams.drain(request)
        response = Response(self.status, self.headers, self.body)
        if self.early == "reset":
            response.headers["Content-Length"] = str(len(self.body))
            response.headers["Connection"] = "close"
            response.body = streams.then_disconnect([self.body], reset=True)
        return response


def registry_error(
    status: int, code: str, message: str = "", *, headers: Iterable[tuple[str, str]] = (), early: bool = False
) -> Answer:
    """An answer with the error body of the distribution specification."""
    response = Response.json(status, {"errors": [{"code": code, "message": message, "detail": None}]}, headers)
    return Answer(status, tuple(response.headers.items()), response.content(), early="close" if early else "")


def redirect(location: str = "http://127.0.0.1:1/dead", status: int = 307) -> Answer:
    """A redirect, by default to an address where nobody listens (port 1)."""
    return Answer(status, (("Location", location),))


@dataclass(frozen=True)
class Reset(Action):
    """A TCP reset as soon as the request's header fields are in."""

    def on_request(self, request: Request, line: Line) -> Response | None:
        raise Disconnect(reset=True)


@dataclass(frozen=True)
class Close(Action):
    """An orderly close as soon as the request's header fields are in, without any answer."""

    def on_request(self, request: Request, line: Line) -> Response | None:
        raise Disconnect(reset=False)


@dataclass(frozen=True)
class CutRequest(Action):
    """End the connection when the app has read ``after`` bytes of the request body.

    What was read before is the app's to keep: an upload session holds those bytes.
    """

    after: int
    reset: bool = True

    def on_request(self, request: Request, line: Line) -> Response | None:
        request.body = streams.CutBody(request.body, self.after, reset=self.reset)
        return None


@dataclass(frozen=True)
class LoseResponse(Action):
    """Let the app do all that was asked, then end the connection in place of its answer."""

    reset: bool = True

    def on_response(self, response: Response, line: Line) -> Response:
        if not isinstance(response.body, bytes):
            response.content()
        raise Disconnect(reset=self.reset)


@dataclass(frozen=True)
class CutResponse(Action):
    """End the response body after ``after`` bytes; with 0, right behind the header fields.

    ``content_length`` replaces the announced length: with ``after`` itself the short body looks complete. With
    ``reset`` the connection is reset, otherwise closed in order.
    """

    after: int = 0
    reset: bool = True
    content_length: int | None = None

    def on_response(self, response: Response, line: Line) -> Response:
        streams.announce(response, self.content_length)
        response.body = streams.then_disconnect(
            streams.first(streams.chunks_of(response), self.after), reset=self.reset
        )
        return response


@dataclass(frozen=True)
class Stall(Action):
    """Hold the connection open and silent: before an answer, or with ``after`` behind so many bytes of its body."""

    after: int | None = None

    def on_request(self, request: Request, line: Line) -> Response | None:
        if self.after is None:
            line.stall()
        return None

    def on_response(self, response: Response, line: Line) -> Response:
        streams.announce(response, None)
        response.body = streams.then_stall(streams.first(streams.chunks_of(response), self.after or 0), line)
        return response


@dataclass(frozen=True)
class Hold(Action):
    """Keep the request waiting until ``release`` is set, then treat it as if nothing had been."""

    release: threading.Event = field(compare=False)

    def on_request(self, request: Request, line: Line) -> Response | None:
        line.wait(self.release)
        return None


@dataclass(frozen=True)
class HoldResponse(Action):
    """Keep the response waiting behind its first ``after`` body bytes until ``release`` is set."""

    release: threading.Event = field(compare=False)
    after: int = 0

    def on_response(self, response: Response, line: Line) -> Response:
        streams.announce(response, None)
        response.body = streams.pausing(streams.chunks_of(response), self.after, lambda: line.wait(self.release))
        return response


@dataclass(frozen=True)
class FlipBit(Action):
    """Flip the lowest bit of the response body's byte at ``offset``."""

    offset: int = 0

    def on_response(self, response: Response, line: Line) -> Response:
        streams.announce(response, None)
        response.body = streams.flipped(streams.chunks_of(response), self.offset)
        return response


@dataclass(frozen=True)
class DropHeader(Action):
    """Leave a field out of the response."""

    name: str

    def on_response(self, response: Response, line: Line) -> Response:
        response.headers.remove(self.name)
        return response


@dataclass(frozen=True)
class SetHeader(Action):
    """Give a field of the response another value."""

    name: str
    value: str

    def on_response(self, response: Response, line: Line) -> Response:
        response.headers[self.name] = self.value
        return response


@dataclass(frozen=True)
class CloseQuietly(Action):
    """Answer as usual, then close the connection although nothing in the answer said so."""

    def on_response(self, response: Response, line: Line) -> Response:
        streams.announce(response, None)
        response.body = streams.then_disconnect(streams.chunks_of(response), reset=False)
        return response
