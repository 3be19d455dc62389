# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""Platforms: ``os/architecture[/variant]``.

Source: OCI image specification, "Image Index Property Descriptions".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Platform:
    """Where an image runs."""

    os: str
    architecture: str
    variant: str = ""
    os_version: str = ""

    def __str__(self) -> str:
        name = "/".join(part for part in (self.os, self.architecture, self.variant) if part)
        return f"{name}:{self.os_version}" if self.os_version else name

    @staticmethod
    def from_fields(fields: Any) -> Platform | None:
        """Read the ``platform`` of a descriptor; None where there is none that makes sense.

        A platform is advice to clients that run images. A copy does not depend on it, so a malformed one is no error.
        """
        if not isinstance(fields, Mapping):
            return None
        values = [fields.get(key, "") for key in ("os", "architecture", "variant", "os.version")]
        if not all(isinstance(value, str) for value in values) or not values[0]:
            return None
        return Platform(*values)
