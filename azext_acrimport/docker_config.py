# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""Credentials that ``docker login``, ``podman login`` and their kin have left on this machine.

Sources: https://docs.docker.com/reference/cli/docker/login/, https://github.com/docker/docker-credential-helpers and
https://github.com/containers/image/blob/main/docs/containers-auth.json.5.md
"""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from knack.log import get_logger

from azext_acrimport.registry.credentials import BearerToken, Credentials, IdentityToken, Password

logger = get_logger(__name__)

NULL_GUID = "00000000-0000-0000-0000-000000000000"  # the user that ACR knows refresh tokens by
HELPER_SECONDS = 20.0  # a helper may ask for a fingerprint, but must not hang an unattended run
_MAX_FILE_BYTES = 4 << 20

_HUB_KEY = "https://index.docker.io/v1/"
_HUB_HOSTS = frozenset({"docker.io", "index.docker.io", "registry-1.docker.io"})
_HELPER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\Z")  # it becomes part of a program's name: no paths
_NOT_FOUND = "credentials not found"  # what every helper prints for a registry that it does not know

RunHelper = Callable[[str, str], "Mapping[str, Any] | None"]


class HelperFailed(Exception):
    """A credential helper is missing, failed, or gave no answer that can be read."""


def asked_once(run_helper: RunHelper | None = None) -> RunHelper:
    """Let each credential helper be asked once for each registry, and not again where it failed.

    A helper is a program that takes its time, and knows registries only, no repositories.
    """
    run = run_helper or _run_helper
    answers: dict[tuple[str, str], Mapping[str, Any] | None] = {}

    def ask(helper: str, server: str) -> Mapping[str, Any] | None:
        key = (helper, server)
        if key not in answers:
            answers[key] = None  # what stays where it fails
            answers[key] = run(helper, server)
        return answers[key]

    return ask


class Places(NamedTuple):
    """Where to look: the environment and the home directory."""

    environment: Mapping[str, str]
    home: Path

    @property
    def docker(self) -> Path:
        """Docker's configuration."""
        folder = self.environment.get("DOCKER_CONFIG")
        return (Path(folder) if folder else self.home / ".docker") / "config.json"

    @property
    def podman(self) -> list[Path]:
        """Podman's files, the first that exists counts."""
        named = self.environment.get("REGISTRY_AUTH_FILE")
        if named:
            return [Path(named)]
        runtime = self.environment.get("XDG_RUNTIME_DIR")
        return [Path(runtime) / "containers" / "auth.json"] if runtime else []


def find_credentials(
    host: str, repository: str, places: Places, run_helper: RunHelper | None = None
) -> Credentials | None:
    """The credentials that this machine keeps for a repository; None where it keeps none that can be used."""
    for path in (places.docker, *places.podman):
        config = _read(path)
        found = _in_config(config, host.lower(), repository, run_helper or _run_helper) if config else None
        if found:
            logger.debug("Credentials for %s were found through %s.", host, path)
            return found
    return None


def _in_config(config: Mapping[str, Any], host: str, repository: str, run_helper: RunHelper) -> Credentials | None:
    keys = list(_keys(host, repository))
    helper = _lookup(config.get("credHelpers"), keys)
    if isinstance(helper, str) and helper:
        return _from_helper(helper, host, run_helper)
    found = _from_entry(_lookup(config.get("auths"), keys), host)
    store = config.get("credsStore")
    if not found and isinstance(store, str) and store:
        return _from_helper(store, host, run_helper)
    return found


def _keys(host: str, repository: str) -> Iterator[str]:
    """What an entry may be filed under, the most specific first."""
    parts = repository.split("/")
    for name in ("docker.io", "index.docker.io", "registry-1.docker.io") if host in _HUB_HOSTS else (host,):
        yield from ("/".join([name, *parts[:count]]) for count in range(len(parts), 0, -1))
        yield name


def _lookup(entries: Any, keys: list[str]) -> Any:
    if not isinstance(entries, Mapping):
        return None
    normal = {_normal(key): value for key, value in entries.items()}
    return next((normal[key] for key in keys if key in normal), None)


def _normal(key: str) -> str:
    """A key without its scheme and without the API's path, which older versions of Docker wrote into it."""
    name = key.lower().partition("://")[2] or key.lower()
    return re.sub(r"/(?:v[12]/?)?\Z", "", name)


def _from_entry(entry: Any, host: str) -> Credentials | None:
    if not isinstance(entry, Mapping):
        return None
    token = entry.get("identitytoken")
    if isinstance(token, str) and token:
        return IdentityToken(token)
    token = entry.get("registrytoken")
    if isinstance(token, str) and token:
        return BearerToken(token)
    user, password = entry.get("username"), entry.get("password")
    if not (user and password) and isinstance(entry.get("auth"), str):
        user, password = _decode(entry["auth"], host)
    return _credentials(user, password)


def _decode(auth: str, host: str) -> tuple[str, str]:
    try:
        user, _, password = base64.b64decode(auth, validate=False).decode("utf-8").partition(":")
    except ValueError:
        logger.warning("The entry for %s among the saved credentials cannot be read, and is left out.", host)
        return "", ""
    return user, password.rstrip("\0")  # Docker pads some passwords


def _credentials(user: Any, password: Any) -> Credentials | None:
    if not (isinstance(user, str) and isinstance(password, str) and user and password):
        return None
    return IdentityToken(password) if user in ("<token>", NULL_GUID) else Password(user, password)


def _from_helper(helper: str, host: str, run_helper: RunHelper) -> Credentials | None:
    server = _HUB_KEY if host in _HUB_HOSTS else host
    try:
        answer = run_helper(helper, server)
    except HelperFailed as ex:
        logger.warning("The credential helper %s gave nothing for %s (%s); going on without it.", helper, host, ex)
        return None
    return _credentials(answer.get("Username"), answer.get("Secret")) if answer else None


def _run_helper(helper: str, server: str) -> Mapping[str, Any] | None:
    """Ask ``docker-credential-HELPER``; None where it knows the registry not.

    What it prints is secret, and goes into no message.
    """
    program = shutil.which(f"docker-credential-{helper}") if _HELPER_NAME.match(helper) else None
    if not program:
        raise HelperFailed("the program is not installed")
    try:
        done = subprocess.run(
            [program, "get"], input=server.encode(), capture_output=True, timeout=HELPER_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as ex:
        raise HelperFailed(f"no answer within {HELPER_SECONDS:g} seconds") from ex
    except OSError as ex:
        raise HelperFailed(f"it cannot be run: {ex.strerror}") from ex
    if done.returncode != 0:
        if _NOT_FOUND in (done.stdout + done.stderr).decode("utf-8", "replace").lower():
            return None
        raise HelperFailed(f"exit status {done.returncode}")
    try:
        answer = json.loads(done.stdout)
    except ValueError as ex:
        raise HelperFailed("its answer cannot be read") from ex
    if not isinstance(answer, Mapping):
        raise HelperFailed("its answer cannot be read")
    return answer


def _read(path: Path) -> Mapping[str, Any] | None:
    try:
        if path.stat().st_size > _MAX_FILE_BYTES:
            raise ValueError("too large")
        config = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as ex:
        logger.warning("%s cannot be read (%s), and is left out.", path, type(ex).__name__)
        return None
    return config if isinstance(config, Mapping) else None
