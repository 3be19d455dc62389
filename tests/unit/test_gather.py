# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""What is asked for, out of arguments or a list, and what is refused before anybody is asked anything."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from azext_acrimport.gather import requests_of
from azext_acrimport.identity.form import SourceIdentity
from azext_acrimport.lists.errors import InvalidList
from azext_acrimport.lists.keys import KEYS
from azext_acrimport.oci.errors import OciError
from azext_acrimport.oci.platform import Platform
from azext_acrimport.oci.referrers import ReferrerFilter
from azext_acrimport.orders import Login, Request
from azext_acrimport.plan import Via
from azext_acrimport.request import InvalidRequest, TargetName

SUFFIX = ".azurecr.io"
APP = "docker.io/library/app:v1"
REPOSITORY = "docker.io/library/app"


class Config:
    """The configuration of the Azure CLI, without any."""

    @staticmethod
    def get(section: str, option: str, fallback: str | None = None) -> str | None:
        return fallback


def one(source: str = APP, **given: Any) -> Request:
    """The request of a command line; ``_`` in a name stands for ``-``."""
    arguments = {"name": "prodreg", "source": source} | {key.replace("_", "-"): value for key, value in given.items()}
    (found,) = requests_of(arguments, None, suffix=SUFFIX, config=Config)
    return found


def listed(path: Path, text: str, **given: Any) -> tuple[Request, ...]:
    path.write_text(text)
    arguments: Mapping[str, Any] = {key.replace("_", "-"): value for key, value in given.items()}
    return requests_of(arguments, str(path), suffix=SUFFIX, config=Config)


def test_every_argument_has_its_place() -> None:
    found = one(
        resource_group="rg",
        registry="srcreg",
        username="me",
        password="secret",
        image=["a:b", "{name}:c"],
        repository=["bare"],
        force=True,
        via="local",
        with_aliases=True,
        platform=["linux/amd64", "linux/arm64", "linux/amd64"],
        referrers=["sig"],
    )

    assert found == Request(
        target=TargetName("prodreg", "prodreg.azurecr.io"),
        source=APP,
        group="rg",
        registry="srcreg",
        images=("a:b", "{name}:c"),
        repositories=("bare",),
        force=True,
        login=Login("me", "secret"),
        via=(Via.LOCAL, "--via"),
        with_aliases=True,
        platforms=(Platform.parse("linux/amd64"), Platform.parse("linux/arm64")),
        referrers=ReferrerFilter(("sig",)),
    )
    assert "secret" not in repr(found)


def test_what_is_not_given_is_not_asked_for() -> None:
    assert one(force=False, image=None, referrers=None, all_tags=False) == Request(
        TargetName("prodreg", "prodreg.azurecr.io"), APP
    )


@pytest.mark.parametrize(
    ("given", "meant"),
    [(True, ReferrerFilter()), (["sig", "att"], ReferrerFilter(("sig", "att"))), (False, None), (None, None)],
)
def test_referrers_may_be_all_or_of_types(given: Any, meant: ReferrerFilter | None) -> None:
    assert one(referrers=given).referrers == meant


def test_rules_choose_tags() -> None:
    found = one(REPOSITORY, tags=["1.*"], exclude_tags=["*-rc"], semver=">=1", latest=3)

    assert found.tags.is_active
    assert (found.tags.patterns, found.tags.exclude, found.tags.latest) == (("1.*",), ("*-rc",), 3)


def test_a_source_identity_signs_in() -> None:
    assert one("srcreg.azurecr.io/app:v1", source_identity="cli:fabrikam.com").login == Login(
        identity=SourceIdentity.parse("cli:fabrikam.com")
    )


