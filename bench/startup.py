# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""What the extension costs before a command does anything: ``python3 -m bench.startup [--az AZ] [--runs N]``.

Pairs of commands take turns, so that what else the machine does hits both alike, and the medians are compared. CPU time
says more than wall time where the machine is not idle.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from bench.bare import ROOT
from bench.processes import bare_environment

_COMPLETION = {"_ARGCOMPLETE": "1", "_ARGCOMPLETE_STDOUT_FILENAME": os.devnull}


@dataclass
class Side:
    """One command, and the seconds that its runs took: on the clock, and of CPU."""

    name: str
    arguments: list[str]
    environment: dict[str, str]
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def run(self, az: str) -> None:
        """Run it once."""
        began = time.perf_counter()
        process = subprocess.Popen(
            [az, *self.arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"bench: {self.name} ended with {process.returncode}")
        self.wall.append(time.perf_counter() - began)
        self.cpu.append(usage.ru_utime + usage.ru_stime)


def completion(line: str, environment: dict[str, str]) -> dict[str, str]:
    """The variables by which a shell asks what may follow the line."""
    return {**environment, **_COMPLETION, "COMP_LINE": line, "COMP_POINT": str(len(line))}


def pairs(without: dict[str, str], having: dict[str, str]) -> list[tuple[Side, Side]]:
    """What is compared: environments without and with the extension, and our command with the one of the core."""
    return [
        (Side("az version, without", ["version"], without), Side("az version, with", ["version"], having)),
        (Side("az acr -h, without", ["acr", "-h"], without), Side("az acr -h, with", ["acr", "-h"], having)),
        (
            Side("az acr import -h", ["acr", "import", "-h"], having),
            Side("az acrx import -h", ["acrx", "import", "-h"], having),
        ),
        (
            Side("az acr import --so<Tab>", [], completion("az acr import --so", having)),
            Side("az acrx import --so<Tab>", [], completion("az acrx import --so", having)),
        ),
    ]


def environments(az: str, folder: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Make a home without the extension and one with it, and return the variables of both."""
    made = []
    for name in ("without", "having"):
        home = folder / name
        home.mkdir()
        variables = {"AZURE_CONFIG_DIR": str(home / "config"), "AZURE_EXTENSION_DIR": str(home / "extensions")}
        made.append({**bare_environment(home), **variables, "AZURE_CORE_COLLECT_TELEMETRY": "false"})
    package = [sys.executable, str(Path(ROOT) / "scripts" / "package.py"), str(folder / "wheel")]
    subprocess.run(package, check=True, stdout=subprocess.DEVNULL)
    (wheel,) = (folder / "wheel").glob("*.whl")
    subprocess.run([az, "extension", "add", "--source", str(wheel), "--yes"], env=made[1], check=True)
    return made[0], made[1]


def report(first: Side, second: Side) -> str:
    """One row: the medians of both, and how much the second takes more."""
    cells = [first.name, second.name]
    for name in ("cpu", "wall"):
        one, two = (statistics.median(getattr(side, name)) for side in (first, second))
        cells += [f"{one * 1000:.0f} ms", f"{two * 1000:.0f} ms", f"{(two / one - 1) * 100:+.0f} %"]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Measure all pairs and print a table."""
    parser = argparse.ArgumentParser(prog="python3 -m bench.startup", description="Measure what the extension costs.")
    parser.add_argument("--az", default=str(Path(ROOT) / ".venv" / "bin" / "az"), help="the az to measure")
    parser.add_argument("--runs", type=int, default=15, help="runs of each command; after two to warm up")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        measured = pairs(*environments(options.az, Path(scratch)))
        for number in range(options.runs + 2):
            for first, second in measured:
                for side in (first, second) if number % 2 else (second, first):
                    side.run(options.az)
                    if number < 2:
                        side.wall.clear()
                        side.cpu.clear()
    print("| first | second | CPU of first | of second | | wall of first | of second | |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    print(*(report(first, second) for first, second in measured), sep="\n")


if __name__ == "__main__":
    main()
