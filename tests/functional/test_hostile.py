# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Registries that mean harm: whatever they send ends in an error of one line, soon, and takes little memory.

What honest registries get wrong is in ``test_copy_*``; here are the answers that only an attacker thinks of.
"""

from __future__ import annotations

import base64
import gzip
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from azext_acrimport.oci.manifest import MAX_MANIFEST_BYTES
from azext_acrimport.registry import listing
from azext_acrimport.registry.credentials import BearerToken, Credentials, IdentityToken, Password
from azext_acrimport.registry.errors import ProtocolError, RegistryFailure
from azext_acrimport.registry.retry import RetryPolicy
from azext_acrimport.transfer.copier import copy
from azext_acrimport.transfer.errors import CopyError, Side
from emulator import content
from emulator.auth import BasicAuth
from emulator.faults import Action, Answer, SetHeader, redirect, registry_error
from emulator.http import Request, Response, Server
from emulator.registry import BlobStorageApp
from tests.support.hostile import (
    ESCAPES,
    Body,
    assert_harmless,
    attack,
    endless,
    fails,
    sent_bytes,
    within,
)
from tests.support.lab import SOURCE, TARGET, Lab, assert_copied, transport

MIB = 1 << 20
SECRET = "s3cret-P@ss/word"
READ_AHEAD = 8 * MIB  # what sockets and buffers take in beside what is read


@pytest.fixture
def image(lab: Lab) -> content.Artifact:
    return lab.put(content.multi_arch(layers=(2000, 30_000)))


@pytest.fixture(autouse=True)
def _little_patience(lab: Lab) -> None:
    lab.policy = RetryPolicy(retries=0)


class TestEndlessBodies:
    """The first bytes over the limit end it."""

    @pytest.mark.parametrize("announced", [None, str(MAX_MANIFEST_BYTES + 1), "999999999999999999"])
    def test_manifest(self, lab: Lab, image: content.Artifact, announced: str | None) -> None:
        headers = {"Content_Type": content.OCI_INDEX} | ({"Content_Length": announced} if announced else {})
        attack(lab, Body(endless, **headers), path="/manifests/", method="GET")
        error = fails(lab, image.digest, (TARGET, ("v1",)))
        assert "4 MiB" in str(error)
        assert sent_bytes(lab) < MAX_MANIFEST_BYTES + READ_AHEAD

    @pytest.mark.parametrize("status", [400, 401, 403, 404, 500])
    def test_error(self, lab: Lab, image: content.Artifact, status: int) -> None:
        attack(lab, Body(endless, status))
        error = fails(lab)
        assert str(status) in str(error)
        assert sent_bytes(lab) < 2 * READ_AHEAD

    def test_token(self, lab: Lab, image: content.Artifact) -> None:
        realm = lab.server.serve_plain(lambda request: Response(200, {}, endless()))
        attack(lab, Answer(401, (("WWW-Authenticate", f'Bearer realm="http://{realm}/token"'),)))
        fails(lab)
        assert sent_bytes(lab) < READ_AHEAD + MIB

    def test_list_of_tags(self, lab: Lab) -> None:
        attack(lab, Body(endless), path="/tags/list")
        with within(15), pytest.raises(RegistryFailure):
            list(lab.source.repository(SOURCE).tags())
        assert sent_bytes(lab) < 16 * MIB + READ_AHEAD

    def test_redirect(self, lab: Lab, image: content.Artifact) -> None:
        attack(lab, Body(endless, 307, Location="/elsewhere"), path="/blobs/")
        fails(lab)
        assert sent_bytes(lab) < 64 * READ_AHEAD

    @pytest.mark.parametrize("method", ["POST", "PUT"])
    def test_answer_to_an_upload(self, lab: Lab, image: content.Artifact, method: str) -> None:
        attack(lab, Body(endless, 202, Location="/x"), host=lab.target_host, method=method, path="/uploads/")
        assert fails(lab).side is Side.TARGET

    def test_pages_of_tags_without_end(self, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(listing, "_MAX_PAGES", 50)

        def page(request: Request) -> Response:
            link = f'</v2/{SOURCE}/tags/list?last={int(request.arg("last") or 0) + 1}>; rel="next"'
            return Response(200, {"Link": link}, b'{"tags":["a"]}')

        lab.source_host = lab.server.serve_plain(page)
        with pytest.raises(ProtocolError, match="does not end"):
            list(lab.source.repository(SOURCE).tags())
        assert len(lab.server.log) == 50


class TestSlowBodies:
    """A byte now and then keeps no one waiting: the whole answer has a time limit, not each byte."""

    @pytest.fixture(autouse=True)
    def _short_timeouts(self, lab: Lab) -> None:
        lab.transport = transport(timeout_seconds=1.0)

    @staticmethod
    def drip() -> Iterator[bytes]:
        for piece in endless(b" ", seconds=10):
            yield piece
            time.sleep(0.2)

    @pytest.mark.parametrize("status", [200, 404])
    def test_of_a_manifest(self, lab: Lab, image: content.Artifact, status: int) -> None:
        attack(lab, Body(self.drip, status), path="/manifests/")
        with within(6):
            assert fails(lab, image.digest, (TARGET, ("v1",))).side is Side.SOURCE

    def test_of_a_list_of_tags(self, lab: Lab) -> None:
        attack(lab, Body(self.drip), path="/tags/list")
        with within(6), pytest.raises(RegistryFailure):
            list(lab.source.repository(SOURCE).tags())

    def test_of_a_token_service(self, lab: Lab, image: content.Artifact) -> None:
        realm = lab.server.serve_plain(lambda request: Response(200, {}, self.drip()))
        attack(lab, Answer(401, (("WWW-Authenticate", f'Bearer realm="http://{realm}/token"'),)))
        with within(8):
            fails(lab)

    def test_of_a_target(self, lab: Lab, image: content.Artifact) -> None:
        attack(lab, Body(self.drip, 201), host=lab.target_host, method="PUT", path="/uploads/")
        with within(8):
            assert fails(lab).side is Side.TARGET


class TestLies:
    """Descriptions that do not fit what they describe."""

    def index(self, lab: Lab, *children: dict[str, Any]) -> None:
        fields = {"schemaVersion": 2, "mediaType": content.OCI_INDEX, "manifests": list(children)}
        held = lab.source_app.store.repository(SOURCE)
        held.add_manifest(json.dumps(fields).encode(), content.OCI_INDEX, tags=["v1"])

    def image(self, lab: Lab, **changes: Any) -> content.Artifact:
        """An image of one layer whose descriptor has other fields."""
        layer = b"layer" * 100
        fields = {
            "schemaVersion": 2,
            "mediaType": content.OCI_MANIFEST,
            "config": content.describe(b"{}", content.OCI_CONFIG),
            "layers": [{**content.describe(layer, content.OCI_LAYER), **changes}],
        }
        return lab.put(content.Artifact(json.dumps(fields).encode(), content.OCI_MANIFEST, (b"{}", layer)))

    @pytest.mark.parametrize("size", [-1, 1 << 63, 10**400, 1.5, "500", None, True, [500]])
    def test_sizes_that_are_none(self, lab: Lab, size: object) -> None:
        self.image(lab, size=size)
        assert fails(lab).side is Side.SOURCE
        assert lab.asked(lab.source_host, path="/blobs/") == []

    @pytest.mark.parametrize("size", [0, 1, 499, 501, (1 << 63) - 1])
    def test_sizes_that_are_wrong(self, lab: Lab, size: int) -> None:
        self.image(lab, size=size)
        assert fails(lab).side is Side.SOURCE
        assert sent_bytes(lab) < MIB

    @pytest.mark.parametrize(
        "digest",
        [
            "md5:d41d8cd98f00b204e9800998ecf8427e",
            "sha1:" + "0" * 40,
            "sha256:" + "0" * 63,
            "sha256:" + "A" * 64,
            "sha512:" + "0" * 64,
            "SHA256:" + "0" * 64,
            "sha256:" + "0" * 64 + "\n",
            "sha256:../../../../../../../../../../../../../../../../../../../../../",
            "../../../v2/other/blobs/sha256:" + "0" * 64,
            ESCAPES,
            "",
            5,
            None,
        ],
        ids=repr,
    )
    @pytest.mark.parametrize("child", [True, False], ids=["manifest", "layer"])
    def test_digests_that_cannot_be_checked(self, lab: Lab, digest: object, child: bool) -> None:
        if child:
            self.index(lab, {"mediaType": content.OCI_MANIFEST, "digest": digest, "size": 1})
        else:
            self.image(lab, digest=digest)
        assert fails(lab).side is Side.SOURCE
        assert all(".." not in entry.path for entry in lab.server.log)
        assert lab.asked(lab.source_host, path="/blobs/") == []

    @pytest.mark.parametrize("media_type", [ESCAPES, "a\r\nX-Evil: 1", "\u65e5\u672c", "x" * 100_000], ids=range(4))
    def test_media_types_of_layers_are_only_passed_on(self, lab: Lab, media_type: str) -> None:
        artifact = self.image(lab, mediaType=media_type)
        lab.copy()
        assert_copied(lab.target_app, artifact, "v1")

    @pytest.mark.parametrize("media_type", [ESCAPES, "a\r\nX-Evil: 1", "\u65e5\u672c", "x" * 100_000], ids=range(4))
    @pytest.mark.parametrize("kind", ["image", "unknown"])
    def test_media_types_of_manifests_become_no_header_of_ours(self, lab: Lab, media_type: str, kind: str) -> None:
        artifact = self.image(lab)
        fields = {**artifact.json, "mediaType": media_type}
        if kind == "unknown":
            del fields["layers"]
        lab.put(content.Artifact(json.dumps(fields).encode(), content.OCI_MANIFEST, artifact.blobs))
        fails(lab)  # by us, or by the target, which is not told of that type
        types = {entry.headers.get("Content-Type") for entry in lab.asked(lab.target_host, "PUT", "/manifests/")}
        assert types <= {content.OCI_MANIFEST}
        assert all("X-Evil" not in entry.headers for entry in lab.server.log)

    @pytest.mark.parametrize("header", ["text/html", "application/x-evil", "\x1b[2J", "\xb2", ";;;", " "])
    def test_headers_that_say_another_media_type_are_not_believed(self, lab: Lab, header: str) -> None:
        artifact = self.image(lab)
        attack(lab, SetHeader("Content-Type", header), path="/manifests/")
        lab.copy()
        assert_copied(lab.target_app, artifact, "v1")

    def test_index_that_says_it_is_an_image(self, lab: Lab) -> None:
        child = lab.put(content.image())
        fields = {**content.index(child).json, "mediaType": content.OCI_MANIFEST}
        held = lab.source_app.store.repository(SOURCE)
        held.add_manifest(json.dumps(fields).encode(), content.OCI_INDEX, tags=["v1"])
        try:
            lab.copy()
        except CopyError as ex:
            assert_harmless(str(ex))
        else:  # a manifest without config and layers: nothing of the child was believed, nothing of it was moved
            assert lab.target_app.store.repository(TARGET).blobs == {}

    def test_every_digest_names_the_same_index(self, lab: Lab) -> None:
        """It looks like an index in itself; but no content can have its own digest in it."""
        other = content.index(content.image("other"))
        lab.put(other)
        everything = Answer(200, (("Content-Type", content.OCI_INDEX),), other.manifest)
        attack(lab, everything, path="/manifests/", method="GET")
        assert "other content" in str(fails(lab, other.digest, (TARGET, ("v1",))))
        assert len(lab.asked(lab.source_host, "GET", "/manifests/")) < 5

    def test_one_child_ten_thousand_times(self, lab: Lab) -> None:
        child = content.image("child", layers=(100,))
        lab.put(child, "child")
        self.index(lab, *[child.descriptor()] * 10_000)
        with within(15):
            lab.copy()
        assert len(lab.asked(lab.source_host, "GET", child.digest)) == 1

    @pytest.mark.parametrize("count", [10_001, 35_000])
    def test_more_children_than_anybody_has(self, lab: Lab, count: int) -> None:
        self.index(lab, *[{"mediaType": "", "digest": f"sha256:{n:064x}", "size": 1} for n in range(count)])
        assert "over the limit" in str(fails(lab))
        assert lab.asked(lab.source_host, path="/manifests/sha256:0") == []

    @pytest.mark.parametrize("path", ["/manifests/", "/blobs/"])
    def test_compressed_answers_that_nobody_asked_for(self, lab: Lab, image: content.Artifact, path: str) -> None:
        """They are not unpacked: to us they are other content than was promised."""
        bomb = gzip.compress(b"\0" * (4 * MIB))
        attack(lab, Answer(200, (("Content-Encoding", "gzip"),), bomb), path=path, method="GET")
        assert fails(lab, image.digest, (TARGET, ("v1",))).side is Side.SOURCE
        assert {entry.headers["Accept-Encoding"] for entry in lab.server.log} == {"identity"}


class TestWords:
    """What a registry says goes to a terminal."""

    @pytest.mark.parametrize(
        "action",
        [
            registry_error(403, f"DENIED{ESCAPES}", f"no{ESCAPES}"),
            Answer(403, body=f"plain {ESCAPES}".encode()),
            Answer(403, body=json.dumps({"error": ESCAPES, "error_description": ESCAPES}).encode()),
            Answer(403, body=json.dumps({"errors": [{"code": [ESCAPES], "message": {"a": ESCAPES}}] * 500}).encode()),
            Answer(403, body=b"\xff\xfe\x9b31m" * 100),
            Answer(403, (("Content-Type", f"text/{ESCAPES[:20]}"),), b"x"),
        ],
        ids=["errors", "text", "oauth", "odd errors", "no text", "type"],
    )
    @pytest.mark.parametrize("side", ["source", "target"])
    def test_error(self, lab: Lab, image: content.Artifact, action: Action, side: str) -> None:
        attack(lab, action, host=lab.source_host if side == "source" else lab.target_host)
        error = fails(lab)
        assert error.side.value == side
        assert "403" in str(error)

    @pytest.mark.parametrize(
        "header",
        [
            f'Bearer realm="http://127.0.0.1/{ESCAPES[:12]}"',
            f'Bearer realm="{ESCAPES[:12]}"',
            f"{ESCAPES[:4]} {ESCAPES[:4]}",
            "Bearer " + "a=" * 4000,
            'Bearer realm="' + "\\" * 7000,
            "a," * 4000,
            " " * 8000,
        ],
        ids=range(7),
    )
    def test_challenge(self, lab: Lab, image: content.Artifact, header: str) -> None:
        attack(lab, Answer(401, (("WWW-Authenticate", header),)))
        fails(lab)

    @pytest.mark.parametrize(
        "location", [f"/x{ESCAPES[:12]}", "http://evil.example\x1b[2J/", "/\x00", "//", "http://[::1", "/" * 30_000]
    )
    @pytest.mark.parametrize("side", ["source", "target"])
    def test_location(self, lab: Lab, image: content.Artifact, location: str, side: str) -> None:
        if side == "source":
            attack(lab, redirect(location), path="/blobs/")
        else:
            answer = Answer(202, (("Location", location),))
            attack(lab, answer, host=lab.target_host, method="POST", path="/uploads/")
        assert fails(lab).side.value == side

    @pytest.mark.parametrize("digest", [ESCAPES[:12], "../../../etc", "sha256:../..", "x" * 5000])
    def test_digest_that_the_source_names(self, lab: Lab, image: content.Artifact, digest: str) -> None:
        """It is not one, so the content itself tells."""
        attack(lab, SetHeader("Docker-Content-Digest", digest), path="/manifests/")
        lab.copy()
        assert_copied(lab.target_app, image, "v1")
        assert all(".." not in entry.path for entry in lab.server.log)

    def test_names_of_tags(self, lab: Lab, image: content.Artifact) -> None:
        tags = ["../../v1", ESCAPES, "v1/../../other", "", "x" * 5000, 5, None, {"v1": 1}]
        attack(lab, Answer(200, body=json.dumps({"tags": tags}).encode()), host=lab.target_host, path="/tags/list")
        lab.copy()
        assert_copied(lab.target_app, image, "v1")
        assert all(".." not in entry.path for entry in lab.server.log)


class TestCredentials:
    """They are for the registry that they were given for."""

    @pytest.fixture
    def evil(self, lab: Lab) -> str:
        """A host that takes whatever it gets."""
        return lab.server.serve_plain(lambda request: Response(200, {}, b'{"token":"evil"}'))

    def assert_nothing_shown(self, lab: Lab, host: str) -> None:
        for entry in lab.asked(host):
            assert "Authorization" not in entry.headers, str(entry)
            assert SECRET not in str(entry)
            assert entry.received_bytes == 0

    @pytest.mark.parametrize("credentials", [Password("user", SECRET), IdentityToken(SECRET), BearerToken(SECRET)])
    def test_realm_of_a_redirect_target_is_never_asked(
        self, lab: Lab, image: content.Artifact, evil: str, credentials: Credentials
    ) -> None:
        storage = lab.server.serve_plain(
            lambda request: Response(401, {"WWW-Authenticate": f'Bearer realm="http://{evil}/token",service="x"'})
        )
        lab.source_credentials = credentials
        attack(lab, redirect(f"http://{storage}/blob"), path="/blobs/")
        assert "401" in str(fails(lab))
        assert lab.asked(evil) == []
        assert len(lab.asked(storage)) > 0
        self.assert_nothing_shown(lab, storage)

    @pytest.mark.parametrize("credentials", [Password("user", SECRET), IdentityToken(SECRET)])
    @pytest.mark.parametrize("status", [301, 302, 307, 308])
    def test_realm_that_redirects_is_not_followed(
        self, lab: Lab, image: content.Artifact, evil: str, credentials: Credentials, status: int
    ) -> None:
        realm = lab.server.serve_plain(lambda request: Response(status, {"Location": f"http://{evil}/token"}))
        lab.source_credentials = credentials
        attack(lab, Answer(401, (("WWW-Authenticate", f'Bearer realm="http://{realm}/token"'),)))
        assert str(status) in str(fails(lab))
        assert lab.asked(evil) == []

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    @pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
    def test_uploads_follow_no_redirect(
        self, lab: Lab, image: content.Artifact, evil: str, status: int, method: str
    ) -> None:
        lab.target_app.authorise = BasicAuth({"user": SECRET})
        lab.target_credentials = Password("user", SECRET)
        attack(lab, redirect(f"http://{evil}/x", status), host=lab.target_host, method=method, path="/uploads/")
        root = lab.root()
        if method == "PATCH":
            root.targets[0].repository.registry.habits.put_limit = 0
        with pytest.raises(CopyError) as raised:
            copy([root])
        error = raised.value
        assert error.side is Side.TARGET
        assert str(status) in str(error)
        assert lab.asked(evil) == []

    @pytest.mark.parametrize("status", [307, 308])
    def test_manifests_follow_no_redirect(self, lab: Lab, image: content.Artifact, evil: str, status: int) -> None:
        attack(lab, redirect(f"http://{evil}/x", status), host=lab.target_host, method="PUT", path="/manifests/")
        assert str(status) in str(fails(lab))
        assert lab.asked(evil) == []

    @pytest.mark.parametrize(
        "location",
        ["file:///etc/passwd", "ftp://x/", "gopher://x/", "data:,x", "javascript:1", "FILE:///x", "https:/x"],
    )
    def test_redirect_to_something_that_is_no_host(self, lab: Lab, image: content.Artifact, location: str) -> None:
        attack(lab, redirect(location), path="/blobs/")
        error = fails(lab)
        assert isinstance(error.__cause__, ProtocolError)
        assert "passwd" not in str(error)

    def test_a_chain_over_several_hosts_shows_nothing_to_any(self, lab: Lab, server: Server) -> None:
        artifact = lab.put(content.image(layers=(5000,)))
        lab.source_app.authorise = BasicAuth({"user": SECRET})
        lab.source_credentials = Password("user", SECRET)
        last = server.serve_plain(BlobStorageApp(lab.source_app.store))

        def hop(to: str) -> Callable[[Request], Response]:
            return lambda request: Response(307, {"Location": f"http://{to}{request.path}?{_query(request)}"})

        middle = server.serve_plain(hop(last))
        first = server.serve_plain(hop(middle))
        lab.behave(lab.source_app, redirect_blobs_to=f"http://{first}")
        lab.copy()
        assert_copied(lab.target_app, artifact, "v1")
        for host in (first, middle, last):
            assert len(lab.asked(host)) == len(artifact.blobs)
            self.assert_nothing_shown(lab, host)

    @pytest.mark.parametrize(
        "extra",
        [
            'scope="repository:*:*"',
            'scope="registry:catalog:* repository:other:delete,push"',
            'service="x&scope=repository:other:push"',
            'scope="repository:src/app:pull,push,delete"',
        ],
    )
    def test_no_challenge_widens_the_scope(self, lab: Lab, image: content.Artifact, extra: str) -> None:
        asked: list[Request] = []

        def token(request: Request) -> Response:
            asked.append(request)
            return Response(200, {}, b'{"token":"t"}')

        realm = lab.server.serve_plain(token)
        challenge = (("WWW-Authenticate", f'Bearer realm="http://{realm}/token",{extra}'),)
        attack(lab, Answer(401, challenge), when=lambda request: "Authorization" not in request.headers)
        lab.source_credentials = Password("user", SECRET)
        lab.copy()
        assert {value for request in asked for value in request.args("scope")} == {f"repository:{SOURCE}:pull"}

    def test_a_password_is_not_shown_as_basic_where_a_realm_was_named(
        self, lab: Lab, image: content.Artifact, evil: str
    ) -> None:
        """Bearer goes before Basic: whoever can make the registry offer both gains nothing at the registry."""
        lab.source_credentials = Password("user", SECRET)
        challenge = f'Basic realm="x", Bearer realm="http://{evil}/token",service="x"'
        attack(lab, Answer(401, (("WWW-Authenticate", challenge),)))
        fails(lab)
        basic = base64.b64encode(f"user:{SECRET}".encode()).decode()
        assert all(basic not in str(entry.headers) for entry in lab.asked(lab.source_host))


def _query(request: Request) -> str:
    return "&".join(f"{name}={value}" for name, value in request.query)
