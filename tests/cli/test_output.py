# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""What the command prints, where, and how it is told to be quiet."""

from __future__ import annotations

import json
import re
import shutil
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from emulator import content
from emulator.faults import Fault, HoldResponse, registry_error
from emulator.public import MicrosoftRegistry
from emulator.resources import AzureRegistry
from tests.cli.conftest import SignedInAz
from tests.cli.importer import RESULT_KEYS
from tests.cli.running import started
from tests.cli.world import World
from tests.support.agent import commands
from tests.support.images import assert_empty, assert_holds
from tests.support.terminal import OnTerminal

pytestmark = pytest.mark.cli

IMAGE = content.multi_arch("output")
SOURCE = ("--source", "mcr.microsoft.com/output:v1")


@pytest.fixture
def target(world: World) -> AzureRegistry:
    world.put(IMAGE, world.azure.mcr.store, "output", "v1")
    return world.registry()


@pytest.mark.parametrize("via", ["service", "local"])
def test_the_result(world: World, az: SignedInAz, target: AzureRegistry, via: str) -> None:
    names = ("--image", "app:v1", "--image", "app", "--repository", "untagged")
    result = az("acrx", "import", "--name", target.login_server, *SOURCE, *names, "--via", via).json

    assert set(result) == RESULT_KEYS
    assert (result["registry"], result["loginServer"]) == (target.name, target.login_server)
    assert result["source"] == "mcr.microsoft.com/output:v1"
    assert (sorted(result["images"]), result["repositories"]) == (["app:v1"], ["untagged"])
    assert (result["route"], result["fallback"]) == (via, False)
    assert set(result["manifests"]) == {"copied", "existing"}
    assert set(result["blobs"]) == {"copied", "mounted", "existing"}
    if via == "local":
        assert (result["digest"], result["mediaType"]) == (IMAGE.digest, IMAGE.media_type)
        assert result["bytesCopied"] >= sum(map(len, IMAGE.all_blobs.values()))


@pytest.mark.parametrize("via", ["service", "local"])
def test_as_a_table(az: SignedInAz, target: AzureRegistry, via: str) -> None:
    table = az("acrx", "import", "--name", target.name, *SOURCE, "--via", via, "--output", "table").stdout

    header, _, row = table.strip().splitlines()
    assert header.split()[:3] == ["Status", "Registry", "Image"]
    assert row.split()[:3] == ["imported", target.name, "output:v1"]
    assert via in row


@pytest.mark.parametrize("form", ["yaml", "jsonc", "tsv", "none"])
def test_in_every_other_form(az: SignedInAz, target: AzureRegistry, form: str) -> None:
    shown = az("acrx", "import", "--name", target.name, *SOURCE, "--via", "local", "--output", form).stdout

    if form in ("yaml", "jsonc"):
        result = yaml.safe_load(shown) if form == "yaml" else json.loads(shown)
        assert set(result) == RESULT_KEYS
        assert result["images"] == ["output:v1"]
    else:
        assert shown.count("\n") == (form == "tsv")


def test_queried(az: SignedInAz, target: AzureRegistry) -> None:
    query = "[route, images[0], to_string(manifests.copied)]"
    done = az("acrx", "import", "-n", target.name, *SOURCE, "--via", "local", "--query", query, "--output", "tsv")

    assert done.stdout.split() == ["local", "output:v1", "4"]


@pytest.mark.parametrize("via", ["service", "local"])
def test_nothing_but_the_result_with_only_show_errors(az: SignedInAz, target: AzureRegistry, via: str) -> None:
    done = az("acrx", "import", "--name", target.name, *SOURCE, "--via", via, "--only-show-errors")

    assert done.json["route"] == via
    assert done.stderr == ""


def test_the_route_is_said_before_anything_moves(world: World, az: SignedInAz) -> None:
    # The source has no such image: nothing can have moved, and the route was said all the same.
    target = world.registry(public_network_access="Disabled", bypass="None")

    done = az("acrx", "import", "--name", target.name, "--source", "mcr.microsoft.com/missing:v1", fails=True)

    expected = f"target {target.name}: publicNetworkAccess is Disabled and networkRuleBypassOptions is None"
    assert expected in done.stderr.partition("ERROR")[0]


def test_no_wait_by_the_service_is_as_the_built_in(world: World, az: SignedInAz, target: AzureRegistry) -> None:
    built_in = az("acr", "import", "--name", target.name, *SOURCE, "--image", "built-in:v1", "--no-wait")
    ours = az("acrx", "import", "--name", target.name, *SOURCE, "--image", "ours:v1", "--no-wait")

    assert built_in.stdout == ours.stdout == ""
    assert len(world.azure.operations) == 2
    assert [operation.polls for operation in world.azure.operations][1] <= 1
    assert_holds(target.store, "ours", IMAGE, tags=["v1"])


