# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Measures rows: all clients in turn within each round, runs in a restless machine again, requests in a run apart."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from bench.clients import Client
from bench.registries import Registry
from bench.results import NOISY, ClientResult, RowResult, Run
from bench.rows import Row
from bench.stage import ClientFailed, Stage

_SLOW_SECONDS = 15.0  # clients that take longer are run twice only, and their requests are not counted
_SLOW_RUNS = 2


@dataclass(frozen=True)
class Effort:
    """How often to measure: rounds, and how many times a run is repeated that something else disturbed."""

    rounds: int
    repeats: int
    counts: bool


class Runner:
    """Measures rows on a stage. ``say`` is told how it goes."""

    def __init__(
        self,
        stage: Stage,
        clients: Sequence[Client],
        effort: Effort,
        say: Callable[[str], None],
    ) -> None:
        self._stage = stage
        self._clients = clients
        self._effort = effort
        self._say = say

    def generate(self, names: Sequence[str]) -> None:
        """Make workloads in the source."""
        for name in names:
            begin = time.monotonic()
            self._stage.generate(name)
            self._say(f"made {self._stage.workloads[name].title} in {time.monotonic() - begin:.1f} s")

    def measure(self, row: Row) -> RowResult:
        """Measure one row."""
        workload = self._stage.workloads[row.workload]
        result = RowResult(row.name, row.title, workload.title, row.goal, left_out=self._reason_against(row))
        self._say(f"{row.name}: {row.title}; {workload.title}" + (f": {result.left_out}" if result.left_out else ""))
        if result.left_out:
            return result
        clients = [client for client in self._clients if client.fits(row, workload)]
        found = {client.name: ClientResult(client.name, client.kind, client.is_ours) for client in clients}
        with ExitStack() as stack:
            source = stack.enter_context(self._stage.source(tls=row.tls))
            shared = stack.enter_context(self._stage.shared_target(row, source))
            for number in range(self._effort.rounds):
                first = number % len(clients)  # another one each time: whoever comes after a pause may gain by it
                for client in clients[first:] + clients[:first]:
                    self._run(row, client, source, shared, found[client.name])
        for client in clients if self._effort.counts or row.goal.requests else []:
            self._count(row, client, found[client.name])
        result.clients = list(found.values())
        return result

    def _reason_against(self, row: Row) -> str:
        if row.needs_proxy and not self._stage.native.netproxy:
            return "left out, there is no C compiler to make the slow network with"
        if row.tls and not self._stage.certificate:
            return "left out, there is no openssl program to make a certificate with"
        return ""

    def _run(self, row: Row, client: Client, source: Registry, shared: Registry | None, result: ClientResult) -> None:
        """Run a client once; what goes wrong ends its part in the row."""
        if result.problem or (is_slow(result) and len(result.runs) >= _SLOW_RUNS):
            return
        try:
            run = self._quietest(row, client, source, shared, deep=not result.runs)
        except ClientFailed as ex:
            self._note(client, result, ex)
            return
        result.runs.append(run)
        others = f"; {run.foreign_share:.0%} of the machine used by others" if run.noisy else ""
        self._say(f"  {client.name}: {run.wall_seconds:.3f} s, processor {run.cpu_seconds:.3f} s{others}")

    def _quietest(self, row: Row, client: Client, source: Registry, shared: Registry | None, *, deep: bool) -> Run:
        best = self._stage.run(row, client, source, shared, deep=deep)
        for _ in range(self._effort.repeats):
            if best.foreign_share <= NOISY:
                break
            again = self._stage.run(row, client, source, shared, deep=False)
            best = min(best, again, key=lambda run: run.foreign_share)
        return best

    def _count(self, row: Row, client: Client, result: ClientResult) -> None:
        if result.problem or is_slow(result):
            return
        try:
            result.requests = self._stage.count(row, client)
        except ClientFailed as ex:
            self._note(client, result, ex)

    def _note(self, client: Client, result: ClientResult, ex: ClientFailed) -> None:
        result.problem, result.too_slow = str(ex), ex.too_slow
        self._say(f"  {client.name}: {ex}")


def is_slow(result: ClientResult) -> bool:
    """Whether a client takes so long that it would hold up the rest."""
    return result.wall is not None and result.wall.median > _SLOW_SECONDS
