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
from azure.cli.core.azclierror import (
    InvalidArgumentValueError,
    MutuallyExclusiveArgumentError,
    RequiredArgumentMissingError,
)
from hypothesis import given
from hypothesis import strategies as st

from azext_acrimport import COMMAND_LOADER_CLS
from azext_acrimport._validators import (
    seconds_of,
    validate_connections,
    validate_effort,
    validate_required,
    validate_source_credentials,
    via_of,
)
from azext_acrimport.plan import Via
from azext_acrimport.request import InvalidRequest


def arguments_of(name: str) -> Any:
    loader = COMMAND_LOADER_CLS(cli_ctx=get_default_cli())
    command = loader.load_command_table(None)[name]
    loader.cli_ctx.invocation = SimpleNamespace(data={"command_string": name}, commands_loader=loader)
    loader.command_name = name
    command.load_arguments()
    loader.load_arguments(name)
    loader._update_command_definitions()
    return command.arguments


@pytest.fixture(scope="module")
def arguments() -> Any:
    return arguments_of("acrx import")


OPTIONS = {
    "registry_name": {"--name", "-n"},
    "source_image": {"--source"},
    "source_registry": {"--registry", "-r"},
    "source_registry_username": {"--username", "-u"},
    "source_registry_password": {"--password", "-p"},
    "source_identity": {"--source-identity"},
    "target_tags": {"--image", "-t"},
    "repository": {"--repository"},
    "force": {"--force"},
    "return_at_once": {"--no-wait"},
    "resource_group_name": {"--resource-group", "-g"},
    "via": {"--via"},
    "retries": {"--retries"},
    "max_connections": {"--max-connections"},
    "timeout": {"--timeout"},
    "from_file": {"--from-file"},
    "shard": {"--shard"},
    "fail_fast": {"--fail-fast"},
    "dry_run": {"--dry-run"},
    "all_tags": {"--all-tags"},
    "tag_patterns": {"--tags"},
    "exclude_tags": {"--exclude-tags"},
    "semver": {"--semver"},
    "latest": {"--latest"},
    "with_aliases": {"--with-aliases"},
    "platforms": {"--platform"},
    "referrers": {"--referrers"},
}


@pytest.mark.parametrize("name", OPTIONS)
def test_every_argument_has_its_options_and_help(arguments: Any, name: str) -> None:
    settings = arguments[name].type.settings

    assert set(settings.get("options_list") or [f"--{name.replace('_', '-')}"]) == OPTIONS[name]
    assert settings["help"]
    assert not settings.get("required")  # a list may give it, and otherwise a validator asks for it


def test_there_are_no_other_arguments(arguments: Any) -> None:
    assert set(arguments) - {"cmd"} == set(OPTIONS)


def test_a_source_and_a_target_are_required_unless_a_list_gives_them() -> None:
    given = {"registry_name": None, "source_image": None, "from_file": None}
    with pytest.raises(RequiredArgumentMissingError, match="required: --name/-n, --source"):
        validate_required(SimpleNamespace(**given))
    with pytest.raises(RequiredArgumentMissingError, match="required: --source"):
        validate_required(SimpleNamespace(**given | {"registry_name": "prodreg"}))
    validate_required(SimpleNamespace(**given | {"from_file": "list.yaml"}))
    with pytest.raises(MutuallyExclusiveArgumentError, match="--source and --from-file"):
        validate_required(SimpleNamespace(**given | {"source_image": "docker.io/app", "from_file": "list.yaml"}))


def test_the_check_takes_what_names_the_registries_as_the_import_does(arguments: Any) -> None:
    found = arguments_of("acrx check")

    assert set(found) - {"cmd"} == {
        *("registry_name", "resource_group_name", "source_image", "source_registry"),
        *("source_registry_username", "source_registry_password", "source_identity"),
    }
    for name in set(found) - {"cmd", "source_image"}:
        ours, theirs = found[name].type.settings, arguments[name].type.settings
        assert (ours.get("options_list"), ours["help"]) == (theirs.get("options_list"), theirs["help"])
    assert not found["source_image"].type.settings.get("required")
    assert not found["source_image"].type.settings.get("validator")


def namespace(username: str | None, password: str | None, identity: str | None = None) -> Any:
    return SimpleNamespace(
        source_registry_username=username, source_registry_password=password, source_identity=identity
    )


