# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""``az acrx check``, read as a user reads it: what would an import do, what is in its way, what mends it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emulator import content
from emulator.faults import Answer
from emulator.injection import Fault
from emulator.resources import OUTSIDE_ADDRESS, AzureRegistry
from tests.cli.conftest import SignedInAz
from tests.cli.signing import by_secret
from tests.cli.world import World
from tests.support.az import Completed

pytestmark = pytest.mark.cli

IMAGE = content.multi_arch("check")
KEYS = {"side", "check", "status", "detail", "advice"}
ARM = "management.azure.com"


@pytest.fixture(autouse=True)
def _changes_nothing(world: World) -> Iterator[None]:
    """Whatever is checked: GET and HEAD, and requests for tokens."""
    yield
    changing = [
        entry
        for entry in world.azure.server.log
        if entry.method not in ("GET", "HEAD") and "/oauth2/" not in entry.path and "microsoft" not in entry.host
    ]
    assert changing == []
    assert [entry for entry in world.azure.server.log.matching(host=ARM) if entry.method != "GET"] == []
    assert world.azure.operations == []


@pytest.fixture
def origin(world: World) -> AzureRegistry:
    registry = world.registry()
    world.put(IMAGE, registry.store, "team/app", "v1")
    return registry


def source_of(registry: AzureRegistry) -> tuple[str, str]:
    return "--source", f"{registry.login_server}/team/app:v1"


def statuses(done: Completed, side: str) -> dict[str, str]:
    """The checks of one side and their outcome, in the order in which they are told."""
    return {each["check"]: each["status"] for each in done.json["checks"] if each["side"] == side}


def check_of(done: Completed, side: str, check: str) -> Any:
    (found,) = (each for each in done.json["checks"] if (each["side"], each["check"]) == (side, check))
    assert set(found) == KEYS
    return found


def test_all_is_well(world: World, az: SignedInAz, origin: AzureRegistry) -> None:
    target = world.registry()

    done = az("acrx", "check", "--name", target.name, *source_of(origin))

    assert (done.json["registry"], done.json["source"]) == (target.name, f"{origin.login_server}/team/app:v1")
    assert done.json["route"] == "service"
    assert statuses(done, "target") == dict.fromkeys(
        ["resource manager", "network settings", "import right", "connection", "sign-in", "pull", "push"], "ok"
    )
    assert statuses(done, "source") == dict.fromkeys(
        ["resource manager", "network settings", "export policy", "connection", "sign-in", "image", "blobs"], "ok"
    )
    assert IMAGE.digest in check_of(done, "source", "image")["detail"]
    assert {each["advice"] for each in done.json["checks"]} == {""}
    assert target.store.names() == []
    (read,) = world.azure.server.log.matching(host=origin.storage_host)
    assert (read.status, read.headers["Range"]) == (206, "bytes=0-0")


def test_a_target_alone(world: World, az: SignedInAz) -> None:
    done = az("acrx", "check", "--name", world.registry().login_server)

    assert (done.json["route"], done.json["source"]) == ("service", None)
    assert statuses(done, "source") == {}
    assert set(statuses(done, "target").values()) == {"ok"}


def test_a_target_that_is_closed_to_the_service(world: World, az: SignedInAz, origin: AzureRegistry) -> None:
    target = world.registry(public_network_access="Disabled", bypass="None")

    done = az("acrx", "check", "--name", target.name, *source_of(origin))

    assert done.json["route"] == "local"
    assert f"target {target.name}: publicNetworkAccess is Disabled" in done.json["reason"]
    assert check_of(done, "target", "network settings")["status"] == "warning"
    advice = check_of(done, "target", "network settings")["advice"]
    assert advice == f"az acr update -n {target.name} --allow-trusted-services true"


def test_a_target_that_is_closed_to_everybody_here(world: World, az: SignedInAz, origin: AzureRegistry) -> None:
    target = world.registry(public_network_access="Disabled", bypass="None")

    done = az("acrx", "check", "--name", target.name, *source_of(origin), network="outside", fails=True)

    assert (done.exit_code, done.json["route"]) == (1, "none")
    assert "so the service cannot reach it; and a copy from here would fail" in done.json["reason"]
    found = check_of(done, "target", "firewall")
    assert (found["status"], OUTSIDE_ADDRESS in found["detail"]) == ("failed", True)
    assert f"az acr network-rule add -n {target.name} --ip-address {OUTSIDE_ADDRESS}" in found["advice"]
    assert "ERROR" not in done.stderr


