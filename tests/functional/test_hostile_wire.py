# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""What only a server can send that speaks no proper HTTP: heads, chunks and trailers of an attacker's making."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from azext_acrimport.registry.errors import RegistryFailure
from azext_acrimport.registry.retry import RetryPolicy
from azext_acrimport.registry.said import read_error
from azext_acrimport.transfer.errors import Side
from emulator import content
from emulator.faults import Answer, Fault
from tests.support.hostile import (
    assert_harmless,
    chunked,
    fails,
    repeated,
    source_that,
    within,
)
from tests.support.lab import Lab, transport


@pytest.fixture
def image(lab: Lab) -> content.Artifact:
    return lab.put(content.image(layers=(60_000,)))


@pytest.fixture(autouse=True)
def _little_patience(lab: Lab) -> None:
    lab.policy = RetryPolicy(retries=0)
    lab.transport = transport(timeout_seconds=1.0)


@pytest.mark.usefixtures("image")
class TestHeads:
    @pytest.mark.parametrize("pause", [0.0, 0.3], ids=["at once", "slowly"])
    @pytest.mark.parametrize(
        "piece", [b"X-A: " + b"a" * 1000 + b"\r\n", b"a", b"\r\n"], ids=["fields", "field", "lines"]
    )
    def test_endless_head(self, lab: Lab, piece: bytes, pause: float) -> None:
        def attack(body: bytes) -> Iterator[bytes]:
            yield b"HTTP/1.1 200 OK\r\nX-B: "
            yield from repeated(piece, pause)

        with source_that(lab, "/manifests/", attack), within(5):
            fails(lab)

    def test_endless_interim_answers(self, lab: Lab) -> None:
        with (
            source_that(lab, "/manifests/", lambda body: repeated(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100)),
            within(5),
        ):
            fails(lab)

    @pytest.mark.parametrize(
        "head",
        [
            b"HTTP/1.1 200 OK\r\nContent-Length: \xb2\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 1_0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 0x10\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\xb2\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
            b"HTTP/1.1 429 X\r\nRetry-After: \xb2\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 429 X\r\nRetry-After: Mon, 99 Foo 99999 99:99:99 +9999\r\nContent-Length: 0\r\n\r\n",
            b"\x16\x03\x01\x00\x05hello",
            b"\0" * 1000,
        ],
        ids=range(9),
    )
    @pytest.mark.parametrize("part", ["/manifests/", "/blobs/"])
    def test_numbers_that_are_none(self, lab: Lab, part: str, head: bytes) -> None:
        with source_that(lab, part, lambda body: iter([head])):
            assert fails(lab).side is Side.SOURCE


@pytest.mark.usefixtures("image")
class TestBodies:
    @pytest.mark.parametrize("part", ["/manifests/", "/blobs/"])
    def test_endless_chunk_extension(self, lab: Lab, part: str) -> None:
        def attack(body: bytes) -> Iterator[bytes]:
            yield chunked(b"") + b"5;"
            yield from repeated(b"a" * 1000)

        with source_that(lab, part, attack), within(5):
            fails(lab)


class TestNumbers:
    @pytest.mark.parametrize("wrap", ["[%s]", '{"a":%s}'], ids=["list", "object"])
    def test_words_as_deep_as_json_is_read(self, wrap: str) -> None:
        """What the reader of JSON just bears, its printer may not."""
        for depth in (*range(800, 1100), 5000, 30_000):
            opening, closing = wrap.split("%s")
            text = '{"errors":[{"code":"X","message":' + opening * depth + "1" + closing * depth + "}]}"
            _, message = read_error(text.encode())
            assert len(message) <= 500

    @pytest.mark.parametrize("key", ["config", "subject"])
    def test_descriptors_as_deep_as_json_is_read(self, lab: Lab, key: str) -> None:
        held = lab.source_app.store.repository("src/app")
        for depth in range(900, 1000, 3):
            part = "[" * depth + "]" * depth
            text = f'{{"schemaVersion":2,"mediaType":"{content.OCI_MANIFEST}","layers":[],"{key}":{part}}}'
            held.add_manifest(text.encode(), content.OCI_MANIFEST, tags=["v1"])
            fails(lab)


def test_link_and_tags_of_json_as_deep_as_it_is_read(lab: Lab) -> None:
    body = json.dumps({"tags": ["v1"]}).encode().replace(b'"v1"', b"[" * 950 + b"]" * 950)
    lab.server.faults.add(Fault(Answer(200, body=body), path="/tags/list", times=None))
    try:
        assert list(lab.source.repository("src/app").tags()) == []
    except RegistryFailure as ex:
        assert_harmless(str(ex))
