# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Pushing and deleting content by the distribution specification."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator

import pytest

from emulator import content
from emulator.content import OCI_MANIFEST, Artifact
from emulator.http import Server
from emulator.registry import Behaviour, RegistryApp
from emulator.store import Repository, Store, digest_of
from tests.emulator.registry_client import Client

BLOB = content.blob(10_000, "push")
DIGEST = digest_of(BLOB)
UPLOADS = "/v2/app/blobs/uploads/"


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        yield running
        assert running.errors == []


@pytest.fixture
def app() -> RegistryApp:
    return RegistryApp()


@pytest.fixture
def client(server: Server, app: RegistryApp) -> Iterator[Client]:
    with Client(server.serve_plain(app)) as running:
        yield running


@pytest.fixture
def repository(app: RegistryApp) -> Repository:
    return app.store.repository("app")


def begin(client: Client) -> str:
    answer = client("POST", UPLOADS)
    assert answer.status == 202
    assert answer.headers["Docker-Upload-UUID"]
    return str(answer.headers["Location"])


def patch(client: Client, location: str, chunk: bytes, start: int) -> str:
    answer = client("PATCH", location, chunk, {"Content-Range": f"{start}-{start + len(chunk) - 1}"})
    assert answer.status == 202
    assert answer.headers["Range"] == f"0-{start + len(chunk) - 1}"
    return str(answer.headers["Location"])


class TestUpload:
    def test_post_then_put(self, client: Client, repository: Repository) -> None:
        answer = client("PUT", f"{begin(client)}&digest={DIGEST}", BLOB)
        assert answer.status == 201
        assert answer.headers["Location"] == f"/v2/app/blobs/{DIGEST}"
        assert answer.headers["Docker-Content-Digest"] == DIGEST
        assert client("GET", answer.headers["Location"]).body == BLOB
        assert repository.uploads == {}

    def test_single_post(self, client: Client, repository: Repository) -> None:
        assert client("POST", f"{UPLOADS}?digest={DIGEST}", BLOB).status == 201
        assert repository.read_blob(DIGEST) == BLOB

    def test_single_post_where_it_is_not_supported(self, client: Client, app: RegistryApp) -> None:
        app.behaviour = Behaviour(monolithic_post=False)
        answer = client("POST", f"{UPLOADS}?digest={DIGEST}", BLOB)
        assert answer.status == 202
        assert client("PUT", f"{answer.headers['Location']}&digest={DIGEST}", BLOB).status == 201

    def test_streamed(self, client: Client, repository: Repository) -> None:
        answer = client("PATCH", begin(client), iter([BLOB[:4000], BLOB[4000:]]))
        assert (answer.status, answer.headers["Range"]) == (202, "0-9999")
        assert client("PUT", f"{answer.headers['Location']}&digest={DIGEST}", b"").status == 201
        assert repository.read_blob(DIGEST) == BLOB

    @pytest.mark.parametrize("last_in_put", [True, False])
    def test_in_chunks(self, client: Client, repository: Repository, last_in_put: bool) -> None:
        location = patch(client, begin(client), BLOB[:6000], 0)
        status = client("GET", location)
        assert (status.status, status.headers["Range"]) == (204, "0-5999")
        if last_in_put:
            answer = client("PUT", f"{location}&digest={DIGEST}", BLOB[6000:], {"Content-Range": "6000-9999"})
        else:
            location = patch(client, location, BLOB[6000:], 6000)
            answer = client("PUT", f"{location}&digest={DIGEST}", b"")
        assert answer.status == 201
        assert repository.read_blob(DIGEST) == BLOB

    @pytest.mark.parametrize("place", ["1-100", "5000-5099", "6001-6100"])
    @pytest.mark.parametrize("method", ["PATCH", "PUT"])
    def test_chunk_out_of_order(self, client: Client, method: str, place: str) -> None:
        location = patch(client, begin(client), BLOB[:6000], 0)
        answer = client(method, f"{location}&digest={DIGEST}", BLOB[:100], {"Content-Range": place})
        assert (answer.status, answer.headers["Range"]) == (416, "0-5999")
        patch(client, answer.headers["Location"], BLOB[6000:], 6000)

    def test_first_chunk_begins_at_zero(self, client: Client) -> None:
        assert client("PATCH", begin(client), b"abc", {"Content-Range": "1-3"}).status == 416

    @pytest.mark.parametrize("given", ["0-84521/*", "bytes 0-2/3", "x"])
    def test_malformed_content_range(self, client: Client, given: str) -> None:
        answer = client("PATCH", begin(client), b"abc", {"Content-Range": given})
        assert answer.status == 400
        assert "Content-Range header format is invalid" in answer.json["errors"][0]["message"]

    def test_content_range_must_agree_with_the_length(self, client: Client) -> None:
        assert client("PATCH", begin(client), b"abc", {"Content-Range": "0-9"}).code == "SIZE_INVALID"

    def test_wrong_digest(self, client: Client, repository: Repository) -> None:
        location = begin(client)
        answer = client("PUT", f"{location}&digest={digest_of(b'other')}", BLOB)
        assert (answer.status, answer.code) == (400, "DIGEST_INVALID")
        assert repository.blobs == {}
        assert client("GET", location).code == "BLOB_UPLOAD_UNKNOWN"

    @pytest.mark.parametrize("argument", ["", "&digest=md5:abc", "&digest=sha256:abc"])
    def test_malformed_digest(self, client: Client, argument: str) -> None:
        answer = client("PUT", f"{begin(client)}{argument}", BLOB)
        assert (answer.status, answer.code) == (400, "DIGEST_INVALID")

    def test_sha512(self, client: Client, repository: Repository) -> None:
        digest = f"sha512:{hashlib.sha512(BLOB).hexdigest()}"
        assert client("PUT", f"{begin(client)}&digest={digest}", BLOB).status == 201
        assert client("GET", f"/v2/app/blobs/{digest}").body == BLOB

    def test_empty_blob(self, client: Client, repository: Repository) -> None:
        assert client.push_blob("app", b"") == digest_of(b"")
        assert repository.read_blob(digest_of(b"")) == b""

    def test_cancel(self, client: Client) -> None:
        location = begin(client)
        assert client("DELETE", location).status == 204
        assert client("GET", location).status == 404

    def test_location_keeps_its_query(self, client: Client) -> None:
        location = begin(client)
        assert client("PATCH", location.partition("?")[0], b"abc").code == "BLOB_UPLOAD_INVALID"
        assert client("PATCH", location, b"abc").status == 202

    def test_absolute_location(self, client: Client, app: RegistryApp) -> None:
        app.behaviour = Behaviour(relative_location=False)
        location = begin(client)
        assert location.startswith(f"http://127.0.0.1:{client.connection.port}/v2/app/")
        assert client("PUT", f"{location}&digest={DIGEST}", BLOB).status == 201

    def test_store_that_keeps_no_blobs_still_checks_them(self, server: Server) -> None:
        store = Store(keep_blobs=False)
        with Client(server.serve_plain(RegistryApp(store))) as client:
            client.push_blob("app", BLOB)
            assert client("POST", f"{UPLOADS}?digest={digest_of(b'x')}", BLOB).code == "DIGEST_INVALID"
            assert client("HEAD", f"/v2/app/blobs/{DIGEST}").headers["Content-Length"] == "10000"


