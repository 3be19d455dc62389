# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""``az acrx import`` as users run it: the real az with the extension, a local Azure, and a real registry for the bytes.

The emulator plays Entra ID and Azure Resource Manager. The login server of the registry that it knows as
:data:`REGISTRY` is the target that is measured, so that no Python program is in the way of the bytes.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.bare import ROOT
from bench.certificates import REGISTRY, Certificate
from bench.clients import Client, Job
from bench.native import Native, run_client
from bench.processes import Unusable, bare_environment, tail
from bench.rows import Row, Workload
from bench.tunnel import Tunnel

_SETUP_SECONDS = 180
_BASELINE_RUNS = 3


@dataclass(frozen=True)
class WholeAz:
    """An az that is signed in. ``baselines`` are the medians of commands that copy nothing, in seconds."""

    client: Client
    version: str
    baselines: dict[str, float]

    def __str__(self) -> str:
        shown = [f"`{command}` takes {seconds:.2f} s" for command, seconds in self.baselines.items()]
        return ", ".join([self.version, *shown])


@contextmanager
def whole_az(az: str, native: Native, certificate: Certificate, folder: Path) -> Iterator[WholeAz]:
    """Install the extension from this source tree for an az, and start a local Azure for it.

    :raises Unusable: one of the two cannot be done.
    """
    try:
        from emulator.azure import Emulator
    except ImportError as ex:
        raise Unusable(f"the local Azure cannot be started with this Python: {ex}") from ex
    folder.mkdir()
    with Emulator.start(folder / "emulator") as azure:
        azure.add_registry(REGISTRY, public_network_access="Disabled", bypass="None")
        host = azure.registry(REGISTRY).login_server
        with Tunnel(host, int(azure.server.inside_proxy.rpartition(":")[2])) as tunnel:
            trusted = folder / "trusted.pem"
            trusted.write_bytes(azure.server.ca_file.read_bytes() + certificate.certificate.read_bytes())
            environment = {**bare_environment(folder), **azure.exports(folder / "config", tunnel.url)}
            environment |= dict.fromkeys(("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"), str(trusted))
            install(az, environment, folder)
            run([az, *azure.login_arguments()], environment, folder)
            client = Client("az acrx import", "acrimport-az", _import(az, tunnel), _fits, environment)
            version = run([az, "version", "--query", '"azure-cli"', "--output", "tsv"], environment, folder).strip()
            commands = [["version"], ["acr", "show", "--name", REGISTRY]]
            baselines = {f"az {' '.join(each)}": _time([az, *each], environment, native, folder) for each in commands}
            yield WholeAz(client, version, baselines)


def _fits(row: Row, workload: Workload) -> bool:
    """A login server is spoken to over TLS, and az imports one image at a time."""
    return row.tls and not row.needs_proxy and not workload.many


def _import(az: str, tunnel: Tunnel) -> Callable[[Job], list[str]]:
    def command(job: Job) -> list[str]:
        tunnel.port = int(job.target.rpartition(":")[2])
        image = f"{job.target_repository}:{job.tags[0]}"
        arguments = ["--name", REGISTRY, "--source", job.source_image(job.tags[0]), "--image", image, "--via", "local"]
        return [az, "acrx", "import", *arguments, "--output", "none"]

    return command


def install(az: str, environment: dict[str, str], folder: Path) -> None:
    """Install the extension from this source tree for an az.

    :raises Unusable: it cannot be done.
    """
    made = folder / "wheel"
    run([sys.executable, str(Path(ROOT) / "scripts" / "package.py"), str(made)], bare_environment(folder), folder)
    (wheel,) = made.glob("*.whl")
    run([az, "extension", "add", "--source", str(wheel), "--yes"], environment, folder)


def run(command: Sequence[str], environment: dict[str, str], folder: Path) -> str:
    """Run a command that has to succeed, and return what it prints.

    :raises Unusable: it failed.
    """
    done = subprocess.run(
        list(command),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_SETUP_SECONDS,
        env=environment,
        cwd=folder,
        check=False,
    )
    if done.returncode:
        raise Unusable(f"{' '.join(command[:3])} ended with {done.returncode}: {' '.join(done.stderr[-400:].split())}")
    return done.stdout


def _time(command: Sequence[str], environment: dict[str, str], native: Native, folder: Path) -> float:
    """The median time of a command, after one run to warm up."""
    times = []
    for _ in range(_BASELINE_RUNS + 1):
        usage = run_client(native, command, environment, folder, limit_seconds=_SETUP_SECONDS)
        if usage.exit_code:
            raise Unusable(f"{' '.join(command[1:])} ended with {usage.exit_code}: {tail(folder / 'err')}")
        times.append(usage.wall_seconds)
    return statistics.median(times[1:])
