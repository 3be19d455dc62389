# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""What the agent of Azure Pipelines makes of a step's output.

Source: https://github.com/microsoft/azure-pipelines-agent/blob/master/src/Microsoft.VisualStudio.Services.Agent/Command.cs
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

_TOKENS = {"%3B": ";", "%0D": "\r", "%0A": "\n", "%5D": "]"}


@dataclass(frozen=True)
class Command:
    """A command of a line, as the agent carries it out."""

    name: str
    properties: dict[str, str]
    text: str


def commands(output: str) -> list[Command]:
    """The commands in what a step has printed."""
    return [command for line in output.replace("\r", "\n").split("\n") if (command := _command(line))]


def _command(line: str) -> Command | None:
    # The agent looks for the prefix as people compare, for whom invisible characters are nothing.
    visible = "".join(c for c in line if unicodedata.category(c) not in ("Cf", "Cc", "Mn"))
    _, prefix, rest = (line if "##vso[" in line else visible).partition("##vso[")
    command, bracket, text = rest.partition("]")
    if not (prefix and bracket):
        return None
    name, _, properties = command.partition(" ")
    pairs = [pair.partition("=") for pair in properties.split(";") if pair]
    return Command(name, {key: _unescape(value) for key, _, value in pairs}, _unescape(text))


def _unescape(text: str) -> str:
    for token, meaning in _TOKENS.items():
        text = text.replace(token, meaning)
    return text.replace("%AZP25", "%")
