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
from azext_acrimport.orders import Effort, Order, Request
from azext_acrimport.plan import NetworkFacts, Route
from azext_acrimport.planning import Prepared, Unready
from azext_acrimport.transfer.preview import Preview, TagChange


@dataclass(frozen=True)
class Forecast:
    """What would become of one request.

    Without a ``preview`` this machine could not look, and ``error`` says why; without an ``order`` nothing would be
    begun.
    """

    request: Request
    order: Order | None = None
    preview: Preview | None = None
    error: Shown | None = None

    @property
    def status(self) -> str:
        """What would come of it, in one word."""
        if self.order is None:
            return "failed"
        if self.preview is None:
            return "failed" if self.order.plan.route is Route.LOCAL else "unknown"  # the service may see more
        if self.preview.conflicts:
            return "conflict"
        writes = any(tag.change is not TagChange.NOTHING for tag in self.preview.tags)
        return "planned" if self.preview.manifests.copied or writes else "existing"

    def as_dict(self) -> dict[str, Any]:
        """The forecast as it is printed: always with the same keys. Sizes in bytes."""
        order, seen = self.order, self.preview
        images = order.images if order else None
        return {
            "status": self.status,
            "registry": order.registry_name if order else self.request.target.name,
            "loginServer": order.target.host if order else None,
            "source": order.source_name if order else self.request.source,
            "digest": seen.digest if seen else None,
            "originalDigest": seen.original_digest if seen else None,
            "mediaType": (seen.media_type or None) if seen else None,
            "images": list(images.names) if images else [],
            "repositories": list(images.untagged) if images else [],
            "route": order.plan.route.value if order else None,
            "reason": order.plan.reason if order else None,
            "facts": {
                "target": _facts(order.target.facts) if order else None,
                "source": _facts(order.source.facts) if order else None,
            },
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
            "referrers": seen.referrers if seen and self.request.referrers is not None else None,
            "bytesToMove": seen.bytes_to_move if seen else None,
            "line": self.request.line,
            "error": self.error.as_dict() if self.error else None,
        }


def forecast(prepared: Sequence[Prepared], connections: Connections, effort: Effort) -> list[Forecast]:
    """Look at both sides of each from here; nothing is changed anywhere."""
    orders = [each for each in prepared if isinstance(each, Order)]
    seen = preview_from_here([root_of(order, connections) for order in orders], connections, effort) if orders else []
    by_order = {id(order): _of_order(order, outcome) for order, outcome in zip(orders, seen, strict=True)}
    return [_of_unready(each) if isinstance(each, Unready) else by_order[id(each)] for each in prepared]


def _of_order(order: Order, outcome: Preview | Exception) -> Forecast:
    if isinstance(outcome, Preview):
        return Forecast(order.request, order, outcome)
    return Forecast(order.request, order, error=shown_as(outcome, order.around))


def _of_unready(unready: Unready) -> Forecast:
    return Forecast(unready.request, error=shown_as(unready.failure, unready.around))


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
