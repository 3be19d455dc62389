# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Build the wheel, leaving nothing in the source tree: ``python scripts/package.py DIRECTORY``."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_FILES = ("setup.py", "pyproject.toml", "MANIFEST.in", "LICENSE", "HISTORY.rst", "README.md")


def build(directory: Path) -> Path:
    """Build the wheel into ``directory`` with the tools of this Python, without a network, and return its path.

    setuptools builds in the source tree, and what an earlier build left there would go into the wheel; so this builds a
    copy of the few files that belong to it.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        tree = Path(scratch) / "source"
        shutil.copytree(
            ROOT / "azext_acrimport", tree / "azext_acrimport", ignore=shutil.ignore_patterns("__pycache__")
        )
        for name in _FILES:
            if (ROOT / name).is_file():
                shutil.copy2(ROOT / name, tree / name)
        made = Path(scratch) / "made"
        command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "wheel", "--no-deps"]
        command += ["--no-index", "--no-build-isolation", "--wheel-dir", str(made), str(tree)]
        subprocess.run(command, check=True)
        (wheel,) = made.glob("*.whl")
        return Path(shutil.copy2(wheel, directory / wheel.name))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    print(build(Path(sys.argv[1])))