def test_an_identity_that_may_only_push(world: World, az: SignedInAz, origin: AzureRegistry) -> None:
    target = world.registry()

    done = az("acrx", "check", "--name", target.login_server, *source_of(origin), principal="push-only")

    assert done.json["route"] == "local"
    assert statuses(done, "target") == {
        "resource manager": "warning",
        "connection": "ok",
        "sign-in": "ok",
        "pull": "ok",
        "push": "ok",
    }
    assert "Data Importer" in check_of(done, "target", "resource manager")["advice"]


def test_an_identity_that_may_read_and_push_but_not_import(world: World, az: SignedInAz, origin: AzureRegistry) -> None:
    target = world.registry()

    done = az("acrx", "check", "--name", target.name, *source_of(origin), principal="pusher")

    assert done.json["route"] == "local"
    assert "no right to importImage" in done.json["reason"]
    assert check_of(done, "target", "import right")["status"] == "warning"


def test_an_identity_that_may_neither_import_nor_push(world: World, az: SignedInAz, origin: AzureRegistry) -> None:
    target = world.registry()
    who = world.azure.principals["reader"].client_id

    done = az("acrx", "check", "--name", target.name, *source_of(origin), principal="reader", fails=True)

    assert (done.exit_code, done.json["route"]) == (1, "none")
    for check, role in {
        "import right": '"Container Registry Data Importer and Data Reader"',
        "push": "AcrPush",
    }.items():
        found = check_of(done, "target", check)
        assert found["status"] == "failed"
        assert found["advice"] == f"az role assignment create --assignee {who} --role {role} --scope {target.id}"


def test_permissions_that_nobody_tells(world: World, az: SignedInAz, origin: AzureRegistry) -> None:
    world.azure.server.faults.add(Fault(Answer(403), host=ARM, path="/permissions", times=None))

    done = az("acrx", "check", "--name", world.registry().name, *source_of(origin))

    assert done.json["route"] == "service"
    assert check_of(done, "target", "import right")["status"] == "unknown"


def test_a_source_with_a_firewall_that_the_service_gets_past(world: World, az: SignedInAz) -> None:
    origin = world.registry(default_action="Deny", bypass="AzureServices")
    world.put(IMAGE, origin.store, "team/app", "v1")
    arguments = ("--name", world.registry().name, "--source", "team/app:v1", "--registry", origin.name)

    done = az("acrx", "check", *arguments, network="outside")

    assert done.json["route"] == "service"
    found = check_of(done, "source", "firewall")
    assert found["status"] == "warning"
    assert f"az acr network-rule add -n {origin.name} --ip-address {OUTSIDE_ADDRESS}" in found["advice"]


def test_a_source_with_a_firewall_that_nobody_gets_past(world: World, az: SignedInAz) -> None:
    origin = world.registry(default_action="Deny", bypass="None")
    world.put(IMAGE, origin.store, "team/app", "v1")

    done = az("acrx", "check", "-n", world.registry().name, *source_of(origin), network="outside", fails=True)

    assert done.json["route"] == "none"
    assert check_of(done, "source", "firewall")["status"] == "failed"


def test_a_source_whose_images_are_not_to_leave(world: World, az: SignedInAz) -> None:
    origin = world.registry(export_policy="disabled")
    world.put(IMAGE, origin.store, "team/app", "v1")

    done = az("acrx", "check", "--name", world.registry().name, *source_of(origin), fails=True)

    assert done.json["route"] == "none"
    assert "exportPolicy is disabled" in done.json["reason"]
    assert "--via local" in check_of(done, "source", "export policy")["advice"]


def test_a_source_that_wants_credentials(world: World, az: SignedInAz) -> None:
    world.put(IMAGE, world.azure.private.store, "app", "v1")
    ((user, password),) = world.azure.private.users.items()
    arguments = ("--name", world.registry().name, "--source", "registry.contoso.example/app:v1")

    without = az("acrx", "check", *arguments, fails=True)
    wrong = az("acrx", "check", *arguments, "-u", user, "-p", "wr0ng-s3cret", fails=True)
    right = az("acrx", "check", *arguments, "-u", user, "-p", password)

    assert without.json["route"] == wrong.json["route"] == "none"
    found = check_of(without, "source", "pull")
    assert found["status"] == "failed"
    assert "docker login registry.contoso.example" in found["advice"]
    assert "--password" in check_of(wrong, "source", "pull")["advice"]
    assert "wr0ng-s3cret" not in wrong.stdout + wrong.stderr
    assert (right.json["route"], check_of(right, "source", "image")["status"]) == ("service", "ok")
    assert password not in right.stdout + right.stderr


