# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""What `az interactive` reads of the extension: it loads all commands at once, and asks the completers by itself.

Source: azure-cli-extensions, src/interactive/azext_interactive/azclishell/_dump_commands.py and az_completer.py
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from azure.cli.core import get_default_cli
from azure.cli.core.decorators import Completer
from knack.help_files import helps

from azext_acrimport import COMMAND_LOADER_CLS

GROUP = "acrx"


@pytest.fixture(scope="module")
def cli() -> Any:
    return get_default_cli()


@pytest.fixture(scope="module")
def commands(cli: Any) -> dict[str, Any]:
    """The table of commands, with all their arguments, loaded for no command in particular."""
    cli.invocation = cli.invocation_cls(
        cli_ctx=cli, commands_loader_cls=cli.commands_loader_cls, parser_cls=cli.parser_cls, help_cls=cli.help_cls
    )
    loader = COMMAND_LOADER_CLS(cli_ctx=cli)
    table: dict[str, Any] = loader.load_command_table(None)
    for command in table.values():
        command.load_arguments()
    loader.skip_applicability = True
    loader.load_arguments(None)
    above = cli.invocation.commands_loader
    above.argument_registry, above.extra_argument_registry = loader.argument_registry, loader.extra_argument_registry
    loader._update_command_definitions()
    return table


def arguments(commands: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Every argument that a user can give, with its command."""
    for name, command in commands.items():
        for argument in command.arguments.values():
            if argument.options_list and argument.type.settings.get("help") != argparse.SUPPRESS:
                yield name, argument


def test_every_argument_has_options_and_help_for_the_cache_of_help(commands: dict[str, Any]) -> None:
    shown = [
        {"command": name, "options": list(argument.options_list), "help": argument.type.settings.get("help")}
        for name, argument in arguments(commands)
        if argument.name != "cmd"
    ]

    assert {"acrx import"} <= {each["command"] for each in shown}
    assert all(each["help"] for each in shown)
    assert json.loads(json.dumps(shown)) == shown


def test_every_entry_of_help_belongs_to_a_command_or_group(commands: dict[str, Any]) -> None:
    entries = {name: yaml.safe_load(text) for name, text in helps.items() if name.split()[0] == GROUP}

    assert {name for name, entry in entries.items() if entry["type"] == "command"} == set(commands)
    assert [name for name, entry in entries.items() if entry["type"] == "group"] == [GROUP]
    for name, entry in entries.items():
        assert entry["short-summary"], name
        examples = entry.get("examples", [])
        assert examples or entry["type"] == "group"
        assert all(example["text"].startswith(f"az {name} ") for example in examples)


def test_own_completers_answer_without_what_the_parser_would_have_set(cli: Any, commands: dict[str, Any]) -> None:
    (command,) = (command for name, command in commands.items() if name == "acrx import")
    own = [argument for _, argument in arguments(commands) if isinstance(argument.completer, Completer)]
    own = [argument for argument in own if argument.completer.func.__module__.startswith("azext_acrimport")]
    typed = argparse.Namespace(_cmd=command)

    assert "--source" in {option for argument in own for option in argument.options_list}
    for argument in own:
        assert argument.completer(prefix="docker.io/a", action=None, parsed_args=typed) == []
