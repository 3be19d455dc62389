# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""The running digest of a blob, also when a part of it is read again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azext_acrimport.oci.descriptor import Descriptor
from azext_acrimport.oci.digest import digest_of
from azext_acrimport.registry.errors import ContentMismatch
from azext_acrimport.transfer import verify
from azext_acrimport.transfer.verify import Verifier


def descriptor_of(content: bytes, algorithm: str = "sha256") -> Descriptor:
    return Descriptor(digest_of(content, algorithm), len(content), "application/octet-stream")


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
@pytest.mark.parametrize("content", [b"", b"x", b"content" * 1000])
def test_right_content_passes(content: bytes, algorithm: str) -> None:
    verifier = Verifier(descriptor_of(content, algorithm))
    for position in range(0, len(content), 100):
        verifier.update(memoryview(content)[position : position + 100])
    verifier.check("r.io")
    assert verifier.position == len(content)


@pytest.mark.parametrize("sent", [b"contenT", b"conten", b"contents", b""])
def test_wrong_content_names_the_registry_and_the_blob(sent: bytes) -> None:
    blob = descriptor_of(b"content")
    verifier = Verifier(blob)
    verifier.update(memoryview(sent))
    with pytest.raises(ContentMismatch) as raised:
        verifier.check("r.io")
    assert raised.value.host == "r.io"
    assert blob.digest in str(raised.value)


@given(st.binary(max_size=3000), st.lists(st.tuples(st.integers(1, 400), st.floats(0, 1)), max_size=60), st.data())
def test_going_back_and_reading_again_gives_the_same_digest(
    content: bytes, steps: list[tuple[int, float]], data: st.DataObject
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verify, "_SPACING", 16)
        patch.setattr(verify, "_MOST", data.draw(st.integers(2, 8)))
        verifier = Verifier(descriptor_of(content))
        for count, back in steps:
            wanted = int(verifier.position * back)
            found = verifier.rewind(wanted)
            assert found <= wanted
            assert found == verifier.position
            verifier.update(memoryview(content)[found : found + count])
        verifier.update(memoryview(content)[verifier.position :])
        verifier.check("r.io")


def test_going_back_reads_little_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "_SPACING", 100)
    content = bytes(100_000)
    verifier = Verifier(descriptor_of(content))
    for position in range(0, 90_000, 100):
        verifier.update(memoryview(content)[position : position + 100])
    assert verifier.rewind(80_000) >= 80_000 - 90_000 / 16
    assert verifier.rewind(0) == 0
