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
from azext_acrimport.transfer.graph import ManifestNode
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
        if not self._is_looked_for(node) or node.is_there is False:
            return node.manifest or self._get(node)
        if node.is_there or node.manifest or not self._survey.is_worth_a_guess(node.source, node.target):
            return None if self._look(node) else node.manifest or self._get(node)
        begun = node.target.begin_digests_of([node.digest])
        try:
            manifest = self._get(node)
            return None if self._look(node, begun) else manifest
        finally:
            if begun:
                begun.close()

    def fetch_at_once(self, nodes: Sequence[ManifestNode]) -> None:
        """Find out as much as can be had at once about manifests of one index; the rest is left to :meth:`fetch`.

        :raises CopyError: one of the registries failed.
        """
        looked_for = [node for node in nodes if self._is_looked_for(node)]
        begun = None
        if looked_for and self._survey.is_worth_a_guess(nodes[0].source, nodes[0].target):
            begun = nodes[0].target.begin_digests_of([node.digest for node in looked_for])
        elif looked_for:
            self._look_at_once(looked_for)
        try:
            self._get_at_once([node for node in nodes if not node.is_there])
            if begun:
                self._look_at_once(looked_for, begun)
        finally:
            if begun:
                begun.close()

    def _is_looked_for(self, node: ManifestNode) -> bool:
        """Whether the target may have it. Of many images, none is looked for where there is nothing yet."""
        is_idle = self._is_bulk and self._survey.is_empty(node.target)
        return node.checks_target and not node.tally.root.force and not is_idle

    @staticmethod
    def _look(node: ManifestNode, begun: Pipeline | None = None) -> bool:
        if node.is_there is None:
            with blamed_on(Side.TARGET, node.target, node.digest):
                found = node.target.digests_of([node.digest], begun=begun) if begun else {}
                digest = found[node.digest] if found else node.target.digest_of(node.digest)
                node.is_there = digest is not None
        return node.is_there

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
