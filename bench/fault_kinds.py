# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""What may go wrong: each kind of fault, where it can strike, and with which figures."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.utils import formatdate

from bench.fault_world import Side, World
from emulator import streams
from emulator.faults import (
    Action,
    Answer,
    Close,
    CloseQuietly,
    CutRequest,
    CutResponse,
    DropHeader,
    Fault,
    FlipBit,
    Line,
    LoseResponse,
    Reset,
    SetHeader,
    Stall,
    redirect,
    registry_error,
)
from emulator.injection import Disconnect
from emulator.messages import Body, Request, Response


@dataclass(frozen=True)
class Spot:
    """Requests of one sort: on which side, at which of its hosts, which method and path (a regular expression)."""

    side: str
    method: str | None
    path: str = ""
    part: str = "registry"

    def __str__(self) -> str:
        return f"{self.side} {self.part} {self.method or 'any'} {self.path}"


ANYTHING_READ = [
    Spot("source", "HEAD", "/manifests/"),
    Spot("source", "GET", "/manifests/"),
    Spot("source", "GET", "/blobs/"),
    Spot("source", "GET", "/blobs/", "storage"),
]
BLOB_READ = [Spot("source", "GET", "/blobs/"), Spot("source", "GET", "/blobs/", "storage")]
CONTENT_READ = [Spot("source", "GET", "/manifests/"), *BLOB_READ]
OPEN = Spot("target", "POST", "/uploads/")
PATCH = Spot("target", "PATCH", "/uploads/")
PUT = Spot("target", "PUT", "/uploads/")
ASK = Spot("target", "GET", "/uploads/")
BLOB_WRITE = [PATCH, PUT]
PUT_CHILD = Spot("target", "PUT", "/manifests/sha256:")
PUT_ANY_MANIFEST = Spot("target", "PUT", "/manifests/")
ANYTHING_WRITTEN = [
    Spot("target", None),
    Spot("target", "HEAD", "/manifests/"),
    Spot("target", "GET", "/tags/list"),
    Spot("target", "HEAD", "/blobs/"),
    OPEN,
    *BLOB_WRITE,
    ASK,
    PUT_ANY_MANIFEST,
]
TOKENS = [Spot("source", None, "", "realm"), Spot("target", None, "", "realm")]
ANYWHERE = [*ANYTHING_READ, *ANYTHING_WRITTEN, *TOKENS]


@dataclass(frozen=True)
class Named(Action):
    """An action under the name by which it is counted."""

    name: str
    action: Action

    @property
    def kind(self) -> str:
        return self.name

    def on_request(self, request: Request, line: Line) -> Response | None:
        return self.action.on_request(request, line)

    def on_response(self, response: Response, line: Line) -> Response:
        return self.action.on_response(response, line)


class _ChangedBody:
    """A request body with one bit flipped on its way."""

    def __init__(self, body: Body, offset: int) -> None:
        self._body = body
        self._offset = offset

    def read(self, size: int = -1, /) -> bytes:
        data = self._body.read(size)
        if 0 <= self._offset < len(data):
            changed = bytearray(data)
            changed[self._offset] ^= 1
            data = bytes(changed)
        self._offset -= len(data)
        return data


@dataclass(frozen=True)
class FlipSentBit(Action):
    """Flip the lowest bit of the request body's byte at ``offset``."""

    offset: int

    def on_request(self, request: Request, line: Line) -> Response | None:
        request.body = _ChangedBody(request.body, self.offset)
        return None


@dataclass(frozen=True)
class Revoke(Action):
    """Make all tokens of a side invalid just before a request is looked at."""

    side: Side

    def on_request(self, request: Request, line: Line) -> Response | None:
        if self.side.tokens:
            self.side.tokens.revoke_all()
        return None


@dataclass(frozen=True)
class Later(Action):
    """Let so many seconds go by while a request is on its way: tokens end, streams look slow."""

    world: World
    seconds: float

    def on_request(self, request: Request, line: Line) -> Response | None:
        self.world.clock.jump(self.seconds)
        return None


