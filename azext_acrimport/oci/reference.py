# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""Names of images: ``registry/repository[:tag][@digest]``.

Source: OCI distribution specification, "Pulling manifests"; Docker Hub's short names as every client reads them.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from azext_acrimport.oci.digest import check_digest, printable
from azext_acrimport.oci.errors import InvalidDigest, InvalidReference

DEFAULT_TAG = "latest"
DOCKER_HUB = "docker.io"
# The kinds of image layouts, as containers-transports(5) has them: `oci:DIRECTORY`, `oci-archive:FILE`.
DIRECTORY_LAYOUT, ARCHIVE_LAYOUT = "oci", "oci-archive"
_DOCKER_HUB_NAMES = frozenset({DOCKER_HUB, "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"})

_HOST = r"(?:[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?)*|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?\Z"
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = rf"{_COMPONENT}(?:/{_COMPONENT})*\Z"
_TAG = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}\Z"
_MAX_NAME = 255


class Reference(NamedTuple):
    """One manifest in one registry: ``registry/repository[:tag][@digest]``.

    The digest, where there is one, decides which manifest is meant.
    """

    registry: str
    repository: str
    tag: str | None = None
    digest: str | None = None

    def __str__(self) -> str:
        return f"{self.registry}/{self.image}"

    @property
    def image(self) -> str:
        """The name within the registry: ``repository[:tag][@digest]``."""
        return self.repository + (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    @property
    def identifier(self) -> str:
        """The last path segment of the manifest's URL."""
        return self.digest or self.tag or DEFAULT_TAG

    def at(self, digest: str) -> Reference:
        """The same repository, at this digest."""
        return Reference(self.registry, self.repository, digest=digest)

    @staticmethod
    def parse(text: str) -> Reference:
        """Read a full name.

        ``docker.io/x`` is ``docker.io/library/x``.

        :raises InvalidReference: there is no registry in it, or a part of it is malformed.
        """
        host, slash, image = text.partition("/")
        if not slash or not host or not image:
            raise InvalidReference(f"{printable(text)} is not of the form registry/repository:tag")
        return Reference.within(host, image)

    @staticmethod
    def within(registry: str, image: str) -> Reference:
        """Read ``repository[:tag][@digest]`` as a name in the registry (a host, with a port or not).

        :raises InvalidReference: a part of it is malformed.
        """
        host = check_registry(registry)
        repository, tag, digest = split_image(image)
        if host in _DOCKER_HUB_NAMES:
            host, repository = (
                DOCKER_HUB,
                check_repository(repository if "/" in repository else f"library/{repository}"),
            )
        return Reference(host, repository, tag, digest)


def is_layout(source: str) -> bool:
    """Whether a source names an image layout, and not a registry."""
    return source.startswith((f"{DIRECTORY_LAYOUT}:", f"{ARCHIVE_LAYOUT}:"))


def is_host(text: str) -> bool:
    """Whether what stands before the first slash of a name is a registry: docker's rule, by which all clients go."""
    return "." in text or ":" in text or text.lower() == "localhost"


def split_image(image: str) -> tuple[str, str | None, str | None]:
    """Read ``repository[:tag][@digest]`` into its three parts.

    :raises InvalidReference: a part of it is malformed.
    """
    name, at, digest = image.partition("@")
    repository, colon, tag = name.partition(":")
    if at:
        try:
            check_digest(digest)
        except InvalidDigest as ex:
            raise InvalidReference(f"{printable(image)}: {ex}") from ex
    return check_repository(repository), check_tag(tag) if colon else None, digest if at else None


def check_registry(host: str) -> str:
    """Return the registry's host in lower case.

    :raises InvalidReference: it is no host name or address with an optional port.
    """
    lowered = host.lower()
    _, _, port = lowered.rpartition(":") if not lowered.endswith("]") else ("", "", "")
    if not re.match(_HOST, lowered) or len(lowered) > _MAX_NAME or (port.isdigit() and int(port) > 65535):
        raise InvalidReference(f"{printable(host)} is not the address of a registry")
    return lowered


def check_repository(name: str) -> str:
    """Return the repository's name unchanged.

    :raises InvalidReference: it does not follow the distribution specification (lower case, no empty components).
    """
    if not re.match(_REPOSITORY, name) or len(name) > _MAX_NAME:
        hint = "; repository names are lower case" if re.match(_REPOSITORY, name.lower()) else ""
        raise InvalidReference(f"{printable(name)} is not a repository name{hint}")
    return name


def is_tag(text: str) -> bool:
    """Whether the text is a tag by the distribution specification."""
    return bool(re.match(_TAG, text))


def check_tag(tag: str) -> str:
    """Return the tag unchanged.

    :raises InvalidReference: it does not follow the distribution specification.
    """
    if not is_tag(tag):
        raise InvalidReference(f"{printable(tag)} is not a tag")
    return tag
