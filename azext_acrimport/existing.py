# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""What the target has already, where the service only says that a tag exists: asked of both registries from here."""

from __future__ import annotations

from knack.log import get_logger

from azext_acrimport.connections import Connections
from azext_acrimport.oci.digest import is_digest
from azext_acrimport.oci.errors import OciError
from azext_acrimport.orders import Order
from azext_acrimport.registry.errors import RegistryFailure
from azext_acrimport.request import Images

logger = get_logger(__name__)


def missing_names(order: Order, connections: Connections) -> Images | None:
    """The names of an order that the target does not have yet, where those that it has name the same image.

    None when it has all of them; all of them when one names another image, or a registry does not tell this machine.
    """
    try:
        there = _names_there(order, connections)
    except (RegistryFailure, OciError) as ex:
        logger.debug("What target %s has already cannot be seen from here: %s", order.target.host, ex)
        return order.images
    if there is None:
        return order.images
    return order.images.without(there)


def _names_there(order: Order, connections: Connections) -> set[tuple[str, str]] | None:
    """The repositories and tags that name the image already; None when one names another."""
    source, to = connections.source(order), connections.target(order.target)
    digest = order.identifier if is_digest(order.identifier) else source.digest_of(order.identifier)
    there = set()
    for name, tags in order.images.targets.items():
        repository = to.repository(name)
        for tag in tags:
            found = repository.digest_of(tag)
            if found is not None and found != digest:
                return None
            if found is not None:
                there.add((name, tag))
    return there
