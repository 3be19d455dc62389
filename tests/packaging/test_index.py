# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""The extension's life in the Azure CLI: from a file, from a URL, and from an index with an older version."""

from __future__ import annotations

import functools
import http.server
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from scripts.package import ROOT, build, index, index_entry
from tests.support.az import Az, bare_environment, find_az

pytestmark = pytest.mark.packaging

OLDER = "0.9.0"


@dataclass(frozen=True)
class Site:
    """A folder that is served over http."""

    folder: Path
    url: str

    def publish(self, *wheels: Path) -> None:
        """Make these wheels the ones that the index lists."""
        for wheel in wheels:
            shutil.copy2(wheel, self.folder / wheel.name)
        listing = index(*(index_entry(wheel, self.url) for wheel in wheels))
        (self.folder / "index.json").write_text(listing, encoding="utf-8")


class _Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the name is the base's)
        pass


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    folder = tmp_path / "site"
    folder.mkdir()
    handler = functools.partial(_Silent, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        yield Site(folder, f"http://127.0.0.1:{server.server_port}")
        server.shutdown()
        serving.join()


@pytest.fixture
def az(tmp_path: Path) -> Az:
    """An az without extensions, to which pip has no index."""
    environment = bare_environment(tmp_path) | {
        "AZURE_CONFIG_DIR": str(tmp_path / "config"),
        "AZURE_EXTENSION_DIR": str(tmp_path / "extensions"),
        "PIP_CONFIG_FILE": "/dev/null",
        "PIP_NO_INDEX": "1",
    }
    return Az(find_az(), environment, tmp_path)


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same extension, built as an earlier version."""
    tree = tmp_path_factory.mktemp("older") / "source"
    shutil.copytree(ROOT / "azext_acrimport", tree / "azext_acrimport")
    for name in ("pyproject.toml", "LICENSE", "README.md"):
        shutil.copy2(ROOT / name, tree)
    setup = (ROOT / "setup.py").read_text(encoding="utf-8")
    (line,) = (line for line in setup.splitlines() if line.startswith("VERSION = "))
    (tree / "setup.py").write_text(setup.replace(line, f'VERSION = "{OLDER}"'), encoding="utf-8")
    return build(tree.parent / "made", tree)


def version_of(wheel: Path) -> str:
    return wheel.name.split("-")[1]


def test_the_same_sources_make_the_same_bytes(wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever builds it, whenever, and with whatever permissions: a checkout of theirs, another umask and time zone."""
    tree = tmp_path / "source"
    shutil.copytree(ROOT / "azext_acrimport", tree / "azext_acrimport", copy_function=shutil.copyfile)
    for name in ("setup.py", "pyproject.toml", "MANIFEST.in", "LICENSE", "README.md"):
        shutil.copyfile(ROOT / name, tree / name)
        (tree / name).chmod(0o600)
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")

    assert build(tmp_path / "made", tree).read_bytes() == wheel.read_bytes()


def test_an_index_offers_installs_and_upgrades_it(az: Az, site: Site, older: Path, wheel: Path) -> None:
    site.publish(older)
    az("config", "set", f"extension.index_url={site.url}/index.json", "--only-show-errors")
    az("extension", "add", "--name", "acrimport", "--yes")
    assert az("extension", "show", "--name", "acrimport", "--output", "json").json["version"] == OLDER

    site.publish(older, wheel)
    (offered,) = az("extension", "list-available", "--output", "json").json
    assert (offered["version"], offered["installed"]) == (version_of(wheel), "True (upgrade available)")
    assert offered["preview"] is True
    assert "images" in offered["summary"]

    az("extension", "update", "--name", "acrimport", "--allow-preview", "true")
    assert az("extension", "show", "--name", "acrimport", "--output", "json").json["version"] == version_of(wheel)
    assert az("version", "--output", "json").json["extensions"] == {"acrimport": version_of(wheel)}
    assert "az acrx import" in az("acrx", "import", "--help").stdout

    az("extension", "remove", "--name", "acrimport")
    assert az("extension", "list", "--output", "json").json == []
    assert az("acrx", "import", "--help", fails=True).exit_code == 2


def test_it_installs_from_a_url(az: Az, site: Site, wheel: Path) -> None:
    site.publish(wheel)

    az("extension", "add", "--source", f"{site.url}/{wheel.name}", "--yes")

    assert az("extension", "show", "--name", "acrimport", "--output", "json").json["version"] == version_of(wheel)


def test_a_changed_wheel_is_not_installed(az: Az, site: Site, older: Path, wheel: Path) -> None:
    site.publish(wheel)
    shutil.copyfile(older, site.folder / wheel.name)
    az("config", "set", f"extension.index_url={site.url}/index.json", "--only-show-errors")

    failed = az("extension", "add", "--name", "acrimport", "--yes", fails=True)

    assert "checksum" in failed.stderr
