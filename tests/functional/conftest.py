# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""The two registries of every test here."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from emulator.http import Server
from tests.support.lab import Lab


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
