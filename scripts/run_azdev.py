# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Run azdev, the tool that Azure CLI extensions are checked with, on this one: ``python scripts/run_azdev.py style``.

azdev looks for a clone of the Azure CLI and for one of its extensions, and asks the network for two of its settings.
Here it finds a temporary folder that looks like both, and the settings that it brings along.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NAME = "acrimport"

COMMANDS = {
    "style": ["style", NAME],
    "linter": ["linter", NAME, "--min-severity", "low"],
    "test": ["test", NAME, "--discover", "--series"],
}

# What azdev reads of the Azure CLI's scripts/ci/cmdcov.yml. It only uses them to compare two branches.
_PATTERNS = dict.fromkeys(
    (
        "CMD_PATTERN",
        "QUO_PATTERN",
        "END_PATTERN",
        "DOCS_END_PATTERN",
        "NOT_END_PATTERN",
        "NUMBER_SIGN_PATTERN",
    ),
    "",
)

# pytest-forked, which azdev runs tests with, does not know the pytest that the tests here are written for.
_NOT_FORKED = """
def pytest_addoption(parser):
    parser.addoption("--forked", action="store_true", help="azdev gives this; the tests here need no process each")
"""

# Every address answers 404: azdev takes its own copy of the settings then, and calls each link in a help text broken.
# Of the Azure CLI's commands only `az acr` is loaded: all of them take a minute and a half, and are not looked at.
_RUN = """
import os, requests
import azure.cli.command_modules, azure.cli.core.commands

azure.cli.command_modules.__path__ = [os.environ["ACRX_COMMAND_MODULES"]]

class Invoker(azure.cli.core.commands.AzCliCommandInvoker):
    def __init__(self, **options):
        super().__init__(**options)
        self.data["command_string"] = ""  # another module would have set it

azure.cli.core.commands.AzCliCommandInvoker = Invoker

def get(url, **options):
    answer = requests.Response()
    answer.status_code = 404
    return answer

requests.get = get
from azdev.__main__ import main
main()
"""


def lay_out(folder: Path) -> dict[str, str]:
    """Make what azdev looks for in ``folder``, and return the variables that lead it there."""
    import azdev.config
    import azure.cli.command_modules

    cli, extensions, settings = folder / "azure-cli", folder / "azure-cli-extensions", folder / "settings"
    scripts = cli / "scripts" / "ci"
    scripts.mkdir(parents=True)
    (scripts / "cmdcov.yml").write_text(json.dumps(_PATTERNS), encoding="utf-8")

    extension = extensions / "src" / NAME
    information = extension / f"{NAME}.egg-info"
    information.mkdir(parents=True)
    (information / "PKG-INFO").write_text(f"Metadata-Version: 2.1\nName: {NAME}\nVersion: 0\n", encoding="utf-8")
    (extension / "conftest.py").write_text(_NOT_FORKED, encoding="utf-8")
    for name in ("azext_acrimport", "setup.py", "README.md", "HISTORY.rst"):
        (extension / name).symlink_to(ROOT / name)

    modules = folder / "command_modules"
    modules.mkdir()
    (modules / "acr").symlink_to(Path(azure.cli.command_modules.__path__[0]) / "acr")

    environment = Path(sys.prefix)
    rules = settings / "env_config" / environment.relative_to(environment.anchor) / "config_files"
    shutil.copytree(Path(azdev.config.__file__).parent, rules)
    return {
        "ACRX_COMMAND_MODULES": str(modules),
        "AZDEV_CONFIG_DIR": str(settings),
        "AZDEV_CLI_REPO_PATH": str(cli),
        "AZDEV_EXT_REPO_PATHS": str(extensions),
        "AZURE_CONFIG_DIR": str(folder / "azure"),
        "PATH": os.pathsep.join([str(environment / "bin"), os.environ.get("PATH", os.defpath)]),  # for its az
        "PYTHONPATH": str(extension),
        "AZURE_CORE_COLLECT_TELEMETRY": "false",
        "AZURE_EXTENSION_DEV_SOURCES": str(extensions),
        "AZURE_EXTENSION_DIR": str(folder / "installed"),
        "GIT_PYTHON_REFRESH": "quiet",  # there may be no git, and no command here needs it
        "VIRTUAL_ENV": str(environment),
    }


def run(command: list[str]) -> int:
    """Run one command of azdev and return its exit code."""
    with tempfile.TemporaryDirectory() as scratch:
        environment = os.environ | lay_out(Path(scratch))
        return subprocess.run([sys.executable, "-c", _RUN, *command], env=environment, check=False).returncode


if __name__ == "__main__":
    if not sys.argv[1:] or not set(sys.argv[1:]) <= COMMANDS.keys():
        sys.exit(f"{__doc__}\nCommands: {', '.join(COMMANDS)}")
    sys.exit(max(run(COMMANDS[name]) for name in sys.argv[1:]))
