# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""The credentials that Docker and podman leave on a machine."""

from __future__ import annotations

import base64
import json
import os
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from azext_acrimport import docker_config
from azext_acrimport.docker_config import HelperFailed, Places, find_credentials
from azext_acrimport.registry.credentials import BearerToken, Credentials, IdentityToken, Password

AUTH = base64.b64encode(b"me:secret").decode()
FOUND = Password("me", "secret")


def no_helper(helper: str, server: str) -> Mapping[str, Any] | None:
    raise AssertionError(f"{helper} was asked for {server}")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / ".docker").mkdir()
    return tmp_path


def docker(home: Path, config: object) -> Places:
    (home / ".docker" / "config.json").write_text(config if isinstance(config, str) else json.dumps(config))
    return Places({}, home)


def found(places: Places, host: str, repository: str = "team/app", helper: Any = no_helper) -> Credentials | None:
    return find_credentials(host, repository, places, helper)


@pytest.mark.parametrize(
    ("key", "host"),
    [
        ("registry.example", "registry.example"),
        ("registry.example:5000", "registry.example:5000"),
        ("Registry.Example", "registry.example"),
        ("https://registry.example", "registry.example"),
        ("https://registry.example/v1/", "registry.example"),
        ("https://registry.example/v2/", "registry.example"),
        ("registry.example/", "registry.example"),
        ("https://index.docker.io/v1/", "docker.io"),
        ("docker.io", "docker.io"),
        ("registry-1.docker.io", "docker.io"),
        ("registry.example/team", "registry.example"),
        ("registry.example/team/app", "registry.example"),
    ],
)
def test_an_entry_is_found_under_every_key_that_means_the_repository(home: Path, key: str, host: str) -> None:
    assert found(docker(home, {"auths": {key: {"auth": AUTH}}}), host) == FOUND


@pytest.mark.parametrize("key", ["registry.example:5000", "other.example", "registry.example/other", "example"])
def test_an_entry_for_something_else_is_left_alone(home: Path, key: str) -> None:
    assert found(docker(home, {"auths": {key: {"auth": AUTH}}}), "registry.example") is None


def test_the_most_specific_entry_counts(home: Path) -> None:
    auths = {
        "registry.example": {"username": "all", "password": "p"},
        "registry.example/team": {"username": "team", "password": "p"},
        "registry.example/team/app": {"username": "app", "password": "p"},
    }
    places = docker(home, {"auths": auths})

    assert found(places, "registry.example") == Password("app", "p")
    assert found(places, "registry.example", "team/other") == Password("team", "p")
    assert found(places, "registry.example", "other") == Password("all", "p")


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"auth": AUTH}, FOUND),
        ({"auth": base64.b64encode(b"me:se:cret\0\0").decode()}, Password("me", "se:cret")),
        ({"username": "me", "password": "secret"}, FOUND),
        ({"identitytoken": "refresh", "auth": AUTH}, IdentityToken("refresh")),
        ({"registrytoken": "bearer"}, BearerToken("bearer")),
        ({"username": "<token>", "password": "refresh"}, IdentityToken("refresh")),
        (
            {"username": "00000000-0000-0000-0000-000000000000", "password": "refresh"},
            IdentityToken("refresh"),
        ),
        ({}, None),
        ({"auth": ""}, None),
        ({"auth": "%%%"}, None),
        ({"auth": base64.b64encode(b"\xff\xfe").decode()}, None),
        ({"auth": 7}, None),
        ("text", None),
        (None, None),
    ],
)
def test_an_entry_holds_credentials_in_one_of_several_forms(
    home: Path, entry: object, expected: Credentials | None
) -> None:
    assert found(docker(home, {"auths": {"registry.example": entry}}), "registry.example") == expected


def test_a_helper_of_the_registry_goes_before_all_else(home: Path) -> None:
    config = {"credHelpers": {"registry.example": "mine"}, "credsStore": "store"}
    places = docker(home, config | {"auths": {"registry.example": {"auth": AUTH}}})
    asked: list[tuple[str, str]] = []

    def helper(name: str, server: str) -> Mapping[str, Any]:
        asked.append((name, server))
        return {"Username": "helped", "Secret": "h"}

    assert found(places, "registry.example", helper=helper) == Password("helped", "h")
    assert asked == [("mine", "registry.example")]


