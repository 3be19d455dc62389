# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""``python3 -m bench.faults --seed S --runs N``: copies under random faults, and whether anything was lost.

Run number n is made from the seed S + n alone, so ``--seed S+n --runs 1`` does it again, and tells of all its requests.
"""

from __future__ import annotations

import argparse
import faulthandler
import re
import sys
import time
from collections import Counter
from dataclasses import dataclass, field

from bench.bare import without_the_cli

without_the_cli()

from bench.fault_run import HANG_SECONDS, Verdict, run_once  # noqa: E402 - it imports the copier
from emulator.http import LogEntry  # noqa: E402

_PROGRESS_SECONDS = 10.0


@dataclass
class Summary:
    """What all runs so far come to."""

    outcomes: Counter[str] = field(default_factory=Counter)
    injected: Counter[str] = field(default_factory=Counter)
    faults: int = 0
    corruptions: int = 0
    sessions_lost: int = 0
    tagged_unheard: int = 0
    odd: list[Verdict] = field(default_factory=list)

    def add(self, verdict: Verdict) -> None:
        """Count a run."""
        self.outcomes[verdict.outcome] += 1
        self.injected.update(verdict.injected)
        self.faults += verdict.injected.total()
        self.corruptions += verdict.corrupted
        self.sessions_lost += verdict.sessions_lost
        self.tagged_unheard += verdict.tagged_unheard
        if verdict.odd:
            self.odd.append(verdict)

    def text(self, seconds: float) -> str:
        """The figures, with the seed of everything odd."""
        runs = self.outcomes.total()
        lines = [f"{runs} runs in {seconds:.0f} s, {self.faults} faults injected:"]
        lines += [f"  {count:6}  {name}" for name, count in sorted(self.injected.items())]
        lines += [
            f"survived            {self.outcomes['survived']:6}",
            f"failed cleanly      {self.outcomes['failed cleanly']:6}  (and completed when run again)",
            f"  tagged all the same {self.tagged_unheard:4}  (complete; the answer to the tag was lost)",
            f"met no fault        {self.outcomes['untouched']:6}",
            f"silent corruptions  {self.corruptions:6}",
            f"odd                 {len(self.odd):6}",
            f"upload sessions that could not be cancelled: {self.sessions_lost}",
        ]
        lines += [f"odd: seed {verdict.seed}: {'; '.join(verdict.odd)[:600]}" for verdict in self.odd]
        return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; 1 when anything was odd."""
    parser = argparse.ArgumentParser(prog="python3 -m bench.faults", description="Copy images under random faults.")
    parser.add_argument("--seed", type=int, default=1, help="of the first run; the next has the next number")
    parser.add_argument("--runs", type=int, default=100)
    given = parser.parse_args(arguments)
    summary = Summary()
    began = told = time.monotonic()
    for seed in range(given.seed, given.seed + given.runs):
        faulthandler.dump_traceback_later(3 * HANG_SECONDS, exit=True)
        verdict = run_once(seed)
        summary.add(verdict)
        if verdict.odd:
            print(f"seed {seed}: {'; '.join(verdict.odd)[:600]}", file=sys.stderr, flush=True)
        if given.runs == 1:
            _tell(verdict)
        elif time.monotonic() - told > _PROGRESS_SECONDS:
            told = time.monotonic()
            print(f"{summary.outcomes.total()} runs ...", file=sys.stderr, flush=True)
    faulthandler.cancel_dump_traceback_later()
    print(summary.text(time.monotonic() - began))
    return 1 if summary.odd else 0


def _tell(verdict: Verdict) -> None:
    """Everything about one run."""
    if verdict.scenario:
        for name, value in vars(verdict.scenario).items():
            print(f"{name}: {value}" if name != "artifact" else f"sizes: {verdict.scenario.sizes}")
    for fault in verdict.faults:
        where = f"{verdict.names.get(fault.host)} {fault.method or 'any'} {fault.path}"
        print(f"fault: {fault.action} at {where}, skip {fault.skip}, times {fault.times}")
    for entry in verdict.log:
        print(_line(entry, verdict.names.get(entry.host, "?")))
    print(f"{verdict.outcome}: {verdict.failure}")


def _line(entry: LogEntry, name: str) -> str:
    """One request, short enough for a terminal."""
    ranges = "".join(
        f" {field} {entry.headers[field]}" for field in ("Range", "Content-Range") if field in entry.headers
    )
    path = re.sub(r"([0-9a-f]{8})[0-9a-f]{24,}", r"\1", entry.path)
    fault = f"  <- {entry.fault}" if entry.fault else ""
    return (
        f"{entry.status:3} {name} {entry.method} {path} in {entry.received_bytes} out {entry.sent_bytes}{ranges}{fault}"
    )


if __name__ == "__main__":
    sys.exit(main())
