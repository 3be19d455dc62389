# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""The face of the command: its arguments are those of ``az acr import``, and the checks of their combinations."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from azure.cli.core import get_default_cli
from azure.cli.core.azclierror import RequiredArgumentMissingError

from azext_acrimport import COMMAND_LOADER_CLS
from azext_acrimport._validators import check_arguments, validate_source_credentials, via_of
from azext_acrimport.plan import Via
from azext_acrimport.request import InvalidRequest


@pytest.fixture(scope="module")
def arguments() -> Any:
    loader = COMMAND_LOADER_CLS(cli_ctx=get_default_cli())
    command = loader.load_command_table(None)["acrx import"]
    loader.cli_ctx.invocation = SimpleNamespace(data={"command_string": "acrx import"}, commands_loader=loader)
    loader.command_name = "acrx import"
    command.load_arguments()
    loader.load_arguments("acrx import")
    loader._update_command_definitions()
    return command.arguments


OPTIONS = {
    "registry_name": {"--name", "-n"},
    "source_image": {"--source"},
    "source_registry": {"--registry", "-r"},
    "source_registry_username": {"--username", "-u"},
    "source_registry_password": {"--password", "-p"},
    "target_tags": {"--image", "-t"},
    "repository": {"--repository"},
    "force": {"--force"},
    "return_at_once": {"--no-wait"},
    "resource_group_name": {"--resource-group", "-g"},
    "via": {"--via"},
}


@pytest.mark.parametrize("name", OPTIONS)
def test_every_argument_has_its_options_and_help(arguments: Any, name: str) -> None:
    settings = arguments[name].type.settings

    assert set(settings.get("options_list") or [f"--{name}"]) == OPTIONS[name]
    assert settings["help"]
    assert bool(settings.get("required")) == (name in {"registry_name", "source_image"})


def test_there_are_no_other_arguments(arguments: Any) -> None:
    assert set(arguments) - {"cmd"} == set(OPTIONS)


def namespace(username: str | None, password: str | None) -> Any:
    return SimpleNamespace(source_registry_username=username, source_registry_password=password)


def test_a_user_needs_a_password() -> None:
    for password in (None, ""):
        with pytest.raises(RequiredArgumentMissingError, match="without --password"):
            validate_source_credentials(namespace("me", password))


@pytest.mark.parametrize(("username", "password"), [(None, None), (None, "token"), ("me", "secret")])
def test_a_password_needs_no_user(username: str | None, password: str | None) -> None:
    validate_source_credentials(namespace(username, password))


class Config:
    def __init__(self, via: str | None) -> None:
        self.via = via

    def get(self, section: str, option: str, fallback: str | None = None) -> str | None:
        assert (section, option) == ("acrimport", "via")
        return self.via or fallback


@pytest.mark.parametrize(
    ("option", "configured", "expected"),
    [
        (None, None, (Via.AUTO, "--via")),
        (None, "local", (Via.LOCAL, "acrimport.via (az config)")),
        (None, " Service ", (Via.SERVICE, "acrimport.via (az config)")),
        ("service", "local", (Via.SERVICE, "--via")),
        ("auto", "nonsense", (Via.AUTO, "--via")),
    ],
)
def test_the_option_goes_before_the_configuration(
    option: str | None, configured: str | None, expected: tuple[Via, str]
) -> None:
    assert via_of(option, Config(configured)) == expected


def test_a_wrong_configuration_is_named_with_what_to_do() -> None:
    with pytest.raises(InvalidRequest, match=r"acrimport\.via is 'sideways', not one of auto, service, local"):
        via_of(None, Config("sideways"))


def test_names_are_checked_before_azure_is_asked() -> None:
    check_arguments("docker.io/app:v1", None, ["copy:v1"], ["bare"])
    check_arguments("src.azurecr.io/app:v1", "src", [], [])

    with pytest.raises(InvalidRequest, match="names no registry"):
        check_arguments("app:v1", None, [], [])
    with pytest.raises(InvalidRequest, match="--image"):
        check_arguments("app:v1", "src", ["Copy:v1"], [])
