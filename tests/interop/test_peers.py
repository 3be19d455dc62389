# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Registries as people run them: behind tokens, TLS, caches, storages and proxies. All of them real programs."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from azext_acrimport.explain import Surroundings, explain_copy_error
from azext_acrimport.registry.credentials import Credentials, Password
from azext_acrimport.registry.errors import ConnectionFailed, Reason, RegistryError
from azext_acrimport.registry.registry import Registry
from azext_acrimport.registry.transport import Transport, TransportSettings
from azext_acrimport.transfer.copier import Root, Target, copy
from azext_acrimport.transfer.errors import CopyError, Side
from azext_acrimport.transfer.result import CopyResult
from emulator import content
from emulator.tls import CertificateAuthority
from tests.interop.conftest import Skopeo, tls
from tests.interop.peers import DockerRegistry, proxying, serving
from tests.interop.tokens import serving_tokens

pytestmark = pytest.mark.interop

IMAGE = content.multi_arch("peers", layers=(60_000, 5_000_000))
BUILDER = Password("builder", "s3cret")
ELSEWHERE = "0.0.0.0"  # this machine by an address for which, unlike loopback, a proxy is asked


def import_image(
    source: DockerRegistry,
    target: DockerRegistry,
    settings: TransportSettings | None = None,
    *,
    tag: str = "v1",
    source_credentials: Credentials | None = None,
    target_credentials: Credentials | None = None,
) -> CopyResult:
    """Copy ``from/app:v1`` of one registry to ``to/app`` in another."""
    with Transport(settings) as transport:
        origin = Registry(source.host, transport=transport, credentials=source_credentials).repository("from/app")
        goal = Registry(target.host, transport=transport, credentials=target_credentials).repository("to/app")
        return copy([Root(origin, "v1", (Target(goal, (tag,)),))])[0]


@pytest.fixture(autouse=True)
def _filled(source: DockerRegistry) -> None:
    source.put(IMAGE, "from/app", "v1")


def assert_arrived(target: DockerRegistry, skopeo: Skopeo, host: str = "") -> None:
    """The target holds the image and nothing else, and skopeo reads it, through another registry if need be."""
    assert target.contents() == {**IMAGE.manifests, **IMAGE.all_blobs}
    assert skopeo.raw_manifest(f"{host or target.host}/to/app:v1") == IMAGE.manifest


def test_tokens_of_a_service(source: DockerRegistry, target: DockerRegistry, skopeo: Skopeo, tmp_path: Path) -> None:
    with serving_tokens({"builder": "s3cret"}) as tokens:
        settings = tokens.settings(tmp_path)
        with (
            serving(tmp_path / "from", settings, root=source.root) as private_source,
            serving(tmp_path / "to", settings, root=target.root) as private_target,
        ):
            for wrong in (None, Password("builder", "wrong")):
                with pytest.raises(CopyError) as refused:
                    import_image(private_source, target, source_credentials=wrong)
                assert refused.value.side is Side.SOURCE
            import_image(private_source, private_target, source_credentials=BUILDER, target_credentials=BUILDER)

    assert_arrived(target, skopeo, target.host)
    signed_in = [scopes for user, scopes in tokens.asked if user == "builder"]
    assert {scope for scopes in signed_in for scope in scopes} == {
        "repository:from/app:pull",
        "repository:to/app:pull,push",
    }
    assert len(signed_in) <= 4  # not one for each request


def test_tls_of_an_authority_that_has_to_be_named(
    source: DockerRegistry,
    target: DockerRegistry,
    skopeo: Skopeo,
    tmp_path: Path,
    users: dict[str, Any],
    authority: CertificateAuthority,
) -> None:
    trusting = TransportSettings(ca_bundle=str(authority.ca_file))
    with (
        serving(tmp_path / "from", {**tls(authority), **users}, root=source.root) as secure_source,
        serving(tmp_path / "to", tls(authority), root=target.root) as secure_target,
    ):
        with pytest.raises(CopyError) as refused:
            import_image(source, secure_target)
        import_image(secure_source, secure_target, trusting, source_credentials=BUILDER)

    assert isinstance(refused.value.__cause__, ConnectionFailed)
    assert (refused.value.side, refused.value.__cause__.reason) == (Side.TARGET, Reason.TLS)
    shown = explain_copy_error(refused.value, Surroundings())
    assert any("REQUESTS_CA_BUNDLE" in line for line in shown.advice)
    assert_arrived(target, skopeo)


