# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""The real az with the installed wheel, signed in to a local Azure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from emulator.azure import Emulator
from tests.cli.importer import Importer
from tests.cli.world import World
from tests.support.az import Az, Completed, bare_environment, find_az
from tests.support.shared import once_per_run


@pytest.fixture(scope="session")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """A local Azure for this worker."""
    with Emulator.start(tmp_path_factory.mktemp("azure")) as running:
        yield running


@pytest.fixture
def world(azure: Emulator) -> Iterator[World]:
    """The local Azure as one test sees it: registries of its own, no faults, an empty log."""
    with World(azure) as fresh:
        yield fresh


@pytest.fixture(scope="session")
def extensions(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of extensions with the wheel installed in it, by az, once in a run."""

    def install(directory: Path) -> None:
        home = tmp_path_factory.mktemp("install")
        environment = bare_environment(home) | {
            "AZURE_CONFIG_DIR": str(home / "config"),
            "AZURE_EXTENSION_DIR": str(directory),
            "PIP_NO_INDEX": "1",
        }
        Az(find_az(), environment, home)("extension", "add", "--source", str(wheel), "--yes")

    return once_per_run(tmp_path_factory, "extensions", install)


class SignedInAz:
    """Runs az as any of the principals of the local Azure; each signs in once in a worker."""

    def __init__(self, azure: Emulator, extensions: Path, directory: Path) -> None:
        self._azure = azure
        self._extensions = extensions
        self._directory = directory
        self._configs: dict[str, Path] = {}

    def __call__(
        self,
        *arguments: str,
        principal: str = "owner",
        network: str = "inside",
        env: Mapping[str, str] | None = None,
        fails: bool = False,
    ) -> Completed:
        """Run one command in a network, with further variables, and check whether it succeeded."""
        return self.at(principal, network=network, env=env)(*arguments, fails=fails)

    def at(self, principal: str, *, network: str = "inside", env: Mapping[str, str] | None = None) -> Az:
        """Return what runs as a principal in a network, for who wants to run it in a way of their own."""
        return self._az(self.config(principal), network, env or {})

    def config(self, principal: str) -> Path:
        """Return the configuration directory of a principal, signing it in first where that has not been done."""
        if principal not in self._configs:
            config = self._directory / f"config-{principal}"
            self._az(config, "outside", {})(*self._azure.login_arguments(principal), "--output", "none")
            self._configs[principal] = config
        return self._configs[principal]

    def _az(self, config: Path, network: str, env: Mapping[str, str]) -> Az:
        home = self._directory / "home"
        home.mkdir(exist_ok=True)
        environment = {
            **self._azure.environment(config, network=network),
            **bare_environment(home),
            "AZURE_EXTENSION_DIR": str(self._extensions),
            **env,
        }
        return Az(find_az(), environment, home)


@pytest.fixture(scope="session")
def az(azure: Emulator, extensions: Path, tmp_path_factory: pytest.TempPathFactory) -> SignedInAz:
    """Run az: ``az("acrx", "import", ..., principal="pusher", network="outside", fails=True)``."""
    return SignedInAz(azure, extensions, tmp_path_factory.mktemp("az"))


@pytest.fixture(params=["az acr import", "service", "local"])
def importer(request: pytest.FixtureRequest, az: SignedInAz) -> Importer:
    """Import in each of the ways that have to have the same effect."""
    return Importer(az, request.param)
