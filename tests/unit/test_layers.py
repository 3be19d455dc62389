# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""Which module may know which, and what the help of a command may load."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "azext_acrimport"
ROOT = PACKAGE.name

# What each layer may import of ours; beside that the standard library, and what OTHERS names.
LAYERS = {
    "oci": {"oci"},
    "registry": {"oci", "registry"},
    "layout": {"oci", "registry", "layout"},
    "transfer": {"oci", "registry", "transfer"},
    "plan.py": set(),
    "hosts.py": set(),
    "request.py": {"oci", "hosts"},
    "lists": {"lists", "oci", "hosts", "plan", "request"},
    "refusals.py": set(),
    "advice.py": {"registry", "layout", "transfer"},
    "explain.py": {"advice", "oci", "registry", "layout", "transfer", "hosts"},
    "outcome.py": {"oci", "transfer", "plan", "request", "explain"},
    "_pipelines.py": {"oci"},
    "_tally.py": {"transfer"},
    "_progress.py": {"_tally", "_pipelines"},
    "_format.py": set(),
    "redaction.py": set(),
    "identity/form.py": {"oci", "request"},
    "identity/variables.py": {"identity"},
    "identity/failure.py": {"identity", "registry"},
}
# Beside the standard library: what the core of the CLI brings along.
OTHERS = {"lists": {"yaml"}}
# These speak to the Azure CLI, and may import it, inside functions.
AZURE_SIDE = {
    "_console.py": {"_pipelines", "_progress"},
    "_verbose.py": {"_tally", "transfer"},
    "docker_config.py": {"registry"},
    "credentials.py": {"registry", "docker_config"},
    "identity": {"identity", "oci", "registry", "credentials", "request", "resolve"},
    "_client_factory.py": set(),
    "arm.py": {"plan", "_client_factory"},
    "importing.py": {"arm", "registry"},
    "resolve.py": {"oci", "arm", "hosts", "plan", "request"},
    "orders.py": {"identity", "explain", "layout", "lists", "oci", "plan", "request", "resolve"},
    "gather.py": {"expansion", "identity", "_validators", "layout", "lists", "oci", "orders", "request"},
    "pinned.py": {"connections", "oci", "orders", "plan", "request", "transfer"},
    "expansion.py": {"connections", "layout", "lists", "oci", "orders", "registry", "request", "transfer"},
    "planning.py": {
        "connections",
        "expansion",
        "explain",
        "identity",
        "layout",
        "lists",
        "oci",
        "orders",
        "plan",
        "request",
        "resolve",
        "transfer",
    },
    "connections.py": {"identity", "credentials", "docker_config", "layout", "orders", "registry", "resolve"},
    "existing.py": {"connections", "oci", "orders", "registry", "request"},
    "fallback.py": {"importing", "oci", "orders", "refusals", "registry"},
    "service.py": {"importing", "orders", "refusals", "registry", "request"},
    "local.py": {"connections", "orders", "registry", "transfer"},
    "_validators.py": {"plan", "request"},
    "commands.py": {"_format"},
    "_completers.py": {"arm", "credentials", "hosts", "connections", "registry"},
    "_params.py": {"_completers", "_validators", "plan"},
    "_help.py": set(),
    "_exit.py": set(),
    "check": {
        *("oci", "registry", "transfer", "plan", "request", "explain", "redaction", "credentials", "arm", "resolve"),
        *("connections", "orders", "identity", "gather", "command", "check"),
        *("_console", "_errors", "_exit", "_validators"),
    },
}


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield node.module or ""


def modules(layer: str) -> list[Path]:
    return [PACKAGE / layer] if layer.endswith(".py") else sorted((PACKAGE / layer).rglob("*.py"))


def shipped() -> list[Path]:
    """The modules that go into the wheel."""
    return [path for path in PACKAGE.rglob("*.py") if "tests" not in path.relative_to(PACKAGE).parts]


