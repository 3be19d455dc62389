# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""What is offered to a shell: in time, or not at all."""

from __future__ import annotations

import threading

import pytest

from azext_acrimport import _completers


def test_a_look_up_that_takes_too_long_offers_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_completers, "LIMIT_SECONDS", 0.01)
    given_up = threading.Event()

    def names() -> list[str]:
        given_up.wait()
        return ["late"]

    assert _completers._at_once(names) == []
    given_up.set()


def test_a_look_up_that_fails_offers_nothing() -> None:
    def names() -> list[str]:
        raise OSError("no network")

    assert _completers._at_once(names) == []


@pytest.mark.parametrize("part", ["app", "a", "team/", "app-", "app.", "0", "team/app_"])
def test_the_catalog_is_read_from_just_before_what_was_typed(part: str) -> None:
    after = _completers._just_before(part)

    assert after < part
    assert not after.startswith(part)


@pytest.mark.parametrize(
    ("registry", "host"),
    [
        ("MyReg", "myreg.azurecr.io"),
        ("myreg-abc123.azurecr.io", "myreg-abc123.azurecr.io"),
        (
            "/subscriptions/s/resourceGroups/g/providers/Microsoft.ContainerRegistry/registries/MyReg",
            "myreg.azurecr.io",
        ),
    ],
)
def test_the_host_of_a_registry_that_is_named(registry: str, host: str) -> None:
    assert _completers._login_server(registry, ".azurecr.io") == host
