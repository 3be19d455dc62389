# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""From requests to orders: the registries found, the names checked, the route chosen."""

from __future__ import annotations

from knack.log import get_logger

from azext_acrimport.explain import Surroundings
from azext_acrimport.orders import Order, Request
from azext_acrimport.plan import choose_route
from azext_acrimport.request import Images
from azext_acrimport.resolve import Endpoint, Resolver, SourceArguments

logger = get_logger(__name__)


def order_of(request: Request, resolver: Resolver) -> Order:
    """What a request comes to.

    :raises RegistryMissing: one of its registries cannot be found.
    :raises InvalidRequest: an argument cannot be used.
    :raises RouteRefused: no route may be taken.
    """
    target = resolver.target(request.target, request.group)
    given = SourceArguments(request.source, request.registry, bool(request.login))
    source, image = resolver.source(given)
    images = Images.of(image, request.images, request.repositories, force=request.force)
    _warn_of_doubled_names(target, images)
    via, via_origin = request.via
    plan = choose_route(
        target.facts, source.facts, via=via, via_origin=via_origin, same_registry=source.host == target.host
    )
    return Order(request, target, source, images, plan, _surroundings(resolver, target, source, given.has_credentials))


def _warn_of_doubled_names(target: Endpoint, images: Images) -> None:
    """`az acr import` takes such names as they are, and so does this; hardly anybody means them."""
    for name in images.targets:
        if name.startswith(f"{target.host}/"):
            logger.warning("The repository will be named %s, within the registry of that name.", name)


def _surroundings(resolver: Resolver, target: Endpoint, source: Endpoint, credentials_given: bool) -> Surroundings:
    unread = tuple(each.host for each in (target, source) if each.facts.is_acr and not each.azure)
    return Surroundings(resolver.suffix, unread, resolver.directory.current_subscription, credentials_given)
