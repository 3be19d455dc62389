# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""A password stays out of the log, in whatever form it is logged."""

from __future__ import annotations

import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azext_acrimport.redaction import HIDDEN, hidden_in_logs

SECRET = "pä\"ss\\wörd'%s"
BODY = json.dumps({"key": SECRET})

logger = logging.getLogger(__name__)


def told(caplog: pytest.LogCaptureFixture) -> str:
    return "\n".join(record.getMessage() for record in caplog.records)


@pytest.fixture(autouse=True)
def _everything_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)


@pytest.mark.parametrize(
    "logged",
    [SECRET, [SECRET], SECRET.encode(), BODY, BODY.encode(), str(BODY.encode())],
    ids=lambda value: type(value),
)
def test_every_form_of_it_is_hidden(caplog: pytest.LogCaptureFixture, logged: object) -> None:
    with hidden_in_logs(SECRET):
        logger.debug("before %s after", logged)

    assert told(caplog).startswith("before ")
    assert told(caplog).endswith(" after")
    assert HIDDEN in told(caplog)
    assert "ss" not in told(caplog)


def test_an_exception_that_is_logged_with_it(caplog: pytest.LogCaptureFixture) -> None:
    with hidden_in_logs(SECRET):
        try:
            raise ValueError(SECRET)
        except ValueError:
            logger.exception("failed")

    assert "ValueError" in caplog.text
    assert SECRET not in caplog.text


def test_quotes_are_no_way_around(caplog: pytest.LogCaptureFixture) -> None:
    with hidden_in_logs("it's"):
        logger.debug("%s", json.dumps({"key": "it's"}).encode())
        logger.debug("%s", ["it's"])

    assert "it" not in told(caplog)


def test_it_is_found_where_it_is_split_between_the_text_and_its_arguments(caplog: pytest.LogCaptureFixture) -> None:
    with hidden_in_logs("ab%c"):
        logger.debug("%sb%%c", "a")

    assert told(caplog) == HIDDEN


def test_other_loggers_and_levels_are_no_way_around(caplog: pytest.LogCaptureFixture) -> None:
    with hidden_in_logs(SECRET):
        logging.getLogger("cli.azure.cli.core.sdk.policies").debug(SECRET)
        logging.getLogger().error(SECRET)

    assert told(caplog) == f"{HIDDEN}\n{HIDDEN}"


def test_what_holds_no_secret_stays_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    with hidden_in_logs(SECRET):
        logger.debug("%s of %d", "one", 2)

    (record,) = caplog.records
    assert (record.msg, record.args) == ("%s of %d", ("one", 2))


@pytest.mark.parametrize("secret", [None, ""])
def test_without_a_secret_nothing_is_changed(caplog: pytest.LogCaptureFixture, secret: str | None) -> None:
    with hidden_in_logs(secret) as hide:
        hide("")
        logger.debug("%s of %d", "one", 2)

    (record,) = caplog.records
    assert (record.msg, record.args) == ("%s of %d", ("one", 2))


@pytest.mark.parametrize("first", [None, "another"])
def test_a_secret_that_becomes_known_later(caplog: pytest.LogCaptureFixture, first: str | None) -> None:
    with hidden_in_logs(first) as hide:
        hide(SECRET)
        logger.debug("%s and %s", BODY, first)

    assert "ss" not in told(caplog)
    assert "another" not in told(caplog)


def test_everything_is_as_before_afterwards(caplog: pytest.LogCaptureFixture) -> None:
    before = logging.getLogRecordFactory()

    with pytest.raises(KeyboardInterrupt), hidden_in_logs(SECRET):
        raise KeyboardInterrupt
    logger.debug(SECRET)

    assert logging.getLogRecordFactory() is before
    assert told(caplog) == SECRET


@given(st.text(min_size=8, max_size=40, alphabet=st.characters(exclude_characters="*")))
def test_no_secret_gets_by(secret: str) -> None:
    make = logging.getLogRecordFactory
    for logged in (secret, json.dumps(secret), json.dumps(secret).encode("utf-8")):
        with hidden_in_logs(secret):
            record = make()("name", logging.DEBUG, "path", 1, "says %s.", (logged,), None)
        assert secret not in record.getMessage()
        assert json.dumps(secret)[1:-1] not in record.getMessage()
