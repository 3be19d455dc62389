# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Challenges: the grammar of RFC 9110, and what registries send in its place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azext_acrimport.registry.challenge import MAX_CHALLENGE, Challenge, parse_challenges

tokens = st.from_regex(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,8}", fullmatch=True)
quotable = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=12)
parameters = st.dictionaries(tokens.map(str.lower), quotable, max_size=4)


@pytest.mark.parametrize(
    ("header", "scheme", "parameters"),
    [
        (
            'Bearer realm="https://auth.docker.io/token",service="hub",scope="repository:library/nginx:pull"',
            "bearer",
            {
                "realm": "https://auth.docker.io/token",
                "service": "hub",
                "scope": "repository:library/nginx:pull",
            },
        ),
        (
            'Bearer realm="https://r.azurecr.io/oauth2/token", service="r.azurecr.io" , error="invalid_token"',
            "bearer",
            {"realm": "https://r.azurecr.io/oauth2/token", "service": "r.azurecr.io", "error": "invalid_token"},
        ),
        ('Basic realm="Registry Realm"', "basic", {"realm": "Registry Realm"}),
        ("BASIC REALM=registry", "basic", {"realm": "registry"}),
        ("Bearer realm=https://ghcr.io/token,service=ghcr.io", "bearer", {"realm": "https://ghcr.io/token"}),
        ('Bearer scope="repository:a:pull,push"', "bearer", {"scope": "repository:a:pull,push"}),
        (r'Basic realm="a \"quoted\" \\ name"', "basic", {"realm": 'a "quoted" \\ name'}),
        ('Bearer realm = "https://x/"', "bearer", {"realm": "https://x/"}),
        ('Bearer realm=""', "bearer", {"realm": ""}),
        ("Negotiate", "negotiate", {}),
        ("Negotiate YWJjZA==", "negotiate", {}),
        ('Bearer realm="first",realm="second"', "bearer", {"realm": "first"}),
    ],
)
def test_single_challenge(header: str, scheme: str, parameters: dict[str, str]) -> None:
    (found,) = parse_challenges(header)
    assert found.scheme == scheme
    assert {key: found.parameters.get(key) for key in parameters} == parameters


@pytest.mark.parametrize(
    "header",
    [
        'Basic realm="r", Bearer realm="https://x/token",service="s"',
        'Negotiate, Basic realm="r", Bearer realm="https://x/token",service="s"',
        'Negotiate YWJj==, Bearer realm="https://x/token", service="s", Basic realm="r"',
        'Bearer realm="https://x/token",service="s",Basic realm="r"',
    ],
)
def test_several_challenges_in_one_header(header: str) -> None:
    found = {each.scheme: each.parameters for each in parse_challenges(header)}
    assert found["bearer"] == {"realm": "https://x/token", "service": "s"}
    assert found["basic"] == {"realm": "r"}


@pytest.mark.parametrize("header", ["", " ", ",", "=", '"', "\x00", "=x", '"Bearer"'])
def test_nonsense_is_no_challenge(header: str) -> None:
    assert parse_challenges(header) == ()


def test_what_can_be_read_before_nonsense_counts() -> None:
    found = parse_challenges('Basic realm="r", Bearer realm="unfinished')
    assert found[0] == Challenge("basic", {"realm": "r"})
    assert all("realm" not in each.parameters for each in found[1:])


def test_endless_header_is_cut() -> None:
    found = parse_challenges("Bearer " + ",".join(f'k{n}="{n}"' for n in range(100_000)))
    assert len(found[0].parameters) < MAX_CHALLENGE


def _written(scheme: str, fields: dict[str, str]) -> str:
    quoted = {key: value.replace("\\", "\\\\").replace('"', '\\"') for key, value in fields.items()}
    return f"{scheme} " + ", ".join(f'{key}="{value}"' for key, value in quoted.items())


@given(tokens, parameters)
def test_what_is_written_by_the_grammar_is_read(scheme: str, fields: dict[str, str]) -> None:
    assert parse_challenges(_written(scheme, fields)) == (Challenge(scheme.lower(), fields),)


@given(st.lists(st.tuples(tokens, parameters.filter(bool)), min_size=1, max_size=3))
def test_lists_of_challenges_are_read(challenges: list[tuple[str, dict[str, str]]]) -> None:
    header = ", ".join(_written(scheme, fields) for scheme, fields in challenges)
    assert [(each.scheme, each.parameters) for each in parse_challenges(header)] == [
        (scheme.lower(), fields) for scheme, fields in challenges
    ]


@given(st.text() | st.text(alphabet='Bearer ="\\,realm \t', max_size=60))
def test_no_text_upsets_it(header: str) -> None:
    for each in parse_challenges(header):
        assert each.scheme == each.scheme.lower()
