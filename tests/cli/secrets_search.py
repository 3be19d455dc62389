# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""All that is secret in one test, and the search for it in everything that a command prints and writes."""

from __future__ import annotations

import base64
import urllib.parse
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from emulator.assertions import Assertions
from emulator.auth import TokenService
from emulator.jwts import Signer
from emulator.store import Store
from tests.cli.conftest import SignedInAz
from tests.cli.running import started
from tests.cli.world import World
from tests.support.az import Completed

PROXY_PASSWORD = "pr0xy-P@ss"
# Where az itself keeps tokens and secrets, on purpose.
AZ_OWN = {"msal_token_cache.json", "msal_http_cache.bin", "service_principal_entries.json"}


class Secrets:
    """All that is secret in one test, as it is issued, and where it must not appear."""

    def __init__(self, world: World, az: SignedInAz, directory: Path) -> None:
        self.world = world
        self.az = az
        self.known: set[str] = {principal.secret for principal in world.azure.principals.values()}
        self.known |= set(world.azure.private.users.values()) | {PROXY_PASSWORD}
        self.logs = directory / "logs"

    def environment(self, env: Mapping[str, str]) -> dict[str, str]:
        proxy = self.world.azure.server.inside_proxy.replace("://", f"://someone:{urllib.parse.quote(PROXY_PASSWORD)}@")
        return {
            "HTTPS_PROXY": proxy,
            "https_proxy": proxy,
            "AZURE_LOGGING_ENABLE_LOG_FILE": "true",
            "AZURE_LOGGING_LOG_DIR": str(self.logs),
            **env,
        }

    def run(
        self,
        *arguments: str,
        fails: bool = False,
        env: Mapping[str, str] | None = None,
        principal: str = "owner",
    ) -> Completed:
        """Run the command; nothing that came out of it holds a secret."""
        command = ("acrx", "import", *arguments, "--debug")
        with started(self.az, *command, env=self.environment(env or {}), principal=principal) as running:
            done = running.wait()
        assert bool(done.exit_code) == fails, str(done)
        self.assert_none_in(done, principal)
        assert "azext_acrimport" in done.stderr
        return done

    def assert_none_in(self, done: Completed, principal: str) -> None:
        self.search("stdout", done.stdout)
        self.search("stderr", done.stderr)
        files = [*self.logs.rglob("*"), *self.az.config(principal).rglob("*")]
        for file in files:
            if file.is_file() and file.name not in AZ_OWN:
                self.search(file.name, file.read_bytes().decode("utf-8", "replace"))
        assert any(self.logs.iterdir())

    def search(self, where: str, text: str) -> None:
        for line in text.splitlines():
            if "cli.knack.cli" in line and "Command arguments: [" in line:
                continue  # az prints its arguments before it loads any extension: README names the ways around
            for form in self.forms:
                assert form not in line, f"{where}: {line}"

    @property
    def forms(self) -> set[str]:
        """The secrets as they may be written."""
        found = set()
        for secret in self.known:
            found |= {secret, urllib.parse.quote(secret, safe=""), urllib.parse.quote_plus(secret), repr(secret)[1:-1]}
            for user in ("builder", "someone"):
                found.add(base64.b64encode(f"{user}:{secret}".encode()).decode())
        return found


@contextmanager
def collected(world: World, az: SignedInAz, directory: Path) -> Iterator[Secrets]:
    """Collect every token, signature and assertion that is made from here on."""
    found = Secrets(world, az, directory)
    issue, sign, refresh, check = Signer.issue, Store.sign, TokenService.issue, Assertions.check

    def issued(self: Signer, *arguments: Any, **options: Any) -> str:
        token = issue(self, *arguments, **options)
        found.known.add(token)
        return token

    def signed(self: Store, path: str) -> str:
        signature = sign(self, path)
        found.known.add(signature)
        return signature

    def handed_out(self: TokenService, *arguments: Any, **options: Any) -> str:
        token = refresh(self, *arguments, **options)
        found.known.add(token)
        return token

    def checked(self: Assertions, principal: Any, assertion: str, *arguments: Any) -> None:
        found.known.add(assertion)
        check(self, principal, assertion, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Signer, "issue", issued)
        patch.setattr(Store, "sign", signed)
        patch.setattr(TokenService, "issue", handed_out)
        patch.setattr(Assertions, "check", checked)
        yield found
