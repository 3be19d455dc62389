# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Show images imported by both routes, with the real az, on a local Azure. Run it with ``make demo``.

All that it writes is in ``.demo``, or in the folder that is given; all that it starts has ended when it ends.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn

sys.path.insert(0, str(Path(__file__).resolve().parent))

from package import ROOT, build

FOLDER = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else ROOT / ".demo"
AZ = Path(sys.executable).parent / "az"
SOURCE = "docker.io/library/nginx:1.27"
IMAGE = "nginx:1.27"
IMAGES = """\
defaults:
  image: "mirror/{repository}:{tag}"
images:
  - source: docker.io/library/hello-world:latest
    name: myregistry
  - source: docker.io/library/nginx:1.27
    name: closedregistry
    platform: linux/arm64
  - source: sourceregistry.azurecr.io/team/app:v1
    name: closedregistry
    referrers: true
"""
_START_SECONDS = 60
_STOP_SECONDS = 10


class Failed(Exception):
    """A step of the demo did not work."""


@dataclass(frozen=True)
class LocalAzure:
    """A running emulator: the variables that point az at it, and the arguments that sign az in."""

    exports: Mapping[str, str]
    login: tuple[str, ...]


def main() -> None:
    """Tell the story: install, start, sign in, import by each route and by both, look."""
    if FOLDER.exists():
        shutil.rmtree(FOLDER)
    FOLDER.mkdir()
    environment = {**inherited(), **own_settings()}

    say("The extension: a wheel without dependencies, installed by the real az.")
    wheel = package()
    run(environment, "extension", "add", "--source", shown(wheel), "--yes")

    say("A small Azure on this machine: Entra ID, ARM, some registries, and a Docker Hub.")
    with local_azure() as azure:
        environment = {**inherited(), **azure.exports, **own_settings()}
        run(environment, *azure.login, "--output", "none")
        by_the_service(environment)
        by_the_local_route(environment)
        a_list(environment)

    say(f"That was all. Nothing is left running; all that this wrote is in {FOLDER.name}/, `make clean` removes it.")


def by_the_service(environment: Mapping[str, str]) -> None:
    """Import into a registry that the service can reach."""
    say("1. The service route: registry and source can be reached by the service, so it moves the bytes itself.")
    run(environment, "acrx", "import", "--name", "myregistry", "--source", SOURCE, "--image", IMAGE)
    look(environment, "myregistry")


def by_the_local_route(environment: Mapping[str, str]) -> None:
    """Import into a registry that lets nobody in from outside its network, Azure's own services included."""
    say("2. A closed registry. This is what `az acr import` says to it (it fails, as it does on Azure):")
    arguments = ("import", "--name", "closedregistry", "--source", SOURCE, "--image", IMAGE)
    run(environment, "acr", *arguments, fails=True)

    say("   The local route: the same arguments, with acrx for acr, and the bytes move through this machine.")
    run(environment, "acrx", *arguments)
    look(environment, "closedregistry")


def a_list(environment: Mapping[str, str]) -> None:
    """See what a list would do, and do it."""
    say("3. A list: one image by the service; one platform of another, and a third with its signature, by a copy.")
    print(f"\n$ cat images.yaml\n{IMAGES}", end="")
    (FOLDER / "images.yaml").write_text(IMAGES, encoding="utf-8")

    say("   What would be done:")
    arguments = ("acrx", "import", "--from-file", "images.yaml", "--only-show-errors", "--output", "table")
    columns = "status:status, route:route, registry:registry, image:images[0]"
    run(environment, *arguments, "--dry-run", "--query", f"[].{{{columns}, bytesToMove:bytesToMove}}")

    say("   And now in earnest, by both routes at once:")
    run(environment, *arguments, "--query", f"[].{{{columns}, referrers:referrers, bytesCopied:bytesCopied}}")


