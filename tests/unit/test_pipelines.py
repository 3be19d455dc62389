# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""Azure Pipelines: commands that are meant, and none that are not."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azext_acrimport._pipelines import NOTICE, IssueFormatter, harmless, issue, progress, runs_in_pipelines
from azext_acrimport.oci.digest import printable
from azext_acrimport.registry.said import read_error
from tests.support.agent import Command, commands

INJECTIONS = [
    "##vso[task.setvariable variable=PATH]/evil",
    "a ##vso[task.complete result=Succeeded;]done",
    "###vso[task.complete]##vso[task.complete]",
    "#\N{ZERO WIDTH JOINER}#vso[task.complete]",
    "#\N{VARIATION SELECTOR-16}#v\N{SOFT HYPHEN}so[task.complete]",
    "fine\r\n##vso[task.complete]",
    "##[add-mask]x",
]
# What is hardest to escape, again and again.
_HARD = st.text(st.sampled_from("#vso[]%;=\r\n05ABD3AZP \u200d\ufe0fé日"))


@pytest.mark.parametrize(("value", "expected"), [("True", True), ("true", True), ("False", False), (None, False)])
def test_the_agent_is_known_by_its_variable(value: str | None, expected: bool) -> None:
    assert runs_in_pipelines({} if value is None else {"TF_BUILD": value}) is expected


def test_an_issue_says_what_was_meant() -> None:
    text = "100% of %0A; a list [1]\nsecond line %AZP25 %2F"

    assert commands(issue("warning", text)) == [Command("task.logissue", {"type": "warning"}, text)]
    assert issue("error", "100 %") == "##vso[task.logissue type=error]100 %"


def test_progress_is_a_number_and_a_text() -> None:
    assert commands(progress(42, "Copying: 1 of 2")) == [
        Command("task.setprogress", {"value": "42"}, "Copying: 1 of 2")
    ]


@given(_HARD)
def test_whatever_the_text_there_is_one_command(text: str) -> None:
    (command,) = commands(issue("error", text))

    assert (command.name, command.properties) == ("task.logissue", {"type": "error"})
    assert command.text == harmless(text)


@pytest.mark.parametrize("text", INJECTIONS)
def test_no_text_becomes_a_command(text: str) -> None:
    assert commands(harmless(text)) == []
    assert "##" not in harmless(text)


@given(_HARD)
def test_no_text_at_all_becomes_a_command(text: str) -> None:
    assert commands(harmless(text)) == []


@pytest.mark.parametrize("text", INJECTIONS)
def test_what_a_registry_says_is_never_a_command_wherever_it_is_printed(text: str) -> None:
    for message in (read_error(text.encode())[1], printable(text)):
        assert commands(message) == []
        assert "##[" not in message


def test_the_rest_of_a_text_stays() -> None:
    text = "C# and F#, #1\tof 100%\nhttps://example.com/#top é 日本"

    assert harmless(text) == text


@pytest.mark.parametrize(
    ("level", "extra", "expected"),
    [
        (logging.DEBUG, {}, "DEBUG: GET # #vso[x] 200"),
        (logging.INFO, {}, "INFO: GET # #vso[x] 200"),
        (logging.WARNING, NOTICE, "WARNING: GET # #vso[x] 200"),
        (logging.WARNING, {}, "##vso[task.logissue type=warning]GET # #vso[x] 200"),
        (logging.ERROR, {}, "##vso[task.logissue type=error]GET # #vso[x] 200"),
        (logging.CRITICAL, {}, "##vso[task.logissue type=error]GET # #vso[x] 200"),
    ],
)
def test_warnings_and_errors_become_issues(level: int, extra: dict[str, bool], expected: str) -> None:
    record = logging.getLogger("x").makeRecord("x", level, "f", 1, "GET ##vso[x] %s", (200,), None, extra=extra)
    formatter = IssueFormatter(logging.Formatter("%(levelname)s: %(message)s"))

    assert formatter.format(record) == expected


def test_a_traceback_is_one_issue() -> None:
    try:
        raise ValueError("##vso[task.complete]")
    except ValueError as ex:
        record = logging.makeLogRecord({"levelno": logging.ERROR, "msg": "failed", "exc_info": (ValueError, ex, None)})

    (command,) = commands(IssueFormatter(None).format(record))
    assert command.text == "failed\nValueError: # #vso[task.complete]"
