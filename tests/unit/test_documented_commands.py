# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Every command line of ours in the documentation and the examples is one that the command takes."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from azure.cli.core import get_default_cli
from azure.cli.core.parser import AzCliCommandParser
from knack.help_files import helps

from azext_acrimport import COMMAND_LOADER_CLS

ROOT = Path(__file__).parents[2]
FILES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "examples").iterdir())]
GROUP = "az acrx "
_FENCE = re.compile(r"^ *```.*?^ *```", re.M | re.S)
_INLINE = re.compile(r"`(az acrx [^`]*)`")
_OPTIONS = re.compile(r"\| `(--[^`]*)`[^|]*\|$", re.M)  # the last cell of a row
_FLOW = re.compile(r"\[(az, acrx, [^\]]*)\]")  # a command in YAML
_END = {"|", "||", "&", "&&", ";", ";;", ">", ">>", "<", "(", ")"}


def command_lines(path: Path) -> Iterator[list[str]]:
    """The arguments of each of our commands in a file, without the program's name."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        found = [code for block in _FENCE.findall(text) for code in _in_code(block)]
        found += _INLINE.findall(_FENCE.sub("", text))
        if path.name == "moving.md":
            found += [f"{GROUP}import {options}" for options in _OPTIONS.findall(text)]
    else:
        found = list(_in_code(text))
    found += [", ".join(line.split(", ")).replace(", ", " ") for line in _FLOW.findall(text)]
    yield from (arguments for line in found if len(arguments := _words(line)) > 2)


def _in_code(text: str) -> Iterator[str]:
    for line in re.sub(r"\\\n", " ", text).splitlines():
        begin = line.find(GROUP)
        if begin >= 0 and not line.lstrip().startswith("#"):
            yield line[begin:]


def _words(line: str) -> list[str]:
    """The words of one command, up to where the shell would end it."""
    lexer = shlex.shlex(line.replace("…", ""), posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    for word in lexer:
        if word in _END or set(word) <= {")", ";", '"'}:
            break
        words.append(word)
    return words[1:]


Parse = Callable[[list[str]], None]


@pytest.fixture(scope="module")
def parse() -> Parse:
    """Read arguments as az does."""
    cli = get_default_cli()
    loader = COMMAND_LOADER_CLS(cli_ctx=cli)
    cli.invocation = SimpleNamespace(data={"command_string": "", "command": ""}, commands_loader=loader)
    for name, command in loader.load_command_table(None).items():
        loader.command_name = cli.invocation.data["command_string"] = name
        command.load_arguments()
        loader.load_arguments(name)
        with loader.argument_context("") as context:
            context.ignore("cmd")  # as the core does
    loader._update_command_definitions()
    globals_of = AzCliCommandParser.create_global_parser(cli_ctx=cli)
    parser = AzCliCommandParser(cli_ctx=cli, prog="az", parents=[globals_of])
    parser.load_command_table(loader)
    return lambda words: parser.parse_args(words) and None


COMMANDS = [(path, words) for path in FILES for words in command_lines(path)]


@pytest.mark.parametrize(
    ("path", "words"), COMMANDS, ids=[f"{path.name}-{number}" for number, (path, _) in enumerate(COMMANDS)]
)
def test_a_command_line_is_taken(parse: Parse, path: Path, words: list[str]) -> None:
    try:
        parse(words)
    except SystemExit:
        pytest.fail(f"{path.name}: az {shlex.join(words)} is not taken")


@pytest.mark.parametrize("name", ["acrx import", "acrx check"])
def test_an_example_of_the_help_is_taken(parse: Parse, name: str) -> None:
    texts = [example["text"] for example in yaml.safe_load(helps[name])["examples"]]

    assert len(texts) >= 4
    for text in texts:
        parse(shlex.split(text)[1:])


@pytest.mark.parametrize("words", [["acrx", "import", "-n", "x", "--source", "a/b", "--colour"], ["acrx", "impotr"]])
def test_a_mistake_would_be_found(parse: Parse, words: list[str]) -> None:
    with pytest.raises(SystemExit):
        parse(words)


@pytest.mark.parametrize(
    "path", [path for path in FILES if path.suffix in (".yml", ".yaml")], ids=lambda path: path.name
)
def test_an_example_is_yaml(path: Path) -> None:
    assert all(isinstance(document, dict) for document in yaml.safe_load_all(path.read_text(encoding="utf-8")))


def test_the_pods_are_told_how_many_they_are() -> None:
    _, job = yaml.safe_load_all((ROOT / "examples" / "kubernetes-job.yaml").read_text(encoding="utf-8"))
    (container,) = job["spec"]["template"]["spec"]["containers"]

    assert {"name": "JOB_COMPLETIONS", "value": str(job["spec"]["completions"])} in container["env"]


def test_the_script_for_cron_is_shell() -> None:
    subprocess.run(["sh", "-n", str(ROOT / "examples" / "cron.sh")], check=True, timeout=60)


def test_every_example_of_a_pipeline_has_commands() -> None:
    with_commands = {path.name for path, _ in COMMANDS}

    assert {
        "azure-pipelines.yml",
        "github-actions.yml",
        "kubernetes-job.yaml",
        "cron.sh",
        "automation.md",
    } <= with_commands
