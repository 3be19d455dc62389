# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""Names in the target that are made from those of the source: ``prod/{repository}:{tag}``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from azext_acrimport.oci.digest import printable
from azext_acrimport.oci.errors import InvalidReference
from azext_acrimport.oci.reference import DEFAULT_TAG, Reference, check_repository, split_image
from azext_acrimport.request import InvalidRequest

FIELDS = ("registry", "repository", "name", "tag")

_FIELD = re.compile(r"\{([^{}]*)\}")
_NOT_IN_A_NAME = re.compile(r"[^a-z0-9._-]+")


class SourceParts(NamedTuple):
    """What a template can name; None where the source has no such part."""

    registry: str | None = None
    repository: str | None = None
    tag: str | None = None

    @staticmethod
    def of(source: Reference) -> SourceParts:
        """The parts of a full name; without a tag and a digest its tag is ``latest``."""
        tag = source.tag or (None if source.digest else DEFAULT_TAG)
        return SourceParts(source.registry, source.repository, tag)

    @property
    def fields(self) -> Mapping[str, str | None]:
        """The value of each field.

        ``{registry}`` is made to fit a repository's name: lower case, and a hyphen for the colon of a port.
        """
        registry = _NOT_IN_A_NAME.sub("-", self.registry.lower()).strip("-") if self.registry else None
        name = self.repository.rpartition("/")[2] if self.repository else None
        return {"registry": registry, "repository": self.repository, "name": name, "tag": self.tag}


def has_fields(text: str) -> bool:
    """Whether the text is a template, or was meant to be one: names have no braces."""
    return "{" in text or "}" in text


def check_template(text: str, *, option: str = "--image") -> None:
    """Check what can be checked without a source.

    :raises InvalidRequest: a field is unknown, or a brace has no partner.
    """
    for field in _FIELD.findall(text):
        if field not in FIELDS:
            raise InvalidRequest(f"{_at(option, text)}: there is no field {printable('{' + field + '}')}{_known()}")
    if has_fields(_FIELD.sub("", text)):
        raise InvalidRequest(f"{_at(option, text)}: a brace has no partner{_known()}")


def expand(text: str, source: SourceParts, *, option: str = "--image") -> str:
    """The name that the template gives for the source; a text without fields is returned as it is.

    :raises InvalidRequest: see :func:`check_template`; or the source has no such part, or what comes out is not a
        name: for ``--repository`` a repository, else ``repository[:tag]``.
    """
    if not has_fields(text):
        return text
    check_template(text, option=option)
    fields = source.fields
    for field in _FIELD.findall(text):
        if not fields[field]:
            raise InvalidRequest(f"{_at(option, text)}: the source has no {field}{_known()}")
    name = _FIELD.sub(lambda found: fields[found[1]] or "", text)
    try:
        digest = None
        if option == "--repository":
            check_repository(name)
        else:
            digest = split_image(name)[2]
    except InvalidReference as ex:
        raise InvalidRequest(f"{_at(option, text)} gives no name for the target: {ex}{_known()}") from ex
    if digest:
        raise InvalidRequest(f"{_at(option, text)}: the target is repository:tag, it takes no digest")
    return name


def _at(option: str, text: str) -> str:
    return f"{option} {printable(text)}"


def _known() -> str:
    return "; the fields are " + ", ".join(f"{{{each}}}" for each in FIELDS)
