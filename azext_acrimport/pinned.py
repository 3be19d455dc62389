# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""What the service is to import where an image alone is not all: the digest of one platform, and what refers to it.

The service copies neither by itself, so the source is asked from here, and each is one import more, by its digest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from azext_acrimport.connections import Connections
from azext_acrimport.oci.digest import is_digest
from azext_acrimport.oci.reference import split_image
from azext_acrimport.orders import Order
from azext_acrimport.plan import Obstacle, RouteRefused
from azext_acrimport.request import Images
from azext_acrimport.transfer.errors import Side, blamed_on


def parts_of(order: Order, connections: Connections) -> Iterator[Order]:
    """The imports that an order takes: that of the image, then of what refers to it, each after what it refers to.

    :raises CopyError: the source does not tell this machine, or has no such image or platform.
    """
    if not order.request.platforms and order.request.referrers is None:
        yield order
        return
    exact = pinned(order, connections)
    yield exact
    for images in referring(exact, connections):
        yield replace(order, images=images)


def pinned(order: Order, connections: Connections) -> Order:
    """The order for the one digest that its tag and platform mean now.

    :raises CopyError: the source does not tell this machine, or has no such image.
    :raises RouteRefused: several images are for the platform, and the service makes no index of them.
    """
    source, identifier = connections.source(order), order.identifier
    if order.request.platforms:
        from azext_acrimport.transfer.platforms import choose

        choice = choose(source, identifier, order.request.platforms)
        if choice.is_new:
            named = ", ".join(map(str, order.request.platforms))
            reason = (
                f"source {order.source_name}: several images are for {named}, and the service makes no index of them"
            )
            raise RouteRefused(Obstacle.LOCAL_OPTION, reason)
        digest: str | None = choice.digest
    elif is_digest(identifier):
        return order
    else:
        with blamed_on(Side.SOURCE, source, identifier):
            digest = source.digest_of(identifier)
    if digest is None:
        return order  # there is no such image, and the service itself says that
    return replace(order, images=_at(order, digest))


def referring(order: Order, connections: Connections) -> Iterator[Images]:
    """What refers to a pinned order's image, each after what it refers to, with its names in the target.

    :raises CopyError: the source does not tell this machine.
    """
    wanted = order.request.referrers
    if wanted is None:
        return
    from azext_acrimport.transfer.referrers import discover

    for referrer in discover(connections.source(order), order.identifier, wanted):
        repositories = tuple(order.images.targets)
        tags = tuple(f"{repository}:{tag}" for repository in repositories for tag in referrer.tags)
        untagged = () if tags else repositories
        yield replace(_at(order, referrer.digest), tags=tags, untagged=untagged)


def list_referrers(order: Order, connections: Connections, digests: Sequence[str]) -> None:
    """Keep the list of referrers that were imported, where the target does not list them by itself.

    That is a registry with a customer-managed key:
    https://learn.microsoft.com/azure/container-registry/container-registry-manage-artifact

    :raises CopyError: the target is not to be reached from here, or does not take the list.
    """
    if not (order.target.azure and order.target.azure.has_own_key):
        return
    from azext_acrimport.transfer.fallback import FallbackLists

    source, to = connections.source(order), connections.target(order.target)
    with blamed_on(Side.SOURCE, source):
        manifests = [source.manifest(digest) for digest in digests]
    lists = FallbackLists()
    for name in order.images.targets:
        lists.note(to.repository(name).to_push(), manifests)


def _at(order: Order, digest: str) -> Images:
    return replace(order.images, source=f"{split_image(order.images.source)[0]}@{digest}")