@dataclass(frozen=True)
class LoseSession(Action):
    """Forget the upload session of a request: before it, or with ``after`` once so many bytes of it have come."""

    side: Side
    after: int | None = None

    def on_request(self, request: Request, line: Line) -> Response | None:
        found = re.search(r"/v2/(.+)/blobs/uploads/([0-9a-f]+)", request.path)
        if not found:
            return None
        if self.after is not None:
            for _ in streams.first(request.chunks(), self.after):
                pass
        repository = self.side.app.store.repository(found[1])
        session = repository.upload(found[2])
        if session:
            repository.end_upload(session)
        return None


@dataclass(frozen=True)
class CollectGarbage(Action):
    """Delete a blob at the target just before a manifest is put there, unless another manifest there refers to it."""

    side: Side
    digest: str

    def on_request(self, request: Request, line: Line) -> Response | None:
        name = request.path.removeprefix("/v2/").partition("/manifests/")[0]
        repository = self.side.app.store.repository(name)
        if not any(self.digest.encode() in manifest.content for manifest in repository.manifests.values()):
            repository.delete_blob(self.digest)
        return None


@dataclass(frozen=True)
class Unframed(Action):
    """Send a body without its length, in chunks."""

    def on_response(self, response: Response, line: Line) -> Response:
        response.headers.remove("Content-Length")
        response.body = iter(list(streams.chunks_of(response)))
        return response


@dataclass(frozen=True)
class Created(Action):
    """Say 201 where 202 was to be said."""

    def on_response(self, response: Response, line: Line) -> Response:
        response.status = 201 if response.status == 202 else response.status
        return response


@dataclass(frozen=True)
class TakeAll(Action):
    """Read the whole request body, do nothing with it, and end the connection."""

    def on_request(self, request: Request, line: Line) -> Response | None:
        streams.drain(request)
        raise Disconnect(reset=True)


@dataclass(frozen=True)
class Kind:
    """A kind of fault: its name in the counts, where it may strike, and how one of it is made."""

    name: str
    spots: list[Spot]
    make: Callable[[random.Random, World], Action]
    weight: float = 1.0


def _offset(rng: random.Random, world: World) -> int:
    """A place in a body: often an edge, mostly somewhere in one of the image's blobs."""
    size = rng.choice(world.scenario.sizes)
    return rng.choice([0, 1, max(0, size - 1), size, rng.randint(0, size), rng.randint(0, min(size, 4000))])


def _digest(rng: random.Random, world: World) -> str:
    return rng.choice(sorted(world.scenario.artifact.all_blobs))


def _busy(rng: random.Random, world: World) -> Action:
    if rng.random() < 0.3:
        return Answer(429, (("Content-Type", "text/plain"),), b"Too many requests, slow down.\n")
    return registry_error(429, "TOOMANYREQUESTS", "slow down")


def _busy_until(rng: random.Random, world: World) -> Action:
    seconds = rng.choice([0, 1, 7, 30, 100, 3600])
    date = formatdate(world.clock.today() + seconds, usegmt=True)
    value = date if rng.random() < 0.3 else str(seconds)
    return registry_error(429, "TOOMANYREQUESTS", "slow down", headers=[("Retry-After", value)])


def _status(rng: random.Random, world: World) -> Action:
    status = rng.choice([408, 425, 499, 504, 522])
    page = b"<html>not now</html>"
    return rng.choice(
        [Answer(status, body=page), Answer(status, body=page, early="close"), Answer(status, early="reset")]
    )


def _cut(rng: random.Random, world: World) -> Action:
    return CutResponse(after=_offset(rng, world), reset=True)


def _short(rng: random.Random, world: World) -> Action:
    return CutResponse(after=_offset(rng, world), reset=False)


def _misannounced(rng: random.Random, world: World) -> Action:
    after = _offset(rng, world)
    length = rng.choice([after, after, after + 1, after + 100_000])
    return CutResponse(after=after, reset=False, content_length=length)


def _early_created(rng: random.Random, world: World) -> Action:
    return rng.choice([Created(), Answer(201, early="close"), Answer(201, early="reset")])


def _wrong_range(rng: random.Random, world: World) -> Action:
    size = rng.choice(world.scenario.sizes)
    return SetHeader("Range", rng.choice([f"0-{size}", f"0-{size // 2}", "0-0", "nonsense", f"0-{1 << 60}"]))


