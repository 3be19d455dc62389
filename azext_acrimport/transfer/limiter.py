# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Fewer tasks of one kind at once than there are threads."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from functools import partial

from azext_acrimport.transfer.executor import Task


class Limiter:  # pylint: disable=too-few-public-methods
    """Hands tasks on to be run, ``most`` at a time; the others wait for their turn without keeping a thread."""

    def __init__(self, most: int, submit: Callable[[Task], None]) -> None:
        self._free = most
        self._submit = submit
        self._waiting: deque[Task] = deque()
        self._lock = threading.Lock()

    def submit(self, task: Task) -> None:
        """Have a task run as soon as it is its turn."""
        with self._lock:
            if not self._free:
                self._waiting.append(task)
                return
            self._free -= 1
        self._submit(partial(self._run, task))

    def _run(self, task: Task) -> None:
        try:
            task()
        finally:
            with self._lock:
                following = self._waiting.popleft() if self._waiting else None
                self._free += following is None
            if following:
                self._submit(partial(self._run, following))
