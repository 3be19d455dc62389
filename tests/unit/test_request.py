# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""The arguments: what is accepted, what is refused, and what the service is asked for."""

from __future__ import annotations

import pytest

from azext_acrimport.request import Images, InvalidRequest, TargetName, import_body, split_source, within_registry

SUFFIX = ".azurecr.io"
DIGEST = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("text", "name", "login_server"),
    [
        ("prodreg", "prodreg", "prodreg.azurecr.io"),
        ("ProdReg", "prodreg", "prodreg.azurecr.io"),
        ("prodreg.azurecr.io", "prodreg", "prodreg.azurecr.io"),
        ("prodreg-d5c0.AzureCR.io", "prodreg", "prodreg-d5c0.azurecr.io"),
    ],
)
def test_a_target_is_a_name_or_a_login_server(text: str, name: str, login_server: str) -> None:
    found = TargetName.parse(text, SUFFIX)

    assert (found.name, found.login_server) == (name, login_server)


@pytest.mark.parametrize("text", ["a", "prod-reg", "prod/reg", "prodreg.azurecr.cn", "docker.io", "", "prodrég"])
def test_what_cannot_be_a_registry_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="--name"):
        TargetName.parse(text, SUFFIX)


def test_a_foreign_login_server_is_told_the_clouds_suffix() -> None:
    with pytest.raises(InvalidRequest, match=r"login servers of this cloud end with \.azurecr\.io"):
        TargetName.parse("prodreg.azurecr.cn", SUFFIX)


def test_a_cloud_without_a_suffix_leaves_the_login_server_open() -> None:
    assert TargetName.parse("prodreg", None).login_server is None


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("docker.io/library/hello:v1", ("docker.io", "library/hello:v1")),
        ("Docker.IO/hello", ("docker.io", "hello")),
        ("registry:5000/app:v1", ("registry:5000", "app:v1")),
        ("localhost/app", ("localhost", "app")),
        ("[::1]:5000/app", ("[::1]:5000", "app")),
    ],
)
def test_a_full_source_has_a_host_and_an_image(source: str, expected: tuple[str, str]) -> None:
    assert split_source(source) == expected


@pytest.mark.parametrize("source", ["hello-world:latest", "library/hello", "/hello", "docker.io/", ""])
def test_a_source_without_a_registry_is_refused(source: str) -> None:
    with pytest.raises(InvalidRequest, match="names no registry"):
        split_source(source)


def test_a_source_with_a_malformed_host_is_refused() -> None:
    with pytest.raises(InvalidRequest, match=r"--source: .* is not the address of a registry"):
        split_source("docker..io/hello")


def test_a_login_server_that_says_the_same_as_the_registry_is_trimmed() -> None:
    assert within_registry("SRC.azurecr.io/app:v1", ["src.azurecr.io"]) == ("app:v1", True)
    assert within_registry("team/app:v1", ["src.azurecr.io"]) == ("team/app:v1", False)


@pytest.mark.parametrize(
    ("source", "tags", "targets"),
    [
        ("app:v1", ("app:v1",), {"app": ("v1",)}),
        ("app", ("app",), {"app": ("latest",)}),
        (f"app@{DIGEST}", ("app",), {"app": ("latest",)}),
        (f"app:v1@{DIGEST}", ("app:v1",), {"app": ("v1",)}),
    ],
)
def test_without_names_the_target_gets_those_of_the_source(
    source: str, tags: tuple[str, ...], targets: dict[str, tuple[str, ...]]
) -> None:
    images = Images.of(source, [], [])

    assert images.tags == tags
    assert images.targets == targets


def test_a_name_without_a_tag_takes_that_of_the_source() -> None:
    assert Images.of("app:v1", ["copy", "copy:v2", "other:v1"], []).targets == {"copy": ("v1", "v2"), "other": ("v1",)}


def test_a_repository_alone_gets_the_manifest_without_a_tag() -> None:
    images = Images.of("app:v1", [], ["copy", "copy"])

    assert images.targets == {"copy": ()}
    assert images.tagged == ()


def test_a_repository_that_is_tagged_as_well_keeps_its_tags() -> None:
    assert Images.of("app:v1", ["copy:v1"], ["copy"]).targets == {"copy": ("v1",)}


@pytest.mark.parametrize(
    ("source", "images", "repositories", "option"),
    [
        ("App:v1", [], [], "--source"),
        ("app@sha256:123", [], [], "--source"),
        ("app:v1", ["Copy:v1"], [], "--image"),
        ("app:v1", [f"copy@{DIGEST}"], [], "--image"),
        ("app:v1", ["copy:"], [], "--image"),
        ("app:v1", [], ["copy:v1"], "--repository"),
        ("app:v1", [], ["Copy"], "--repository"),
    ],
)
def test_a_malformed_name_is_refused_by_its_option(
    source: str, images: list[str], repositories: list[str], option: str
) -> None:
    with pytest.raises(InvalidRequest, match=option):
        Images.of(source, images, repositories)


def test_the_service_is_given_a_resource_id() -> None:
    assert import_body(Images.of("app:v1", ["copy:v1"], ["bare"], force=True), resource_id="/subscriptions/s") == {
        "source": {"sourceImage": "app:v1", "resourceId": "/subscriptions/s"},
        "targetTags": ["copy:v1"],
        "untaggedTargetRepositories": ["bare"],
        "mode": "Force",
    }


@pytest.mark.parametrize(
    ("username", "password", "credentials"),
    [
        (None, None, None),
        (None, "token", {"password": "token"}),
        ("me", "secret", {"username": "me", "password": "secret"}),
    ],
)
def test_the_service_is_given_a_host_and_what_to_show_it(
    username: str | None, password: str | None, credentials: dict[str, str] | None
) -> None:
    body = import_body(Images.of("app:v1", [], []), host="docker.io", username=username, password=password)

    expected = {"sourceImage": "app:v1", "registryUri": "docker.io"}
    assert body["source"] == (expected | {"credentials": credentials} if credentials else expected)
    assert body["mode"] == "NoForce"