@pytest.mark.parametrize(
    ("source", "given", "message"),
    [
        ("app:v1", {}, "names no registry"),
        ("docker.io/App:v1", {}, "lower case"),
        (APP, {"image": ["{nme}:v1"]}, "there is no field"),
        (APP, {"image": ["a@b"]}, "takes no digest"),
        (APP, {"repository": ["a:b"]}, "without a tag"),
        (APP, {"platform": ["linux"]}, "linux"),
        (APP, {"source_identity": "me"}, "me"),
        ("docker.io/app@sha256:" + "0" * 64, {"image": ["{name}:{tag}"]}, "the source has no tag"),
        ("app@sha256:" + "0" * 64, {"registry": "srcreg", "image": ["{name}:{tag}"]}, "the source has no tag"),
        # Contradictions
        (APP, {"all_tags": True}, "names one image"),
        (REPOSITORY, {"exclude_tags": ["1.*"]}, "only takes away"),
        (REPOSITORY, {"latest": 0}, "--latest is 0"),
        (REPOSITORY, {"tags": ["1.*"], "image": ["a:b"]}, "is one name, and several tags"),
        (REPOSITORY, {"tags": ["1.*"], "with_aliases": True}, "goes with one image"),
        (APP, {"with_aliases": True, "repository": ["bare"]}, "--repository alone gives none"),
    ],
)
def test_what_cannot_be_meant_is_refused(source: str, given: Any, message: str) -> None:
    with pytest.raises((InvalidRequest, OciError), match=message):
        one(source, **given)


@pytest.mark.parametrize(
    ("given", "option"),
    [
        ({"registry": "srcreg"}, "--registry"),
        ({"password": "secret"}, "--password"),
        ({"with_aliases": True}, "--with-aliases"),
    ],
)
def test_a_layout_takes_no_options_of_registries(tmp_path: Path, given: Any, option: str) -> None:
    with pytest.raises(InvalidRequest, match=f"leave out .*{option}"):
        one(f"oci:{tmp_path}:v1", **given)


@pytest.mark.parametrize("source", ["SrcReg.azurecr.io/team/app:v1", "team/app:v1"])
def test_beside_registry_the_source_may_repeat_its_login_server(source: str) -> None:
    assert one(source, registry="srcreg", image=["{name}:{tag}"]).source == source


def test_a_list_takes_the_rest_from_the_command_line(tmp_path: Path) -> None:
    text = f"defaults:\n  name: other1\nimages:\n- {APP}\n- source: {REPOSITORY}\n  all-tags: true\n  force: false\n"

    first, second = listed(tmp_path / "list", text, force=True, name="prodreg", latest=2)

    assert [each.target.name for each in (first, second)] == ["other1", "other1"]
    assert [each.line for each in (first, second)] == [4, 5]
    assert (first.force, first.tags.is_active) == (True, False)
    assert (second.force, second.tags.latest, second.tags.all_tags) == (False, 2, True)


def test_every_key_of_a_list_is_an_argument_of_the_command(tmp_path: Path) -> None:
    """None of them is read and then forgotten: each makes the request another one."""
    values = {
        "registry": "srcreg",
        "image": "a:b",
        "repository": "bare",
        "resource-group": "rg",
        "force": "true",
        "via": "local",
        "platform": "linux/amd64",
        "referrers": "true",
        "all-tags": "true",
        "tags": "a",
        "semver": ">=1",
        "latest": "2",
        "with-aliases": "true",
        "source-identity": "managed",
    }
    assert set(values) == set(KEYS) - {"source", "name", "username", "password", "exclude-tags"}
    rules = {"all-tags", "tags", "semver", "latest"}
    for key, value in values.items():
        source = REPOSITORY if key in rules else APP
        (plain,) = listed(tmp_path / "list", f"- source: {source}\n", name="prodreg")
        (found,) = listed(tmp_path / "list", f'- source: {source}\n  {key}: "{value}"\n', name="prodreg")
        assert found != plain, key


def test_every_mistake_of_a_list_is_named_with_its_line(tmp_path: Path) -> None:
    text = f"- source: {APP}\n  image: '{{nme}}:v1'\n- app:v1\n- source: {REPOSITORY}\n  latest: 0\n"

    with pytest.raises(InvalidList) as raised:
        listed(tmp_path / "list", text)

    found = {(each.line, each.text.partition(" ")[0]) for each in raised.value.mistakes}
    assert found == {(1, "there"), (2, "--image"), (3, "--source"), (5, "--latest")}
    assert "--name" in raised.value.mistakes[0].text  # once, for all that have no target


def test_a_password_is_in_no_mistake(tmp_path: Path) -> None:
    text = f"- source: {APP}\n  username: me\n  password: s3cret-value\n  image: a@b\n"

    with pytest.raises(InvalidList) as raised:
        listed(tmp_path / "list", text, name="prodreg")

    assert "s3cret" not in str(raised.value)
