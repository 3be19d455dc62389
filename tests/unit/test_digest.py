# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Digests: what is one, and that it is the hash of the content."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azext_acrimport.oci.digest import algorithm_of, check_digest, digest_of, digester, is_digest, printable
from azext_acrimport.oci.errors import InvalidDigest

EMPTY = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize("digest", [EMPTY, "sha512:" + "0a" * 64])
def test_registered_algorithms_are_taken(digest: str) -> None:
    assert check_digest(digest) == digest
    assert is_digest(digest)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sha256",
        "sha256:",
        "sha256:" + "0" * 63,
        "sha256:" + "0" * 65,
        "sha256:" + "0" * 128,
        "sha512:" + "0" * 64,
        "sha256:" + "A" * 64,
        "SHA256:" + "0" * 64,
        "sha256-" + "0" * 64,
        EMPTY + "\n",
        " " + EMPTY,
        "md5:" + "0" * 32,
        "sha384:" + "0" * 96,
        "sha256:" + "٠" * 64,
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    assert not is_digest(text)
    with pytest.raises(InvalidDigest):
        check_digest(text)


@pytest.mark.parametrize("value", [None, 1, b"sha256:", ["sha256"], {}])
def test_json_that_is_no_text_is_refused(value: object) -> None:
    with pytest.raises(InvalidDigest):
        check_digest(value)  # type: ignore[arg-type]


def test_digest_of_nothing_is_the_known_one() -> None:
    assert digest_of(b"") == EMPTY


@given(st.binary(), st.sampled_from(["sha256", "sha512"]))
def test_digest_is_the_hash_and_is_one(content: bytes, algorithm: str) -> None:
    digest = digest_of(content, algorithm)
    assert digest == f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"
    assert check_digest(digest) == digest
    assert algorithm_of(digest) == algorithm
    running = digester(digest)
    running.update(content)
    assert digest == f"{algorithm}:{running.hexdigest()}"


@given(st.text())
def test_any_text_is_a_digest_or_refused(text: str) -> None:
    if is_digest(text):
        assert check_digest(text) == text
    else:
        with pytest.raises(InvalidDigest):
            check_digest(text)


@given(st.text(max_size=500))
def test_printable_is_short_and_harmless_on_a_terminal(text: str) -> None:
    shown = printable(text)
    assert len(shown) <= 101
    assert shown.isprintable()
