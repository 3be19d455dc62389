# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""The list of referrers that clients keep where a registry keeps none: an index under a tag.

Source: OCI distribution specification, "Referrers Tag Schema". There is no way to change it but to read, add and
write, so that what somebody else adds in just that moment is lost; within a run one thread at a time does it.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable, Sequence

from azext_acrimport.oci.manifest import Manifest
from azext_acrimport.oci.referrers import schema_tag, with_entries
from azext_acrimport.registry.errors import RegistryError
from azext_acrimport.registry.repository import Repository
from azext_acrimport.transfer.errors import Side, blamed_on


class FallbackLists:  # pylint: disable=too-few-public-methods
    """Keeps these lists at the targets of a run. Safe for several threads."""

    def __init__(self) -> None:
        self._locks: defaultdict[tuple[str, str, str], threading.Lock] = defaultdict(threading.Lock)

    def note(self, target: Repository, referrers: Iterable[Manifest]) -> None:
        """See to it that clients find the referrers at the target, where they are all there already.

        :raises CopyError: the target does not take the list.
        """
        by_subject: dict[str, list[Manifest]] = {}
        for each in referrers:
            if each.subject:
                by_subject.setdefault(each.subject.digest, []).append(each)
        for subject, some in by_subject.items():
            tag = schema_tag(subject)
            with blamed_on(Side.TARGET, target, tag):
                if _lists_by_itself(target, subject):
                    return
                with self._locks[target.registry.host, target.name, tag]:
                    _add(target, tag, some)


def _lists_by_itself(target: Repository, subject: str) -> bool:
    registry = target.registry
    if registry.lists_referrers is None:
        registry.lists_referrers = target.referrers(subject) is not None
    return registry.lists_referrers


def _add(target: Repository, tag: str, referrers: Sequence[Manifest]) -> None:
    try:
        known = target.manifest(tag)
    except RegistryError as ex:
        if ex.status != 404:
            raise
        known = None
    grown = with_entries(known, referrers)
    if grown:
        target.put_manifest(grown, tag)
