# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""What an import would do, without doing it: the route and what it rests on, and what is where already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from azext_acrimport._errors import shown_as
from azext_acrimport.connections import Connections
from azext_acrimport.explain import Shown
from azext_acrimport.local import preview_from_here, root_of
from azext_acrimport.orders import Effort, Order
from azext_acrimport.plan import NetworkFacts, Route
from azext_acrimport.transfer.preview import Preview, TagChange


@dataclass(frozen=True)
class Forecast:
    """What would become of one order. Without a ``preview`` this machine could not look, and ``error`` says why."""

    order: Order
    preview: Preview | None
    error: Shown | None = None

    @property
    def status(self) -> str:
        """What would come of it, in one word."""
        if self.preview is None:
            return "failed" if self.order.plan.route is Route.LOCAL else "planned"
        if self.preview.conflicts:
            return "conflict"
        is_there = not (self.preview.manifests.copied or self._to_write)
        return "existing" if is_there else "planned"

    @property
    def _to_write(self) -> bool:
        changes = {tag.change for tag in self.preview.tags} if self.preview else set()
        return not changes <= {TagChange.NOTHING}

    def as_dict(self) -> dict[str, Any]:
        """The forecast as it is printed. Sizes in bytes."""
        order, seen, azure = self.order, self.preview, self.order.target.azure
        return {
            "status": self.status,
            "registry": azure.name if azure else order.target.facts.name,
            "loginServer": order.target.host,
            "source": order.source_name,
            "digest": seen.digest if seen else None,
            "originalDigest": seen.original_digest if seen else None,
            "mediaType": (seen.media_type or None) if seen else None,
            "images": [f"{repository}:{tag}" for repository, tag in order.images.tagged],
            "repositories": list(order.images.untagged),
            "route": order.plan.route.value,
            "reason": order.plan.reason,
            "facts": {"target": _facts(order.target.facts), "source": _facts(order.source.facts)},
            "tags": [
                {
                    "name": f"{tag.repository}:{tag.tag}",
                    "existingDigest": tag.existing_digest,
                    "change": tag.change.value,
                }
                for tag in (seen.tags if seen else ())
            ],
            "manifests": {
                "toCopy": seen.manifests.copied if seen else None,
                "existing": seen.manifests.existing if seen else None,
            },
            "blobs": {
                "toCopy": seen.blobs.copied if seen else None,
                "mountable": seen.blobs.mounted if seen else None,
                "existing": seen.blobs.existing if seen else None,
            },
            "referrers": seen.referrers if seen and order.request.referrers is not None else None,
            "bytesToMove": seen.bytes_to_move if seen else None,
            "line": order.request.line,
            "error": self.error.as_dict() if self.error else None,
        }


def forecast(orders: Sequence[Order], connections: Connections, effort: Effort) -> list[Forecast]:
    """Look at both sides of each order from here; nothing is changed anywhere."""
    roots = [root_of(order, connections) for order in orders]
    seen = preview_from_here(roots, connections, effort) if roots else []
    return [_forecast(order, outcome) for order, outcome in zip(orders, seen, strict=True)]


def _forecast(order: Order, outcome: Preview | Exception) -> Forecast:
    if isinstance(outcome, Preview):
        return Forecast(order, outcome)
    return Forecast(order, None, shown_as(outcome, order.around))


def _facts(facts: NetworkFacts) -> dict[str, Any]:
    """What the choice of the route rests on, in the words of Azure Resource Manager; null is unknown."""
    settings = facts.settings
    return {
        "name": facts.name,
        "shownByResourceManager": facts.in_arm,
        "publicNetworkAccess": settings.public_network_access,
        "defaultAction": settings.default_action,
        "networkRuleBypassOptions": settings.bypass,
        "exportPolicy": settings.export_policy,
        "privateAddress": facts.is_private_host,
    }