class TestLimits:
    def test_monolithic(self, client: Client, app: RegistryApp) -> None:
        app.behaviour = Behaviour(monolithic_limit_bytes=9_999)
        location = begin(client)
        answer = client("PUT", f"{location}&digest={DIGEST}", BLOB)
        assert answer.status == 413
        assert b"413 Request Entity Too Large" in answer.body
        location = patch(client, location, BLOB, 0)
        assert client("PUT", f"{location}&digest={DIGEST}", b"").status == 201

    @pytest.mark.parametrize("body", [BLOB, [BLOB[:5000], BLOB[5000:]]])
    def test_chunk(self, client: Client, app: RegistryApp, body: bytes | list[bytes]) -> None:
        app.behaviour = Behaviour(chunk_limit_bytes=9_999)
        answer = client("PATCH", begin(client), body)
        assert (answer.status, answer.code) == (416, "REQUESTED_RANGE_NOT_SATISFIABLE")

    def test_smallest_chunk(self, client: Client, app: RegistryApp) -> None:
        app.behaviour = Behaviour(min_chunk_bytes=4000)
        answer = client("POST", UPLOADS)
        assert answer.headers["OCI-Chunk-Min-Length"] == "4000"
        location = patch(client, answer.headers["Location"], BLOB[:4000], 0)
        location = patch(client, location, BLOB[4000:4001], 4000)
        assert client("PATCH", location, BLOB[4001:], {"Content-Range": "4001-9999"}).status == 416

    def test_chunked_transfer_encoding(self, client: Client, app: RegistryApp) -> None:
        app.behaviour = Behaviour(refuse_chunked_transfer_encoding=True)
        location = begin(client)
        answer = client("PATCH", location, iter([BLOB]))
        assert (answer.status, answer.code) == (400, "CONTENT_LENGTH_INVALID")
        patch(client, location, BLOB, 0)

    def test_early_created(self, client: Client, app: RegistryApp) -> None:
        app.behaviour = Behaviour(early_created=True)
        assert client("PATCH", begin(client), BLOB).status == 201


