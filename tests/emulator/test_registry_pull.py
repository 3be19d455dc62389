# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Pulling and discovering content by the distribution specification."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from emulator import content
from emulator.content import OCI_INDEX, OCI_MANIFEST
from emulator.http import Server
from emulator.registry import Behaviour, BlobStorageApp, RegistryApp
from emulator.store import PatternBlob, Store, digest_of
from tests.emulator.registry_client import Client

ABSENT = f"sha256:{'0' * 64}"
IMAGE = content.multi_arch("pull")


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        yield running
        assert running.errors == []


@pytest.fixture
def app() -> RegistryApp:
    registry = RegistryApp()
    IMAGE.put(registry.store.repository("team/app"), "v1", "v2", "latest")
    return registry


@pytest.fixture
def client(server: Server, app: RegistryApp) -> Iterator[Client]:
    with Client(server.serve_plain(app)) as running:
        yield running


def test_base_answers_200(client: Client) -> None:
    answer = client("GET", "/v2/")
    assert answer.status == 200
    assert answer.headers["Docker-Distribution-Api-Version"] == "registry/2.0"


@pytest.mark.parametrize("reference", ["v1", IMAGE.digest])
def test_manifest_comes_byte_for_byte(client: Client, reference: str) -> None:
    got = client("GET", f"/v2/team/app/manifests/{reference}", headers={"Accept": f"{OCI_MANIFEST}, {OCI_INDEX};q=1"})
    head = client("HEAD", f"/v2/team/app/manifests/{reference}")
    assert (got.status, head.status, head.body) == (200, 200, b"")
    assert got.body == IMAGE.manifest
    for answer in (got, head):
        assert answer.headers["Content-Type"] == OCI_INDEX
        assert answer.headers["Docker-Content-Digest"] == IMAGE.digest
        assert answer.headers["Content-Length"] == str(len(IMAGE.manifest))


def test_index_is_not_found_by_a_client_that_does_not_accept_it(client: Client, app: RegistryApp) -> None:
    ask = {"Accept": OCI_MANIFEST}
    answer = client("GET", "/v2/team/app/manifests/v1", headers=ask)
    assert (answer.status, answer.code) == (404, "MANIFEST_UNKNOWN")
    message = "OCI index found, but accept header does not support OCI indexes"
    assert answer.json["errors"][0]["message"] == message
    app.behaviour = replace(app.behaviour, strict_accept=False)
    assert client("GET", "/v2/team/app/manifests/v1", headers=ask).status == 200


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/v2/team/app/manifests/absent", 404, "MANIFEST_UNKNOWN"),
        (f"/v2/team/app/manifests/{ABSENT}", 404, "MANIFEST_UNKNOWN"),
        ("/v2/team/app/manifests/sha256:short", 400, "DIGEST_INVALID"),
        ("/v2/team/app/manifests/.tag", 404, "MANIFEST_UNKNOWN"),
        ("/v2/absent/manifests/v1", 404, "NAME_UNKNOWN"),
        ("/v2/Team/app/manifests/v1", 400, "NAME_INVALID"),
        (f"/v2/team/app/blobs/{ABSENT}", 404, "BLOB_UNKNOWN"),
        ("/v2/team/app/blobs/nonsense", 400, "DIGEST_INVALID"),
        ("/v2/absent/tags/list", 404, "NAME_UNKNOWN"),
        ("/v2/team/app/tags/list?n=many", 400, "PAGINATION_NUMBER_INVALID"),
        ("/v2/team/app/referrers/nonsense", 400, "DIGEST_INVALID"),
    ],
)
def test_refusals_have_the_code_of_the_specification(client: Client, path: str, status: int, code: str) -> None:
    answer = client("GET", path)
    assert (answer.status, answer.code) == (status, code)


@pytest.mark.parametrize("path", ["/", "/v1/", "/v2/team/app", "/v2/team/app/elsewhere/x"])
def test_other_paths_are_not_found(client: Client, path: str) -> None:
    assert client("GET", path).status == 404