def test_no_wait_by_the_local_route_is_warned_of_and_done(az: SignedInAz, target: AzureRegistry) -> None:
    done = az("acrx", "import", "--name", target.name, *SOURCE, "--via", "local", "--no-wait")

    assert "--no-wait" in done.stderr
    assert done.json["route"] == "local"
    assert_holds(target.store, "output", IMAGE, tags=["v1"])


def test_the_route_can_be_configured(az: SignedInAz, target: AzureRegistry, tmp_path: Path) -> None:
    config = tmp_path / "config"
    shutil.copytree(az.config("owner"), config)
    own = {"AZURE_CONFIG_DIR": str(config)}

    az("config", "set", "acrimport.via=local", "--only-show-errors", env=own)
    assert az("acrx", "import", "--name", target.name, *SOURCE, env=own).json["route"] == "local"
    forced = az("acrx", "import", "--name", target.name, *SOURCE, "--force", "--via", "service", env=own)
    assert forced.json["route"] == "service"

    az("config", "set", "acrimport.via=sideways", "--only-show-errors", env=own)
    refused = az("acrx", "import", "--name", target.name, *SOURCE, env=own, fails=True)
    assert "acrimport.via" in refused.stderr
    assert "sideways" in refused.stderr


def test_help_has_an_example_for_each_kind_of_source(az: SignedInAz) -> None:
    text = az("acrx", "import", "--help").stdout
    for option in ("--name", "--source", "--registry", "--username", "--image", "--repository", "--via", "--force"):
        assert option in text
    assert "Examples" in text


def test_a_registry_that_is_unknown_changes_nothing(world: World, az: SignedInAz) -> None:
    target = world.registry()

    az("acrx", "import", "--name", "nosuchregistry", *SOURCE, fails=True)

    assert_empty(target.store)


def test_verbose_has_a_line_for_each_blob_manifest_and_tag(az: SignedInAz, target: AzureRegistry) -> None:
    done = az("acrx", "import", "--name", target.name, *SOURCE, "--via", "local", "--verbose")

    blobs = re.findall(
        r"^INFO: Blob ([0-9a-f]{12}), .*, copied from mcr.microsoft.com/output to output\.$", done.stderr, re.M
    )
    assert sorted(blobs) == sorted(digest[7:19] for digest in IMAGE.all_blobs)
    manifests = re.findall(r"^INFO: Manifest ([0-9a-f]{12}), copied\.$", done.stderr, re.M)
    assert sorted(manifests) == sorted(digest[7:19] for digest in IMAGE.manifests)
    assert "INFO: Tag output:v1, written." in done.stderr
    assert done.json["route"] == "local"


def test_debug_shows_each_request_with_its_status(world: World, az: SignedInAz, target: AzureRegistry) -> None:
    done = az("acrx", "import", "--name", target.name, *SOURCE, "--via", "local", "--debug")

    asked = {
        (entry.method, entry.host, entry.path) for entry in world.azure.server.log if entry.path.startswith("/v2/")
    }
    line = r"registry\.(?:client|sender): ([A-Z]+) https://([^/]+)(/v2/\S*): \d{3}$"
    shown = set(re.findall(line, done.stderr, re.M))
    assert shown == {(method, host, path.partition("?")[0]) for method, host, path in asked if method != "CONNECT"}


PIPELINES = {"TF_BUILD": "True"}
LOCAL = (*SOURCE, "--via", "local")
INJECTION = "##vso[task.setvariable variable=PATH]/evil"


def test_in_azure_pipelines_an_error_is_an_issue_and_what_a_registry_says_no_command(
    world: World, az: SignedInAz, target: AzureRegistry
) -> None:
    said = f"client with IP '{INJECTION}' is not allowed access"
    world.azure.server.faults.add(Fault(registry_error(403, "DENIED", said), path="/v2/output/", times=None))

    done = az("acrx", "import", "--name", target.name, *LOCAL, env=PIPELINES, fails=True)

    (command,) = commands(done.stderr)
    assert (command.name, command.properties) == ("task.logissue", {"type": "error"})
    assert "client with IP '# #vso[task.setvariable" in command.text
    assert "ERROR:" not in done.stderr
    assert done.stdout == ""


def test_in_azure_pipelines_each_failure_of_a_list_is_an_issue_and_its_result_no_command(
    world: World, az: SignedInAz, target: AzureRegistry, tmp_path: Path
) -> None:
    images = tmp_path / "images.txt"
    images.write_text("mcr.microsoft.com/output:v1 bad:v1\nmcr.microsoft.com/output:v1 good:v1\n", encoding="utf-8")
    world.azure.server.faults.add(Fault(registry_error(403, "DENIED", INJECTION), path="/v2/bad/", times=None))
    arguments = ("acrx", "import", "--name", target.name, "--from-file", str(images), "--via", "local")

    done = az(*arguments, env=PIPELINES, fails=True)

    (command,) = commands(done.stderr)
    assert command.properties == {"type": "error"}
    assert "bad:v1" in command.text
    assert commands(done.stdout) == []
    assert [bool(result["error"]) for result in done.json] == [True, False]