class TestMount:
    @pytest.fixture(autouse=True)
    def _source(self, app: RegistryApp) -> None:
        content.image("source", layers=()).put(app.store.repository("source"), "v1")
        app.store.repository("source").add_blob(BLOB)

    def test_from_another_repository(self, client: Client, repository: Repository) -> None:
        answer = client("POST", f"{UPLOADS}?mount={DIGEST}&from=source")
        assert (answer.status, answer.headers["Location"]) == (201, f"/v2/app/blobs/{DIGEST}")
        assert repository.read_blob(DIGEST) == BLOB

    @pytest.mark.parametrize("query", [f"mount={digest_of(b'x')}&from=source", f"mount={DIGEST}&from=absent"])
    def test_of_what_is_not_there_opens_a_session(self, client: Client, query: str) -> None:
        answer = client("POST", f"{UPLOADS}?{query}")
        assert answer.status == 202
        assert client("PUT", f"{answer.headers['Location']}&digest={DIGEST}", BLOB).status == 201

    def test_of_itself_says_whether_it_is_there(self, client: Client) -> None:
        assert client("POST", f"{UPLOADS}?mount={DIGEST}&from=app").status == 202
        client.push_blob("app", BLOB)
        assert client("POST", f"{UPLOADS}?mount={DIGEST}&from=app").status == 201

    def test_without_from(self, client: Client, app: RegistryApp) -> None:
        assert client("POST", f"{UPLOADS}?mount={DIGEST}").status == 202
        app.behaviour = Behaviour(mount_without_from=True)
        assert client("POST", f"{UPLOADS}?mount={DIGEST}").status == 201

    def test_where_it_is_not_supported(self, client: Client, app: RegistryApp) -> None:
        app.behaviour = Behaviour(mount=False)
        assert client("POST", f"{UPLOADS}?mount={DIGEST}&from=source").status == 202


def put(client: Client, artifact: Artifact, reference: str | None = None, name: str = "app") -> tuple[int, str]:
    target = f"/v2/{name}/manifests/{reference or artifact.digest}"
    answer = client("PUT", target, artifact.manifest, {"Content-Type": artifact.media_type})
    if answer.status == 201:
        assert answer.headers["Docker-Content-Digest"] == artifact.digest
        assert answer.headers["Location"] == f"/v2/{name}/manifests/{artifact.digest}"
        return 201, answer.headers["OCI-Subject"] or ""
    return answer.status, answer.code


class TestManifests:
    @pytest.mark.parametrize(
        "artifact",
        [
            content.image(),
            content.image(docker=True),
            content.multi_arch(),
            content.multi_arch(docker=True),
            content.nested_index(),
            content.windows_image(),
            content.helm_chart(),
            content.artifact(),
            content.artifact(sizes=()),
            content.schema1(),
            content.with_whitespace(content.image()),
        ],
        ids=lambda artifact: artifact.media_type.split(".")[-2][:30],
    )
    def test_bottom_up(self, client: Client, repository: Repository, artifact: Artifact) -> None:
        for blob in artifact.all_blobs.values():
            client.push_blob("app", blob)
        for part in artifact.walk():
            assert put(client, part) == (201, "")
        assert put(client, artifact, "v1") == (201, "")
        assert repository.tags == {"v1": artifact.digest}
        assert {digest: found.content for digest, found in repository.manifests.items()} == artifact.manifests
        assert client("GET", "/v2/app/manifests/v1", headers={"Accept": artifact.media_type}).body == artifact.manifest

    def test_missing_blob(self, client: Client, app: RegistryApp) -> None:
        image = content.image()
        assert put(client, image, "v1") == (400, "MANIFEST_BLOB_UNKNOWN")
        app.behaviour = Behaviour(require_blobs=False)
        assert put(client, image, "v1") == (201, "")

    def test_missing_child(self, client: Client) -> None:
        index = content.multi_arch()
        for blob in index.all_blobs.values():
            client.push_blob("app", blob)
        put(client, index.children[0])
        assert put(client, index, "v1") == (400, "MANIFEST_BLOB_UNKNOWN")

    def test_subject(self, client: Client, repository: Repository) -> None:
        image = content.image()
        sbom = content.artifact(subject=image)
        for blob in sbom.blobs:
            repository.add_blob(blob)
        assert put(client, sbom) == (201, image.digest)

    def test_wrong_digest(self, client: Client) -> None:
        assert put(client, content.image(), f"sha256:{'0' * 64}") == (400, "DIGEST_INVALID")

    def test_malformed_tag(self, client: Client) -> None:
        assert put(client, content.index(), ".tag") == (400, "TAG_INVALID")

    @pytest.mark.parametrize("body", [b"", b"nonsense", b"[]"])
    def test_no_manifest(self, client: Client, body: bytes) -> None:
        answer = client("PUT", "/v2/app/manifests/v1", body, {"Content-Type": OCI_MANIFEST})
        assert (answer.status, answer.code) == (400, "MANIFEST_INVALID")

    def test_type_that_contradicts_the_manifest(self, client: Client) -> None:
        answer = client("PUT", "/v2/app/manifests/v1", content.index().manifest, {"Content-Type": OCI_MANIFEST})
        assert (answer.status, answer.code) == (400, "MANIFEST_INVALID")

    def test_too_large(self, client: Client) -> None:
        body = json.dumps({"annotations": {"x": "y" * 4 * 1024 * 1024}}).encode()
        assert client("PUT", "/v2/app/manifests/v1", body, {"Content-Type": OCI_MANIFEST}).status == 413

    def test_tags_beside_a_digest(self, client: Client, repository: Repository) -> None:
        index = content.index()
        target = f"/v2/app/manifests/{index.digest}?tag=a&tag=b"
        answer = client("PUT", target, index.manifest, {"Content-Type": index.media_type})
        assert (answer.status, answer.headers.get_all("OCI-Tag")) == (201, ["a", "b"])
        assert repository.tags == {"a": index.digest, "b": index.digest}

    def test_tag_moves(self, client: Client, repository: Repository) -> None:
        one, other = content.index(), content.index(annotations={"a": "b"})
        put(client, one, "v1")
        put(client, other, "v1")
        assert repository.tags == {"v1": other.digest}
        assert set(repository.manifests) == {one.digest, other.digest}