def test_a_source_in_another_tenant_that_one_is_not_signed_in_to(world: World, az: SignedInAz) -> None:
    origin = world.registry(subscription="partner")
    world.put(IMAGE, origin.store, "team/app", "v1")

    done = az("acrx", "check", "--name", world.registry().name, *source_of(origin), fails=True)

    assert done.json["route"] == "none"
    assert check_of(done, "source", "resource manager")["status"] == "warning"
    found = check_of(done, "source", "sign-in")
    assert found["status"] == "failed"
    assert "--username and --password" in found["advice"]


def test_a_source_in_another_tenant_with_an_identity_of_its_own(world: World, az: SignedInAz, tmp_path: Path) -> None:
    origin = world.registry(subscription="partner")
    world.put(IMAGE, origin.store, "team/app", "v1")
    signing = by_secret(world.azure, world.azure.principals["partner-puller"], tmp_path)
    arguments = ("--name", world.registry().name, *source_of(origin), "--source-identity", signing.option)

    done = az("acrx", "check", *arguments, env=signing.env)
    unset = az("acrx", "check", *arguments, fails=True)

    assert done.json["route"] == "service"
    assert check_of(done, "source", "sign-in")["detail"] == f"as --source-identity {signing.option}"
    assert unset.json["route"] == "none"
    assert "AZURE_TENANT_ID" in check_of(unset, "source", "sign-in")["detail"]
    for secret in signing.secrets:
        assert secret not in done.stdout + done.stderr


@pytest.mark.parametrize("image", ["nosuch:v1", "team/app:nosuch"])
def test_an_image_that_does_not_exist(world: World, az: SignedInAz, origin: AzureRegistry, image: str) -> None:
    source = f"{origin.login_server}/{image}"

    done = az("acrx", "check", "--name", world.registry().name, "--source", source, fails=True)

    assert (done.exit_code, done.json["route"]) == (1, "none")
    found = check_of(done, "source", "image")
    assert (found["status"], "404" in found["detail"]) == ("failed", True)
    assert f"az acr repository show-tags -n {origin.name}" in found["advice"]


def test_a_registry_that_does_not_exist(az: SignedInAz, world: World) -> None:
    done = az("acrx", "check", "--name", "nosuchregistry", fails=True)

    assert (done.exit_code, done.json["route"]) == (1, "none")
    assert "nosuchregistry.azurecr.io" in done.json["reason"]
    (failed,) = (each for each in done.json["checks"] if each["status"] == "failed")
    assert "az acr list" in failed["advice"]


def test_a_registry_alone_for_the_source(world: World, az: SignedInAz, origin: AzureRegistry) -> None:
    name = world.registry().name

    ours = az("acrx", "check", "--name", name, "--registry", origin.name)
    hub = az("acrx", "check", "--name", name, "--source", "docker.io")

    assert (ours.json["source"], hub.json["source"]) == (origin.login_server, "docker.io")
    assert statuses(ours, "source")["pull"] == "ok"
    assert statuses(hub, "source") == {"connection": "ok", "pull": "unknown"}


def test_as_a_table(world: World, az: SignedInAz, origin: AzureRegistry) -> None:
    target = world.registry(public_network_access="Disabled", bypass="None")

    table = az("acrx", "check", "-n", target.name, *source_of(origin), "--output", "table").stdout

    header, _, *rows = table.strip().splitlines()
    assert header.split() == ["Side", "Check", "Status", "Detail"]
    assert rows[0].split()[:4] == ["target", "resource", "manager", "ok"]
    assert f"-> az acr update -n {target.name} --allow-trusted-services true" in table
    assert next(row for row in rows if row.split()[0] == "route").split()[1] == "local"


def test_a_failure_as_a_table_and_queried(world: World, az: SignedInAz) -> None:
    arguments = ("acrx", "check", "--name", "nosuchregistry")

    table = az(*arguments, "--output", "table", fails=True)
    queried = az(*arguments, "--query", "route", "--output", "tsv", fails=True)

    assert "none" in table.stdout.split()
    assert (queried.stdout.strip(), queried.exit_code) == ("none", 1)


def test_arguments_that_make_no_sense(world: World, az: SignedInAz) -> None:
    done = az("acrx", "check", "--name", world.registry().name, "--source", "app:v1", fails=True)

    assert done.stdout == ""
    assert "names no registry" in done.stderr