class TestBlobs:
    @pytest.fixture
    def path(self, app: RegistryApp) -> str:
        return f"/v2/team/app/blobs/{app.store.repository('team/app').add_blob(b'0123456789')}"

    def test_whole(self, client: Client, path: str) -> None:
        answer, head = client("GET", path), client("HEAD", path)
        assert (answer.status, answer.body) == (200, b"0123456789")
        assert answer.headers["Docker-Content-Digest"] == digest_of(b"0123456789")
        assert answer.headers["Accept-Ranges"] == "bytes"
        assert (head.status, head.headers["Content-Length"], head.body) == (200, "10", b"")

    @pytest.mark.parametrize(
        ("asked", "body", "content_range"),
        [
            ("bytes=2-4", b"234", "bytes 2-4/10"),
            ("bytes=7-", b"789", "bytes 7-9/10"),
            ("bytes=8-99", b"89", "bytes 8-9/10"),
            ("bytes=-3", b"789", "bytes 7-9/10"),
            ("bytes=-99", b"0123456789", "bytes 0-9/10"),
        ],
    )
    def test_range(self, client: Client, path: str, asked: str, body: bytes, content_range: str) -> None:
        answer = client("GET", path, headers={"Range": asked})
        assert (answer.status, answer.body, answer.headers["Content-Range"]) == (206, body, content_range)
        assert answer.headers["Content-Length"] == str(len(body))

    def test_range_behind_the_end(self, client: Client, path: str) -> None:
        answer = client("GET", path, headers={"Range": "bytes=10-"})
        assert (answer.status, answer.headers["Content-Range"]) == (416, "bytes */10")

    @pytest.mark.parametrize("asked", ["bytes=0-1,4-5", "lines=1-2", "bytes=-"])
    def test_range_that_is_not_understood_is_ignored(self, client: Client, path: str, asked: str) -> None:
        assert client("GET", path, headers={"Range": asked}).status == 200

    def test_registry_without_ranges_sends_it_all(self, client: Client, app: RegistryApp, path: str) -> None:
        app.behaviour = Behaviour(ranges=False)
        answer = client("GET", path, headers={"Range": "bytes=2-4"})
        assert (answer.status, answer.body) == (200, b"0123456789")
        assert "Accept-Ranges" not in answer.headers

    def test_empty_blob(self, client: Client, app: RegistryApp) -> None:
        answer = client("GET", f"/v2/team/app/blobs/{app.store.repository('team/app').add_blob(b'')}")
        assert (answer.status, answer.body, answer.headers["Content-Length"]) == (200, b"", "0")

    def test_large_blob_needs_no_memory(self, client: Client, app: RegistryApp) -> None:
        large = PatternBlob(5_000_001)
        digest = app.store.repository("team/app").add_blob(large, large.digest())
        answer = client("GET", f"/v2/team/app/blobs/{digest}")
        assert digest_of(answer.body) == digest
        part = client("GET", f"/v2/team/app/blobs/{digest}", headers={"Range": "bytes=3000000-4999999"})
        assert part.body == answer.body[3_000_000:5_000_000]


class TestRedirect:
    @pytest.fixture
    def storage(self, server: Server, app: RegistryApp) -> Iterator[Client]:
        address = server.serve_plain(BlobStorageApp(app.store))
        app.behaviour = Behaviour(redirect_blobs_to=f"http://{address}")
        with Client(address) as client:
            yield client

    @pytest.fixture
    def location(self, client: Client, app: RegistryApp, storage: Client) -> str:
        digest = app.store.repository("team/app").add_blob(b"0123456789")
        answer = client("GET", f"/v2/team/app/blobs/{digest}")
        assert (answer.status, answer.body) == (307, b"")
        assert client("HEAD", f"/v2/team/app/blobs/{digest}").status == 200
        return str(answer.headers["Location"])

    def test_storage_serves_by_the_signature_alone(self, storage: Client, location: str) -> None:
        assert storage("GET", location).body == b"0123456789"
        assert storage("GET", location, headers={"Range": "bytes=5-"}).body == b"56789"

    def test_storage_refuses_an_authorization_header(self, storage: Client, location: str) -> None:
        answer = storage("GET", location, headers={"Authorization": "Bearer x"})
        assert answer.status == 403
        assert b"<Code>InvalidAuthenticationInfo</Code>" in answer.body

    def test_storage_refuses_without_the_right_signature(self, storage: Client, location: str) -> None:
        assert storage("GET", location.partition("?")[0]).status == 403
        assert storage("GET", location[:-1] + "x").status == 403

    def test_name_stands_for_https(self, client: Client, app: RegistryApp, location: str) -> None:
        app.behaviour = Behaviour(redirect_blobs_to="store.blob.core.windows.net")
        digest = digest_of(b"0123456789")
        answer = client("GET", f"/v2/team/app/blobs/{digest}")
        assert answer.headers["Location"].startswith("https://store.blob.core.windows.net/")


