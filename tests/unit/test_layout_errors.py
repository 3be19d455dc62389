# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""What a user is told of a layout that cannot be used, and what to type next."""

from __future__ import annotations

import pytest
from azure.cli.core import azclierror

from azext_acrimport._errors import cli_errors
from azext_acrimport.layout.errors import Fault, LayoutError
from azext_acrimport.layout.reference import LayoutReference
from azext_acrimport.registry.errors import ContentMismatch, RegistryFailure
from azext_acrimport.transfer.errors import CopyError, Side

LAYOUT = "oci-archive:app.tar"


def shown(cause: Exception, subject: str = "v1") -> tuple[str, str, str]:
    """The class, the message and the advice that a failure of the layout becomes."""
    error = CopyError(Side.SOURCE, LAYOUT, "", subject)
    error.__cause__ = cause
    with pytest.raises(azclierror.AzCLIError) as raised, cli_errors():
        raise error
    return type(raised.value).__name__, raised.value.error_msg, "\n".join(raised.value.recommendations)


@pytest.mark.parametrize(
    ("fault", "kind", "advice"),
    [
        (Fault.UNREADABLE, "FileOperationError", ""),
        (Fault.COMPRESSED, "InvalidArgumentValueError", "Decompress it first, with gunzip, unxz or unzstd: app.tar"),
        (
            Fault.DOCKER_ARCHIVE,
            "InvalidArgumentValueError",
            "skopeo copy docker-archive:app.tar oci-archive:NEW.tar",
        ),
        (Fault.NOT_A_LAYOUT, "InvalidArgumentValueError", "skopeo copy --all docker://IMAGE oci-archive:FILE.tar:TAG"),
        (Fault.INCOMPLETE, "FileOperationError", f"skopeo copy --all docker://IMAGE {LAYOUT}:TAG"),
        (Fault.NO_SUCH_IMAGE, "ResourceNotFoundError", "LAYOUT@sha256:DIGEST"),
        (Fault.SEVERAL_IMAGES, "InvalidArgumentValueError", f"--source {LAYOUT}:NAME"),
    ],
)
def test_each_fault_has_a_next_step(fault: Fault, kind: str, advice: str) -> None:
    name, message, recommended = shown(LayoutError(LAYOUT, fault, "it is so"))

    assert (name, message) == (kind, f"Cannot import from source {LAYOUT}:v1: it is so")
    assert advice in recommended


def test_every_fault_is_explained() -> None:
    for fault in Fault:
        assert shown(LayoutError(LAYOUT, fault, "it is so"))[0] != "UnclassifiedUserFault"


@pytest.mark.parametrize(
    "cause", [ContentMismatch(LAYOUT, "other content"), LayoutError(LAYOUT, Fault.INCOMPLETE, "cut off")]
)
def test_damage_on_the_way_is_no_fault_of_a_registry(cause: RegistryFailure) -> None:
    kind, _, recommended = shown(cause)

    assert kind == "FileOperationError"
    assert "Compare its checksum" in recommended
    assert "registry" not in recommended


def test_without_a_name_the_layout_alone_is_said() -> None:
    assert shown(LayoutError(LAYOUT, Fault.SEVERAL_IMAGES, "it is so"), "")[1].startswith(
        f"Cannot import from source {LAYOUT}: "
    )


def test_a_layout_that_is_not_there_is_a_bad_argument() -> None:
    with pytest.raises(azclierror.InvalidArgumentValueError) as raised, cli_errors():
        LayoutReference.parse("oci-archive:gone.tar:v1", exists=lambda path: False)
    assert raised.value.error_msg == "There is no file 'gone.tar'."
