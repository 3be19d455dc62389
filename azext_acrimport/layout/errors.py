# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""What can be wrong with an image layout."""

from __future__ import annotations

from enum import Enum

from azext_acrimport.registry.errors import RegistryFailure


class Fault(str, Enum):
    """What is wrong."""

    UNREADABLE = "unreadable"  # the system does not let us, or it is no file or directory
    COMPRESSED = "compressed"  # nothing can be read from its middle
    DOCKER_ARCHIVE = "docker archive"  # what `docker save` wrote before it wrote layouts
    NOT_A_LAYOUT = "not a layout"
    INCOMPLETE = "incomplete"  # something that it refers to is not in it
    NO_SUCH_IMAGE = "no such image"
    SEVERAL_IMAGES = "several images"


class LayoutError(RegistryFailure):
    """An image layout cannot be read, or does not hold what is wanted. ``host`` is the layout as the user wrote it."""

    def __init__(self, host: str, fault: Fault, detail: str) -> None:
        super().__init__(host)
        self.fault = fault
        self.detail = detail

    def __str__(self) -> str:
        return self.detail
