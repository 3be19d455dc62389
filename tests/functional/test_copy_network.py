# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Hosts by their real names: proxies, https, and the words for what cannot be reached."""

from __future__ import annotations

import itertools
import time
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from azext_acrimport.registry.address import Origin
from azext_acrimport.registry.credentials import Password
from azext_acrimport.registry.errors import ConnectionFailed, ProtocolError, Reason, RegistryError
from azext_acrimport.registry.repository import Repository
from azext_acrimport.registry.sender import Answer as Answered
from azext_acrimport.transfer.copier import Root, Target, copy
from azext_acrimport.transfer.errors import CopyError, Side
from emulator import content
from emulator.auth import BasicAuth, Scope
from emulator.faults import Action, Answer, Fault, SetHeader, registry_error
from emulator.http import Request, Response, Server
from emulator.registry import BlobStorageApp
from tests.support.lab import SOURCE, TARGET, Lab, assert_copied, transport

ACR, OTHER_ACR, STORAGE = "target.azurecr.io", "source.azurecr.io", "store.blob.core.windows.net"


@pytest.fixture
def image(lab: Lab) -> content.Artifact:
    return lab.put(content.multi_arch(layers=(2000, 300_000)))


def through_proxy(lab: Lab, server: Server, **proxies: str) -> None:
    """Both registries by name, behind the emulator's proxy."""
    server.add_host(OTHER_ACR, lab.source_app)
    server.add_host(ACR, lab.target_app)
    server.add_host(STORAGE, BlobStorageApp(lab.source_app.store))
    lab.source_host, lab.target_host = OTHER_ACR, ACR
    lab.transport = transport(ca_bundle=str(server.ca_file), proxies={"https": server.inside_proxy, **proxies})


def test_both_sides_through_a_proxy(lab: Lab, server: Server, image: content.Artifact) -> None:
    through_proxy(lab, server)
    lab.copy()
    assert_copied(lab.target_app, image, "v1")
    assert {entry.client for entry in server.log} == {"inside"}


def test_storage_by_its_name(lab: Lab, server: Server, image: content.Artifact) -> None:
    through_proxy(lab, server)
    lab.behave(lab.source_app, redirect_blobs_to=STORAGE)
    lab.copy()
    assert_copied(lab.target_app, image, "v1")
    assert len(lab.asked(STORAGE, "GET")) == len(image.all_blobs)


def test_redirect_from_https_to_plain_http_is_not_followed(lab: Lab, server: Server, image: content.Artifact) -> None:
    through_proxy(lab, server)
    lab.behave(lab.source_app, redirect_blobs_to=f"http://{STORAGE}")
    with pytest.raises(CopyError, match="not followed") as raised:
        lab.copy()
    assert raised.value.side is Side.SOURCE
    assert lab.asked(STORAGE) == []
    assert "sig=" not in str(raised.value)


def test_name_that_no_proxy_is_for(lab: Lab, server: Server, image: content.Artifact) -> None:
    through_proxy(lab, server, no=OTHER_ACR)
    with pytest.raises(CopyError) as raised:
        lab.copy()
    assert raised.value.side is Side.SOURCE
    assert isinstance(raised.value.__cause__, ConnectionFailed)
    assert raised.value.__cause__.reason is Reason.DNS
    assert OTHER_ACR in str(raised.value)


def test_proxy_that_does_not_let_by_is_named(lab: Lab, server: Server, image: content.Artifact) -> None:
    through_proxy(lab, server)
    server.add_host(OTHER_ACR, lab.source_app)
    server.faults.add(Fault(registry_error(403, "BLOCKED"), method="CONNECT", host=ACR, times=None))
    with pytest.raises(CopyError) as raised:
        lab.copy()
    cause = raised.value.__cause__
    assert raised.value.side is Side.TARGET
    assert isinstance(cause, ConnectionFailed)
    assert cause.reason is Reason.PROXY
    assert server.inside_proxy.removeprefix("http://") in str(cause)


