# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""What a list of images costs as it grows: ``python3 -m bench.lists [--entries 100,1000] [--via local,service]``.

The real az imports small images, each into a repository of its own, half of their layers shared, from and to the
registries of a local Azure. That is a Python program too: the time says how it grows, not how fast it is. The requests
are those that ACR would see.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.bare import ROOT
from bench.native import Native, Usage, compile_all, run_client
from bench.processes import Unusable, bare_environment, tail
from bench.report import table
from bench.whole_az import install, run
from emulator import content
from emulator.azure import Emulator
from emulator.content import Artifact
from emulator.resources import AzureRegistry

_SHARED_LAYERS = 24
_LAYER_BYTES = 2000
_LIMIT_SECONDS = 3600
_HEAD = ("route", "images", "wall s", "processor s", "peak MiB", "requests", "for each image", "tokens", "connections")


@dataclass(frozen=True)
class Cost:
    """What one run took. ``tokens`` are requests for tokens, which the other ``requests`` do not hold."""

    via: str
    entries: int
    usage: Usage
    requests: int
    tokens: int
    connections: int

    @property
    def cells(self) -> tuple[str, ...]:
        """The row of the table."""
        rss = self.usage.peak_rss_kib
        return (
            self.via,
            str(self.entries),
            f"{self.usage.wall_seconds:.1f}",
            f"{self.usage.cpu_seconds:.1f}",
            f"{rss / 1024:.0f}" if rss else "–",
            str(self.requests),
            f"{self.requests / self.entries:.1f}",
            str(self.tokens),
            str(self.connections),
        )


def image_of(number: int) -> Artifact:
    """A small image with two layers, of which one is shared with many others."""
    layers = [content.blob(_LAYER_BYTES, f"shared-{number % _SHARED_LAYERS}"), content.blob(_LAYER_BYTES, number)]
    config = json.dumps({"os": "linux", "architecture": "amd64", "config": {"Labels": {"number": str(number)}}})
    manifest = {
        "schemaVersion": 2,
        "mediaType": content.OCI_MANIFEST,
        "config": content.describe(config.encode(), content.OCI_CONFIG),
        "layers": [content.describe(layer, content.OCI_LAYER) for layer in layers],
    }
    return Artifact(json.dumps(manifest).encode(), content.OCI_MANIFEST, (config.encode(), *layers))


class Bench:
    """A local Azure with a registry full of images, and an az that is signed in to it."""

    def __init__(self, azure: Emulator, az: str, native: Native, folder: Path) -> None:
        self._azure = azure
        self._az = az
        self._native = native
        self._folder = folder
        self._source = azure.add_registry("listsource")
        self._filled = self._runs = 0
        self._environment = {**bare_environment(folder), **azure.exports(folder / "config", azure.server.inside_proxy)}
        install(az, self._environment, folder)
        run([az, *azure.login_arguments()], self._environment, folder)

    def measure(self, entries: int, via: str) -> Cost:
        """Import so many images by a route into an empty registry.

        :raises Unusable: the command failed, or an image did not arrive.
        """
        self._fill(entries)
        self._runs += 1
        target = self._azure.add_registry(f"listtarget{self._runs}")
        listed = self._folder / "list.txt"
        listed.write_text("".join(f"{self._source.login_server}/team/app{number}:v1\n" for number in range(entries)))
        self._azure.server.log.clear()
        command = [self._az, "acrx", "import", "--name", target.name, "--from-file", str(listed), "--via", via]
        usage = run_client(self._native, command, self._environment, self._folder, limit_seconds=_LIMIT_SECONDS)
        if usage.exit_code or len(target.store.names()) != entries:
            raise Unusable(f"{' '.join(command[1:])} ended with {usage.exit_code}: {tail(self._folder / 'err')}")
        return self._cost(via, entries, usage, target)

    def _fill(self, entries: int) -> None:
        for number in range(self._filled, entries):
            image_of(number).put(self._source.store.repository(f"team/app{number}"), "v1")
        self._filled = max(self._filled, entries)

    def _cost(self, via: str, entries: int, usage: Usage, target: AzureRegistry) -> Cost:
        log = self._azure.server.log
        hosts = {self._source.login_server, target.login_server, "management.azure.com"}
        # What the service asks of the source is no request of ours.
        asked = Counter(
            entry.path.startswith("/oauth2/") for entry in log if entry.host in hosts and entry.client != "service"
        )
        return Cost(via, entries, usage, asked[False], asked[True], sum(map(log.connections, hosts)))


@contextmanager
def opened(az: str) -> Iterator[Bench]:
    """The bench, for as long as the block lasts.

    :raises Unusable: the extension cannot be installed.
    """
    with tempfile.TemporaryDirectory(prefix="acrimport-lists-") as scratch, Emulator.start(Path(scratch)) as azure:
        folder = Path(scratch) / "az"
        folder.mkdir()
        yield Bench(azure, az, compile_all(Path(scratch)), folder)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(prog="python3 -m bench.lists", description="Measure what lists of images cost.")
    parser.add_argument("--entries", default="100,1000", help="how many images, separated by commas (100,1000)")
    parser.add_argument("--via", default="local", help="the routes, separated by commas (local)")
    parser.add_argument("--az", default=os.path.join(ROOT, ".venv", "bin", "az"), help="the az to measure")
    options = parser.parse_args(arguments)
    costs = []
    try:
        with opened(options.az) as bench:
            for via in options.via.split(","):
                for entries in map(int, options.entries.split(",")):
                    costs.append(bench.measure(entries, via))
                    print("  ".join(costs[-1].cells), flush=True)
    except Unusable as ex:
        print(f"bench: {ex}", file=sys.stderr)
        return 1
    print(f"\n{table(_HEAD, [cost.cells for cost in costs])}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
