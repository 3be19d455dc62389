# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""azure-identity is an extra: without it the error has the command that adds it, and with it az finds it there."""

from __future__ import annotations

import importlib.metadata
import os
import shlex
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from emulator import content
from tests.cli.conftest import SignedInAz
from tests.cli.signing import by_secret
from tests.cli.world import World
from tests.support.az import TIMEOUT_SECONDS
from tests.support.images import assert_holds

pytestmark = pytest.mark.cli

IMAGE = content.image("extra")

# The environment that the tests run in has azure-identity; the az that a user installs has none. With this on its
# path, az does not see the one that is among its own packages.
HIDE = """
import sys
from importlib.machinery import PathFinder

class WithoutAzureIdentity:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name != "azure.identity":
            return None
        found = PathFinder.find_spec(name, [each for each in path if "site-packages" not in each], target)
        if found is None:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return found

sys.meta_path.insert(0, WithoutAzureIdentity)
"""


@pytest.fixture
def without(extensions: Path, tmp_path: Path) -> dict[str, str]:
    """The variables of an az without azure-identity, and with extensions of its own."""
    (tmp_path / "path").mkdir()
    (tmp_path / "path" / "sitecustomize.py").write_text(HIDE, encoding="utf-8")
    shutil.copytree(extensions, tmp_path / "extensions")
    return {"PYTHONPATH": str(tmp_path / "path"), "AZURE_EXTENSION_DIR": str(tmp_path / "extensions")}


@pytest.fixture
def wheelhouse(tmp_path: Path) -> Path:
    """A directory with the installed azure-identity as a wheel, for a pip that has no network."""
    package = importlib.metadata.distribution("azure-identity")
    directory = tmp_path / "wheels"
    directory.mkdir()
    with zipfile.ZipFile(directory / f"azure_identity-{package.version}-py3-none-any.whl", "w") as wheel:
        for file in package.files or []:
            if "__pycache__" not in file.parts:
                wheel.write(str(file.locate()), str(file))
    return directory


def test_the_command_in_the_error_adds_it(
    world: World, az: SignedInAz, without: dict[str, str], wheelhouse: Path, tmp_path: Path
) -> None:
    origin, target = world.registry(subscription="partner"), world.registry()
    world.put(IMAGE, origin.store, "app", "v1")
    signing = by_secret(world.azure, world.azure.principals["partner-puller"], tmp_path)
    names = ("--name", target.name, "--source", f"{origin.login_server}/app:v1")
    command = ("acrx", "import", *names, "--via", "local", "--source-identity", signing.option)
    env = {**signing.env, **without}

    failed = az(*command, env=env, fails=True)
    assert f"Source {origin.login_server}: --source-identity environment gets no token" in failed.stderr
    (line,) = [line for line in failed.stderr.splitlines() if "pip install" in line]
    subprocess.run(
        shlex.split(line.partition("Add it to the extension: ")[2]),
        env=os.environ | {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheelhouse), "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        check=True,
        capture_output=True,
        timeout=TIMEOUT_SECONDS,
    )
    assert (Path(without["AZURE_EXTENSION_DIR"]) / "acrimport" / "azure" / "identity").is_dir()
    az(*command, env=env)

    assert_holds(target.store, "app", IMAGE, tags=["v1"])


def test_another_tenant_of_the_azure_cli_needs_none(
    world: World, az: SignedInAz, without: dict[str, str], tmp_path: Path
) -> None:
    target = world.registry()
    source = ("--source", f"{target.login_server}/app:v1", "--source-identity", "cli:nobody.example")

    failed = az("acrx", "import", "--name", target.name, *source, env=without, fails=True)

    assert "az login --tenant nobody.example" in failed.stderr
    assert "azure-identity" not in failed.stderr
