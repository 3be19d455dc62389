# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""What is printed beside the result: in which form, and until when."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from azure.cli.core.azclierror import BadRequestError
from knack.events import EVENT_CLI_POST_EXECUTE
from knack.log import CliLogLevel

from azext_acrimport import _console
from azext_acrimport._console import manner_of, suited_console
from azext_acrimport._progress import Manner
from azext_acrimport._verbose import log_event
from azext_acrimport.transfer.events import BlobFinished, BlobStarted, ManifestFinished, TagWritten, Waiting
from azext_acrimport.transfer.result import BlobOutcome

PIPELINES = {"TF_BUILD": "True"}


class Cli:
    """As much of the CLI as the console needs, with a logger of its own that writes to ``console``."""

    def __init__(self, *, colour: bool = False) -> None:
        self.enable_color = colour
        self.output = SimpleNamespace(cli_ctx=self)
        self.logging = SimpleNamespace(log_level=CliLogLevel.WARNING)
        self._ends: list[Any] = []

    def register_event(self, name: str, handler: Any) -> None:
        assert name == EVENT_CLI_POST_EXECUTE
        self._ends.append(handler)

    def end(self) -> None:
        for handler in self._ends:
            handler(self)


class Coloured(logging.StreamHandler[io.StringIO]):
    """A handler as the CLI has it."""

    enable_color = True

    def format(self, record: logging.LogRecord) -> str:
        return f"<{super().format(record)}>" if self.enable_color else super().format(record)


@pytest.fixture
def console() -> Iterator[io.StringIO]:
    logger, stream = logging.getLogger("cli"), io.StringIO()
    handler = Coloured(stream)
    handler.setFormatter(logging.Formatter("%(message)s"))
    before = (logger.handlers[:], logger.propagate, logger.level)
    logger.handlers[:], logger.propagate = [handler], False
    logger.setLevel(logging.DEBUG)
    yield stream
    logger.handlers[:], logger.propagate = before[0], before[1]
    logger.setLevel(before[2])


def warn(text: str) -> None:
    logging.getLogger("cli.anything").warning(text)


def test_in_pipelines_warnings_are_issues_until_the_command_has_ended(console: io.StringIO) -> None:
    cli = Cli(colour=True)
    with suited_console(cli, PIPELINES):
        warn("one")
    warn("two")  # the CLI prints errors after the handler has been left
    cli.end()
    warn("three")

    issue = "##vso[task.logissue type=warning]"
    assert console.getvalue().splitlines() == [f"{issue}one", f"{issue}two", "<three>"]
    assert cli.enable_color


def test_in_pipelines_advice_is_made_harmless(console: io.StringIO) -> None:
    with pytest.raises(BadRequestError) as raised, suited_console(Cli(), PIPELINES):
        raise BadRequestError("failed", recommendation=["Allow ##vso[task.complete]"])

    assert raised.value.recommendations == ["Allow # #vso[task.complete]"]


def test_without_colour_the_level_is_named(console: io.StringIO) -> None:
    cli = Cli(colour=True)
    with suited_console(cli, {"NO_COLOR": "1"}):
        warn("one")
        assert not cli.enable_color  # --output jsonc heeds it
    cli.end()
    warn("two")

    assert console.getvalue().splitlines() == ["WARNING: one", "<two>"]


@pytest.mark.parametrize(
    ("environment", "colour"),
    [({}, True), ({"NO_COLOR": ""}, True), ({"NO_COLOR": "1"}, False), ({"TF_BUILD": ""}, True)],
)
def test_elsewhere_nothing_changes(console: io.StringIO, environment: dict[str, str], colour: bool) -> None:
    cli = Cli(colour=colour)
    with suited_console(cli, environment):
        warn("as ever")

    assert console.getvalue() == "<as ever>\n"
    assert cli.enable_color is colour


class Stream(io.StringIO):
    def __init__(self, *, terminal: bool) -> None:
        super().__init__()
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


@pytest.mark.parametrize(
    ("terminal", "environment", "level", "platform", "colour", "expected"),
    [
        (True, {}, CliLogLevel.WARNING, "linux", False, Manner.BARS),
        (False, {}, CliLogLevel.WARNING, "linux", False, Manner.LINES),
        (True, {"TERM": "dumb"}, CliLogLevel.WARNING, "linux", False, Manner.LINES),
        (True, {}, CliLogLevel.INFO, "linux", False, Manner.LINES),
        (True, {}, CliLogLevel.DEBUG, "linux", False, Manner.LINES),
        (False, PIPELINES, CliLogLevel.WARNING, "linux", False, Manner.COMMANDS),
        (True, PIPELINES, CliLogLevel.DEBUG, "linux", False, Manner.COMMANDS),
        (True, {}, CliLogLevel.WARNING, "win32", True, Manner.BARS),
        (True, {}, CliLogLevel.WARNING, "win32", False, Manner.LINES),
    ],
)
def test_the_manner_suits_what_stderr_is(
    monkeypatch: pytest.MonkeyPatch,
    terminal: bool,
    environment: dict[str, str],
    level: CliLogLevel,
    platform: str,
    colour: bool,
    expected: Manner,
) -> None:
    stream, cli = Stream(terminal=terminal), Cli(colour=colour)
    cli.logging.log_level = level
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(_console.sys, "platform", platform)
    monkeypatch.delenv("WT_SESSION", raising=False)

    assert manner_of(cli, environment) is expected


def test_verbose_has_a_line_for_each_blob_manifest_and_tag(console: io.StringIO) -> None:
    digest = "sha256:" + "0123456789abcdef" * 4
    for event in (
        BlobStarted(digest, 9),
        BlobFinished(digest, 3 << 20, BlobOutcome.COPIED, "app", "mcr.microsoft.com/base"),
        BlobFinished(digest, 0, BlobOutcome.MOUNTED, "app", "other"),
        BlobFinished(digest, 999, BlobOutcome.EXISTING, "app"),
        ManifestFinished(digest, copied=True),
        ManifestFinished(digest, copied=False),
        TagWritten("app", "v1"),
        Waiting("docker.io", 2.5, "429"),
    ):
        log_event(event)

    assert console.getvalue().splitlines() == [
        "<Blob 0123456789ab, 3.0 MiB, copied from mcr.microsoft.com/base to app.>",
        "<Blob 0123456789ab, 0 B, mounted from other to app.>",
        "<Blob 0123456789ab, 999 B, was in app.>",
        "<Manifest 0123456789ab, copied.>",
        "<Manifest 0123456789ab, was there.>",
        "<Tag app:v1, written.>",
        "<Waiting 2.5 s for docker.io: 429>",
    ]