def foreign(layer: str, allowed: set[str], others: set[str]) -> list[str]:
    """What the modules of a layer import and may not."""
    found = []
    for path in modules(layer):
        for name in imported(path):
            parts = name.split(".")
            if parts[0] == ROOT:
                fine = len(parts) > 1 and parts[1] in allowed
            else:
                fine = parts[0] in sys.stdlib_module_names or parts[0] in others
            if not fine:
                found.append(f"{path.relative_to(PACKAGE)} imports {name}")
    return found


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_only_looks_down_and_knows_no_azure(layer: str) -> None:
    assert foreign(layer, LAYERS[layer], OTHERS.get(layer, set())) == []


@pytest.mark.parametrize("layer", AZURE_SIDE)
def test_the_azure_side_only_looks_down(layer: str) -> None:
    assert foreign(layer, AZURE_SIDE[layer], {"azure", "knack", "requests"}) == []


def test_only_the_commands_face_imports_azure_at_the_top() -> None:
    found = set()
    for path in shipped():
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if any(name.split(".")[0] == "azure" for name in names):
                found.add(path.name)

    assert found == {"__init__.py", "_completers.py", "_params.py"}


def test_nothing_is_imported_from_outside_the_cli_and_the_standard_library() -> None:
    known = sys.stdlib_module_names | {"azure", "knack", "requests", "yaml", ROOT}  # all of them are the CLI's

    strangers = {name for path in shipped() for name in imported(path) if name.split(".")[0] not in known}
    assert strangers == set()


GUARD = """
import sys
from azure.cli.core import get_default_cli
from azure.cli.core.commands import CliCommandType
import azure.cli.core.commands.parameters
cli = get_default_cli()
before = set(sys.modules)
import azext_acrimport, azext_acrimport._params
loader = azext_acrimport.COMMAND_LOADER_CLS(cli_ctx=cli)
assert "acrx import" in loader.load_command_table(["acrx", "import", "-h"])
print(*sorted(set(sys.modules) - before), sep="\\n")
"""


def test_help_loads_nothing_heavy(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", GUARD],
        capture_output=True,
        text=True,
        check=True,
        cwd=PACKAGE.parent,
        timeout=120,
    )
    loaded = set(done.stdout.split())

    assert "azext_acrimport.commands" in loaded
    heavy = {"requests", "urllib3", "msal", "ssl", "http.client", "concurrent.futures", "asyncio"}
    assert not heavy & loaded
    ours = {name for name in loaded if name.startswith("azext_acrimport.")}
    face = {"_completers", "_help", "_params", "_validators", "_format", "commands", "plan"}
    assert ours <= {f"azext_acrimport.{name}" for name in face}
    assert not [name for name in loaded if name.startswith("azure.mgmt")]


PLAIN = """
import sys
import azext_acrimport.custom, azext_acrimport._console, azext_acrimport.command
print(*[name for name in sys.modules if name.startswith("azext_acrimport.")])
"""
# What only some imports are about: lists, layouts, chosen tags and platforms, referrers, plans, shards.
OCCASIONAL = {
    "azext_acrimport.dryrun",
    "azext_acrimport.layout.repository",
    "azext_acrimport.lists.document",
    "azext_acrimport.lists.loading",
    "azext_acrimport.lists.shard",
    "azext_acrimport.oci.semver",
    "azext_acrimport.transfer.gathering",
    "azext_acrimport.transfer.platforms",
    "azext_acrimport.transfer.preview",
}


def test_import_of_one_image_does_not_load_what_others_need() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PLAIN], capture_output=True, text=True, check=True, cwd=PACKAGE.parent, timeout=120
    )
    loaded = set(done.stdout.split())

    assert {"azext_acrimport.run", "azext_acrimport.transfer.copier"} <= loaded
    assert not OCCASIONAL & loaded


BARE = """
import sys
sys.path.insert(0, sys.argv[1])
from bench.bare import without_the_cli
without_the_cli()
from azext_acrimport.registry.registry import Registry
from azext_acrimport.registry.transport import Transport
from azext_acrimport.transfer.copier import copy_all
print(*sys.modules)
"""


def test_copier_loads_nothing_that_takes_long(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", BARE, str(PACKAGE.parent)],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        timeout=120,
    )
    loaded = set(done.stdout.split())

    assert "azext_acrimport.transfer.copier" in loaded
    # Of these, `dataclasses` alone is a third of the time from the start to the first request.
    assert not loaded & {"asyncio", "dataclasses", "email", "http.client", "inspect", "ssl", "urllib.request"}
