# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Random images, registries and settings: where the faults of a run strike."""

from __future__ import annotations

import math
import random
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from unittest import mock

from azext_acrimport.registry import download, stripes
from azext_acrimport.registry.credentials import Credentials, IdentityToken, Password
from azext_acrimport.registry.registry import Registry
from azext_acrimport.registry.retry import Clock, RetryPolicy
from azext_acrimport.registry.transport import Transport, TransportSettings
from azext_acrimport.registry.upload import UploadHabits
from azext_acrimport.transfer import tuning
from azext_acrimport.transfer.copier import CopySettings, Root, Target
from emulator import content
from emulator.auth import BasicAuth, BearerAuth, TokenService
from emulator.behaviour import Behaviour
from emulator.content import Artifact
from emulator.http import Server
from emulator.registry import BlobStorageApp, RegistryApp
from emulator.store import Repository

SOURCE = "src/app"
TARGETS = ("dst/app", "dst/copy")
TAGS = ("v1", "stable")
STALL_SECONDS = 0.4  # when a silent peer is given up, in runs with a stall
PATIENT_SECONDS = 10.0  # and in all others: however busy the machine, no answer takes that long

_KIB, _MIB = 1 << 10, 1 << 20
_MOST_BYTES = 4 * _MIB  # of one image, so that a run takes a fraction of a second
_USER, _SECRET = "user", "a-password"


class FastClock(Clock):
    """A clock that jumps instead of waiting, with chances from a seed."""

    def __init__(self, seed: object) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._random = random.Random(f"chance/{seed}")
        self._seconds = 1000.0
        self.waited = 0.0

    def now(self) -> float:
        return self._seconds

    def today(self) -> float:
        return 1_700_000_000.0 + self._seconds

    def sleep(self, seconds: float) -> None:
        self.waited += seconds
        self.jump(seconds)

    def jump(self, seconds: float) -> None:
        """Let so much time have gone by."""
        with self._lock:
            self._seconds += seconds

    def chance(self) -> float:
        with self._lock:
            return self._random.random()


@dataclass(frozen=True)
class Scenario:
    """All that is chosen before a run but for its faults. ``before`` is what the target holds already."""

    artifact: Artifact = field(repr=False)
    shape: str
    targets: tuple[str, ...]
    tags: tuple[str, ...]
    before: str
    source_auth: str
    target_auth: str
    lifetime_seconds: int
    storage: bool
    source: Behaviour
    target: Behaviour
    habits: dict[str, int]
    guesses: bool
    in_stripes: bool
    connections: int
    retries: int

    @property
    def force(self) -> bool:
        """Whether the target's tags are to be overwritten."""
        return self.before in ("other tag", "incomplete")

    @property
    def sizes(self) -> list[int]:
        """The sizes of the blobs in bytes."""
        return [len(blob) for blob in self.artifact.all_blobs.values()]


def choose_scenario(rng: random.Random, seed: object) -> Scenario:
    """Everything by chance, within what a registry can serve at all."""
    shape = rng.choice(list(_SHAPES))
    min_chunk = rng.choice([None, None, None, 1000, 300_000])
    return Scenario(
        artifact=_SHAPES[shape](_Sizes(rng), seed),
        shape=shape,
        targets=TARGETS[: 2 if rng.random() < 0.15 else 1],
        tags=TAGS[: rng.choice([1, 1, 1, 2])],
        before=rng.choices(["nothing", "some blobs", "a child", "other tag", "incomplete"], [12, 3, 2, 2, 1])[0],
        source_auth=rng.choice(["none", "basic", "bearer", "identity"]),
        target_auth=rng.choice(["none", "basic", "bearer", "identity"]),
        lifetime_seconds=rng.choice([60, 120, 300]),
        storage=rng.random() < 0.3,
        source=Behaviour(
            ranges=rng.random() < 0.85,
            docker_content_digest=rng.random() < 0.85,
        ),
        target=Behaviour(
            monolithic_limit_bytes=rng.choice([None, None, None, 100_000, _MIB]),
            chunk_limit_bytes=rng.choice([None, None, None, _MIB, 2 * _MIB]),
            min_chunk_bytes=min_chunk,
            mount=rng.random() < 0.8,
            relative_location=rng.random() < 0.7,
            docker_content_digest=rng.random() < 0.85,
            early_created=rng.random() < 0.1,
        ),
        habits={
            "put_limit": rng.choice([1 << 62, 1 << 62, 0, 1000, 100_000]),
            "patch_limit": rng.choice([1 << 62, 1 << 62, 0, 50_000, _MIB]),
            "chunk_bytes": rng.choice([64 * _KIB, 256 * _KIB, _MIB, 16 * _MIB]),
        },
        guesses=rng.random() < 0.5,
        in_stripes=rng.random() < 0.4,
        connections=rng.randint(1, 8),
        retries=rng.randint(2, 5),
    )


