# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""Azure Pipelines: the commands that its agent reads, given on purpose and never by accident.

The agent reads both streams of a step line by line, and takes what begins with ``##vso[``, wherever it is in a line,
for a command.

Sources: https://learn.microsoft.com/azure/devops/pipelines/scripts/logging-commands, and what the agent does:
https://github.com/microsoft/azure-pipelines-agent/blob/master/src/Microsoft.VisualStudio.Services.Agent/Command.cs
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Any

from azext_acrimport.oci.digest import without_commands

NOTICE: Mapping[str, Any] = {"acrx_notice": True}
"""To log with, as ``extra``: a message at the level of warnings, as az tells what it does, which warns of nothing."""

# The agent turns these back into what they stand for, and so `%` has to be escaped where it begins one of them only.
# Source: https://github.com/microsoft/azure-pipelines-agent/blob/master/docs/design/percentEncoding.md
_ESCAPE_LIKE = re.compile(r"%(?=0A|0D|3B|5D|AZP25)")


def runs_in_pipelines(environment: Mapping[str, str]) -> bool:
    """Whether an agent of Azure Pipelines reads what is printed."""
    return environment.get("TF_BUILD", "").lower() == "true"


def issue(kind: str, text: str) -> str:
    """The command that shows a text among the issues of a run. ``kind`` is ``warning`` or ``error``."""
    return _command(f"task.logissue type={kind}", text)


def progress(percent: int, text: str) -> str:
    """The command that shows how far a step is."""
    return _command(f"task.setprogress value={percent};", text)


def _command(name: str, text: str) -> str:
    escaped = _ESCAPE_LIKE.sub("%AZP25", harmless(text)).replace("\r", "%0D").replace("\n", "%0A")
    return f"##vso[{name}]{escaped}"


def harmless(text: str) -> str:
    """The text without anything in it that the agent, or its log, would act on. It stays on as many lines."""
    shown = "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text)
    return without_commands(shown)


class IssueFormatter(logging.Formatter):
    """Formats warnings and errors as issues, and all else as ``plain`` does, made harmless."""

    def __init__(self, plain: logging.Formatter | None) -> None:
        super().__init__("%(message)s")
        self._plain = plain or logging.Formatter("%(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """The record as it is printed."""
        if record.levelno < logging.WARNING or any(getattr(record, key, False) for key in NOTICE):
            return harmless(self._plain.format(record))
        return issue("error" if record.levelno >= logging.ERROR else "warning", super().format(record))
