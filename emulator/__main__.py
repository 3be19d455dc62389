# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""``python3 -m emulator``: a local Azure to point ``az`` at by hand."""

from __future__ import annotations

import argparse
import shlex
import signal
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

from emulator import sample
from emulator.azure import Emulator

_TRY = """\
  az acr list --output table
  az acr import --name myregistry --source docker.io/library/hello-world:latest --image hello-world:latest
  az acr repository show-tags --name myregistry --repository hello-world --detail
  az acrx import --name closedregistry --source sourceregistry.azurecr.io/team/app:v1
  az acr manifest list-metadata --registry closedregistry --name team/app --output table"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a filled emulator until Ctrl-C."""
    options = _parse(arguments)
    with tempfile.TemporaryDirectory(prefix="acrimport-emulator-") as temporary:
        directory = options.directory or Path(temporary)
        directory.mkdir(parents=True, exist_ok=True)
        ports = (options.port, options.port + 1) if options.port else (0, 0)
        with Emulator.start(directory, inside_port=ports[0], outside_port=ports[1]) as azure:
            sample.fill(azure)
            azure.imports.pending_polls = 2
            _announce(azure, directory, options.env_file)
            _wait()


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python3 -m emulator", description="Run a small local Azure.")
    parser.add_argument("--port", type=int, default=0, help="port of the proxy; the next one serves the outside")
    parser.add_argument("--directory", type=Path, help="where the CA and az's configuration go; default: temporary")
    parser.add_argument("--env-file", type=Path, help="file to write the exports to, for `. FILE`")
    return parser.parse_args(arguments)


def _announce(azure: Emulator, directory: Path, env_file: Path | None) -> None:
    environment = azure.exports(directory.resolve() / "azure-config", azure.server.inside_proxy)
    exports = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in environment.items())
    if env_file is not None:
        env_file.write_text(exports)
    outside = f"HTTPS_PROXY={azure.server.outside_proxy} https_proxy={azure.server.outside_proxy}"
    print("A local Azure is running. In another shell, point az at it and sign in:\n")
    print(exports)
    print(f"  az {shlex.join(azure.login_arguments())}\n")
    print("Then, for instance:\n")
    print(_TRY)
    print("\nThat is inside the registries' network. To be outside of it, where closedregistry refuses you:\n")
    print(f"  export {outside}\n")
    print("Others to sign in as:\n")
    for name in azure.principals:
        print(f"  {name:15} az {shlex.join(azure.login_arguments(name))}")
    print(f"\nA repository-scoped token of partnerregistry: -u {sample.SCOPED_TOKEN[0]} -p {sample.SCOPED_TOKEN[1]}")
    print("Ctrl-C stops it.", flush=True)


def _wait() -> None:
    """Return on Ctrl-C or when the process is asked to end."""
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    ended.wait()


if __name__ == "__main__":
    main()