def test_a_user_needs_a_password() -> None:
    for password in (None, ""):
        with pytest.raises(RequiredArgumentMissingError, match="without --password"):
            validate_source_credentials(namespace("me", password))


@pytest.mark.parametrize(("username", "password"), [(None, None), (None, "token"), ("me", "secret")])
def test_a_password_needs_no_user(username: str | None, password: str | None) -> None:
    validate_source_credentials(namespace(username, password))


@pytest.mark.parametrize(
    ("given", "variables", "expected"),
    [
        ((None, None), ("me", "secret"), ("me", "secret")),
        ((None, None), (None, "token"), (None, "token")),
        (("you", None), ("me", "secret"), ("you", "secret")),
        ((None, "given"), ("me", "secret"), (None, "given")),  # the user of one password says nothing about another
        (("you", "given"), ("me", "secret"), ("you", "given")),
        ((None, None), ("", ""), (None, None)),
    ],
)
def test_the_environment_gives_what_the_options_do_not(
    monkeypatch: pytest.MonkeyPatch,
    given: tuple[str | None, str | None],
    variables: tuple[str | None, str | None],
    expected: tuple[str | None, str | None],
) -> None:
    for name, value in zip(("ACRX_SOURCE_USERNAME", "ACRX_SOURCE_PASSWORD"), variables, strict=True):
        if value is not None:
            monkeypatch.setenv(name, value)
    arguments = namespace(*given)

    validate_source_credentials(arguments)

    assert (arguments.source_registry_username, arguments.source_registry_password) == expected


def test_a_user_in_the_environment_needs_a_password_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACRX_SOURCE_USERNAME", "me")

    with pytest.raises(RequiredArgumentMissingError, match="ACRX_SOURCE_USERNAME is set without --password"):
        validate_source_credentials(namespace(None, None))


@pytest.mark.parametrize(("username", "password"), [("me", "secret"), ("me", None), (None, "token")])
def test_an_identity_takes_neither_a_user_nor_a_password(username: str | None, password: str | None) -> None:
    with pytest.raises(MutuallyExclusiveArgumentError, match="--source-identity"):
        validate_source_credentials(namespace(username, password, "workload"))


def test_an_identity_counts_more_than_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACRX_SOURCE_USERNAME", "me")
    monkeypatch.setenv("ACRX_SOURCE_PASSWORD", "secret")
    arguments = namespace(None, None, "workload")

    validate_source_credentials(arguments)

    assert (arguments.source_registry_username, arguments.source_registry_password) == (None, None)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("1.5m", 90), ("2h", 7200), (" 2H ", 7200), ("0.25", 0.25), ("720h", 720 * 3600)],
)
def test_a_time_limit_is_seconds_or_has_a_unit(text: str, seconds: float) -> None:
    arguments = SimpleNamespace(retries=5, timeout=text)

    validate_effort(arguments)

    assert arguments.timeout == seconds


@pytest.mark.parametrize(
    "text", ["", "0", "0s", "-5", "soon", "5 m", "5d", "1h30m", "721h", "nan", "inf", "1e3", "٣", "9" * 400]
)
def test_another_time_limit_is_refused_with_what_to_give(text: str) -> None:
    with pytest.raises(InvalidArgumentValueError, match="such as 90, 90s, 15m or 2h"):
        validate_effort(SimpleNamespace(retries=5, timeout=text))


@given(st.text(max_size=20))
def test_no_text_upsets_the_time_limit(text: str) -> None:
    found = seconds_of(text)

    assert found is None or 0 < found <= 720 * 3600


@pytest.mark.parametrize("retries", [0, 1, 100])
def test_retries_within_reason(retries: int) -> None:
    validate_effort(SimpleNamespace(retries=retries, timeout=None))


@pytest.mark.parametrize("retries", [-1, 101])
def test_retries_out_of_reason(retries: int) -> None:
    with pytest.raises(InvalidArgumentValueError, match="from 0 to 100"):
        validate_effort(SimpleNamespace(retries=retries, timeout=None))


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


@pytest.mark.parametrize("connections", [None, 1, 64])
def test_connections_within_reason(connections: int | None) -> None:
    validate_connections(SimpleNamespace(max_connections=connections))


@pytest.mark.parametrize("connections", [0, -1, 65])
def test_connections_out_of_reason(connections: int) -> None:
    with pytest.raises(InvalidArgumentValueError, match="--max-connections"):
        validate_connections(SimpleNamespace(max_connections=connections))
