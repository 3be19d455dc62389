# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""What a user reads when it does not work: which side, what it said, what to do; and the exit code."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from emulator import content
from emulator.content import Artifact
from emulator.faults import Reset
from emulator.http import Server
from emulator.injection import Fault
from tests.cli.conftest import SignedInAz
from tests.cli.world import World
from tests.support.az import Completed
from tests.support.images import assert_empty, assert_holds

pytestmark = pytest.mark.cli

IMAGE = content.multi_arch("errors")
NOT_FOUND = 3


def fails(az: SignedInAz, *arguments: str, principal: str = "owner", network: str = "inside") -> Completed:
    done = az("acrx", "import", *arguments, principal=principal, network=network, fails=True)
    assert done.stdout == ""
    assert "ERROR" in done.stderr
    return done


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--source", "hello-world:latest"), ["--source", "--registry", "docker.io/library/hello-world:latest"]),
        (("--source", "library/hello-world:latest"), ["--source", "docker.io"]),
        (("--source", "/hello-world:latest"), ["--source"]),
        (("--source", "mcr.microsoft.com/"), ["--source"]),
        (("--source", "mcr.microsoft.com/Hello World:v1"), ["--source"]),
        (("--source", "mcr.microsoft.com/hello-world:not~a~tag"), ["--source"]),
        (("--source", "mcr.microsoft.com/hello-world@sha256:123456abcdefg"), ["--source", "digest"]),
        (("--source", "mcr.microsoft.com/hello-world", "--image", "Upper:v1"), ["--image"]),
        (("--source", "mcr.microsoft.com/hello-world", "--repository", "app:v1"), ["--repository"]),
        (("--source", "mcr.microsoft.com/hello-world", "--username", "me"), ["--password"]),
    ],
    ids=lambda value: " ".join(value[1:]) if isinstance(value, tuple) else "",
)
def test_arguments_that_make_no_sense(
    world: World, az: SignedInAz, arguments: tuple[str, ...], says: list[str]
) -> None:
    target = world.registry()

    done = fails(az, "--name", target.name, *arguments)

    for text in says:
        assert text in done.stderr
    assert world.azure.operations == []
    assert_empty(target.store)


def test_a_target_that_does_not_exist(az: SignedInAz, world: World) -> None:
    done = fails(az, "--name", "nosuchregistry", "--source", "mcr.microsoft.com/hello-world")

    assert done.exit_code == NOT_FOUND
    assert "nosuchregistry" in done.stderr
    assert "az acr list" in done.stderr
    assert "AcrPush" in done.stderr


def test_a_source_registry_that_does_not_exist(az: SignedInAz, world: World) -> None:
    done = fails(az, "--name", world.registry().name, "--source", "app:v1", "--registry", "nosuchregistry")

    assert done.exit_code == NOT_FOUND
    assert "source registry nosuchregistry" in done.stderr


@pytest.mark.parametrize("via", ["service", "local"])
@pytest.mark.parametrize("source", ["mcr.microsoft.com/hello-world:missing", "mcr.microsoft.com/missing"])
def test_an_image_that_does_not_exist(world: World, az: SignedInAz, via: str, source: str) -> None:
    target = world.registry()

    done = fails(az, "--name", target.name, "--source", source, "--via", via)

    assert done.exit_code == NOT_FOUND
    assert f"source {source}" in done.stderr
    assert_empty(target.store)


@pytest.mark.parametrize("via", ["service", "local"])
def test_a_wrong_password_of_the_source(world: World, az: SignedInAz, via: str) -> None:
    world.put(IMAGE, world.azure.private.store, "app", "v1")
    target = world.registry()

    arguments = ("--source", "registry.contoso.example/app:v1", "--username", "builder", "--password", "wrong-s3cret")
    done = fails(az, "--name", target.name, *arguments, "--via", via)

    assert "source registry.contoso.example/app" in done.stderr
    assert "--password" in done.stderr
    assert "wrong-s3cret" not in done.stderr


def test_no_right_to_push(world: World, az: SignedInAz) -> None:
    target = world.registry()

    source = ("--source", "mcr.microsoft.com/hello-world:latest")
    done = fails(az, "--name", target.name, *source, "--via", "local", principal="reader")

    assert f"target {target.login_server}/hello-world" in done.stderr
    assert "AcrPush" in done.stderr


def test_a_closed_target_from_outside_its_network(world: World, az: SignedInAz) -> None:
    target = world.registry(public_network_access="Disabled", bypass="None")

    done = fails(az, "--name", target.name, "--source", "mcr.microsoft.com/hello-world:latest", network="outside")

    assert f"target {target.login_server}/hello-world" in done.stderr
    for advice in (
        f"az acr network-rule add -n {target.name} --ip-address 203.0.113.7",
        "inside a network",
        f"az acr update -n {target.name} --allow-trusted-services true",
    ):
        assert advice in done.stderr


