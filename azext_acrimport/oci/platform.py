# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""Platforms: ``os/architecture[/variant][:os.version]``.

Source: OCI image specification, "Image Index Property Descriptions".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from azext_acrimport.oci.digest import printable
from azext_acrimport.oci.errors import InvalidPlatform

_WORD = "[a-z0-9_.-]+"
_TEXT = rf"(?P<os>{_WORD})/(?P<architecture>{_WORD})(?:/(?P<variant>{_WORD}))?(?::(?P<version>{_WORD}))?\Z"
# Other names of the same, as containerd reads them (platforms/database.go); so do docker and every client above it.
_OS = {"macos": "darwin"}
_ARCHITECTURES = {
    "i386": ("386", ""),
    "x86_64": ("amd64", ""),
    "x86-64": ("amd64", ""),
    "aarch64": ("arm64", ""),
    "armhf": ("arm", "v7"),
    "armel": ("arm", "v6"),
}
_PLAIN_VARIANTS = {  # the variant that an architecture means without one
    "amd64": frozenset({"v1"}),
    "arm64": frozenset({"8", "v8", "v8.0"}),
}


class Platform(NamedTuple):
    """Where an image runs."""

    os: str
    architecture: str
    variant: str = ""
    os_version: str = ""

    def __str__(self) -> str:
        name = "/".join(part for part in (self.os, self.architecture, self.variant) if part)
        return f"{name}:{self.os_version}" if self.os_version else name

    @property
    def is_unknown(self) -> bool:
        """Whether it stands for what does not run at all, such as BuildKit's attestations in an index."""
        return "unknown" in (self.os, self.architecture)

    @property
    def normalized(self) -> Platform:
        """The same under the names that images are published with: ``linux/aarch64`` is ``linux/arm64``."""
        system, architecture, variant = self.os.lower(), self.architecture.lower(), self.variant.lower()
        if architecture in _ARCHITECTURES:
            architecture, implied = _ARCHITECTURES[architecture]
            variant = implied or variant
        if architecture == "arm":
            variant = "v7" if not variant else f"v{variant}" if variant.isdigit() else variant
        if architecture == "386" or variant in _PLAIN_VARIANTS.get(architecture, ()):
            variant = ""
        return Platform(_OS.get(system, system), architecture, variant, self.os_version)

    def matches(self, offered: Platform) -> bool:
        """Whether an image for the platform ``offered`` is one for this platform.

        Without an ``os_version`` any will do; one that is cut off at a dot stands for all that begin with it.
        """
        mine, other = self.normalized, offered.normalized
        version = mine.os_version
        return (mine.os, mine.architecture, mine.variant) == (other.os, other.architecture, other.variant) and (
            not version or f"{other.os_version}.".startswith(f"{version}.")
        )

    @staticmethod
    def parse(text: str) -> Platform:
        """Read ``os/architecture[/variant][:os.version]``, under any of the names that are in use.

        :raises InvalidPlatform: it is not of that form.
        """
        found = re.match(_TEXT, text.lower())
        if not found:
            form = "os/architecture[/variant][:os.version], such as linux/amd64"
            raise InvalidPlatform(f"{printable(text)} is not a platform of the form {form}")
        names = found.groupdict(default="")
        return Platform(names["os"], names["architecture"], names["variant"], names["version"]).normalized

    @staticmethod
    def from_fields(fields: Any) -> Platform | None:
        """Read the ``platform`` of a descriptor, or the config of an image; None where there is none that makes sense.

        A platform is advice to clients that run images. A copy does not depend on it, so a malformed one is no error.
        """
        if not isinstance(fields, Mapping):
            return None
        values = [fields.get(key, "") for key in ("os", "architecture", "variant", "os.version")]
        if not all(isinstance(value, str) for value in values) or not values[0]:
            return None
        return Platform(*values)