def test_upload_that_goes_on_at_another_host_takes_no_credentials_there(
    lab: Lab, server: Server, image: content.Artifact
) -> None:
    through_proxy(lab, server)
    server.add_host("uploads.example", lab.target_app)
    users = {"user": "secret"}
    lab.target_credentials = Password("user", "secret")

    def authorise(request: Request, needed: tuple[Scope, ...]) -> Response | None:
        return None if request.host == "uploads.example" else BasicAuth(users)(request, needed)

    lab.target_app.authorise = authorise
    server.faults.add(Fault(_Elsewhere("https://uploads.example"), host=ACR, method="POST", times=None))
    lab.copy()
    assert_copied(lab.target_app, image, "v1")
    assert len(lab.asked("uploads.example", "PUT")) == len(image.all_blobs)
    assert all("Authorization" not in entry.headers for entry in lab.asked("uploads.example"))


@pytest.mark.parametrize("form", ["PUT", "PATCH"])
def test_large_blob_over_a_connection_of_its_own_to_https(lab: Lab, server: Server, form: str) -> None:
    """TLS 1.3 servers send session tickets once the connection stands: bytes to read, but no answer."""
    artifact = lab.put(content.image(layers=(1_000_000,)))
    lab.transport = transport(ca_bundle=str(server.ca_file), timeout_seconds=1.0)
    lab.target_host = server.serve_tls(lab.target_app)
    server.faults.add(Fault(SetHeader("Connection", "close"), host=lab.target_host, times=None))
    root = lab.root()
    root.targets[0].repository.registry.habits.put_limit = 0 if form == "PATCH" else 1 << 62
    copy([root])
    assert_copied(lab.target_app, artifact, "v1")
    assert lab.clock.waits == []
    assert len(lab.asked(lab.target_host, form, "/uploads/")) <= len(artifact.blobs) + (form == "PUT")


def test_refusal_during_an_upload_over_https_is_heard(lab: Lab, server: Server) -> None:
    artifact = lab.put(content.image(layers=(6 << 20,)))
    lab.transport = transport(ca_bundle=str(server.ca_file))
    lab.target_host = server.serve_tls(lab.target_app)
    server.faults.add(Fault(Answer(413, early="close"), method="PUT", path="/uploads/", when=_is_large, times=None))
    lab.copy()
    assert_copied(lab.target_app, artifact, "v1")
    assert lab.clock.waits == []


def test_tags_are_asked_for_together_after_https_was_found_out(lab: Lab, server: Server) -> None:
    tags = [f"v{number}" for number in range(10)]
    image = lab.put(content.image(), *tags)
    lab.transport = transport(ca_bundle=str(server.ca_file))
    lab.source_host = server.serve_tls(lab.source_app)
    source = lab.source.repository(SOURCE)

    begun = [source.begin_digests_of(tags) for _ in range(4)]  # as many threads do, before one of them knows better
    assert [source.digests_at_once(tags, each) for each in begun] == [{}] * 4
    assert source.digest_of("v0") == image.digest

    assert source.digests_at_once(tags) == dict.fromkeys(tags, image.digest)


@pytest.mark.parametrize("side", ["source", "target", "both"])
def test_https_on_this_machine(lab: Lab, server: Server, image: content.Artifact, side: str) -> None:
    lab.transport = transport(ca_bundle=str(server.ca_file))
    if side != "target":
        lab.source_host = server.serve_tls(lab.source_app)
    if side != "source":
        lab.target_host = server.serve_tls(lab.target_app)
    lab.copy()
    assert_copied(lab.target_app, image, "v1")


def test_certificate_that_is_not_trusted_is_told_at_once(lab: Lab, server: Server, image: content.Artifact) -> None:
    lab.target_host = server.serve_tls(lab.target_app)
    with pytest.raises(CopyError) as raised:
        lab.copy()
    assert raised.value.side is Side.TARGET
    assert isinstance(raised.value.__cause__, ConnectionFailed)
    assert raised.value.__cause__.reason is Reason.TLS
    assert lab.clock.waits == []


def test_no_verification_where_it_is_turned_off(lab: Lab, server: Server, image: content.Artifact) -> None:
    lab.transport = transport(verify=False)
    lab.target_host = server.serve_tls(lab.target_app)
    lab.copy()
    assert_copied(lab.target_app, image, "v1")