def look(environment: Mapping[str, str], registry: str) -> None:
    """Show with the CLI's own commands what a registry holds."""
    repository = IMAGE.partition(":")[0]
    run(environment, "acr", "repository", "show-tags", "--name", registry, "--repository", repository)
    columns = "[].{digest:digest, mediaType:mediaType, tag:tags[0]}"
    options = ("--registry", registry, "--name", repository, "--query", columns, "--output", "table")
    run(environment, "acr", "manifest", "list-metadata", *options, "--only-show-errors")


def say(text: str) -> None:
    """Print a line of the story."""
    print(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n{text}", flush=True)


def run(environment: Mapping[str, str], *arguments: str, fails: bool = False) -> None:
    """Print an az command, then run it.

    It runs in the demo's folder, which holds no Python files: az would import those in place of what is installed.
    """
    command = shlex.join(["az", *arguments])
    print(f"\n$ {command}", flush=True)
    done = subprocess.run([AZ, *arguments], env=dict(environment), cwd=FOLDER, stdin=subprocess.DEVNULL, check=False)
    if bool(done.returncode) != fails:
        raise Failed(f"'{command}' ended with exit code {done.returncode}")


def inherited() -> dict[str, str]:
    """Return the environment of this process without what would reach az or Python by the way."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("AZURE_", "ARM_", "PYTHON"))}


def own_settings() -> dict[str, str]:
    """Return the variables that keep az's settings in the demo's folder, and the user's out of it."""
    return {
        "AZURE_CONFIG_DIR": str(FOLDER / "azure-config"),
        "AZURE_EXTENSION_DIR": str(FOLDER / "extensions"),
        "AZURE_CORE_COLLECT_TELEMETRY": "false",
        "AZURE_CORE_SURVEY_MESSAGE": "false",
        "DOCKER_CONFIG": str(FOLDER / "docker"),
    }


def package() -> Path:
    """Build the wheel."""
    print("\n$ make package", flush=True)
    wheel = build(FOLDER / "dist")
    print(f"{FOLDER.name}/{shown(wheel)}")
    return wheel


@contextmanager
def local_azure() -> Iterator[LocalAzure]:
    """Start the emulator as a process of its own, and stop it again."""
    directory, env_file, log = FOLDER / "emulator", FOLDER / "env", FOLDER / "emulator.log"
    arguments = ["-m", "emulator", "--directory", str(directory), "--env-file", str(env_file)]
    print(f"\n$ python3 -m emulator --directory {shown(directory)} --env-file {shown(env_file)} &", flush=True)
    with log.open("wb") as stream:
        # A session of its own: Ctrl-C at the terminal reaches az and this process, which then stops the emulator.
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )
        try:
            login = wait_for_login(process, log)
            yield LocalAzure(read_exports(env_file), login)
        finally:
            stop(process)


def wait_for_login(process: subprocess.Popen[bytes], log: Path) -> tuple[str, ...]:
    """Wait until the emulator has printed how to sign in, which it does when it answers; return those arguments."""
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        for line in log.read_text(encoding="utf-8").splitlines(keepends=True):
            if line.strip().startswith("az login") and line.endswith("\n"):
                return tuple(shlex.split(line)[1:])
        time.sleep(0.05)
    raise Failed(f"the local Azure did not start:\n{log.read_text(encoding='utf-8')}")


def read_exports(path: Path) -> dict[str, str]:
    """Read the variables of a file of ``export NAME=VALUE`` lines."""
    words = (shlex.split(line) for line in path.read_text(encoding="utf-8").splitlines())
    pairs = (word.partition("=") for _, word in words)
    return {name: value for name, _, value in pairs}


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process, the hard way if it does not end by itself; a second Ctrl-C does not keep it alive."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    signal.signal(signal.SIGINT, before)


def shown(path: Path) -> str:
    """Return a path as one gives it in the demo's folder."""
    return str(path.relative_to(FOLDER))


def _end(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, _end)
    try:
        main()
    except Failed as ex:
        sys.exit(f"error: {ex}")
    except KeyboardInterrupt:
        sys.exit("\nStopped; nothing is left running.")
