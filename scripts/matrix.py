# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Run the real az of several versions and Pythons through a part of the tests: ``python scripts/matrix.py [PAIR ...]``.

A pair is the version of azure-cli and of Python, such as 2.75.0/3.10. Each gets a virtual environment in .matrix, which
is kept: about a minute and 400 MB. The tests themselves, and the local Azure, run in this Python. A Python is looked
for as pythonX.Y on the PATH, and among those of pyenv.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".matrix"

# The oldest az that the extension takes, two between, and the one that it is developed with; each Python once or more.
PAIRS = ("2.75.0/3.10", "2.75.0/3.13", "2.80.0/3.12", "2.85.0/3.11", "{newest}/3.10", "{newest}/3.13")

# Installers of az up to 2.87 bring this version, which reads less than later ones: azure-cli issue 33851.
_OLD_PKGINFO, _FIRST_WITH_ANOTHER = "pkginfo==1.8.2", (2, 88)

_SCENARIOS = "tests/cli/test_scenarios.py::"
TESTS = (
    "tests/packaging/test_index.py::test_an_index_offers_installs_and_upgrades_it",
    "tests/packaging/test_index.py::test_it_installs_from_a_url",
    "tests/packaging/test_wheel.py::test_the_cli_installs_the_wheel_without_a_network",
    _SCENARIOS + "test_docker_hub_public_multi_arch",
    _SCENARIOS + "test_registry_in_another_subscription_by_resource_id",
    _SCENARIOS + "test_restricted_target_that_trusts_services",
    _SCENARIOS + "test_restricted_target_that_trusts_no_services",
    _SCENARIOS + "test_restricted_source_in_another_subscription_by_login_server",
    _SCENARIOS + "test_restricted_source_that_trusts_no_services",
    _SCENARIOS + "test_az_acr_shows_what_was_imported",
    "tests/cli/test_completion.py::test_names_of_registries",
    "tests/cli/test_completion.py::test_repositories_and_tags_of_a_login_server",
)
COLUMNS = ("install, upgrade, remove", "service", "local", "auto", "completion")


@dataclass
class Row:
    """What one pair gave."""

    cli: str
    python: str
    sdk: str = "-"
    counts: dict[str, Counter[str]] = field(default_factory=dict)
    note: str = ""
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether all ran and none failed."""
        return not self.note and bool(self.counts) and not any(each["failed"] for each in self.counts.values())

    def cells(self) -> list[str]:
        """The row of the table."""
        return [
            self.cli,
            self.python,
            self.sdk,
            *(_told(self.counts.get(column, Counter())) for column in COLUMNS),
            self.note or ("passed" if self.passed else "FAILED"),
            f"{self.seconds:.0f} s",
        ]


def _told(counts: Counter[str]) -> str:
    parts = [f"{counts[name]} {name}" for name in ("passed", "failed", "skipped") if counts[name]]
    return ", ".join(parts) or "-"


def newest() -> str:
    """The version of the Azure CLI that the extension is developed with."""
    pinned = re.search(r"^azure-cli==(.+)$", (ROOT / "requirements-dev.txt").read_text(encoding="utf-8"), re.MULTILINE)
    if not pinned:
        raise SystemExit("error: requirements-dev.txt pins no azure-cli")
    return pinned[1]


def find_python(version: str) -> str | None:
    """Return an interpreter of that minor version."""
    homes = sorted(Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")).glob(f"versions/{version}.*/bin/python"))
    candidates = [str(path) for path in reversed(homes)] + [
        found for found in [shutil.which(f"python{version}")] if found
    ]
    ask = "import sys; print('%d.%d' % sys.version_info[:2])"
    for each in candidates:
        answer = subprocess.run([each, "-c", ask], capture_output=True, text=True, check=False)
        if answer.stdout.strip() == version:
            return each
    return None


def make_environment(cli: str, python: str, interpreter: str) -> Path:
    """Return the virtual environment of a pair, made where there is none."""
    directory = HOME / f"{cli}-py{python}"
    if (directory / ".made").exists():
        return directory
    print(f"Making {directory.relative_to(ROOT)} ...", flush=True)
    shutil.rmtree(directory, ignore_errors=True)
    subprocess.run([interpreter, "-m", "venv", str(directory)], check=True)
    wanted = [f"azure-cli=={cli}"]
    if tuple(int(part) for part in cli.split(".")[:2]) < _FIRST_WITH_ANOTHER:
        wanted.append(_OLD_PKGINFO)
    pip = [str(directory / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]
    subprocess.run([*pip, "--no-compile", *wanted], check=True)
    (directory / ".made").touch()
    return directory


def column_of(case: ElementTree.Element) -> str:
    """Which column of the table a test belongs to."""
    where, name = case.get("classname", ""), case.get("name", "")
    if "packaging" in where:
        return COLUMNS[0]
    if "completion" in where:
        return "completion"
    return next((way for way in ("service", "local") if f"[{way}]" in name), "auto")


def read_results(report: Path) -> dict[str, Counter[str]]:
    """Count what pytest reported, by column. What `az acr import` itself does is no result of ours."""
    counts: dict[str, Counter[str]] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        if "[az acr import]" in case.get("name", ""):
            continue
        kinds = {child.tag for child in case}
        outcome = "failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "passed"
        counts.setdefault(column_of(case), Counter())[outcome] += 1
    return counts


def sdk_of(environment: Path) -> str:
    """The version of the registry SDK beside this az."""
    listed = subprocess.run(
        [str(environment / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "list", "--format", "json"],
        capture_output=True,
        text=True,
        check=True,
    )
    return next(each["version"] for each in json.loads(listed.stdout) if each["name"] == "azure-mgmt-containerregistry")


def run_pair(cli: str, python: str) -> Row:
    """Run the tests with the az of one pair."""
    row = Row(cli, python)
    interpreter = find_python(python)
    if not interpreter:
        row.note = f"no Python {python} here"
        return row
    environment = make_environment(cli, python, interpreter)
    row.sdk = sdk_of(environment)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--timeout", "300"]
        command += ["--junit-xml", str(report), *TESTS]
        variables = {**os.environ, "AZ": str(environment / "bin" / "az")}
        subprocess.run(command, cwd=ROOT, env=variables, check=False)
        row.counts = read_results(report) if report.exists() else {}
    row.seconds = time.monotonic() - began
    return row


def table(rows: Iterable[Row]) -> str:
    """The rows as Markdown."""
    head = ["azure-cli", "Python", "registry SDK", *COLUMNS, "result", "time"]
    lines = [head, ["---"] * len(head), *(row.cells() for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main(arguments: list[str]) -> int:
    """Run the pairs, print the table, and return 0 if all passed; a Python that is not here is no failure."""
    pairs = [pair.format(newest=newest()) for pair in arguments or PAIRS]
    if not all(re.fullmatch(r"\d+\.\d+\.\d+/3\.\d+", pair) for pair in pairs):
        print(__doc__)
        return 2
    rows = [run_pair(*pair.split("/")) for pair in pairs]
    print(table(rows))
    return 0 if all(row.passed or row.note for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
