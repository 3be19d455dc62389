# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""What is asked for, out of the command's arguments or a list: checked before Azure or a registry is asked anything."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

from azext_acrimport._validators import via_of
from azext_acrimport.expansion import images_of
from azext_acrimport.identity.form import SourceIdentity
from azext_acrimport.layout.reference import LayoutReference
from azext_acrimport.lists.entries import ListEntry
from azext_acrimport.lists.template import check_template, has_fields
from azext_acrimport.oci.errors import InvalidReference
from azext_acrimport.oci.platform import Platform
from azext_acrimport.oci.reference import is_layout
from azext_acrimport.oci.referrers import ReferrerFilter
from azext_acrimport.orders import Login, Request
from azext_acrimport.request import InvalidRequest, TargetName, check_names, check_source, split_source

Arguments = Mapping[str, Any]
"""What was given, by the names of options without dashes; None and False where it was not."""

_UNNAMED = "unnamed"  # of entries without a target, the reader of the list says so by itself


def requests_of(arguments: Arguments, from_file: str | None, *, suffix: str | None, config: Any) -> tuple[Request, ...]:
    """One request, or those of the list that ``--from-file`` gives.

    ``suffix`` is that of the cloud's login servers; ``config`` is the Azure CLI's.

    :raises InvalidRequest: an argument cannot be used; of a list, with all its mistakes.
    :raises OciError: the same.
    """
    given = {key: value for key, value in arguments.items() if value is not None and value is not False}
    if from_file is None:
        return (_request(ListEntry(0, given), suffix, config),)
    from azext_acrimport.lists.document import read_list
    from azext_acrimport.lists.loading import load_text

    listed = read_list(
        load_text(from_file, sys.stdin.buffer),
        os.environ,
        below=given,
        check=lambda entry: _request(entry, suffix, config),
    )
    return tuple(_request(entry, suffix, config) for entry in listed.entries)


def _request(entry: ListEntry, suffix: str | None, config: Any) -> Request:
    given: Arguments = entry.values
    request = Request(
        target=TargetName.parse(given.get("name", _UNNAMED), suffix),
        group=given.get("resource-group"),
        source=given["source"],
        registry=given.get("registry"),
        images=tuple(given.get("image", ())),
        repositories=tuple(given.get("repository", ())),
        force=given.get("force", False),
        login=login_of(given),
        via=via_of(given.get("via"), config),
        tags=entry.tag_filter,
        with_aliases=given.get("with-aliases", False),
        platforms=tuple(dict.fromkeys(Platform.parse(each) for each in given.get("platform", ()))),
        referrers=_referrers(given.get("referrers")),
        line=entry.line or None,
    )
    _check(request)
    return request


def _check(request: Request) -> None:
    """Check what can be checked without asking Azure.

    :raises InvalidRequest: a name is malformed, ``--source`` names no registry and ``--registry`` is not given, or
        two options contradict each other.
    """
    if is_layout(request.source):
        _check_layout(request)
    else:
        check_source(request.source, request.registry)
    for option, names in (("--image", request.images), ("--repository", request.repositories)):
        for name in names:
            check_template(name, option=option)
    fixed = [each for each in request.images if not has_fields(each)]
    bare = [each for each in request.repositories if not has_fields(each)]
    check_names(fixed, bare)
    request.tags.check_source(request.source)
    if request.with_aliases and request.repositories and not request.images:
        raise InvalidRequest("--with-aliases is about tags, and --repository alone gives none: add --image")
    if request.tags.is_active:
        _check_names_for_many(request)
    elif not is_layout(request.source):
        # What the names will be can be told already. A login server that --source repeats may be in upper case.
        parts = ("registry", request.source.lower()) if request.registry else split_source(request.source)
        images_of(request, *parts)


def _check_layout(request: Request) -> None:
    for option, given in (
        ("--registry", request.registry),
        ("--username, --password and --source-identity", request.login),
        ("--with-aliases", request.with_aliases),
    ):
        if given:
            raise InvalidRequest(f"--source {request.source} is on this machine: leave out {option}")
    try:
        LayoutReference.parse(request.source)
    except InvalidReference as ex:
        raise InvalidRequest(f"--source: {ex}") from ex


def login_of(given: Arguments) -> Login:
    """What the source is to be shown.

    :raises InvalidRequest: the identity is none of those there are.
    """
    identity = given.get("source-identity")
    return Login(given.get("username"), given.get("password"), SourceIdentity.parse(identity) if identity else None)


def _referrers(given: bool | list[str] | None) -> ReferrerFilter | None:
    """What ``--referrers`` means: without types all, and not given none."""
    if given is None or given is False:
        return None
    return ReferrerFilter(() if given is True else tuple(given))


def _check_names_for_many(request: Request) -> None:
    if request.with_aliases:
        raise InvalidRequest(
            "--with-aliases goes with one image, and tags are chosen: leave it out and choose all that are wanted"
        )
    for name in request.images:
        if ":" in name and "{tag}" not in name:
            raise InvalidRequest(
                f"--image {name} is one name, and several tags may be chosen: leave its tag out to keep theirs, or "
                "write {tag} into it"
            )
