# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""How faults are matched and counted; the faults themselves are in ``faults``."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from fnmatch import fnmatchcase
from typing import NoReturn, Protocol

from emulator.messages import Request, Response


class Disconnect(Exception):
    """The server ends this connection now: with a TCP reset, or with an orderly close."""

    def __init__(self, *, reset: bool) -> None:
        super().__init__("reset" if reset else "close")
        self.reset = reset


class Line(Protocol):
    """What a fault may do to the connection under a request."""

    def stall(self) -> NoReturn:
        """Say nothing more until the client goes away or the server stops."""

    def wait(self, event: threading.Event) -> None:
        """Wait for the event; end the connection when the client goes away or the server stops before."""


class Action:
    """What a fault does. Each hook leaves things as they are unless an action says otherwise."""

    @property
    def kind(self) -> str:
        """The name under which it is counted."""
        return type(self).__name__

    def on_request(self, request: Request, line: Line) -> Response | None:
        """Look at a request before its app does; a response is sent in place of the app's."""
        return None

    def on_response(self, response: Response, line: Line) -> Response:
        """Change the response on its way out."""
        return response


@dataclass(frozen=True)
class Fault:
    """An action and the requests that it is for.

    ``host`` may hold shell wildcards, ``path`` and ``query`` are regular expressions searched for in the path and in
    the decoded query (arguments joined by ``&``), ``when`` sees the request itself. The first ``skip`` matching
    requests are let by, then ``times`` are taken (None: all).
    """

    action: Action
    _: KW_ONLY
    host: str = "*"
    method: str | None = None
    path: str = ""
    query: str = ""
    when: Callable[[Request], bool] | None = None
    skip: int = 0
    times: int | None = 1

    def matches(self, request: Request) -> bool:
        """Whether the request is one of those that the fault is for."""
        if self.method is None and request.method in ("CONNECT", "ACCEPT"):
            return False
        query = "&".join(f"{name}={value}" for name, value in request.query)
        return (
            (self.method is None or self.method == request.method)
            and fnmatchcase(request.host, self.host.lower())
            and re.search(self.path, request.path) is not None
            and re.search(self.query, query) is not None
            and (self.when is None or self.when(request))
        )


@dataclass(eq=False)
class _Armed:
    fault: Fault
    skipped: int = 0
    taken: int = 0

    def take(self) -> bool:
        """Count a matching request; whether it is to be taken."""
        if self.fault.times is not None and self.taken >= self.fault.times:
            return False
        if self.skipped < self.fault.skip:
            self.skipped += 1
            return False
        self.taken += 1
        return True


class Faults:
    """The faults of one server. ``injected`` counts by kind what has been done."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._armed: list[_Armed] = []
        self.injected: Counter[str] = Counter()

    def add(self, *faults: Fault) -> None:
        """Add faults behind those that are there."""
        with self._lock:
            self._armed.extend(_Armed(fault) for fault in faults)

    def clear(self) -> None:
        """Forget all faults and counts."""
        with self._lock:
            self._armed.clear()
            self.injected.clear()

    @property
    def pending(self) -> list[Fault]:
        """The faults that still have requests to take."""
        with self._lock:
            return [
                armed.fault for armed in self._armed if armed.fault.times is None or armed.taken < armed.fault.times
            ]

    def take(self, request: Request) -> Action | None:
        """The action for this request, if any."""
        if not self._armed:
            return None
        with self._lock:
            for armed in self._armed:
                if armed.fault.matches(request) and armed.take():
                    self.injected[armed.fault.action.kind] += 1
                    return armed.fault.action
        return None