@pytest.mark.parametrize("side", ["source", "target"])
def test_registry_that_is_not_there(lab: Lab, image: content.Artifact, side: str) -> None:
    if side == "source":
        lab.source_host = "127.0.0.1:1"
    else:
        lab.target_host = "127.0.0.1:1"
    with pytest.raises(CopyError) as raised:
        lab.copy()
    assert raised.value.side.value == side
    assert isinstance(raised.value.__cause__, ConnectionFailed)
    assert raised.value.__cause__.reason is Reason.REFUSED


class TestRefusals:
    """What a user is told of a registry that answers no."""

    def failure(self, lab: Lab, *arguments: Any) -> CopyError:
        with pytest.raises(CopyError) as raised:
            lab.copy(*arguments)
        assert lab.target_app.store.get(TARGET) is None or lab.target_app.store.repository(TARGET).tags == {}
        return raised.value

    @pytest.mark.parametrize("identifier", ["absent", "sha256:" + "0" * 64])
    def test_image_that_is_not_there(self, lab: Lab, image: content.Artifact, identifier: str) -> None:
        error = self.failure(lab, identifier, (TARGET, ("v1",)))
        assert (error.side, error.subject) == (Side.SOURCE, identifier)
        assert isinstance(error.__cause__, RegistryError)
        assert error.__cause__.status == 404
        assert "MANIFEST_UNKNOWN" in error.__cause__.codes

    def test_repository_that_is_not_there(self, lab: Lab) -> None:
        error = self.failure(lab)
        assert error.side is Side.SOURCE
        assert isinstance(error.__cause__, RegistryError)
        assert "NAME_UNKNOWN" in error.__cause__.codes

    @pytest.mark.parametrize("side", ["source", "target"])
    def test_firewall_in_the_registrys_own_words(self, lab: Lab, image: content.Artifact, side: str) -> None:
        """The answer to a HEAD has no body, and the text is what tells a user what to do."""
        message = "client with IP '1.2.3.4' is not allowed access. Refer https://aka.ms/acr/firewall to grant access."
        host = lab.source_host if side == "source" else lab.target_host
        lab.server.faults.add(Fault(registry_error(403, "DENIED", message), host=host, times=None))
        error = self.failure(lab)
        assert error.side.value == side
        assert message in str(error)

    def test_docker_schema_1(self, lab: Lab) -> None:
        lab.put(content.schema1())
        error = self.failure(lab)
        assert error.side is Side.SOURCE
        assert "schema 1" in str(error)

    @pytest.mark.parametrize("surplus", [1, 100_000])
    def test_manifest_over_4_mib(self, lab: Lab, surplus: int) -> None:
        padding = {"a": "x" * ((4 << 20) + surplus)}
        lab.put(content.image(annotations=padding))
        error = self.failure(lab)
        assert error.side is Side.SOURCE
        assert "4 MiB" in str(error)

    def test_index_without_end(self, lab: Lab) -> None:
        artifact = content.image()
        for _ in range(12):
            artifact = content.index(artifact)
        lab.put(artifact)
        error = self.failure(lab)
        assert error.side is Side.SOURCE
        assert "nested" in str(error)

    @pytest.mark.parametrize("text", [b"nonsense", b"[]", b'{"manifests":[1]}', b'{"manifests":{}}'])
    def test_what_is_no_manifest(self, lab: Lab, text: bytes) -> None:
        lab.source_app.store.repository(SOURCE).add_manifest(text, content.OCI_INDEX, tags=["v1"])
        assert self.failure(lab).side is Side.SOURCE

    def test_child_that_is_missing(self, lab: Lab, image: content.Artifact) -> None:
        lab.source_app.store.repository(SOURCE).delete_manifest(image.children[1].digest)
        error = self.failure(lab)
        assert (error.side, error.subject) == (Side.SOURCE, image.children[1].digest)

    def test_blob_that_is_missing(self, lab: Lab, image: content.Artifact) -> None:
        missing = content.digest_of(image.children[1].blobs[1])
        lab.source_app.store.repository(SOURCE).delete_blob(missing)
        error = self.failure(lab)
        assert (error.side, error.subject) == (Side.SOURCE, missing)

    def test_target_that_refuses_the_manifest(self, lab: Lab, image: content.Artifact) -> None:
        refusal = registry_error(400, "MANIFEST_INVALID", "the manifest is not to our taste")
        lab.server.faults.add(Fault(refusal, host=lab.target_host, method="PUT", path="/manifests/", times=None))
        error = self.failure(lab)
        assert error.side is Side.TARGET
        assert "not to our taste" in str(error)

    def test_two_hosts_of_one_name_are_told_apart_by_their_side(self, lab: Lab, image: content.Artifact) -> None:
        lab.target_host, lab.target_app = lab.source_host, lab.source_app
        lab.behave(lab.source_app, locked_repositories=frozenset({TARGET}))
        error = self.failure(lab)
        assert (error.side, error.repository) == (Side.TARGET, TARGET)


