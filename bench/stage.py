# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""One run of one client: the registries, the network between, the client itself, and a look at what it left."""

from __future__ import annotations

import json
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Union

from azext_acrimport.registry import registry as product
from azext_acrimport.registry.repository import Repository
from azext_acrimport.registry.transport import Transport, TransportSettings
from bench.certificates import Certificate
from bench.clients import Client, Job
from bench.native import Native, Proxy, Usage, run_client, slow_network
from bench.noise import Meter
from bench.processes import tail
from bench.readback import differences
from bench.registries import Registry, RegistryProgram
from bench.results import Run
from bench.rows import Link, Row, Workload
from bench.workloads import Content, push

Place = Union[Registry, Proxy]
_PREFIX = "copy"
_LOG_SECONDS = 0.2  # a registry may write of a request a little after it has answered it


class ClientFailed(Exception):
    """A client ended with an error, not in time, or left something else than it should have."""

    def __init__(self, message: str, *, too_slow: bool = False) -> None:
        super().__init__(message)
        self.too_slow = too_slow


@dataclass
class Stage:
    """What all runs share.

    ``folder`` is where everything goes, best in memory; ``contents`` is what the source has, by workload, each
    repository apart.
    """

    folder: Path
    program: RegistryProgram
    native: Native
    certificate: Certificate | None
    limit_seconds: int
    workloads: dict[str, Workload]
    contents: dict[str, list[Content]] = field(default_factory=dict)
    runs_so_far: int = 0

    def generate(self, name: str) -> None:
        """Make a workload in the source."""
        with self.source(tls=False) as source, opened(source, name) as repository:
            self.contents[name] = push(self.workloads[name], repository)

    @contextmanager
    def source(self, *, tls: bool, counts: bool = False) -> Iterator[Registry]:
        """The registry to copy from. Its storage stays."""
        folder, storage = self.folder / "source", self.folder / "source-storage"
        certificate = self.certificate if tls else None
        with self.program.serving(folder, storage=storage, certificate=certificate, counts=counts) as registry:
            yield registry

    @contextmanager
    def empty_target(self, *, tls: bool, counts: bool = False) -> Iterator[Registry]:
        """A registry to copy to, with nothing in it."""
        folder = self.folder / "target"
        certificate = self.certificate if tls else None
        with self.program.serving_anew(folder, certificate=certificate, counts=counts) as registry:
            yield registry

    @contextmanager
    def shared_target(self, row: Row, source: Registry, *, counts: bool = False) -> Iterator[Registry | None]:
        """The one target of all runs of a row, which has everything already; None where each run has its own."""
        if row.within:
            yield source
        elif row.warm:
            with self.empty_target(tls=row.tls, counts=counts) as target:
                with opened(target, f"{_PREFIX}/{row.workload}", self._ca(row)) as repository:
                    push(self.workloads[row.workload], repository)
                yield target
        else:
            yield None

    def run(self, row: Row, client: Client, source: Registry, shared: Registry | None, *, deep: bool) -> Run:
        """Run a client once, and read back what it left; with ``deep`` every byte of it.

        :raises ClientFailed: it did not do what it should.
        """
        with ExitStack() as stack:
            target = shared or stack.enter_context(self.empty_target(tls=row.tls))
            near = stack.enter_context(self._network(row.source, source, "near"))
            far = near if row.within else stack.enter_context(self._network(row.target, target, "far"))
            job = self._job(row, near.host, far.host)
            try:
                meter = Meter(list({place.process for place in (source, target, near, far)}))
                usage = self._started(client, job)
                foreign = meter.foreign_share(usage.wall_seconds, usage.cpu_seconds)
                _check_exit(usage, job.home, self.limit_seconds)
                own = json.loads((job.home / "out").read_bytes()) if client.is_ours else None
            finally:
                shutil.rmtree(job.home, ignore_errors=True)
            connections = near.finish().get("peak_connections") if isinstance(near, Proxy) else None
            self._check(row, target, job, deep=deep)
        return Run(usage.wall_seconds, usage.cpu_seconds, usage.peak_rss_kib, foreign, connections, own)

    def count(self, row: Row, client: Client) -> dict[str, int]:
        """Run a client once more, between registries that log, and return its requests to both by method.

        :raises ClientFailed: it did not do what it should.
        """
        with ExitStack() as stack:
            source = stack.enter_context(self.source(tls=row.tls, counts=True))
            shared = stack.enter_context(self.shared_target(row, source, counts=True))
            target = shared or stack.enter_context(self.empty_target(tls=row.tls, counts=True))
            near = stack.enter_context(self._network(row.source, source, "near"))
            far = near if row.within else stack.enter_context(self._network(row.target, target, "far"))
            registries = {source.port: source, target.port: target}.values()
            time.sleep(_LOG_SECONDS)
            before = sum((registry.requests() for registry in registries), Counter())
            job = self._job(row, near.host, far.host)
            _check_exit(self._started(client, job), job.home, self.limit_seconds)
            time.sleep(_LOG_SECONDS)
            return dict(sum((registry.requests() for registry in registries), Counter()) - before)

    @contextmanager
    def _network(self, link: Link, registry: Registry, name: str) -> Iterator[Place]:
        if link.is_direct:
            yield registry
            return
        with slow_network(self.native, registry.port, link, self.folder / f"{name}.log") as proxy:
            yield proxy

    def _job(self, row: Row, source: str, target: str) -> Job:
        """What to copy, to a repository that nobody has used, unless the row is about one that is full."""
        self.runs_so_far += 1
        home = self.folder / f"client-{self.runs_so_far}"
        home.mkdir()
        tags = tuple(tag for content in self.contents[row.workload] for tag in content.tags)
        prefix = f"{_PREFIX}-{self.runs_so_far}" if row.within else _PREFIX
        apart = self.workloads[row.workload].apart
        return Job(source, target, row.workload, prefix, tags, self._ca(row), home, apart)

    def _ca(self, row: Row) -> Path | None:
        return self.certificate.certificate if row.tls and self.certificate else None

    def _started(self, client: Client, job: Job) -> Usage:
        command, environment = client.command(job), {**job.environment, **client.environment}
        return run_client(self.native, command, environment, job.home, limit_seconds=self.limit_seconds)

    def _check(self, row: Row, target: Registry, job: Job, *, deep: bool) -> None:
        found = []
        for content in self.contents[row.workload]:
            found += differences(content, target.port, f"{job.prefix}/{content.repository}", ca=job.ca, deep=deep)
        if found:
            raise ClientFailed(f"left something else than the source has: {'; '.join(found[:3])} ({len(found)} in all)")


@contextmanager
def opened(registry: Registry, name: str, ca: Path | None = None) -> Iterator[Repository]:
    """A repository to push to, through our own client."""
    with Transport(TransportSettings(ca_bundle=str(ca) if ca else None)) as transport:
        yield product.Registry(registry.host, transport=transport).repository(name).to_push()


def _check_exit(usage: Usage, home: Path, limit_seconds: int) -> None:
    if usage.timed_out:
        raise ClientFailed(f"not done in {limit_seconds} s", too_slow=True)
    if usage.exit_code:
        said = tail(home / "err") or tail(home / "out")
        raise ClientFailed(f"ended with {usage.exit_code}: {said}")
