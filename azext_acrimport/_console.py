# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""What is printed beside the result, suited to where it goes: a terminal, a log, Azure Pipelines."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from knack.log import CLI_LOGGER_NAME

from azext_acrimport._pipelines import IssueFormatter, harmless, runs_in_pipelines
from azext_acrimport._progress import Manner


@contextmanager
def suited_console(cli_ctx: Any, environment: Mapping[str, str] | None = None) -> Iterator[None]:
    """Have what az prints on stderr suit where it goes, until the command has ended, its errors included.

    In Azure Pipelines warnings and errors become issues, and no text becomes a command. With ``NO_COLOR`` there is no
    colour (https://no-color.org). Elsewhere, and for other commands, all stays as it is.
    """
    from azure.cli.core.azclierror import AzCLIError
    from knack.events import EVENT_CLI_POST_EXECUTE

    environment = os.environ if environment is None else environment
    in_pipelines = runs_in_pipelines(environment)
    if in_pipelines or (environment.get("NO_COLOR") and cli_ctx.enable_color):
        restore = _reformat(cli_ctx, IssueFormatter if in_pipelines else _Labelled)
        # Not when the context is left: the CLI prints the error of a command after that.
        cli_ctx.register_event(EVENT_CLI_POST_EXECUTE, lambda *_, **__: restore())
    try:
        yield
    except AzCLIError as ex:
        if in_pipelines:  # these are printed without a logger
            ex.recommendations = [harmless(line) for line in ex.recommendations]
        raise


def _reformat(cli_ctx: Any, make: Callable[[logging.Formatter | None], logging.Formatter]) -> Callable[[], None]:
    """Give the CLI's handlers for the console other formatters and no colour; return what undoes that."""
    loggers = (logging.getLogger(), logging.getLogger(CLI_LOGGER_NAME))
    # The CLI's own handlers for the console, and no files: these alone know of colour.
    handlers: list[Any] = [each for logger in loggers for each in logger.handlers if hasattr(each, "enable_color")]
    before = [(handler, handler.formatter, handler.enable_color) for handler in handlers]
    prints = cli_ctx.output.cli_ctx  # a command is given a copy of the CLI, and the result is printed by the original
    had_colour = prints.enable_color
    for handler in handlers:
        handler.setFormatter(make(handler.formatter))
        handler.enable_color = False
    prints.enable_color = False  # also in the result, with --output jsonc

    def restore() -> None:
        for handler, formatter, colour in before:
            handler.setFormatter(formatter)
            handler.enable_color = colour
        prints.enable_color = had_colour

    return restore


class _Labelled(logging.Formatter):
    """Formats with the level's name in front, as the CLI does where there is no colour to tell it."""

    def __init__(self, plain: logging.Formatter | None) -> None:
        super().__init__("%(message)s")
        self._plain = plain or logging.Formatter("%(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """The record as it is printed."""
        return f"{record.levelname}: {self._plain.format(record)}"


def manner_of(cli_ctx: Any, environment: Mapping[str, str] | None = None) -> Manner:
    """How progress is to be shown on what stderr is."""
    from knack.log import CliLogLevel
    from knack.util import is_modern_terminal

    environment = os.environ if environment is None else environment
    if runs_in_pipelines(environment):
        return Manner.COMMANDS
    if not sys.stderr.isatty() or environment.get("TERM") == "dumb":
        return Manner.LINES
    if (cli_ctx.logging.log_level or 0) >= CliLogLevel.INFO:
        return Manner.LINES  # bars are redrawn in place, and lines of a log between them would be lost
    # The older console of Windows acts on escape sequences where the CLI told it to, which is for the sake of colour.
    acts_on_escapes = sys.platform != "win32" or cli_ctx.enable_color or is_modern_terminal()
    return Manner.BARS if acts_on_escapes else Manner.LINES
