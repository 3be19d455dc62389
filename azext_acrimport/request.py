# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""What the user asks for, out of the arguments: pure, and checked before anything moves."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from azext_acrimport.hosts import is_acr_host, registry_name_of
from azext_acrimport.oci.digest import printable
from azext_acrimport.oci.errors import InvalidReference
from azext_acrimport.oci.reference import DEFAULT_TAG, check_registry, check_repository, is_host, split_image


class InvalidRequest(ValueError):
    """An argument cannot be used; the text says which and why."""


class TargetName(NamedTuple):
    """The target as given. ``login_server`` is known where the user gave it, or may be derived from the name."""

    name: str
    login_server: str | None
    given_as_login_server: bool = False

    @staticmethod
    def parse(text: str, suffix: str | None) -> TargetName:
        """Read a registry's name or login server, as ``az acr`` does.

        :raises InvalidRequest: it is neither; the message of a foreign login server names the cloud's suffix.
        """
        host = text.strip().lower()
        if "." in host:
            if not is_acr_host(host, suffix):
                ending = f": login servers of this cloud end with {suffix}" if suffix else ""
                raise InvalidRequest(f"--name {printable(text)} is not the name or login server of a registry{ending}")
            return TargetName(_registry_name(registry_name_of(host), text), host, given_as_login_server=True)
        name = _registry_name(host, text)
        return TargetName(name, f"{name}{suffix}" if suffix else None)


@dataclass(frozen=True)
class Images:
    """What is imported, and under which names.

    ``source`` is the source image as the user wrote it, without a registry. ``tags`` (``repository[:tag]``) and
    ``untagged`` (repositories that get the manifest without a tag) are as the service takes them. ``source_tag`` is
    what a name without a tag gets.
    """

    source: str
    tags: tuple[str, ...]
    untagged: tuple[str, ...] = ()
    force: bool = False
    source_tag: str = DEFAULT_TAG

    @staticmethod
    def of(source: str, images: Sequence[str], repositories: Sequence[str], *, force: bool = False) -> Images:
        """Check the names; without any for the target they are those of the source, without its digest.

        :raises InvalidRequest: a name is malformed.
        """
        source_tag = _checked("--source", split_image, source)[1]
        own = () if repositories else (source.partition("@")[0],)
        check_names(images, repositories)
        return Images(
            source, _distinct(tuple(images) or own), _distinct(repositories), force, source_tag or DEFAULT_TAG
        )

    @property
    def tagged(self) -> tuple[tuple[str, str], ...]:
        """The target's repositories and tags. Where no tag is given it is the source's, or ``latest``."""
        pairs = (split_image(image)[:2] for image in self.tags)
        return _distinct((repository, tag or self.source_tag) for repository, tag in pairs)

    @property
    def names(self) -> tuple[str, ...]:
        """The same as ``repository:tag``."""
        return tuple(f"{repository}:{tag}" for repository, tag in self.tagged)

    def without(self, there: Collection[tuple[str, str]]) -> Images | None:
        """The same image without the names (repository and tag) that are there already; None when none is left."""
        left = tuple(f"{repository}:{tag}" for repository, tag in self.tagged if (repository, tag) not in there)
        return replace(self, tags=left) if left or self.untagged else None

    @property
    def targets(self) -> Mapping[str, tuple[str, ...]]:
        """The target's repositories with their tags; a repository without tags gets the manifest only."""
        found: dict[str, tuple[str, ...]] = {}
        for repository, tag in self.tagged:
            found[repository] = (*found.get(repository, ()), tag)
        for repository in self.untagged:
            found.setdefault(repository, ())
        return found


def check_names(images: Sequence[str], repositories: Sequence[str]) -> None:
    """Check names for the target.

    :raises InvalidRequest: one is malformed.
    """
    for image in images:
        if "@" in image:
            raise InvalidRequest(f"--image {printable(image)}: the target is repository:tag, it takes no digest")
        _checked("--image", split_image, image)
    for repository in repositories:
        if ":" in repository or "@" in repository:
            raise InvalidRequest(f"--repository {printable(repository)} is to be a repository, without a tag")
        _checked("--repository", check_repository, repository)


def split_source(source: str) -> tuple[str, str]:
    """The host and the image of a full ``--source``.

    :raises InvalidRequest: there is no registry in it.
    """
    host, slash, image = source.partition("/")
    if not slash or not image or not is_host(host):
        example = source.lstrip("/") or "hello-world:latest"
        raise InvalidRequest(
            f"--source {printable(source)} names no registry: give it in full, as "
            "docker.io/library/hello-world:latest, or name a container registry of Azure with --registry beside "
            f"--source {printable(example)}"
        )
    return _checked("--source", check_registry, host), image


def check_source(source: str, registry: str | None) -> None:
    """Check ``--source``, as far as that can be done without Azure.

    :raises InvalidRequest: there is no registry in it and none beside it, or a part of it is malformed.
    """
    if not registry:  # beside it the image may repeat the login server, which is known only later
        _checked("--source", split_image, split_source(source)[1])


def within_registry(source: str, login_servers: Sequence[str]) -> tuple[str, bool]:
    """The image of a ``--source`` that stands beside ``--registry``, and whether a login server was trimmed from it."""
    host, slash, image = source.partition("/")
    if slash and host.lower() in {each.lower() for each in login_servers}:
        return image, True
    return source, False


def import_body(
    images: Images,
    *,
    resource_id: str | None = None,
    host: str | None = None,
    username: str | None = None,
    password: str | None = None,
) -> dict[str, Any]:
    """The body of the importImage operation.

    Source: https://learn.microsoft.com/rest/api/container-registry/registries/import-image
    """
    source: dict[str, Any] = {"sourceImage": images.source}
    if resource_id:
        source["resourceId"] = resource_id
    else:
        source["registryUri"] = host
        if password:
            source["credentials"] = {"username": username, "password": password} if username else {"password": password}
    return {
        "source": source,
        "targetTags": list(images.tags),
        "untaggedTargetRepositories": list(images.untagged),
        "mode": "Force" if images.force else "NoForce",
    }


def _registry_name(name: str, text: str) -> str:
    if not (name.isascii() and name.isalnum() and 5 <= len(name) <= 50):
        raise InvalidRequest(
            f"--name {printable(text)} is not a registry: names have 5 to 50 letters and digits, nothing else"
        )
    return name


def _checked(option: str, check: Any, text: str) -> Any:
    try:
        return check(text)
    except InvalidReference as ex:
        raise InvalidRequest(f"{option}: {ex}") from ex


def _distinct(items: Any) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(items))
