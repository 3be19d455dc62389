# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""What the command takes from its surroundings: credential files, certificates; and what it gives to nobody."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

import pytest

from emulator import content
from emulator.http import Server
from tests.cli.conftest import SignedInAz
from tests.cli.world import World
from tests.support.images import assert_holds

pytestmark = pytest.mark.cli

IMAGE = content.multi_arch("environment")
PRIVATE = ("--source", "registry.contoso.example/app:v1", "--image", "app:v1")


def private_image(world: World) -> tuple[str, str]:
    """Put an image into the private registry; return a user and a password for it."""
    world.put(IMAGE, world.azure.private.store, "app", "v1")
    ((user, password),) = world.azure.private.users.items()
    return user, password


def test_credentials_of_docker_login(world: World, az: SignedInAz, tmp_path: Path) -> None:
    auth = base64.b64encode(":".join(private_image(world)).encode()).decode()
    config = {"auths": {"registry.contoso.example": {"auth": auth}}}
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    target = world.registry()

    arguments = ("--name", target.name, *PRIVATE, "--via", "local")
    az("acrx", "import", *arguments, env={"DOCKER_CONFIG": str(tmp_path)})

    assert_holds(target.store, "app", IMAGE, tags=["v1"])


def test_credentials_of_a_credential_helper(world: World, az: SignedInAz, tmp_path: Path) -> None:
    user, password = private_image(world)
    answer = json.dumps({"ServerURL": "registry.contoso.example", "Username": user, "Secret": password})
    helper = tmp_path / "docker-credential-sample"
    helper.write_text(f"#!/bin/sh\ncat >/dev/null\necho '{answer}'\n", encoding="utf-8")
    helper.chmod(0o755)
    config = {"credHelpers": {"registry.contoso.example": "sample"}}
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    target = world.registry()

    path = f"{tmp_path}:{os.environ['PATH']}"
    arguments = ("--name", target.name, *PRIVATE, "--via", "local")
    az("acrx", "import", *arguments, env={"DOCKER_CONFIG": str(tmp_path), "PATH": path})

    assert_holds(target.store, "app", IMAGE, tags=["v1"])


def test_credentials_of_podman_login(world: World, az: SignedInAz, tmp_path: Path) -> None:
    auth = base64.b64encode(":".join(private_image(world)).encode()).decode()
    file = tmp_path / "auth.json"
    file.write_text(json.dumps({"auths": {"registry.contoso.example": {"auth": auth}}}), encoding="utf-8")
    target = world.registry()

    arguments = ("--name", target.name, *PRIVATE, "--via", "local")
    az("acrx", "import", *arguments, env={"REGISTRY_AUTH_FILE": str(file)})

    assert_holds(target.store, "app", IMAGE, tags=["v1"])


def test_a_certificate_that_is_not_to_be_verified(world: World, az: SignedInAz, tmp_path: Path) -> None:
    world.put(IMAGE, world.azure.mcr.store, "app", "v1")
    target = world.registry()
    with Server(tmp_path) as other:  # it has an authority of its own
        host = other.serve_tls(world.azure.mcr.registry)
        source = ("--source", f"{host}/app:v1", "--image", "app:v1")
        az("acrx", "import", "--name", target.name, *source, env={"AZURE_CLI_DISABLE_CONNECTION_VERIFICATION": "1"})

    assert_holds(target.store, "app", IMAGE, tags=["v1"])


def test_plain_http_to_this_machine(world: World, az: SignedInAz) -> None:
    world.put(IMAGE, world.azure.mcr.store, "app", "v1")
    target = world.registry()
    host = world.azure.server.serve_plain(world.azure.mcr.registry)

    result = az("acrx", "import", "--name", target.name, "--source", f"{host}/app:v1", "--image", "app:v1").json

    assert result["route"] == "local"
    assert_holds(target.store, "app", IMAGE, tags=["v1"])


def test_credentials_go_to_the_registries_and_their_realms_only(world: World, az: SignedInAz) -> None:
    origin, target = world.registry(), world.registry()
    world.put(IMAGE, origin.store, "app", "v1")
    source = ("--source", f"{origin.login_server}/app:v1")

    az("acrx", "import", "--name", target.name, *source, "--via", "local")

    storage = world.azure.server.log.matching(host=origin.storage_host)
    assert len(storage) == len(IMAGE.all_blobs)
    assert all("Authorization" not in entry.headers for entry in storage)


def test_no_token_of_entra_goes_to_a_registry_outside_azure(world: World, az: SignedInAz) -> None:
    world.put(IMAGE, world.azure.mcr.store, "app", "v1")
    target = world.registry()

    source = ("--source", "mcr.microsoft.com/app:v1")
    az("acrx", "import", "--name", target.name, *source, "--via", "local")

    asked = world.azure.server.log.matching(host="*mcr.microsoft.com")
    assert asked
    assert all("Authorization" not in entry.headers for entry in asked)


def test_debug_output_holds_no_secret(world: World, az: SignedInAz) -> None:
    user, password = private_image(world)
    target = world.registry()

    arguments = ("--name", target.name, *PRIVATE, "--via", "local", "--username", user, "--password", password)
    done = az("acrx", "import", *arguments, "--debug")

    # Our own lines only for the password: az itself prints its arguments with --debug.
    told = "\n".join(line for line in done.stderr.splitlines() if "azext_acrimport" in line)
    assert target.login_server in told
    basic = base64.b64encode(f"{user}:{password}".encode()).decode()
    sent = {entry.headers.get("Authorization") for entry in world.azure.server.log.matching(host=target.login_server)}
    tokens = [value.partition(" ")[2] for value in sent if value]
    assert tokens
    assert password not in told
    assert "sig=" not in told
    assert not any(secret in done.stderr for secret in (basic, *tokens))