def test_tags_of_a_repository_are_listed_page_by_page(lab: Lab) -> None:
    tags = [f"v{number}" for number in range(25)]
    lab.put(content.image(), *tags)
    lab.behave(lab.source_app, max_tags_page=10)
    assert sorted(lab.source.repository(SOURCE).tags()) == sorted(tags)
    assert list(lab.source.repository("absent").tags()) == []


def test_list_of_tags_that_goes_round_in_circles_ends(lab: Lab) -> None:
    lab.put(content.image())
    link = f'</v2/{SOURCE}/tags/list?n=1000>; rel="next"'
    lab.server.faults.add(Fault(SetHeader("Link", link), path="/tags/list", times=None))
    with pytest.raises(Exception, match="does not end"):
        list(lab.source.repository(SOURCE).tags())


@pytest.mark.parametrize("link", ["<https://evil.example/v2/x>; rel=next", "<ftp://x/>; rel=next"])
def test_list_of_tags_does_not_lead_to_other_hosts(lab: Lab, link: str) -> None:
    lab.put(content.image())
    lab.server.faults.add(Fault(SetHeader("Link", link), path="/tags/list", times=None))
    with pytest.raises(Exception, match="goes on at"):
        list(lab.source.repository(SOURCE).tags())


def test_link_without_end_is_read_in_no_time(lab: Lab) -> None:
    lab.put(content.image())
    lab.server.faults.add(Fault(SetHeader("Link", "<" * 30_000), path="/tags/list"))
    began = time.process_time()
    assert list(lab.source.repository(SOURCE).tags()) == ["v1"]
    assert time.process_time() - began < 1


@given(st.text(max_size=60) | st.text(alphabet='<>/?;,="relnxt a', max_size=60))
@settings(max_examples=200)
def test_no_link_upsets_the_list_of_tags(link: str) -> None:
    answer = Answered(200, {"link": link}, b'{"tags":["v1"]}')
    client = SimpleNamespace(call=lambda *_, **__: answer, origin=Origin("https", "r.io", 443))
    repository = Repository(cast(Any, SimpleNamespace(host="r.io", client=client)), "app")
    try:
        assert set(itertools.islice(repository.tags(), 10)) == {"v1"}
    except ProtocolError:
        pass


def test_copy_to_two_registries_at_once(lab: Lab, image: content.Artifact) -> None:
    second = type(lab.target_app)()
    to = lab.registry(lab.server.serve_plain(second))
    copy(
        [
            Root(
                lab.source.repository(SOURCE),
                "v1",
                (Target(lab.target.repository(TARGET), ("v1",)), Target(to.repository(TARGET), ("v1",))),
            )
        ]
    )
    assert_copied(lab.target_app, image, "v1")
    assert_copied(second, image, "v1")


class _Elsewhere(Action):
    """Send the client to another host for the rest of its upload."""

    def __init__(self, base: str) -> None:
        self.base = base

    def on_response(self, response: Response, line: Any) -> Response:
        response.headers["Location"] = self.base + response.headers["Location"]
        return response


def _is_large(request: Request) -> bool:
    return int(request.headers.get("Content-Length") or 0) > 1 << 20
