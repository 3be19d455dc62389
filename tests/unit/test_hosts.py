# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""What can be told of a registry from its host name."""

from __future__ import annotations

import threading
import time

import pytest

from azext_acrimport.hosts import home_of, is_acr_host, is_private_host, registry_name_of

SUFFIX = ".azurecr.io"


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("prodreg.azurecr.io", True),
        ("ProdReg.AzureCR.io", True),
        ("prodreg-d5c0.azurecr.io", True),
        ("prodreg.eastus.geo.azurecr.io", False),
        ("azurecr.io", False),
        (".azurecr.io", False),
        ("prodreg.azurecr.io.evil.example", False),
        ("evilazurecr.io", False),
        ("prodreg.azurecr.cn", False),
        ("docker.io", False),
    ],
)
def test_a_login_server_is_one_label_before_the_suffix(host: str, expected: bool) -> None:
    assert is_acr_host(host, SUFFIX) is expected


def test_without_a_suffix_no_host_is_a_login_server() -> None:
    assert not is_acr_host("prodreg.azurecr.io", None)


def test_the_hash_of_a_login_server_is_not_part_of_the_name() -> None:
    assert registry_name_of("prodreg-d5c0.azurecr.io") == "prodreg"


@pytest.mark.parametrize(
    ("host", "home"),
    [
        ("prodreg.eastus.geo.azurecr.io", "prodreg.azurecr.io"),
        ("PRODREG.eastus.geo.azurecr.io", "prodreg.azurecr.io"),
        ("prodreg.azurecr.io", None),
        ("a.b.c.geo.azurecr.io", None),
        ("eastus.geo.azurecr.io", None),
    ],
)
def test_a_regional_endpoint_has_a_home(host: str, home: str | None) -> None:
    assert home_of(host, SUFFIX) == home


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost:5000", True),
        ("registry:5000", True),
        ("127.0.0.1:5000", True),
        ("10.0.0.4", True),
        ("192.168.1.1:443", True),
        ("169.254.1.1", True),
        ("[::1]:5000", True),
        ("[fe80::1%eth0]:5000", True),
        ("[fd00::1]", True),
        ("[::ffff:10.0.0.1]", True),
        ("8.8.8.8", False),
        ("[2606:4700::1111]:443", False),
    ],
)
def test_an_address_tells_by_itself(host: str, expected: bool) -> None:
    assert is_private_host(host, resolve=lambda name: []) is expected


@pytest.mark.parametrize(
    ("addresses", "expected"),
    [(["10.1.2.3"], True), (["10.1.2.3", "fd00::1"], True), (["10.1.2.3", "8.8.8.8"], False), (["8.8.8.8"], False)],
)
def test_a_name_is_private_if_it_resolves_to_nothing_else(addresses: list[str], expected: bool) -> None:
    assert is_private_host("registry.corp.example:5000", resolve=lambda name: addresses) is expected


@pytest.mark.parametrize("failure", [OSError("no such name"), UnicodeError("label too long")])
def test_a_name_that_does_not_resolve_is_not_known_to_be_private(failure: Exception) -> None:
    def resolve(name: str) -> list[str]:
        raise failure

    assert not is_private_host("registry.corp.example", resolve=resolve)


def test_a_resolver_that_does_not_answer_holds_nothing_up() -> None:
    released = threading.Event()

    def resolve(name: str) -> list[str]:
        released.wait(30)
        return ["10.0.0.1"]

    started = time.monotonic()
    assert not is_private_host("registry.corp.example", resolve=resolve, seconds=0.01)
    assert time.monotonic() - started < 10
    released.set()
