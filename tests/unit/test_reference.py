# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Names of images: what is one, what it means, and that printing it loses nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azext_acrimport.oci.errors import InvalidReference
from azext_acrimport.oci.reference import Reference, check_registry, check_repository, check_tag, split_image

SHA256 = "sha256:" + "0123456789abcdef" * 4
SHA512 = "sha512:" + "0123456789abcdef" * 8

hosts = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?(\.[a-z0-9]{1,8}){0,3}(:[1-9][0-9]{0,3})?", fullmatch=True)
repositories = st.from_regex(r"[a-z0-9]{1,5}((\.|_|__|-{1,3})[a-z0-9]{1,5}){0,3}(/[a-z0-9]{1,5}){0,3}", fullmatch=True)
tags = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", fullmatch=True)
references = st.builds(
    Reference,
    hosts,
    repositories,
    st.none() | tags,
    st.none() | st.sampled_from([SHA256, SHA512]),
)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("my.azurecr.io/app:v1", ("my.azurecr.io", "app", "v1", None)),
        ("my.azurecr.io/app", ("my.azurecr.io", "app", None, None)),
        ("my.azurecr.io/team/app_1/x--y", ("my.azurecr.io", "team/app_1/x--y", None, None)),
        (f"my.azurecr.io/app@{SHA256}", ("my.azurecr.io", "app", None, SHA256)),
        (f"my.azurecr.io/app:v1@{SHA512}", ("my.azurecr.io", "app", "v1", SHA512)),
        ("localhost:5000/app:5000", ("localhost:5000", "app", "5000", None)),
        ("[::1]:5000/app:v1", ("[::1]:5000", "app", "v1", None)),
        ("MY.AzureCR.io/app:V1", ("my.azurecr.io", "app", "V1", None)),
        ("docker.io/nginx:1", ("docker.io", "library/nginx", "1", None)),
        ("docker.io/library/nginx", ("docker.io", "library/nginx", None, None)),
        ("docker.io/team/app", ("docker.io", "team/app", None, None)),
        ("index.docker.io/nginx", ("docker.io", "library/nginx", None, None)),
        ("registry-1.docker.io/nginx", ("docker.io", "library/nginx", None, None)),
        ("registry.hub.docker.com/nginx", ("docker.io", "library/nginx", None, None)),
        ("quay.io/nginx", ("quay.io", "nginx", None, None)),
    ],
)
def test_full_name_is_read(text: str, parts: tuple[str, str, str | None, str | None]) -> None:
    found = Reference.parse(text)
    assert (found.registry, found.repository, found.tag, found.digest) == parts


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "app:v1",
        "/app:v1",
        "my.azurecr.io/",
        "my.azurecr.io/:v1",
        "my.azurecr.io/app:",
        "my.azurecr.io/app@",
        "my.azurecr.io/app@sha256:short",
        f"my.azurecr.io/app@{SHA256.upper()}",
        f"my.azurecr.io/app@{SHA256}0",
        "my.azurecr.io/App",
        "my.azurecr.io//app",
        "my.azurecr.io/app/",
        "my.azurecr.io/app:v1/x",
        "my.azurecr.io/../app",
        "my.azurecr.io/app:.v1",
        "my.azurecr.io/app:" + "v" * 129,
        "my.azurecr.io/" + "a" * 256,
        "my azurecr.io/app",
        "https://my.azurecr.io/app",
        "user@my.azurecr.io/app",
        "my.azurecr.io:port/app",
        "my.azurecr.io:65536/app",
        "-my.azurecr.io/app",
        "my..io/app",
        "my.azurecr.io/app\n",
        "my.azurecr.io\n/app",
        "my.azurecr.io/app:v1\n",
        "my.azurecr.io/app?x",
        "my.azurecr.io/app%2fx",
    ],
)
def test_malformed_name_is_refused(text: str) -> None:
    with pytest.raises(InvalidReference):
        Reference.parse(text)


def test_upper_case_repository_is_told_about_case() -> None:
    with pytest.raises(InvalidReference, match="lower case"):
        Reference.parse("my.azurecr.io/Team/App:v1")


def test_error_shows_no_control_characters_and_is_not_endless() -> None:
    with pytest.raises(InvalidReference) as raised:
        Reference.parse("my.azurecr.io/\x1b[31m" + "x" * 10_000)
    assert "\x1b" not in str(raised.value)
    assert len(str(raised.value)) < 300


@pytest.mark.parametrize(
    ("text", "identifier"),
    [("r.io/app", "latest"), ("r.io/app:v1", "v1"), (f"r.io/app@{SHA256}", SHA256), (f"r.io/app:v1@{SHA256}", SHA256)],
)
def test_digest_decides_then_tag_then_latest(text: str, identifier: str) -> None:
    assert Reference.parse(text).identifier == identifier


def test_at_drops_the_tag() -> None:
    assert str(Reference.parse("r.io/app:v1").at(SHA256)) == f"r.io/app@{SHA256}"


@pytest.mark.parametrize("name", ["a", "a/b", "a.b", "a_b", "a__b", "a-b", "a---b", "0/1"])
def test_repository_names_of_the_specification(name: str) -> None:
    assert check_repository(name) == name


@pytest.mark.parametrize("name", ["", "A", "a//b", "/a", "a/", ".a", "a.", "a..b", "a___b", "a._b", "a b", "ä"])
def test_other_repository_names_are_refused(name: str) -> None:
    with pytest.raises(InvalidReference):
        check_repository(name)


@given(references)
def test_printed_reference_reads_the_same(reference: Reference) -> None:
    assert Reference.parse(str(reference)) == reference


def test_name_that_is_too_long_behind_its_prefix_is_refused_or_reads_the_same() -> None:
    try:
        found = Reference.parse("docker.io/" + "a" * 255)
    except InvalidReference:
        return
    assert Reference.parse(str(found)) == found


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    for parse in (Reference.parse, check_registry, check_repository, check_tag, split_image):
        try:
            parse(text)
        except InvalidReference:
            pass


@given(st.text(alphabet="ab.:/@[]-_AZ0\n", max_size=30))
def test_what_is_read_prints_as_something_that_reads_the_same(text: str) -> None:
    try:
        found = Reference.parse(text)
    except InvalidReference:
        return
    assert Reference.parse(str(found)) == found
