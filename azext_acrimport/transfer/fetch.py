# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""Manifests on their way down: which the target has, and the source's for those that it has not.

What one answer would decide is asked for together where a round trip takes long, and for many manifests at once.
"""

from __future__ import annotations

from collections.abc import Sequence

from azext_acrimport.oci.manifest import Manifest
from azext_acrimport.registry.pipeline import Pipeline
from azext_acrimport.transfer.errors import Side, blamed_on
from azext_acrimport.transfer.nodes import ManifestNode
from azext_acrimport.transfer.survey import Survey

MOST_AT_ONCE = 16  # manifests of one index over one connection


class ManifestFetcher:
    """Finds out what is to be done for manifests. Safe for several threads; ``is_bulk``: many images are copied."""

    def __init__(self, survey: Survey, *, is_bulk: bool) -> None:
        self._survey = survey
        self._is_bulk = is_bulk

    def fetch(self, node: ManifestNode) -> Manifest | None:
        """The node's manifest from the source; None when the target has it already, and so all that is below it.

        :raises CopyError: one of the registries failed.
        """
        if self._may_be_there(node) and node.is_there is None:
            with blamed_on(Side.TARGET, node.target, node.digest):
                node.is_there = node.target.digest_of(node.digest) is not None
        return None if node.is_there else node.manifest or self._get(node)

    def fetch_at_once(self, nodes: Sequence[ManifestNode]) -> None:
        """Find out as much as can be had at once about manifests of one index; the rest is left to :meth:`fetch`.

        :raises CopyError: one of the registries failed.
        """
        source, target = nodes[0].source, nodes[0].target
        looked_for = [node for node in nodes if self._may_be_there(node)]
        begun = None
        if looked_for and self._survey.is_far(source) and not source.registry.counts_pulls:
            begun = target.begin_digests_of([node.digest for node in looked_for])
        elif looked_for:
            self._look_at_once(looked_for)
        try:
            self._get_at_once([node for node in nodes if not node.is_there])
            if begun:
                self._look_at_once(looked_for, begun)
        finally:
            if begun:
                begun.close()

    def _may_be_there(self, node: ManifestNode) -> bool:
        """Whether to look for it. Where there is nothing yet, that is not worth a round trip, nor many requests."""
        is_vain = self._survey.is_empty(node.target) and (self._is_bulk or self._survey.is_far(node.source))
        return node.checks_target and not node.tally.root.force and not is_vain

    @staticmethod
    def _get(node: ManifestNode) -> Manifest:
        with blamed_on(Side.SOURCE, node.source, node.named):
            return node.source.manifest(node.digest)

    @staticmethod
    def _look_at_once(nodes: Sequence[ManifestNode], begun: Pipeline | None = None) -> None:
        with blamed_on(Side.TARGET, nodes[0].target, nodes[0].digest):
            found = nodes[0].target.digests_of([node.digest for node in nodes], begun=begun)
        for node in nodes:
            if node.digest in found:
                node.is_there = found[node.digest] is not None

    @staticmethod
    def _get_at_once(nodes: Sequence[ManifestNode]) -> None:
        if not nodes:
            return
        with blamed_on(Side.SOURCE, nodes[0].source, nodes[0].digest):
            found = nodes[0].source.manifests([node.digest for node in nodes])
        for node in nodes:
            node.manifest = found.get(node.digest)