def test_a_target_that_is_read_only_says_so_at_once(source: DockerRegistry, tmp_path: Path) -> None:
    read_only = {"storage": {"maintenance": {"readonly": {"enabled": True}}}}
    with serving(tmp_path / "closed", read_only) as closed, pytest.raises(CopyError) as refused:
        import_image(source, closed)

    cause = refused.value.__cause__
    assert refused.value.side is Side.TARGET
    assert isinstance(cause, RegistryError)
    assert cause.status == 405
    shown = explain_copy_error(refused.value, Surroundings())
    assert f"target {closed.host}/to/app" in shown.message
    assert "405 (Method not allowed)" in shown.message
    assert closed.contents() == {}


def test_a_pull_through_cache_as_the_source(
    source: DockerRegistry, target: DockerRegistry, skopeo: Skopeo, tmp_path: Path
) -> None:
    with serving(tmp_path / "cache", {"proxy": {"remoteurl": f"http://{source.host}"}}) as cache:
        import_image(cache, target)
        again = import_image(cache, target, tag="v2")

    assert_arrived(target, skopeo)
    assert again.bytes_copied == 0


@contextmanager
def serving_files(directory: Path) -> Iterator[tuple[str, list[str]]]:
    """Serve a directory as a storage account does; tell its URL and the requests that it had with authorization."""
    shown: list[str] = []

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *args: Any) -> None:
            shown.append(f"{self.path} {self.headers.get('Authorization', '')}".strip())

    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(directory))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", shown
        finally:
            server.shutdown()
            thread.join()


def test_a_storage_that_the_source_redirects_to(
    source: DockerRegistry, target: DockerRegistry, skopeo: Skopeo, tmp_path: Path, users: dict[str, Any]
) -> None:
    with serving_files(source.root) as (url, requests):
        redirecting = {"middleware": {"storage": [{"name": "redirect", "options": {"baseurl": url}}]}}
        with serving(tmp_path / "from", {**redirecting, **users}, root=source.root) as private:
            import_image(private, target, source_credentials=BUILDER)

    assert_arrived(target, skopeo)
    blobs = {f"/docker/registry/v2/blobs/sha256/{digest[7:9]}/{digest[7:]}/data" for digest in IMAGE.all_blobs}
    assert set(requests) == blobs  # and none of them with the password


@pytest.mark.parametrize("password", ["", "pr0xy-Pass"])
def test_a_proxy_in_between(
    source: DockerRegistry,
    target: DockerRegistry,
    skopeo: Skopeo,
    tmp_path: Path,
    authority: CertificateAuthority,
    password: str,
) -> None:
    with (
        serving(tmp_path / "from", tls(authority, ELSEWHERE), root=source.root) as secure_source,
        serving(tmp_path / "to", tls(authority, ELSEWHERE), root=target.root) as secure_target,
        proxying(tmp_path / "proxy", user="someone" if password else "", password=password) as proxy,
    ):
        sides = [
            replace(each, host=each.host.replace("127.0.0.1", ELSEWHERE)) for each in (secure_source, secure_target)
        ]

        def through(user: str) -> TransportSettings:
            return TransportSettings(
                ca_bundle=str(authority.ca_file), proxies={"https": f"http://{user}{proxy.address}"}
            )

        if password:
            with pytest.raises(CopyError) as refused:
                import_image(sides[0], sides[1], through(f"someone:not-{password}@"))
            cause = refused.value.__cause__
            assert isinstance(cause, ConnectionFailed)
            assert cause.reason is Reason.PROXY
            assert password not in str(cause)
        import_image(sides[0], sides[1], through(f"someone:{password}@" if password else ""))
        assert proxy.tunnels == {ELSEWHERE}

    assert_arrived(target, skopeo)
