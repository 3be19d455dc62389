# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Two registries on this machine, a client for both, and a clock on which waiting takes no time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from azext_acrimport.registry.credentials import Credentials
from azext_acrimport.registry.registry import Registry
from azext_acrimport.registry.retry import Clock, RetryPolicy
from azext_acrimport.registry.transport import Transport, TransportSettings
from azext_acrimport.transfer.copier import CopySettings, Root, Target, copy
from azext_acrimport.transfer.events import Event
from azext_acrimport.transfer.result import CopyResult
from emulator.content import Artifact
from emulator.http import LogEntry, Server
from emulator.registry import RegistryApp

SOURCE = "src/app"
TARGET = "dst/app"
ONE_WORKER = CopySettings(max_connections=1, bulk_connections=1)
SERIAL = ONE_WORKER._replace(blobs_together=1)  # one blob after the other
TIMEOUT_SECONDS = 5.0  # an upper bound: nothing here takes that long unless it hangs


class FastClock(Clock):
    """A clock that jumps instead of waiting. ``waits`` are the seconds that it was asked to wait."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []
        self.seconds = 1000.0

    def now(self) -> float:
        return self.seconds

    def today(self) -> float:
        return 1_700_000_000.0 + self.seconds

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.seconds += seconds

    def chance(self) -> float:
        return 0.5


class Lab:
    """A source and a target. Both are served over plain http, unless a test gives them other hosts."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.clock = FastClock()
        self.policy = RetryPolicy(retries=3)
        self._transports: list[Transport] = []
        self.transport = transport()
        self.source_app = RegistryApp()
        self.target_app = RegistryApp()
        self.source_host = server.serve_plain(self.source_app)
        self.target_host = server.serve_plain(self.target_app)
        self.source_credentials: Credentials | None = None
        self.target_credentials: Credentials | None = None
        self.events: list[Event] = []
        self.waits: list[tuple[str, float, str]] = []

    def registry(self, host: str, credentials: Credentials | None = None) -> Registry:
        return Registry(
            host,
            transport=self.transport,
            credentials=credentials,
            policy=self.policy,
            clock=self.clock,
            on_wait=lambda *wait: self.waits.append(wait),
        )

    @property
    def source(self) -> Registry:
        return self.registry(self.source_host, self.source_credentials)

    @property
    def target(self) -> Registry:
        return self.registry(self.target_host, self.target_credentials)

    def root(
        self,
        identifier: str = "v1",
        *targets: tuple[str, Sequence[str]],
        force: bool = False,
        source: str = SOURCE,
    ) -> Root:
        to = self.target
        names = targets or ((TARGET, ("v1",)),)
        return Root(
            self.source.repository(source),
            identifier,
            tuple(Target(to.repository(name), tuple(tags)) for name, tags in names),
            force,
        )

    def copy(
        self,
        identifier: str = "v1",
        *targets: tuple[str, Sequence[str]],
        force: bool = False,
        settings: CopySettings | None = None,
    ) -> CopyResult:
        (result,) = copy([self.root(identifier, *targets, force=force)], settings=settings, observe=self.events.append)
        return result

    def put(self, artifact: Artifact, *tags: str, repository: str = SOURCE) -> Artifact:
        artifact.put(self.source_app.store.repository(repository), *(tags or ("v1",)))
        return artifact

    def behave(self, app: RegistryApp, **changes: Any) -> None:
        app.behaviour = replace(app.behaviour, **changes)

    def asked(self, host: str, method: str | None = None, path: str = "") -> list[LogEntry]:
        return self.server.log.matching(host=host, method=method, path=path)

    @property
    def transport(self) -> Transport:
        return self._transports[-1]

    @transport.setter
    def transport(self, another: Transport) -> None:
        self._transports.append(another)

    def close(self) -> None:
        for each in self._transports:
            each.close()


def transport(**settings: Any) -> Transport:
    return Transport(TransportSettings(**{"timeout_seconds": TIMEOUT_SECONDS, **settings}))


def assert_copied(app: RegistryApp, artifact: Artifact, *tags: str, repository: str = TARGET) -> None:
    """The repository holds the artifact, byte for byte, with all that is below it, and nothing of it elsewhere."""
    held = app.store.get(repository)
    assert held is not None
    for digest, content in artifact.manifests.items():
        stored = held.manifest(digest)
        assert stored is not None, f"manifest {digest} is missing"
        assert stored.content == content
        assert stored.media_type == media_type_of(artifact, digest)
    for digest, content in artifact.all_blobs.items():
        assert held.read_blob(digest) == content
    for part in artifact.walk():
        for content in part.foreign:
            assert content not in {held.read_blob(digest) for digest in held.blobs}
    assert {tag: digest for tag, digest in held.tags.items() if tag in tags} == dict.fromkeys(tags, artifact.digest)
    assert held.uploads == {}


def media_type_of(artifact: Artifact, digest: str) -> str:
    return next(part.media_type for part in artifact.walk() if part.digest == digest)


def artifact_of(fields: dict[str, Any], media_type: str, blobs: tuple[bytes, ...] = ()) -> Artifact:
    """An artifact with a manifest of the test's own making."""
    return Artifact(json.dumps(fields).encode(), media_type, blobs)