def test_a_closed_source_from_outside_its_network(world: World, az: SignedInAz) -> None:
    origin, target = world.registry(default_action="Deny", bypass="None"), world.registry()
    world.put(IMAGE, origin.store, "app", "v1")

    done = fails(az, "--name", target.name, "--source", "app:v1", "--registry", origin.id, network="outside")

    assert f"source {origin.login_server}/app:v1" in done.stderr
    assert f"az acr network-rule add -n {origin.name} --ip-address 203.0.113.7" in done.stderr
    assert_empty(target.store)


@pytest.mark.parametrize("via", ["service", "local"])
def test_a_locked_tag(world: World, az: SignedInAz, via: str) -> None:
    target = world.registry()
    old = world.put(content.image("old"), target.store, "hello-world", "latest")
    target.behaviour = dataclasses.replace(target.behaviour, locked_tags=frozenset({"latest"}))

    source = ("--source", "mcr.microsoft.com/hello-world:latest", "--force")
    done = fails(az, "--name", target.name, *source, "--via", via)

    assert f"target {target.login_server}" in done.stderr
    assert "locked" in done.stderr
    assert f"az acr repository show -n {target.name}" in done.stderr
    assert target.store.repository("hello-world").tags == {"latest": old.digest}


def test_an_image_of_docker_schema_1(world: World, az: SignedInAz) -> None:
    image = world.put(content.schema1(), world.azure.mcr.store, "old/app", "v1")
    assert image.media_type.endswith("v1+prettyjws")
    target = world.registry()

    done = fails(az, "--name", target.name, "--source", "mcr.microsoft.com/old/app:v1", "--via", "local")

    assert "source mcr.microsoft.com/old/app" in done.stderr
    assert "schema 1" in done.stderr
    assert_empty(target.store)


def test_a_manifest_over_4_mib(world: World, az: SignedInAz) -> None:
    manifest = json.dumps({**content.image("big").json, "annotations": {"filler": "x" * 4 * 1024 * 1024}}).encode()
    big = Artifact(manifest, content.OCI_MANIFEST, content.image("big").blobs)
    world.put(big, world.azure.mcr.store, "big", "v1")
    target = world.registry()

    done = fails(az, "--name", target.name, "--source", "mcr.microsoft.com/big:v1", "--via", "local")

    assert "source mcr.microsoft.com/big" in done.stderr
    assert "larger than 4 MiB" in done.stderr
    assert_empty(target.store)


def test_a_host_that_the_proxy_does_not_know(world: World, az: SignedInAz) -> None:
    target = world.registry()

    done = fails(az, "--name", target.name, "--source", "registry.invalid/app:v1", "--via", "local")

    assert "source registry.invalid/app:v1" in done.stderr
    assert "HTTPS_PROXY" in done.stderr


def test_a_host_that_has_no_address(world: World, az: SignedInAz) -> None:
    target = world.registry()

    arguments = ("--name", target.name, "--source", "registry.invalid/app:v1", "--via", "local")
    around_the_proxy = {"NO_PROXY": "registry.invalid", "no_proxy": "registry.invalid"}
    done = az("acrx", "import", *arguments, env=around_the_proxy, fails=True)

    assert "source registry.invalid/app:v1" in done.stderr
    assert "name" in done.stderr


def test_a_host_where_nothing_listens(world: World, az: SignedInAz) -> None:
    target = world.registry()

    done = fails(az, "--name", target.name, "--source", "127.0.0.1:9/app:v1")

    assert "source 127.0.0.1:9/app:v1" in done.stderr
    assert "running" in done.stderr


def test_a_certificate_that_is_not_trusted(world: World, az: SignedInAz, tmp_path: Path) -> None:
    target = world.registry()
    with Server(tmp_path) as other:  # it has an authority of its own
        host = other.serve_tls(world.azure.mcr.registry)
        done = fails(az, "--name", target.name, "--source", f"{host}/hello-world:latest")

    assert f"source {host}/hello-world" in done.stderr
    assert "certificate" in done.stderr
    assert "REQUESTS_CA_BUNDLE" in done.stderr


def test_a_source_that_breaks_off_for_good(world: World, az: SignedInAz) -> None:
    world.azure.server.faults.add(Fault(Reset(), host="mcr.microsoft.com", path="/manifests/", times=None))
    target = world.registry()

    done = fails(az, "--name", target.name, "--source", "mcr.microsoft.com/hello-world:latest", "--via", "local")

    assert "source mcr.microsoft.com/hello-world" in done.stderr
    assert "Run the command again" in done.stderr


def test_a_source_that_breaks_off_once(world: World, az: SignedInAz) -> None:
    image = world.put(IMAGE, world.azure.mcr.store, "app", "v1")
    world.azure.server.faults.add(Fault(Reset(), host="mcr.microsoft.com", path="/blobs/", times=1))
    target = world.registry()

    az("acrx", "import", "--name", target.name, "--source", "mcr.microsoft.com/app:v1", "--via", "local")

    assert_holds(target.store, "app", image, tags=["v1"])
