# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""What was measured, and what follows from it. No I/O."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from bench.rows import Goal

NOISY = 0.05  # of all processors: more than that, used by something else, spoils a run


@dataclass(frozen=True)
class Run:
    """One run of one client. ``connections`` are those to the source at a time, known behind a slow network.

    ``own`` is what our client says of itself.
    """

    wall_seconds: float
    cpu_seconds: float
    peak_rss_kib: int | None = None
    foreign_share: float = 0.0
    connections: int | None = None
    own: dict[str, Any] | None = None

    @property
    def noisy(self) -> bool:
        """Whether the machine had something else to do."""
        return self.foreign_share > NOISY


@dataclass(frozen=True)
class Spread:
    """A median with its extremes."""

    median: float
    low: float
    high: float

    @staticmethod
    def of(values: Sequence[float]) -> Spread | None:
        """The spread of the values; None when there are none."""
        return Spread(statistics.median(values), min(values), max(values)) if values else None


@dataclass
class ClientResult:
    """The runs of one client in one row. ``problem`` says why there are no more of them."""

    name: str
    kind: str
    is_ours: bool = False
    runs: list[Run] = field(default_factory=list)
    requests: dict[str, int] | None = None
    problem: str = ""
    too_slow: bool = False

    @property
    def counted(self) -> list[Run]:
        """The runs that count: those with a quiet machine, or all when it never was."""
        return [run for run in self.runs if not run.noisy] or self.runs

    @property
    def restless(self) -> bool:
        """Whether there is no run with a quiet machine."""
        return bool(self.runs) and all(run.noisy for run in self.runs)

    @property
    def wall(self) -> Spread | None:
        """Seconds from start to end of the process."""
        return self._spread(lambda run: run.wall_seconds)

    @property
    def cpu(self) -> Spread | None:
        """Seconds of processor time."""
        return self._spread(lambda run: run.cpu_seconds)

    @property
    def rss_mib(self) -> Spread | None:
        """Peak memory of the process."""
        return self._spread(lambda run: run.peak_rss_kib / 1024 if run.peak_rss_kib else None)

    @property
    def connections(self) -> Spread | None:
        """Connections to the source at a time."""
        return self._spread(lambda run: run.connections)

    @property
    def total_requests(self) -> int | None:
        """Requests to both registries."""
        return sum(self.requests.values()) if self.requests else None

    def own(self, name: str) -> Spread | None:
        """A figure that our client gives of itself."""
        return self._spread(lambda run: run.own.get(name) if run.own else None)

    def _spread(self, pick: Callable[[Run], float | None]) -> Spread | None:
        picked = [pick(run) for run in self.counted]
        return Spread.of([value for value in picked if value is not None])


@dataclass
class RowResult:
    """One row of the table. ``left_out`` says why it is empty."""

    name: str
    title: str
    workload: str
    goal: Goal
    clients: list[ClientResult] = field(default_factory=list)
    left_out: str = ""

    @property
    def ours(self) -> ClientResult | None:
        """Our copier with its defaults, if it has come to its end."""
        return next((client for client in self.clients if client.is_ours and client.runs), None)

    @property
    def best_peer(self) -> ClientResult | None:
        """The peer with the lowest median of wall time."""
        peers = [client for client in self.clients if client.runs and not client.kind.startswith("acrimport")]
        return min(peers, key=lambda client: client.wall.median if client.wall else 0.0, default=None)

    @property
    def wall_ratio(self) -> float | None:
        """Our wall time as a part of the best peer's, by the medians."""
        return self._ratio(lambda client: client.wall)

    @property
    def cpu_ratio(self) -> float | None:
        """Our processor time as a part of the same peer's."""
        return self._ratio(lambda client: client.cpu)

    @property
    def round_ratios(self) -> Spread | None:
        """The ratio of wall times round by round."""
        if not self.ours or not self.best_peer:
            return None
        pairs = zip(self.ours.runs, self.best_peer.runs, strict=False)
        return Spread.of([our.wall_seconds / its.wall_seconds for our, its in pairs])

    @property
    def wall_goal(self) -> float | None:
        """The ratio to reach, which may depend on the connections that were made."""
        if self.goal.wall is None or not self.goal.per_connection:
            return self.goal.wall
        made = self.ours.connections if self.ours else None
        return self.goal.wall / max(2.0, made.median if made else 2.0)

    def verdicts(self) -> dict[str, bool]:
        """Which parts of the goal were reached, of those that can be told."""
        found: dict[str, bool] = {}
        if self.wall_goal is not None and self.wall_ratio is not None:
            found["time"] = round(self.wall_ratio, 2) <= round(self.wall_goal, 2)
        if self.goal.cpu is not None and self.cpu_ratio is not None:
            found["processor time"] = round(self.cpu_ratio, 2) <= self.goal.cpu
        if self.goal.requests and (allowed := self._crane_requests()) is not None and self.ours:
            found["requests"] = (self.ours.total_requests or 0) <= allowed
        if self.goal.no_bytes and self.ours and (moved := self.ours.own("bytes_copied")):
            found["no bytes moved"] = moved.high == 0
        return found

    def _crane_requests(self) -> int | None:
        counts = [client.total_requests for client in self.clients if client.kind == "crane"]
        return min((count for count in counts if count is not None), default=None)

    def _ratio(self, pick: Callable[[ClientResult], Spread | None]) -> float | None:
        ours, best = self.ours, self.best_peer
        if not ours or not best:
            return None
        our_spread, its_spread = pick(ours), pick(best)
        return our_spread.median / its_spread.median if our_spread and its_spread and its_spread.median else None


@dataclass
class Report:
    """All rows of one run of the benchmark, and the circumstances by name."""

    circumstances: dict[str, str]
    rows: list[RowResult] = field(default_factory=list)

    def fields(self) -> dict[str, Any]:
        """It all as JSON takes it, with the ratios."""
        rows = [{**asdict(row), "wall_ratio": row.wall_ratio, "cpu_ratio": row.cpu_ratio} for row in self.rows]
        return {"circumstances": self.circumstances, "rows": rows}

    @staticmethod
    def of_fields(fields: dict[str, Any]) -> Report:
        """Read what :meth:`fields` made."""
        return Report(fields["circumstances"], [_row(row) for row in fields["rows"]])


def _row(fields: dict[str, Any]) -> RowResult:
    clients = []
    for each in fields["clients"]:
        clients.append(ClientResult(**{**each, "runs": [Run(**run) for run in each["runs"]]}))
    known = {name: fields[name] for name in ("name", "title", "workload", "left_out")}
    return RowResult(**known, goal=Goal(**fields["goal"]), clients=clients)