def test_the_store_is_asked_for_what_the_file_only_lists(home: Path) -> None:
    places = docker(home, {"auths": {"https://index.docker.io/v1/": {}}, "credsStore": "desktop"})
    asked: list[tuple[str, str]] = []

    def helper(name: str, server: str) -> Mapping[str, Any]:
        asked.append((name, server))
        return {"Username": "<token>", "Secret": "refresh"}

    assert found(places, "docker.io", helper=helper) == IdentityToken("refresh")
    assert asked == [("desktop", "https://index.docker.io/v1/")]


def test_a_helper_that_fails_leaves_the_import_without_credentials(home: Path) -> None:
    def helper(name: str, server: str) -> Mapping[str, Any]:
        raise HelperFailed("exit status 1")

    assert found(docker(home, {"credsStore": "desktop"}), "registry.example", helper=helper) is None


@pytest.mark.parametrize("config", ["", "{", "[]", '"text"', '{"auths": []}', '{"credHelpers": 1, "credsStore": 2}'])
def test_a_file_that_makes_no_sense_is_left_out(home: Path, config: str) -> None:
    assert found(docker(home, config), "registry.example") is None


def test_a_machine_without_files_has_no_credentials(tmp_path: Path) -> None:
    assert found(Places({}, tmp_path), "registry.example") is None


def test_docker_config_names_the_folder(home: Path, tmp_path: Path) -> None:
    docker(home, {"auths": {"registry.example": {"username": "wrong", "password": "p"}}})
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"auths": {"registry.example": {"auth": AUTH}}}))

    assert found(Places({"DOCKER_CONFIG": str(folder)}, home), "registry.example") == FOUND


@pytest.mark.parametrize("variable", ["REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR"])
def test_podmans_file_comes_after_dockers(home: Path, tmp_path: Path, variable: str) -> None:
    docker(home, {"auths": {"other.example": {"auth": AUTH}}})
    file = tmp_path / "containers" / "auth.json"
    file.parent.mkdir()
    file.write_text(json.dumps({"auths": {"registry.example/team": {"auth": AUTH}}}))
    value = str(file) if variable == "REGISTRY_AUTH_FILE" else str(tmp_path)

    assert found(Places({variable: value}, home), "registry.example") == FOUND


@pytest.fixture
def install_helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Put a program ``docker-credential-test`` on the path, written in Python."""

    def install(body: str) -> None:
        program = tmp_path / "docker-credential-test"
        program.write_text(f"#!{sys.executable}\nimport sys\nserver = sys.stdin.read()\n{body}\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    return install


needs_scripts = pytest.mark.skipif(os.name == "nt", reason="the helper is a script with a #! line")


@needs_scripts
def test_a_real_helper_is_run(home: Path, install_helper: Any) -> None:
    install_helper('assert sys.argv[1:] == ["get"]\nprint(\'{"Username": "me", "Secret": "for \' + server + \'"}\')')

    places = docker(home, {"credsStore": "test"})
    assert find_credentials("registry.example", "app", places) == Password("me", "for registry.example")


@needs_scripts
@pytest.mark.parametrize(
    "body",
    [
        'print("credentials not found in native keychain"); sys.exit(1)',
        'print("s3cret"); sys.exit(3)',
        'print("s3cret")',
        'print("[]")',
    ],
)
def test_what_a_helper_prints_is_in_no_log(
    home: Path, install_helper: Any, body: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_helper(body)
    said: list[str] = []
    monkeypatch.setattr(docker_config.logger, "warning", lambda text, *args: said.append(text % args))

    assert find_credentials("registry.example", "app", docker(home, {"credsStore": "test"})) is None
    assert len(said) == (0 if "not found" in body else 1)
    assert "s3cret" not in "".join(said)


@pytest.mark.parametrize("name", ["missing-helper", "../test", "a b", "-x"])
def test_a_helper_that_is_not_there_is_warned_of(home: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(docker_config.logger, "warning", lambda text, *args: said.append(text % args))

    assert find_credentials("registry.example", "app", docker(home, {"credsStore": name})) is None
    assert "not installed" in said[0]


@needs_scripts
def test_a_helper_that_hangs_is_given_up(home: Path, install_helper: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    install_helper("import time; time.sleep(60)")
    monkeypatch.setattr(docker_config, "HELPER_SECONDS", 0.3)

    assert find_credentials("registry.example", "app", docker(home, {"credsStore": "test"})) is None
