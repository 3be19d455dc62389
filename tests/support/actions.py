# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Having something else happen in the middle of a run: actions for the emulator's faults."""

from __future__ import annotations

from collections.abc import Callable

from emulator.faults import Action, Line
from emulator.messages import Request, Response


class DoBefore(Action):
    """Do something just before a request is looked at."""

    def __init__(self, what: Callable[[], object]) -> None:
        self._what = what

    def on_request(self, request: Request, line: Line) -> None:
        self._what()


class DoAfter(Action):
    """Do something when a request has been served, just before its answer goes out."""

    def __init__(self, what: Callable[[], object]) -> None:
        self._what = what

    def on_response(self, response: Response, line: Line) -> Response:
        self._what()
        return response