class TestLists:
    def test_tags_are_sorted(self, client: Client) -> None:
        assert client("GET", "/v2/team/app/tags/list").json == {"name": "team/app", "tags": ["latest", "v1", "v2"]}

    def test_pages_follow_link(self, client: Client) -> None:
        target, seen = "/v2/team/app/tags/list?n=2", []
        while target:
            answer = client("GET", target)
            seen.append(answer.json["tags"])
            link = answer.headers["Link"] or ""
            assert link == "" or link.endswith('>; rel="next"')
            target = link[1 : link.find(">")]
        assert seen == [["latest", "v1"], ["v2"]]

    def test_last_and_zero(self, client: Client) -> None:
        assert client("GET", "/v2/team/app/tags/list?last=v1").json["tags"] == ["v2"]
        assert client("GET", "/v2/team/app/tags/list?n=0").json["tags"] == []

    def test_page_is_capped_and_has_a_default(self, client: Client, app: RegistryApp) -> None:
        app.behaviour = Behaviour(max_tags_page=2, default_tags_page=1)
        assert client("GET", "/v2/team/app/tags/list").json["tags"] == ["latest"]
        answer = client("GET", "/v2/team/app/tags/list?n=1000")
        assert answer.json["tags"] == ["latest", "v1"]
        assert answer.headers["Link"] == '</v2/team/app/tags/list?last=v1&n=2>; rel="next"'

    def test_catalog(self, client: Client, app: RegistryApp) -> None:
        content.image().put(app.store.repository("another"), "x")
        app.store.repository("empty")
        assert client("GET", "/v2/_catalog").json == {"repositories": ["another", "team/app"]}
        assert client("GET", "/v2/_catalog?n=1").headers["Link"] == '</v2/_catalog?last=another&n=1>; rel="next"'


class TestReferrers:
    @pytest.fixture(autouse=True)
    def _attach(self, app: RegistryApp) -> None:
        repository = app.store.repository("team/app")
        self.sbom = content.artifact("sbom", subject=IMAGE, annotations={"a": "b"})
        self.signature = content.artifact("signature", artifact_type="application/x.signature", subject=IMAGE)
        self.sbom.put(repository)
        self.signature.put(repository)

    def test_all(self, client: Client) -> None:
        answer = client("GET", f"/v2/team/app/referrers/{IMAGE.digest}")
        assert answer.headers["Content-Type"] == OCI_INDEX
        assert [item["digest"] for item in answer.json["manifests"]] == [self.sbom.digest, self.signature.digest]
        described = {**self.sbom.descriptor(), "annotations": {"a": "b"}}
        assert answer.json["manifests"][0] == {**described, "artifactType": "application/vnd.contoso.sbom.v1+json"}

    def test_filtered(self, client: Client) -> None:
        answer = client("GET", f"/v2/team/app/referrers/{IMAGE.digest}?artifactType=application/x.signature")
        assert answer.headers["OCI-Filters-Applied"] == "artifactType"
        assert [item["digest"] for item in answer.json["manifests"]] == [self.signature.digest]

    def test_page_by_page(self, client: Client, app: RegistryApp) -> None:
        app.behaviour = Behaviour(max_referrers_page=1, filters_referrers=False)
        first = client("GET", f"/v2/team/app/referrers/{IMAGE.digest}?artifactType=application/x.signature")
        assert "OCI-Filters-Applied" not in first.headers
        path, _, relation = first.headers["Link"].partition(">")
        assert relation == '; rel="next"'
        second = client("GET", path[1:])
        assert "Link" not in second.headers
        found = [item["digest"] for answer in (first, second) for item in answer.json["manifests"]]
        assert found == [self.sbom.digest, self.signature.digest]

    @pytest.mark.parametrize("name", ["team/app", "absent"])
    def test_none(self, client: Client, name: str) -> None:
        answer = client("GET", f"/v2/{name}/referrers/{ABSENT}")
        assert (answer.status, answer.json["manifests"]) == (200, [])

    def test_registry_without_them(self, client: Client, app: RegistryApp) -> None:
        app.behaviour = Behaviour(referrers=False)
        assert client("GET", f"/v2/team/app/referrers/{IMAGE.digest}").status == 404


def test_ratelimit_headers_and_no_digest_header(client: Client, app: RegistryApp) -> None:
    app.behaviour = Behaviour(ratelimit=("100;w=21600", "99;w=21600"), docker_content_digest=False)
    answer = client("GET", "/v2/team/app/manifests/v1")
    assert answer.headers["ratelimit-remaining"] == "99;w=21600"
    assert "Docker-Content-Digest" not in answer.headers


def test_stores_are_apart() -> None:
    one, other = Store(), Store()
    one.repository("a").add_blob(b"x")
    assert other.get("a") is None