class _Sizes:  # pylint: disable=too-few-public-methods
    """Sizes of layers: mostly small, some of none at all, some of MiBs, together not too much."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._left = _MOST_BYTES

    def some(self, most: int = 4) -> list[int]:
        """The sizes of the layers of one image."""
        return [self._one() for _ in range(self._rng.randint(1, most))]

    def _one(self) -> int:
        top = self._rng.choices([0, 2, 5_000, 300_000, 3 * _MIB], [2, 1, 10, 6, 5])[0]
        size = self._rng.randint(0, min(top, self._left))
        self._left -= size
        return size


def _image(sizes: _Sizes, seed: object) -> Artifact:
    return content.image(seed, layers=sizes.some(6))


def _docker_list(sizes: _Sizes, seed: object) -> Artifact:
    platforms = content.PLATFORMS
    return content.index(
        *(content.image(seed, layers=sizes.some(), docker=True, platform=each) for each in platforms), docker=True
    )


def _multi_arch(sizes: _Sizes, seed: object) -> Artifact:
    return content.index(*(content.image(seed, layers=sizes.some(), platform=each) for each in content.PLATFORMS))


def _nested(sizes: _Sizes, seed: object) -> Artifact:
    shared = content.image(f"{seed}/shared", layers=sizes.some())
    inner = content.index(shared, content.image(f"{seed}/inner", layers=sizes.some()))
    return content.index(
        inner, content.index(shared, content.artifact(f"{seed}/artifact", sizes=sizes.some(2))), shared
    )


def _sharing(sizes: _Sizes, seed: object) -> Artifact:
    """Two images with the same layers and other words about them."""
    layers = sizes.some()
    one, two = (content.image(seed, layers=layers, annotations={"number": str(number)}) for number in range(2))
    return content.index(one, two)


def _artifact(sizes: _Sizes, seed: object) -> Artifact:
    return content.artifact(seed, sizes=sizes.some(3))


_SHAPES = {
    "image": _image,
    "docker list": _docker_list,
    "multi-arch": _multi_arch,
    "nested": _nested,
    "sharing": _sharing,
    "artifact": _artifact,
}


@dataclass(eq=False)
class Side:
    """One registry of a world: ``hosts`` by their part (``registry``, ``realm``, ``storage``)."""

    app: RegistryApp = field(repr=False)
    hosts: dict[str, str] = field(repr=False)
    tokens: TokenService | None = field(default=None, repr=False)
    credentials: Credentials | None = field(default=None, repr=False)

    @property
    def host(self) -> str:
        """Where the registry itself is."""
        return self.hosts["registry"]


class World:
    """Two registries as a scenario wants them, and what a copy between them starts with."""

    def __init__(self, scenario: Scenario, server: Server, clock: FastClock) -> None:
        self.scenario = scenario
        self.server = server
        self.clock = clock
        self.socket_seconds = PATIENT_SECONDS
        self.source = self._make_side(scenario.source, scenario.source_auth)
        self.target = self._make_side(scenario.target, scenario.target_auth)
        if scenario.storage:
            host = server.serve_plain(BlobStorageApp(self.source.app.store, ranges=scenario.source.ranges))
            self.source.hosts["storage"] = host
            self.source.app.behaviour = replace(scenario.source, redirect_blobs_to=f"http://{host}")
        scenario.artifact.put(self.source.app.store.repository(SOURCE), "v1")
        for name in scenario.targets:
            self._prepare(name)
        self.tags_before = {name: dict(self.repository(name).tags) for name in scenario.targets}

    def repository(self, name: str) -> Repository:
        """One of the target's repositories."""
        return self.target.app.store.repository(name)

    @contextmanager
    def roots(self, *, clock: Clock) -> Iterator[tuple[Transport, list[Root]]]:
        """What to copy, with connections of its own."""
        scenario = self.scenario
        with Transport(TransportSettings(timeout_seconds=self.socket_seconds)) as transport:
            policy = RetryPolicy(retries=scenario.retries)
            source, target = (
                Registry(side.host, transport=transport, credentials=side.credentials, policy=policy, clock=clock)
                for side in (self.source, self.target)
            )
            target.habits = UploadHabits(**scenario.habits)
            targets = tuple(Target(target.repository(name), scenario.tags) for name in scenario.targets)
            yield transport, [Root(source.repository(SOURCE), "v1", targets, scenario.force)]

    @property
    def settings(self) -> CopySettings:
        """How much goes on at once."""
        connections = self.scenario.connections
        return CopySettings(max_connections=connections, bulk_connections=max(1, connections // 2))

    @contextmanager
    def habits_of_the_copier(self) -> Iterator[None]:
        """Make the copier guess, and read in stripes, as the scenario says: loopback would never give it a reason."""
        with ExitStack() as stack:
            slow = -1.0 if self.scenario.guesses else math.inf
            stack.enter_context(mock.patch.object(tuning, "FAR_SECONDS", slow))
            stack.enter_context(mock.patch.object(download.Pace, "is_slow", self.scenario.in_stripes))
            stack.enter_context(mock.patch.object(download, "_WORTH_STRIPING_BYTES", 100_000))
            stack.enter_context(mock.patch.object(stripes, "STRIPE_BYTES", 128 * _KIB))
            yield

    def _make_side(self, behaviour: Behaviour, auth: str) -> Side:
        app = RegistryApp(behaviour=behaviour)
        side = Side(app, {"registry": self.server.serve_plain(app)})
        if auth == "basic":
            app.authorise = BasicAuth({_USER: _SECRET})
        elif auth != "none":
            self._add_realm(side)
        if auth == "identity" and side.tokens:
            side.credentials = IdentityToken(side.tokens.issue_refresh_token(_USER))
        elif auth != "none":
            side.credentials = Password(_USER, _SECRET)
        return side

    def _add_realm(self, side: Side) -> None:
        lifetime = self.scenario.lifetime_seconds
        side.tokens = TokenService({_USER: _SECRET}, clock=self.clock.now, lifetime_seconds=lifetime)
        side.hosts["realm"] = host = self.server.serve_plain(side.tokens)
        side.app.authorise = BearerAuth(side.tokens, realm=f"http://{host}/token", service="registry.example")

    def _prepare(self, name: str) -> None:
        """Put into a target repository what the scenario says is there before."""
        scenario = self.scenario
        repository = self.repository(name)
        if scenario.before == "some blobs":
            for blob in list(scenario.artifact.all_blobs.values())[::2]:
                repository.add_blob(blob)
        elif scenario.before == "a child":
            for child in scenario.artifact.children[:1]:
                child.put(repository)
        elif scenario.before == "other tag":
            content.image("another").put(repository, *scenario.tags)
        elif scenario.before == "incomplete":  # as a cache rule leaves it: all manifests, no blobs
            for part in scenario.artifact.walk():
                repository.add_manifest(part.manifest, part.media_type)