class TestDelete:
    @pytest.fixture(autouse=True)
    def _fill(self, repository: Repository) -> None:
        self.image = content.image()
        self.image.put(repository, "v1", "v2")

    def test_tag(self, client: Client, repository: Repository) -> None:
        assert client("DELETE", "/v2/app/manifests/v1").status == 202
        assert repository.tags == {"v2": self.image.digest}
        assert client("DELETE", "/v2/app/manifests/v1").code == "MANIFEST_UNKNOWN"

    def test_manifest(self, client: Client, repository: Repository) -> None:
        assert client("DELETE", f"/v2/app/manifests/{self.image.digest}").status == 202
        assert (repository.tags, repository.manifests) == ({}, {})

    def test_manifest_is_gone_from_the_lists(self, client: Client) -> None:
        client("DELETE", f"/v2/app/manifests/{self.image.digest}")
        assert client("GET", f"/v2/app/manifests/{self.image.digest}").status == 404
        assert client("GET", "/v2/app/tags/list").json["tags"] == []
        assert client("DELETE", f"/v2/app/manifests/{self.image.digest}").status == 404

    def test_blob(self, client: Client, repository: Repository) -> None:
        digest = digest_of(self.image.blobs[0])
        assert client("DELETE", f"/v2/app/blobs/{digest}").status == 202
        assert client("DELETE", f"/v2/app/blobs/{digest}").status == 404

    def test_where_it_is_not_supported(self, client: Client, app: RegistryApp) -> None:
        app.behaviour = Behaviour(deletes=False)
        assert client("DELETE", "/v2/app/manifests/v1").status == 405
        assert client("DELETE", f"/v2/app/blobs/{digest_of(self.image.blobs[0])}").status == 405

    def test_locked_tag(self, client: Client, app: RegistryApp) -> None:
        app.behaviour = Behaviour(locked_tags=frozenset({"v1"}))
        for target in ("v1", self.image.digest):
            answer = client("DELETE", f"/v2/app/manifests/{target}")
            assert (answer.status, answer.code) == (405, "REGISTRY_DISALLOWED_OPERATION")
        assert put(client, self.image, "v1") == (405, "REGISTRY_DISALLOWED_OPERATION")
        assert put(client, self.image, "v3") == (201, "")

    @pytest.mark.parametrize(
        "behaviour", [Behaviour(read_only=True), Behaviour(locked_repositories=frozenset({"app"}))]
    )
    def test_read_only(self, client: Client, app: RegistryApp, behaviour: Behaviour) -> None:
        app.behaviour = behaviour
        assert client("POST", UPLOADS).code == "REGISTRY_DISALLOWED_OPERATION"
        assert put(client, self.image, "v3") == (405, "REGISTRY_DISALLOWED_OPERATION")
        assert client("GET", "/v2/app/manifests/v1").status == 200
