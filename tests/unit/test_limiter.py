# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Fewer tasks of one kind at once than there are threads."""

from __future__ import annotations

import pytest

from azext_acrimport.transfer.executor import Task
from azext_acrimport.transfer.limiter import Limiter


def test_no_more_are_handed_on_than_may_run_and_none_is_forgotten() -> None:
    handed: list[Task] = []
    done: list[int] = []
    limiter = Limiter(2, handed.append)
    for number in range(5):
        limiter.submit(lambda number=number: done.append(number))  # type: ignore[misc]
    most = 0
    while handed:
        most = max(most, len(handed))
        handed.pop(0)()
    assert (most, done) == (2, [0, 1, 2, 3, 4])


def test_task_that_fails_makes_room_for_the_next() -> None:
    handed: list[Task] = []
    done: list[str] = []

    def fail() -> None:
        raise ValueError

    limiter = Limiter(1, handed.append)
    limiter.submit(fail)
    limiter.submit(lambda: done.append("x"))
    with pytest.raises(ValueError):
        handed.pop(0)()
    handed.pop(0)()
    limiter.submit(lambda: done.append("y"))
    handed.pop(0)()
    assert done == ["x", "y"]
