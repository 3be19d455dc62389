# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""What the images of a list share: the registry with its tokens, and what this machine keeps for it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from azext_acrimport import docker_config
from azext_acrimport.connections import Connections
from azext_acrimport.docker_config import HelperFailed
from azext_acrimport.orders import Effort, Login, Order, Request
from azext_acrimport.plan import NetworkFacts, Plan, Route
from azext_acrimport.registry.registry import Registry
from azext_acrimport.registry.repository import Repository
from azext_acrimport.request import Images, TargetName
from azext_acrimport.resolve import Endpoint

TARGET = Endpoint("target.azurecr.io", None, NetworkFacts("target", is_acr=True, in_arm=False))


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Connections]:
    config = {"credsStore": "desktop"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    cli_ctx = SimpleNamespace(
        config=SimpleNamespace(get=lambda *_, **__: None),
        cloud=SimpleNamespace(endpoints=SimpleNamespace(active_directory_resource_id="https://arm.example/")),
    )
    with Connections(cli_ctx, Effort()) as made:
        yield made


def registry_of(connections: Connections, host: str, image: str, password: str | None = None) -> Registry:
    is_acr = host.endswith(".azurecr.io")
    order = Order(
        Request(TargetName("target", TARGET.host), f"{host}/{image}", login=Login(None, password)),
        TARGET,
        Endpoint(host, None, NetworkFacts(host, is_acr=is_acr, in_arm=False)),
        Images.of(image, [], []),
        Plan(Route.LOCAL, "so it is"),
    )
    repository = connections.source(order)
    assert isinstance(repository, Repository)
    return repository.registry


@pytest.mark.parametrize("host", ["source.azurecr.io", "registry.example"])
def test_one_password_is_one_registry_with_one_set_of_tokens(connections: Connections, host: str) -> None:
    first, again = (registry_of(connections, host, image, "token") for image in ("one:v1", "two:v1"))
    other = registry_of(connections, host, "one:v1", "another")

    assert first is again
    assert other is not first


@pytest.mark.parametrize("fails", [False, True])
def test_a_helper_is_asked_once_for_each_registry(
    connections: Connections, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    asked: list[str] = []
    said: list[str] = []

    def helper(name: str, server: str) -> dict[str, str]:
        asked.append(server)
        if fails:
            raise HelperFailed("exit status 1")
        return {"Username": "me", "Secret": f"of {server}"}

    monkeypatch.setattr(docker_config, "_run_helper", helper)
    monkeypatch.setattr(connections, "_ask_helper", docker_config.asked_once())
    monkeypatch.setattr(docker_config.logger, "warning", lambda text, *_: said.append(text))

    found = {registry_of(connections, "one.example", f"app{number}:v1") for number in range(20)}
    found |= {registry_of(connections, "two.example", f"app{number}:v1") for number in range(20)}

    assert asked == ["one.example", "two.example"]
    assert len(found) == 2
    assert len(said) == (2 if fails else 0)
    assert (connections.saved("one.example", "another") is None) == fails
