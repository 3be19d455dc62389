# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""What is in the wheel, what it asks for, and that the CLI takes it without a network."""

from __future__ import annotations

import email.message
import email.parser
import json
import re
import zipfile
from pathlib import Path

import pytest

from tests.support.az import Az, bare_environment, find_az

pytestmark = pytest.mark.packaging

PACKAGE = "azext_acrimport/"
SOURCE = Path(__file__).resolve().parents[2] / "azext_acrimport"


@pytest.fixture(scope="module")
def names(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


@pytest.fixture(scope="module")
def metadata(wheel: Path, names: list[str]) -> email.message.Message:
    (name,) = (name for name in names if name.endswith(".dist-info/METADATA"))
    with zipfile.ZipFile(wheel) as archive:
        return email.parser.Parser().parsestr(archive.read(name).decode())


def test_the_wheel_is_for_every_python_and_platform(wheel: Path) -> None:
    assert wheel.name.startswith("acrimport-")
    assert wheel.name.endswith("-py3-none-any.whl")


def test_the_wheel_holds_the_package_and_nothing_else(names: list[str]) -> None:
    others = [name for name in names if not name.startswith(PACKAGE) and ".dist-info/" not in name]
    assert others == []


def test_the_wheel_holds_every_module_but_the_tests(names: list[str]) -> None:
    modules = {PACKAGE + path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*.py")}
    modules = {name for name in modules if not name.startswith(f"{PACKAGE}tests/")}
    assert {name for name in names if name.endswith(".py")} == modules


def test_the_wheel_holds_the_licence(names: list[str]) -> None:
    assert any(name.endswith("/LICENSE") for name in names)


def test_nothing_is_required_beyond_what_is_in_the_core(metadata: email.message.Message) -> None:
    required = [line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert required == []


def test_the_metadata_says_what_the_package_is(metadata: email.message.Message) -> None:
    assert metadata["Name"] == "acrimport"
    assert metadata["Requires-Python"] == ">=3.10"
    assert metadata["License"] == "MIT"
    assert metadata.get_all("Provides-Extra") == ["identity"]


def test_the_metadata_can_be_read_by_the_older_clis(metadata: email.message.Message) -> None:
    """With a newer format they show no version, and do not update: https://github.com/Azure/azure-cli/issues/33851."""
    assert metadata["Metadata-Version"] == "2.2"


def test_the_extension_is_a_preview_for_the_cli_from_2_75(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        settings = json.loads(archive.read(PACKAGE + "azext_metadata.json"))
    assert settings["azext.minCliCoreVersion"] == "2.75.0"
    assert settings["azext.isPreview"] is True
    assert "azext.maxCliCoreVersion" not in settings


def test_the_history_begins_with_this_version(metadata: email.message.Message) -> None:
    history = (SOURCE.parent / "HISTORY.rst").read_text(encoding="utf-8").splitlines()
    version = metadata["Version"]
    at = history.index(version)
    assert history[at + 1] == "+" * len(version)
    assert not any(set(line) == {"+"} for line in history[:at])


def test_the_documentation_names_the_wheel_of_this_version(wheel: Path) -> None:
    root = SOURCE.parent
    pages = [root / "README.md", *(root / "docs").rglob("*.md")]

    named = {
        name for page in pages for name in re.findall(r"acrimport-\d[\w.]*-py3-none-any\.whl", page.read_text("utf-8"))
    }

    assert named == {wheel.name}


def test_the_cli_installs_the_wheel_without_a_network(wheel: Path, tmp_path: Path) -> None:
    nowhere = "http://127.0.0.1:9"  # the discard port: nothing listens there
    environment = bare_environment(tmp_path) | {
        "AZURE_CONFIG_DIR": str(tmp_path / "config"),
        "AZURE_EXTENSION_DIR": str(tmp_path / "extensions"),
        "HTTPS_PROXY": nowhere,
        "HTTP_PROXY": nowhere,
        "PIP_CONFIG_FILE": "/dev/null",
        "PIP_NO_INDEX": "1",
    }
    az = Az(find_az(), environment, tmp_path)

    az("extension", "add", "--source", str(wheel), "--yes")

    (installed,) = az("extension", "list", "--output", "json").json
    assert (installed["name"], installed["preview"]) == ("acrimport", True)
    tops = {path.name for path in (tmp_path / "extensions" / "acrimport").iterdir() if path.suffix != ".whl"}
    assert {name for name in tops if not name.endswith((".dist-info", ".txt"))} == {"azext_acrimport"}
    assert "az acrx import" in az("acrx", "import", "--help").stdout
