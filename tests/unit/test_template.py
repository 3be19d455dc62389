# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Names in the target that are made from those of the source."""

from __future__ import annotations

import pytest

from azext_acrimport.lists.template import FIELDS, SourceParts, check_template, expand, has_fields
from azext_acrimport.oci.reference import Reference
from azext_acrimport.request import InvalidRequest

SHA256 = "sha256:" + "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("template", "source", "name"),
    [
        ("prod/{repository}:{tag}", "quay.io/team/app:v1", "prod/team/app:v1"),
        ("{registry}/{repository}:{tag}", "Registry.corp:5000/team/app:v1", "registry.corp-5000/team/app:v1"),
        ("{registry}/{name}:{tag}", "docker.io/nginx:1.27", "docker.io/nginx:1.27"),
        ("{registry}/x", "[::1]:5000/app", "1-5000/x"),
        ("mirror/{name}", "quay.io/team/app", "mirror/app"),
        ("{name}:{tag}", "quay.io/team/app", "app:latest"),
        ("{name}:{tag}-{tag}", f"quay.io/app:V1@{SHA256}", "app:V1-V1"),
        ("app:v1", "quay.io/app", "app:v1"),
    ],
)
def test_image_is_named_from_the_source(template: str, source: str, name: str) -> None:
    assert expand(template, SourceParts.of(Reference.parse(source))) == name


def test_repository_is_named_from_the_source() -> None:
    parts = SourceParts.of(Reference.parse("quay.io/team/app:v1"))
    assert expand("by-tag/{name}/{tag}", parts, option="--repository") == "by-tag/app/v1"


@pytest.mark.parametrize(
    ("option", "template", "source", "named"),
    [
        ("--image", "prod/{repo}:{tag}", "quay.io/app:v1", "no field '{repo}'"),
        ("--image", "prod/{}", "quay.io/app:v1", "no field '{}'"),
        ("--image", "prod/{tag", "quay.io/app:v1", "a brace has no partner"),
        ("--image", "prod/tag}", "quay.io/app:v1", "a brace has no partner"),
        ("--image", "{{tag}}", "quay.io/app:v1", "a brace has no partner"),
        ("--image", "{name}:{tag}", f"quay.io/app@{SHA256}", "the source has no tag"),
        ("--image", "Prod/{name}", "quay.io/app:v1", "gives no name for the target: 'Prod/app'"),
        ("--image", "{name}:{tag}:x", "quay.io/app:v1", "gives no name"),
        ("--image", f"{{name}}@{SHA256}", "quay.io/app:v1", "takes no digest"),
        ("--repository", "{name}:{tag}", "quay.io/app:v1", "gives no name"),
        ("--repository", "{name}/{tag}", "quay.io/app:V1", "gives no name"),
    ],
)
def test_error_names_the_option_the_template_and_what_is_wrong(
    option: str, template: str, source: str, named: str
) -> None:
    with pytest.raises(InvalidRequest) as raised:
        expand(template, SourceParts.of(Reference.parse(source)), option=option)
    assert str(raised.value).startswith(f"{option} {template!r}")
    assert named in str(raised.value)
    assert "digest" in named or all(f"{{{each}}}" in str(raised.value) for each in FIELDS)


def test_a_source_outside_a_registry_has_only_some_parts() -> None:
    assert expand("carried/app:{tag}", SourceParts(tag="v1")) == "carried/app:v1"
    with pytest.raises(InvalidRequest, match="the source has no repository"):
        expand("carried/{repository}:{tag}", SourceParts(tag="v1"))


def test_fields_are_checked_before_any_source_is_known() -> None:
    check_template("prod/{repository}:{tag}")
    check_template("prod/app:v1")
    with pytest.raises(InvalidRequest, match="--repository"):
        check_template("{tags}", option="--repository")


@pytest.mark.parametrize(("text", "expected"), [("a/{tag}", True), ("a}", True), ("a:v1", False)])
def test_braces_make_a_template(text: str, expected: bool) -> None:
    assert has_fields(text) is expected
