# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""The command line of the benchmark."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from bench import report
from bench.certificates import Certificate, make_certificate
from bench.clients import find_peers, our_clients, peer_clients
from bench.machine import check_memory, circumstances, memory_folder
from bench.native import compile_all
from bench.plots import write_plots
from bench.processes import Unusable
from bench.registries import RegistryProgram
from bench.results import Report
from bench.rows import QUICK_ROWS, ROWS, Row, select, workloads
from bench.runner import Effort, Runner
from bench.stage import Stage
from bench.whole_az import whole_az

_LIMIT_SECONDS, _QUICK_LIMIT_SECONDS = 150, 5


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table, and write what was asked for; 1 when a client failed."""
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _end)
    try:
        result = _loaded(options.load) if options.load else _measured(options)
    except (Unusable, ValueError) as ex:
        print(f"bench: {ex}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    _write(result, options)
    failures = [client for row in result.rows for client in row.clients if client.problem and not client.too_slow]
    return 1 if failures else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python3 -m bench", description="Measure the copier beside its peers, between real registries in memory."
    )
    names = ", ".join(row.name for row in ROWS)
    add = parser.add_argument
    add("--quick", action="store_true", help="small workloads and few runs: under two minutes")
    add("--rows", help=f"which rows, separated by commas, W3* for all that begin so (all; quick: most): {names}")
    add("--runs", type=int, help="runs of each client (7; quick: 2)")
    add("--repeats", type=int, help="how often a run is repeated when the machine was not quiet (3; quick: 0)")
    add("--limit", type=int, help=f"seconds that a client may take ({_LIMIT_SECONDS}; quick: {_QUICK_LIMIT_SECONDS})")
    add(
        "--registry", default="docker-registry", help="the registry program: Debian's, or another build of distribution"
    )
    add("--peer", action="append", default=[], metavar="NAME=PATH", help="a further skopeo, crane, regctl or regsync")
    add("--az", metavar="PATH", help="run az acrx import as a whole, too, where one image is copied over TLS")
    add("--no-path", action="store_true", help="only the peers given with --peer, not those on the PATH")
    add(
        "--variant", action="append", default=[], metavar="KEY=N,...", help="our copier with other CopySettings as well"
    )
    add("--counts", action=argparse.BooleanOptionalAction, help="count requests in a run more (yes; quick: W4 only)")
    add("--folder", type=Path, help="where the registries keep their files (a temporary folder in memory)")
    add("--json", type=Path, metavar="FILE", help="write everything that was measured")
    add("--markdown", type=Path, metavar="FILE", help="write the tables, between the marks that the file may have")
    add("--plots", type=Path, metavar="FOLDER", help="write a plot of each row as SVG")
    add("--load", type=Path, metavar="FILE", help="measure nothing: tables and plots of what --json wrote before")
    return parser


def _measured(options: argparse.Namespace) -> Report:
    rows = select(options.rows or (QUICK_ROWS if options.quick else "*"))
    sizes = workloads(quick=options.quick)
    registry = RegistryProgram(_program(options.registry, "Debian: apt-get install docker-registry"))
    az_program = _program(options.az, "here: make venv") if options.az else ""
    peers = find_peers(options.peer, search=not options.no_path)
    if not peers:
        print("No peer was found: there will be no ratios (Debian: apt-get install skopeo).")
    clients = our_clients([_variant(text) for text in options.variant]) + peer_clients(peers, quick=options.quick)
    effort = _effort(options)
    with ExitStack() as stack:
        place = options.folder or memory_folder()
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="acrimport-bench-", dir=place)))
        used = list(dict.fromkeys(row.workload for row in rows))
        check_memory(folder, [sizes[workload] for workload in used])
        limit = options.limit or (_QUICK_LIMIT_SECONDS if options.quick else _LIMIT_SECONDS)
        stage = Stage(folder, registry, compile_all(folder), _certificate(folder), limit, sizes)
        how = f"{effort.rounds} of each client, in turn"
        if options.quick:
            how += "; small workloads (--quick), the goals are for the full ones"
        result = Report(circumstances(registry, peers, how))
        if az_program and stage.certificate:
            az = stack.enter_context(whole_az(az_program, stage.native, stage.certificate, folder / "az"))
            clients.append(az.client)
            result.circumstances["az"] = str(az)
        runner = Runner(stage, clients, effort, _say)
        runner.generate(used)
        result.rows = [_shown(runner, row) for row in rows]
    return result


def _program(name: str, remedy: str) -> str:
    """Where a program is, whatever folder it is started in."""
    found = shutil.which(name)
    if found is None:
        raise Unusable(f"there is no program {name} ({remedy})")
    return os.path.abspath(found)


def _shown(runner: Runner, row: Row) -> Any:
    result = runner.measure(row)
    _say(f"  {report.summary(result)}")
    return result


def _effort(options: argparse.Namespace) -> Effort:
    rounds = options.runs or (2 if options.quick else 7)
    repeats = options.repeats if options.repeats is not None else (0 if options.quick else 3)
    return Effort(
        rounds=rounds, repeats=repeats, counts=not options.quick if options.counts is None else options.counts
    )


def _variant(text: str) -> dict[str, int]:
    pairs = [pair.partition("=") for pair in text.split(",")]
    return {key: int(value) for key, _, value in pairs}


def _certificate(folder: Path) -> Certificate | None:
    try:
        return make_certificate(folder)
    except Unusable as ex:
        print(f"Without TLS: {ex}.")
        return None


def _loaded(path: Path) -> Report:
    return Report.of_fields(json.loads(path.read_text(encoding="utf-8")))


def _write(result: Report, options: argparse.Namespace) -> None:
    written = write_plots(result, options.plots) if options.plots else []
    print()
    print(report.markdown(result))
    if options.json:
        options.json.write_text(json.dumps(result.fields(), indent=1) + "\n", encoding="utf-8")
    if options.markdown:
        links = {path.name: Path(os.path.relpath(path, options.markdown.parent)).as_posix() for path in written}
        before = options.markdown.read_text(encoding="utf-8") if options.markdown.exists() else ""
        options.markdown.write_text(report.inserted(before, report.markdown(result, links)), encoding="utf-8")


def _say(text: str) -> None:
    print(text, flush=True)


def _end(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
