# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""The two registries of every test here."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest

from azext_acrimport.transfer import tuning
from emulator.http import Server
from tests.support.lab import Lab


@pytest.fixture(autouse=True)
def never_guess(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask the source for nothing before the target wants it, however slow a busy machine makes loopback look."""
    monkeypatch.setattr(tuning, "FAR_SECONDS", math.inf)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        yield running
        assert running.errors == []


@pytest.fixture
def lab(server: Server) -> Iterator[Lab]:
    made = Lab(server)
    yield made
    made.close()
