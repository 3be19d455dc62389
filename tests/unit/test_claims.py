# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""What tokens say about themselves, also those that say nonsense."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from azext_acrimport.registry.claims import claims_of, granted_actions


def token_of(claims: Any) -> str:
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"e30.{payload}.c2ln"


def access(*grants: Any) -> str:
    return token_of({"access": list(grants)})


def test_claims_are_read_without_their_padding() -> None:
    for length in range(4):
        assert claims_of(token_of({"a": "x" * length})) == {"a": "x" * length}


@pytest.mark.parametrize(
    "token", ["", "opaque", "a.b", "a.b.c", "a.====.c", "a.\xff.c", token_of([1]), token_of("text"), "a.e30.c.d"]
)
def test_what_is_no_token_has_no_claims(token: str) -> None:
    assert claims_of(token) == {}
    assert granted_actions(token, "app") is None


def test_grants_are_those_of_the_repository() -> None:
    token = access(
        {"type": "repository", "name": "app", "actions": ["pull"]},
        {"type": "repository", "name": "app", "actions": ["push", 1]},
        {"type": "repository", "name": "other", "actions": ["delete"]},
    )

    assert granted_actions(token, "app") == {"pull", "push"}
    assert granted_actions(token, "elsewhere") == frozenset()


@pytest.mark.parametrize("grant", ["app", {"name": "app"}, {"name": "app", "actions": "pull"}, None])
def test_grants_of_another_shape_allow_nothing(grant: Any) -> None:
    assert granted_actions(access(grant), "app") == frozenset()
