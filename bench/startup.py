# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""What the extension costs before a command does anything: ``python3 -m bench.startup [--az AZ] [--runs N]``.

Pairs of commands take turns, so that what else the machine does hits both alike, and the medians are compared. CPU time
says more than wall time where the machine is not idle. With ``--instructions`` each command is run once more under
valgrind, which counts what it executes: the counts of two runs differ by millionths, where times differ by hundredths.

The CLI does more work as soon as any extension is installed. What ours adds to that shows beside an empty one.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from bench.bare import ROOT
from bench.processes import bare_environment

_COUNTER = (
    "valgrind",
    "--tool=cachegrind",
    "--cache-sim=no",
    "--cachegrind-out-file=/dev/null",
    "--trace-children=yes",
)
_COUNT = re.compile(r"I +refs: +([0-9,]+)")
_EMPTY_EXTENSION = """\
from azure.cli.core import AzCommandsLoader


class Loader(AzCommandsLoader):
    def load_command_table(self, args):
        return self.command_table

    def load_arguments(self, command):
        pass


COMMAND_LOADER_CLS = Loader
"""
_COMPLETION = {"_ARGCOMPLETE": "1", "_ARGCOMPLETE_STDOUT_FILENAME": os.devnull}


@dataclass
class Side:
    """One command, the seconds that its runs took (on the clock, and of CPU), and the instructions of one run."""

    name: str
    arguments: list[str]
    environment: dict[str, str]
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    instructions: int = 0

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

    def count(self, az: str) -> None:
        """Run it once more, and count its instructions."""
        done = subprocess.run(
            [*_COUNTER, az, *self.arguments],
            env={**self.environment, "PYTHONHASHSEED": "0"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            check=True,
        )
        self.instructions = sum(int(found.replace(",", "")) for found in _COUNT.findall(done.stderr.decode()))


class Homes(NamedTuple):
    """Variables for an ``az`` with no extension, with one that does nothing, and with ours."""

    without: dict[str, str]
    empty: dict[str, str]
    having: dict[str, str]


def completion(line: str, environment: dict[str, str]) -> dict[str, str]:
    """The variables by which a shell asks what may follow the line."""
    return {**environment, **_COMPLETION, "COMP_LINE": line, "COMP_POINT": str(len(line))}


def pairs(homes: Homes) -> list[tuple[Side, Side]]:
    """What is compared: homes without and with the extension, and our command with the one of the core."""
    without, empty, having = homes
    return [
        (Side("az version, no extension", ["version"], without), Side("with acrimport", ["version"], having)),
        (Side("az version, an empty extension", ["version"], empty), Side("with acrimport", ["version"], having)),
        (Side("az acr -h, no extension", ["acr", "-h"], without), Side("with acrimport", ["acr", "-h"], having)),
        (
            Side("az acr import -h", ["acr", "import", "-h"], having),
            Side("az acrx import -h", ["acrx", "import", "-h"], having),
        ),
        (
            Side("az acr import --so<Tab>", [], completion("az acr import --so", having)),
            Side("az acrx import --so<Tab>", [], completion("az acrx import --so", having)),
        ),
    ]


def environments(az: str, folder: Path) -> Homes:
    """Make the homes."""
    made = Homes(*(_home(folder / name) for name in Homes._fields))
    _write_empty_extension(Path(made.empty["AZURE_EXTENSION_DIR"]) / "empty")
    package = [sys.executable, str(Path(ROOT) / "scripts" / "package.py"), str(folder / "wheel")]
    subprocess.run(package, check=True, stdout=subprocess.DEVNULL)
    (wheel,) = (folder / "wheel").glob("*.whl")
    subprocess.run([az, "extension", "add", "--source", str(wheel), "--yes"], env=made.having, check=True)
    return made


def _home(folder: Path) -> dict[str, str]:
    folder.mkdir()
    variables = {"AZURE_CONFIG_DIR": str(folder / "config"), "AZURE_EXTENSION_DIR": str(folder / "extensions")}
    return {**bare_environment(folder), **variables, "AZURE_CORE_COLLECT_TELEMETRY": "false"}


def _write_empty_extension(folder: Path) -> None:
    """Write what ``az extension add`` would have unpacked."""
    package, metadata = folder / "azext_empty", folder / "empty-1.0.0.dist-info"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(_EMPTY_EXTENSION, encoding="utf-8")
    (package / "azext_metadata.json").write_text("{}", encoding="utf-8")
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: empty\nVersion: 1.0.0\n", encoding="utf-8")


def report(first: Side, second: Side) -> str:
    """One row: the medians of both, the instructions of both, and how much the second takes more."""
    cells = [first.name, second.name]
    for name in ("cpu", "wall"):
        one, two = (statistics.median(getattr(side, name)) for side in (first, second))
        cells += [f"{one * 1000:.0f} ms", f"{two * 1000:.0f} ms", f"{(two / one - 1) * 100:+.0f} %"]
    if first.instructions:
        one, two = first.instructions, second.instructions
        cells += [f"{one / 1e6:,.1f} M", f"{two / 1e6:,.1f} M", f"{(two / one - 1) * 100:+.2f} %"]
    return "| " + " | ".join(cells) + " |"


def measure(az: str, measured: list[tuple[Side, Side]], runs: int) -> None:
    """Let all sides take turns; two rounds to warm up do not count."""
    for number in range(runs + 2):
        for first, second in measured:
            for side in (first, second) if number % 2 else (second, first):
                side.run(az)
                if number < 2:
                    side.wall.clear()
                    side.cpu.clear()


def main() -> None:
    """Measure all pairs and print a table."""
    parser = argparse.ArgumentParser(prog="python3 -m bench.startup", description="Measure what the extension costs.")
    parser.add_argument("--az", default=str(Path(ROOT) / ".venv" / "bin" / "az"), help="the az to measure")
    parser.add_argument("--runs", type=int, default=15, help="runs of each command; after two to warm up")
    parser.add_argument("--instructions", action="store_true", help="count instructions, too (needs valgrind)")
    options = parser.parse_args()
    if options.instructions and not shutil.which(_COUNTER[0]):
        raise SystemExit("bench: there is no valgrind to count instructions with (Debian: apt-get install valgrind)")
    with tempfile.TemporaryDirectory() as scratch:
        measured = pairs(environments(options.az, Path(scratch)))
        measure(options.az, measured, options.runs)
        for side in [side for pair in measured for side in pair] if options.instructions else []:
            side.count(options.az)
    instructions = " instructions of first | of second | |" if options.instructions else ""
    print(f"| first | second | CPU of first | of second | | wall of first | of second | |{instructions}")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |" + (" --- | --- | --- |" if instructions else ""))
    print(*(report(first, second) for first, second in measured), sep="\n")


if __name__ == "__main__":
    main()