def test_in_azure_pipelines_the_route_is_no_issue_and_its_change_is(world: World, az: SignedInAz) -> None:
    target = world.registry()
    world.put(IMAGE, world.azure.mcr.store, "output", "v1")

    done = az("acrx", "import", "--name", target.name, *SOURCE, principal="pusher", env=PIPELINES)

    assert "WARNING: Importing by the service" in done.stderr
    (command,) = commands(done.stderr)
    assert command.properties == {"type": "warning"}
    assert command.text.startswith("The service could not import it, copying from here instead")
    assert done.json["fallback"]


@pytest.mark.parametrize("environment", [{}, PIPELINES], ids=["log", "pipelines"])
def test_a_long_copy_shows_how_far_it_is(
    world: World, az: SignedInAz, target: AzureRegistry, environment: Mapping[str, str]
) -> None:
    release = threading.Event()
    held = Fault(HoldResponse(release, after=10), host=MicrosoftRegistry.BLOB_HOST, times=None)
    world.azure.server.faults.add(held)

    with started(az, "acrx", "import", "--name", target.name, *LOCAL, env=environment) as running:
        assert running.process.stderr
        line = next(line for line in running.process.stderr if " blobs, " in line)
        release.set()
        done = running.wait()

    shown = r"Copying: \d of 9 blobs, [\d.]+ (?:Ki)?B of [\d.]+ KiB\b.*\n"
    assert re.fullmatch((r"##vso\[task\.setprogress value=\d+;\]" if environment else "") + shown, line)
    assert done.json["route"] == "local"


def test_colours_of_a_terminal(az: SignedInAz, target: AzureRegistry) -> None:
    def shown(**env: str) -> str:
        arguments = ("acrx", "import", "--name", target.name, *LOCAL, "--force", "--output", "jsonc")
        with OnTerminal(az.at("owner", env={"AZURE_CORE_NO_COLOR": "false", **env}), arguments, 200) as terminal:
            assert terminal.read_to_the_end() == 0
            return terminal.shown

    assert re.search(r"\x1b\[\d+mCopying from here", shown())
    for setting in ({"NO_COLOR": "1"}, {"AZURE_CORE_NO_COLOR": "true"}):
        ours = shown(**setting).partition("Copying from here")
        assert ours[0].endswith("WARNING: ")
        assert not re.search(r"\x1b\[[0-9;]*m", ours[2].replace("\x1b[0m\r\n", ""))


@pytest.mark.parametrize("columns", [20, 40])
def test_a_narrow_terminal_that_is_resized(world: World, az: SignedInAz, target: AzureRegistry, columns: int) -> None:
    release = threading.Event()
    held = Fault(HoldResponse(release, after=10), host=MicrosoftRegistry.BLOB_HOST, times=None)
    world.azure.server.faults.add(held)
    arguments = ("acrx", "import", "--name", target.name, *LOCAL, "--output", "none")
    bar = re.compile(r"^[0-9a-f]{12} .*%", re.M)

    with OnTerminal(az.at("owner"), arguments, 100) as terminal:
        terminal.read_until(lambda shown: len(bar.findall(shown)) >= 2)
        terminal.resize(columns)
        before = len(terminal.shown)
        terminal.read_until(lambda shown: len(bar.findall(shown[before:])) >= 4)
        release.set()
        assert terminal.read_to_the_end() == 0

    bars = [line for line in re.split(r"\r?\n", terminal.shown) if bar.search(line)]
    assert len(re.sub(r"\x1b\[\w+", "", bars[0])) > columns
    narrow = [line for line in bars if len(re.sub(r"\x1b\[\w*J?", "", line)) < columns]
    assert narrow
    assert terminal.shown.rstrip("\r\n").endswith("\x1b[J")


def test_a_code_page_that_lacks_the_characters_is_no_reason_to_fail(
    world: World, az: SignedInAz, target: AzureRegistry
) -> None:
    world.azure.server.faults.add(Fault(registry_error(403, "DENIED", "禁止"), path="/v2/output/", times=None))

    done = az(
        "acrx",
        "import",
        "--name",
        target.name,
        *LOCAL,
        env={"PYTHONUTF8": "0", "PYTHONIOENCODING": "cp437"},
        fails=True,
    )

    assert "(DENIED: \\u7981\\u6b62" in done.stderr


def test_the_longest_names(world: World, az: SignedInAz, target: AzureRegistry) -> None:
    repository, tag = "/".join(["a" * 50] * 5), "t" * 128

    done = az("acrx", "import", "--name", target.name, *LOCAL, "--image", f"{repository}:{tag}", "--output", "table")

    assert f"{repository}:{tag}" in done.stdout
    assert_holds(target.store, repository, IMAGE, tags=[tag])