KINDS = (
    Kind("429", ANYWHERE, _busy),
    Kind("429 with Retry-After", ANYWHERE, _busy_until),
    Kind("500", ANYWHERE, lambda rng, world: Answer(500)),
    Kind("502", ANYWHERE, lambda rng, world: Answer(502, body=b"<html>Bad gateway</html>")),
    Kind("503", ANYWHERE, lambda rng, world: registry_error(503, "UNAVAILABLE")),
    Kind("408, 425, 499, 504, 522", ANYWHERE, _status, 0.5),
    Kind("reset before headers", ANYWHERE, lambda rng, world: rng.choice([Reset(), Close(), TakeAll()])),
    Kind("reset after headers", ANYWHERE, lambda rng, world: CutResponse(after=0, reset=rng.random() < 0.7)),
    Kind("answer lost", ANYWHERE, lambda rng, world: LoseResponse(reset=rng.random() < 0.7)),
    Kind("reset within a read", CONTENT_READ, _cut),
    Kind("reset within a write", BLOB_WRITE, lambda rng, world: CutRequest(_offset(rng, world), rng.random() < 0.7), 2),
    Kind("truncated, right length", CONTENT_READ, _short),
    Kind("truncated, wrong length", CONTENT_READ, _misannounced),
    Kind("stall", ANYWHERE, lambda rng, world: Stall(rng.choice([None, _offset(rng, world)])), 0.5),
    Kind("bit flipped in a read", CONTENT_READ, lambda rng, world: FlipBit(_offset(rng, world))),
    Kind("bit flipped in a write", [*BLOB_WRITE, PUT_CHILD], lambda rng, world: FlipSentBit(_offset(rng, world))),
    Kind("token revoked (source)", ANYTHING_READ[:3], lambda rng, world: Revoke(world.source)),
    Kind("token revoked (target)", ANYTHING_WRITTEN, lambda rng, world: Revoke(world.target)),
    Kind(
        "token ended", [*ANYTHING_READ, *ANYTHING_WRITTEN], lambda rng, world: Later(world, rng.choice([30, 100, 400]))
    ),
    Kind("session lost", [*BLOB_WRITE, ASK], lambda rng, world: LoseSession(world.target)),
    Kind("session lost within a write", BLOB_WRITE, lambda rng, world: LoseSession(world.target, _offset(rng, world))),
    Kind("redirect to a dead host", [*ANYTHING_READ, ANYTHING_WRITTEN[1]], lambda rng, world: redirect()),
    Kind("early 201", BLOB_WRITE, _early_created),
    Kind("202 with no Location", [OPEN, PATCH], lambda rng, world: DropHeader("Location")),
    Kind("wrong Range of a session", [ASK], _wrong_range),
    Kind("range refused", BLOB_READ, lambda rng, world: Answer(416), 0.3),
    Kind("not allowed after all", ANYWHERE, lambda rng, world: registry_error(403, "DENIED"), 0.2),
    Kind("blob collected", [PUT_ANY_MANIFEST], lambda rng, world: CollectGarbage(world.target, _digest(rng, world))),
    Kind("closed without a word", ANYWHERE, lambda rng, world: CloseQuietly()),
    Kind("no length", ANYTHING_READ, lambda rng, world: Unframed(), 0.5),
    Kind("connection refused", [Spot("source", "ACCEPT"), Spot("target", "ACCEPT")], lambda rng, world: Reset(), 0.5),
)


def choose_faults(rng: random.Random, world: World) -> list[Fault]:
    """Some faults by chance: mostly a few that strike once, now and then one that stays."""
    count = min(30, 1 + int(rng.expovariate(0.25)))
    kinds = rng.choices(KINDS, [kind.weight for kind in KINDS], k=count)
    return [fault for kind in kinds for fault in _place(rng, world, kind)]


def _place(rng: random.Random, world: World, kind: Kind) -> Iterator[Fault]:
    spot = rng.choice(kind.spots)
    side = world.source if spot.side == "source" else world.target
    if spot.part == "storage" and "storage" not in side.hosts:
        spot = BLOB_READ[0]
    host = side.hosts.get(spot.part)
    if host is None:
        return
    yield Fault(
        Named(kind.name, kind.make(rng, world)),
        host=host,
        method=spot.method,
        path=spot.path if spot.method != "ACCEPT" else "",
        skip=rng.choice([0, 0, 0, 1, 2, 3, 5, 8]),
        times=rng.choices([1, 2, 3, None], [14, 3, 2, 1])[0],
    )


__all__ = ["KINDS", "Kind", "Named", "choose_faults"]
