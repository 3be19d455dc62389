# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""The log of what clients asked for; tests count and read it."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from emulator.messages import Client, Headers


@dataclass(eq=False)
class LogEntry:
    """One request and what became of it.

    ``status`` is 0 until an answer begins, and stays 0 where there is none. ``received_bytes`` and ``sent_bytes`` count
    the bodies. ``fault`` is the kind of the fault that was injected, if any.
    """

    host: str
    method: str
    path: str
    query: list[tuple[str, str]]
    headers: Headers
    client: Client
    status: int = 0
    received_bytes: int = 0
    sent_bytes: int = 0
    fault: str = ""

    def arg(self, name: str, default: str | None = None) -> str | None:
        """The first query argument of that name."""
        return next((value for key, value in self.query if key == name), default)

    def __str__(self) -> str:
        query = "&".join(f"{name}={value}" for name, value in self.query)
        return f"{self.status} {self.method} {self.host}{self.path}{'?' if query else ''}{query}"


class RequestLog:
    """All requests in the order of their arrival, safe to use from any thread.

    A request is in the log before its app sees it, so it is there when the client has its answer. ``CONNECT`` requests
    are not in it: they count as connections.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._entries: list[LogEntry] = []
        self._connections: Counter[str] = Counter()
        self._refused: list[str] = []

    def add(self, entry: LogEntry) -> None:
        """Add a request."""
        with self._changed:
            self._entries.append(entry)
            self._changed.notify_all()

    def add_connection(self, host: str) -> None:
        """Count a connection made to ``host``."""
        with self._changed:
            self._connections[host] += 1

    def add_refused(self, host: str) -> None:
        """Note that a client asked a proxy for a host that is not played here."""
        with self._changed:
            self._refused.append(host)

    def connections(self, host: str | None = None) -> int:
        """How many connections were made, in all or to one host."""
        with self._changed:
            return sum(self._connections.values()) if host is None else self._connections[host]

    @property
    def refused(self) -> list[str]:
        """The hosts that a proxy was asked for and does not know."""
        with self._changed:
            return list(self._refused)

    def clear(self) -> None:
        """Forget everything so far."""
        with self._changed:
            self._entries.clear()
            self._connections.clear()
            self._refused.clear()

    def matching(
        self,
        *,
        host: str | None = None,
        method: str | None = None,
        path: str | None = None,
        status: int | None = None,
        client: Client | None = None,
    ) -> list[LogEntry]:
        """The entries that agree with all that is given.

        ``host`` may hold shell wildcards; ``path`` is a regular expression searched for in the path.
        """
        return [
            entry
            for entry in self
            if (host is None or fnmatchcase(entry.host, host.lower()))
            and (method is None or entry.method == method)
            and (path is None or re.search(path, entry.path))
            and (status is None or entry.status == status)
            and (client is None or entry.client == client)
        ]

    def count(
        self, method: str | None = None, path: str | None = None, *, host: str | None = None, status: int | None = None
    ) -> int:
        """How many entries match."""
        return len(self.matching(host=host, method=method, path=path, status=status))

    def wait_for(
        self,
        *,
        count: int = 1,
        timeout_seconds: float = 10,
        host: str | None = None,
        method: str | None = None,
        path: str | None = None,
    ) -> list[LogEntry]:
        """Wait until that many matching requests have arrived.

        :raises TimeoutError: when they do not in time.
        """

        def found() -> list[LogEntry]:
            entries = self.matching(host=host, method=method, path=path)
            return entries if len(entries) >= count else []

        with self._changed:
            if not self._changed.wait_for(found, timeout_seconds):
                raise TimeoutError(f"No {count} requests like {method} {host} {path} in {timeout_seconds} s.")
            return found()

    def __iter__(self) -> Iterator[LogEntry]:
        with self._changed:
            return iter(list(self._entries))

    def __len__(self) -> int:
        with self._changed:
            return len(self._entries)

    def __getitem__(self, index: int) -> LogEntry:
        with self._changed:
            return self._entries[index]

    def __str__(self) -> str:
        return "\n".join(str(entry) for entry in self)
