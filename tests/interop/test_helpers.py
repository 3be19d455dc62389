# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""The whole of ``az acrx import`` from a private registry, with what `docker login` has left in a credential helper."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emulator import content
from emulator.tls import CertificateAuthority
from tests.cli.conftest import SignedInAz, az, azure, extensions, world  # noqa: F401
from tests.cli.world import World
from tests.interop.conftest import tls
from tests.interop.peers import DockerRegistry, program, serving
from tests.support.images import assert_empty, assert_holds

pytestmark = [pytest.mark.interop, pytest.mark.cli]

IMAGE = content.multi_arch("helper")
_SCRIPT = """\
#!/bin/sh
read -r server
case "$1 $server" in
    "get {host}") echo '{{"ServerURL": "{host}", "Username": "builder", "Secret": "s3cret"}}' ;;
    *) echo "credentials not found in native keychain"; exit 1 ;;
esac
"""


@pytest.fixture
def private(
    source: DockerRegistry, tmp_path: Path, authority: CertificateAuthority, users: dict[str, Any]
) -> Iterator[DockerRegistry]:
    """A registry with an image that speaks TLS and lets in one user."""
    source.put(IMAGE, "from/app", "v1")
    with serving(tmp_path / "from", {**tls(authority), **users}, root=source.root) as registry:
        yield registry


@pytest.fixture
def script(private: DockerRegistry, tmp_path: Path) -> dict[str, str]:
    """A helper as anybody may write one: a script on the PATH."""
    file = tmp_path / "bin" / "docker-credential-script"
    file.parent.mkdir()
    file.write_text(_SCRIPT.format(host=private.host), encoding="utf-8")
    file.chmod(0o755)
    return {"helper": "script", "PATH": str(file.parent)}


@pytest.fixture
def password_store(private: DockerRegistry) -> Iterator[dict[str, str]]:
    """Docker's own helper over `pass`, whose store is encrypted with a key of this test's."""
    helper, gpg, store = (program(name) for name in ("docker-credential-pass", "gpg", "pass"))
    with tempfile.TemporaryDirectory(prefix="acrx-") as short:  # the agent's socket must have a short path
        variables = {"GNUPGHOME": short, "PASSWORD_STORE_DIR": f"{short}/store"}
        environment = {"PATH": os.environ["PATH"], "HOME": short, **variables}

        def run(*command: str, stdin: str = "") -> None:
            subprocess.run(command, env=environment, input=stdin, capture_output=True, text=True, check=True)

        key = [
            "--batch",
            "--passphrase",
            "",
            "--quick-generate-key",
            "tests@acrimport.example",
            "default",
            "default",
            "1d",
        ]
        try:
            run(gpg, *key)
            run(store, "init", "tests@acrimport.example")
            entry = {"ServerURL": private.host, "Username": "builder", "Secret": "s3cret"}
            run(helper, "store", stdin=json.dumps(entry))
            yield {"helper": "pass", **variables}
        finally:
            run("gpgconf", "--kill", "all")


@pytest.mark.parametrize(("keeper", "where"), [("script", "credHelpers"), ("password_store", "credsStore")])
def test_a_credential_helper_opens_the_source(
    request: pytest.FixtureRequest,
    world: World,  # noqa: F811
    az: SignedInAz,  # noqa: F811
    private: DockerRegistry,
    authority: CertificateAuthority,
    tmp_path: Path,
    keeper: str,
    where: str,
) -> None:
    variables: dict[str, str] = dict(request.getfixturevalue(keeper))
    helper = variables.pop("helper")
    path = os.pathsep.join([variables.pop("PATH", ""), str(Path(az.at("owner").executable).parent), os.environ["PATH"]])
    docker = tmp_path / "docker"
    docker.mkdir()
    saved = helper if where == "credsStore" else {private.host: helper}
    (docker / "config.json").write_text(json.dumps({where: saved}), encoding="utf-8")
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(world.azure.server.ca_file.read_bytes() + authority.ca_file.read_bytes())
    trust = {"REQUESTS_CA_BUNDLE": str(trusted), "CURL_CA_BUNDLE": str(trusted), "PATH": path.lstrip(os.pathsep)}
    target = world.registry()
    arguments = (
        "acrx",
        "import",
        "--name",
        target.name,
        "--source",
        f"{private.host}/from/app:v1",
        "--image",
        "app:v1",
    )

    refused = az(*arguments, env=trust, fails=True)
    assert "401" in refused.stderr
    assert_empty(target.store)

    done = az(*arguments, env={**trust, "DOCKER_CONFIG": str(docker), **variables})
    assert done.json["route"] == "local"
    assert "s3cret" not in done.stdout + done.stderr
    assert_holds(target.store, "app", IMAGE, tags=["v1"])
