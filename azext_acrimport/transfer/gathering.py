# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Bringing along what refers to images: found at the source, one manifest after the other, while the rest is copied."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from azext_acrimport.oci.manifest import Manifest
from azext_acrimport.oci.referrers import ReferrerFilter
from azext_acrimport.transfer.errors import ReferrerTagExists, Side, blamed_on
from azext_acrimport.transfer.executor import Task
from azext_acrimport.transfer.graph import Graph
from azext_acrimport.transfer.limiter import Limiter
from azext_acrimport.transfer.nodes import ManifestNode, Tally
from azext_acrimport.transfer.referrers import Found, Search, referrers_of, tree_of
from azext_acrimport.transfer.survey import Survey

# Lists of referrers asked for at once. ACR answers 500 a minute in the lower tiers, a twentieth of other reads:
# https://learn.microsoft.com/azure/container-registry/container-registry-skus
_QUESTIONS = 4


@dataclass(eq=False)
class _Gathering:
    """One image's search. ``there`` says for each target which node brings which manifest there."""

    tally: Tally
    wanted: ReferrerFilter
    there: dict[ManifestNode, dict[str, ManifestNode | None]]
    search: Search = field(default_factory=Search)
    pending: int = 0


class Gatherer:  # pylint: disable=too-few-public-methods
    """Finds what refers to images, and wants it at their targets. ``lock`` guards the graph and the tallies."""

    def __init__(
        self,
        graph: Graph,
        lock: threading.Lock,
        survey: Survey,
        *,
        submit: Callable[[Task], None],
        guard: Callable[[Tally, Task], None],
        descend: Callable[[ManifestNode], None],
        ascend: Callable[[Sequence[ManifestNode]], None],
    ) -> None:
        self._graph = graph
        self._lock = lock
        self._survey = survey
        self._guard = guard
        self._descend = descend
        self._ascend = ascend
        self._limiters: defaultdict[str, Limiter] = defaultdict(lambda: Limiter(_QUESTIONS, submit))

    def begin(self, tally: Tally, image: Manifest, images: Mapping[ManifestNode, ManifestNode | None]) -> None:
        """Look for what refers to an image. ``images`` has the nodes that gather it, and those of the image itself."""
        wanted = tally.root.referrers
        assert wanted is not None
        gathering = _Gathering(tally, wanted, {top: {image.digest: node} for top, node in images.items()})
        self._submit(gathering, partial(self._start, gathering, image))

    def _submit(self, gathering: _Gathering, task: Task) -> None:
        tally = gathering.tally
        with self._lock:
            gathering.pending += 1
            limiter = self._limiters[tally.root.source.registry.host]
        limiter.submit(partial(self._guard, tally, partial(self._step, gathering, task)))

    def _step(self, gathering: _Gathering, task: Task) -> None:
        """Do one part of a search; after the last one, the tags can be written once all that was found is there."""
        if gathering.tally.failure:
            return
        task()
        with self._lock:
            gathering.pending -= 1
            tops = [] if gathering.pending else list(gathering.there)
            for top in tops:
                top.waiting_for -= 1  # which held it
            ready = [top for top in tops if not top.waiting_for]
        self._ascend(ready)

    def _start(self, gathering: _Gathering, image: Manifest) -> None:
        tally = gathering.tally
        with blamed_on(Side.SOURCE, tally.root.source, image.digest):
            digests = tree_of(tally.root.source, image)
        if tally.original_digest and image.is_index:
            digests.remove(image.digest)  # made here: nothing can refer to it at the source
        self._ask(gathering, digests, image.digest)

    def _ask(self, gathering: _Gathering, digests: Iterable[str], carrier: str, subject: str = "") -> None:
        """Look for what refers to these manifests, which come to the targets with the ``carrier``."""
        with self._lock:
            fresh = gathering.search.to_ask(digests, subject)
            for there in gathering.there.values():
                there.update(dict.fromkeys(fresh, there[carrier]))
        for digest in fresh:
            self._submit(gathering, partial(self._look, gathering, digest))

    def _look(self, gathering: _Gathering, subject: str) -> None:
        source = gathering.tally.root.source
        for found in referrers_of(source, subject, gathering.wanted):
            digest = found.manifest.digest
            with blamed_on(Side.SOURCE, source, digest):
                digests = tree_of(source, found.manifest)
                if not self._want(gathering, found):
                    continue
                self._ask(gathering, digests, digest, subject)

    def _want(self, gathering: _Gathering, found: Found) -> bool:
        """Want a referrer at all targets; False where that is so already."""
        tags = {top: self._tags_to_write(top, found) for top in gathering.there}
        tally, referrer, fresh = gathering.tally, found.referrer, []
        with self._lock:
            if not gathering.search.add(found):
                return False
            tally.referrers = len(gathering.search)
            for top, there in gathering.there.items():
                node, is_new = self._graph.add_referrer(top, found.manifest, tags[top], there[referrer.subject])
                there.setdefault(referrer.digest, node)
                top.listed.append(found.manifest)
                fresh += [node] if is_new else []
        for node in fresh:
            self._descend(node)
        return True

    def _tags_to_write(self, top: ManifestNode, found: Found) -> tuple[str, ...]:
        """Those of the referrer's tags that the target does not have.

        :raises ReferrerTagExists: one names something else there.
        """
        target, digest = top.target, found.referrer.digest
        tags = []
        for tag in found.referrer.tags:
            existing = self._survey.target_digest(target, tag)
            if existing is not None and existing != digest and not top.tally.root.force:
                raise ReferrerTagExists(target.registry.host, target.name, tag, existing, digest)
            if existing != digest:
                tags.append(tag)
        return tuple(tags)
