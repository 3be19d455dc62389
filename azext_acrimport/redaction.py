# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""A password that was given to us, kept out of what is logged: also by others.

The Azure CLI logs the bodies of its requests with ``--debug``, and that of ``importImage`` holds the password of the
source. (It also logs its own arguments, before any extension is loaded: nothing can be done about that one here.)
"""

from __future__ import annotations

import json
import logging
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

HIDDEN = "*****"


@contextmanager
def hidden_in_logs(*secrets: str | None) -> Iterator[Callable[[str], None]]:
    """Replace the secrets in all that is logged, by whichever logger, until the context is left.

    What it yields takes further secrets, as they become known; it may be called from any thread.
    """
    forms = sorted({form for secret in secrets if secret for form in _forms_of(secret)}, key=len, reverse=True)
    adding = threading.Lock()
    make_record = logging.getLogRecordFactory()

    def make_harmless(*args: Any, **options: Any) -> logging.LogRecord:
        record = make_record(*args, **options)
        if forms:
            _clean(record, forms)
        return record

    def hide(another: str) -> None:
        nonlocal forms
        with adding:
            if another and another not in forms:
                forms = sorted({*forms, *_forms_of(another)}, key=len, reverse=True)

    logging.setLogRecordFactory(make_harmless)
    try:
        yield hide
    finally:
        logging.setLogRecordFactory(make_record)


def _clean(record: logging.LogRecord, forms: Iterable[str]) -> None:
    try:
        text = record.getMessage()
    except (TypeError, ValueError):
        return  # arguments that do not fit: logging itself will say so
    harmless = _without(text, forms)
    if harmless != text:
        record.msg, record.args = harmless, None
    if record.exc_info and record.exc_info[0]:
        text = "".join(traceback.format_exception(*record.exc_info)).rstrip()
        harmless = _without(text, forms)
        if harmless != text:
            record.exc_text = harmless  # formatters make their own of ``exc_info`` only where there is none


def _without(text: str, forms: Iterable[str]) -> str:
    for form in forms:
        text = text.replace(form, HIDDEN)
    return text


def _forms_of(secret: str) -> set[str]:
    """The secret as text, in JSON, and as Python shows texts and bytes."""
    in_json = json.dumps(secret)[1:-1]
    forms = {secret, in_json, repr(secret.encode("utf-8", "replace"))[2:-1]}
    for text in (secret, in_json):
        # Python escapes a single quote only where there are double ones too, as there always are in JSON.
        forms |= {repr(text)[1:-1], repr(f"\"{text}'")[2:-3]}
    return forms
