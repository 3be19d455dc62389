# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Build the wheel, and an index that lists it, leaving nothing in the source tree.

``python scripts/package.py DIRECTORY [URL]``: ``URL`` is the address of the folder that the wheel will be published in.
"""

from __future__ import annotations

import email.parser
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "azext_acrimport"
_FILES = ("setup.py", "pyproject.toml", "MANIFEST.in", "LICENSE", "HISTORY.rst", "README.md")
_EPOCH = "315532800"  # 1980-01-01, the oldest time that a zip file knows: the same sources make the same bytes


def build(directory: Path, source: Path = ROOT) -> Path:
    """Build the wheel into ``directory`` with the tools of this Python, without a network, and return its path.

    setuptools builds in the source tree, and what an earlier build left there would go into the wheel; so this builds a
    copy of the few files that belong to it. The wheel's times are those of SOURCE_DATE_EPOCH; see
    https://reproducible-builds.org/specs/source-date-epoch/.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        tree = Path(scratch) / "source"
        _copy(source, tree)
        made = Path(scratch) / "made"
        command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "wheel", "--no-deps"]
        command += ["--no-index", "--no-build-isolation", "--wheel-dir", str(made), str(tree)]
        subprocess.run(command, check=True, env={"SOURCE_DATE_EPOCH": _EPOCH, **os.environ}, umask=0o022)
        (wheel,) = made.glob("*.whl")
        return Path(shutil.copy2(wheel, directory / wheel.name))


def _copy(source: Path, tree: Path) -> None:
    """Copy what the wheel is made of, with the same permissions everywhere: they go into it too."""
    shutil.copytree(source / PACKAGE, tree / PACKAGE, ignore=shutil.ignore_patterns("__pycache__"))
    for name in _FILES:
        if (source / name).is_file():
            shutil.copy2(source / name, tree / name)
    for path in tree.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)


def index_entry(wheel: Path, url: str = "") -> dict[str, Any]:
    """Describe a wheel as the index of azure-cli-extensions does, for a download from ``url``/NAME of the wheel.

    Without ``url`` the entry leads to the file where it is.
    """
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        told = email.parser.Parser().parsestr(archive.read(name).decode())
        settings = json.loads(archive.read(f"{PACKAGE}/azext_metadata.json"))
    fields = ("Metadata-Version", "Name", "Version", "Summary", "Author", "License", "Requires-Python")
    return {
        "downloadUrl": f"{url.rstrip('/')}/{wheel.name}" if url else str(wheel.resolve()),
        "filename": wheel.name,
        "metadata": {
            **settings,
            **{field.lower().replace("-", "_"): told[field] for field in fields},
            "classifiers": told.get_all("Classifier", []),
        },
        "sha256Digest": hashlib.sha256(wheel.read_bytes()).hexdigest(),
    }


def index(*entries: dict[str, Any]) -> str:
    """Make an index that `az config set extension.index_url=...` takes, of the entries of one extension."""
    extensions = {entry["metadata"]["name"]: list(entries) for entry in entries}
    return json.dumps({"extensions": extensions, "formatVersion": "1"}, indent=4, sort_keys=True) + "\n"


def main(directory: str, url: str = "") -> None:
    """Build both files and say where they are."""
    wheel = build(Path(directory))
    listing = wheel.with_name("index.json")
    listing.write_text(index(index_entry(wheel, url)), encoding="utf-8")
    print(wheel, listing, sep="\n")


if __name__ == "__main__":
    if not 2 <= len(sys.argv) <= 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
