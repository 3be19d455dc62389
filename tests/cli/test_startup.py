# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""What the Azure CLI loads because of the extension: for its own commands nothing, for help and completion little."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest

from tests.cli.conftest import SignedInAz

pytestmark = pytest.mark.cli

_IMPORTED = re.compile(r"^import time:\s+\d+ \|\s+\d+ \|\s+(\S+)$", re.MULTILINE)

# What the core loads for the command of any extension, to see whether there is a newer one, and what we load of ours.
_OF_EXTENSIONS = ("azure.cli.core.extension", "packaging", "pkginfo")
_SMALL = {"concurrent.futures.thread"}


def imported(az: SignedInAz, *arguments: str, env: Mapping[str, str] | None = None) -> set[str]:
    """The modules that a command imports."""
    done = az(*arguments, env={"PYTHONPROFILEIMPORTTIME": "1", **(env or {})})
    names = set(_IMPORTED.findall(done.stderr))
    assert "azure.cli.core" in names
    return names


def ours(names: set[str]) -> set[str]:
    return {name for name in names if name.partition(".")[0] == "azext_acrimport"}


def completing(az: SignedInAz, line: str) -> set[str]:
    """The modules that are imported when a shell asks what may follow the line."""
    asked = {"_ARGCOMPLETE": "1", "_ARGCOMPLETE_STDOUT_FILENAME": "/dev/null"}
    return imported(az, env={**asked, "COMP_LINE": line, "COMP_POINT": str(len(line))})


def more_than(names: set[str], others: set[str]) -> set[str]:
    """What of the names is neither among the others, nor ours, nor what every extension costs."""
    return {name for name in names - others - ours(names) - _SMALL if not name.startswith(_OF_EXTENSIONS)}


@pytest.fixture(scope="module", autouse=True)
def _command_index(az: SignedInAz) -> None:
    """The first command after an installation loads every extension, for the CLI's index of commands."""
    az("acrx", "import", "--help")
    az("--help")


@pytest.mark.parametrize("command", ["version", "acr --help", "acr import --help", "--help"])
def test_other_commands_load_nothing_of_it(az: SignedInAz, command: str) -> None:
    assert ours(imported(az, *command.split())) == set()


def test_help_loads_no_more_than_that_of_az_acr_import(az: SignedInAz) -> None:
    ourselves = imported(az, "acrx", "import", "--help")

    assert "azext_acrimport._params" in ourselves
    assert more_than(ourselves, imported(az, "acr", "import", "--help")) == set()
    layers = tuple(f"azext_acrimport.{layer}" for layer in ("registry", "transfer", "arm", "run", "connections"))
    assert {name for name in ourselves if name.startswith(layers)} == set()


@pytest.mark.parametrize("rest", ["--so", "--via ", "--source "])
def test_completion_loads_no_more_than_that_of_az_acr_import(az: SignedInAz, rest: str) -> None:
    ourselves = completing(az, f"az acrx import {rest}")

    assert "azext_acrimport._params" in ourselves
    assert more_than(ourselves, completing(az, "az acr import --so")) == set()


def test_completion_of_the_group_loads_only_its_table_of_commands(az: SignedInAz) -> None:
    loaded = ours(completing(az, "az acrx "))

    assert loaded <= {f"azext_acrimport{name}" for name in ("", "._format", "._help", ".commands")}
