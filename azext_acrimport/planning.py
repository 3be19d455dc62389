# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""From requests to orders: the registries found, the names checked, the route chosen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, Union

from knack.log import get_logger

from azext_acrimport.connections import Connections
from azext_acrimport.expansion import NO_NAMES, NothingChosen, images_of, is_settled, orders_from, repository_of
from azext_acrimport.explain import Surroundings
from azext_acrimport.identity.failure import IdentityFailure
from azext_acrimport.layout.reference import LayoutReference
from azext_acrimport.lists.claims import Claim, check_entries
from azext_acrimport.oci.errors import OciError
from azext_acrimport.oci.reference import is_layout
from azext_acrimport.orders import Order, Request
from azext_acrimport.plan import NetworkFacts, RouteRefused, choose_route
from azext_acrimport.request import Images, InvalidRequest
from azext_acrimport.resolve import Endpoint, RegistryMissing, Resolver, SourceArguments
from azext_acrimport.transfer.errors import CopyError

if TYPE_CHECKING:
    from azext_acrimport.lists.shard import Shard

logger = get_logger(__name__)

_AT_ONCE = 8  # repositories whose tags are asked for
_ONE_REQUEST = (
    InvalidRequest,
    OciError,
    RegistryMissing,
    RouteRefused,
    IdentityFailure,
    NothingChosen,
    CopyError,
)


class Unready(NamedTuple):
    """A request that comes to no order, and why. Of others it says nothing."""

    request: Request
    failure: Exception
    around: Surroundings


Prepared = Union[Order, Unready]


def prepare(
    requests: Sequence[Request], resolver: Resolver, connections: Connections, shard: Shard | None = None
) -> list[Prepared]:
    """What the requests come to, in their order: an order for each image, each image once.

    With a ``shard`` those whose target repository it holds.

    :raises InvalidList: two of them would give different images the same name.
    """

    def orders_for(request: Request) -> list[Order]:
        return [order_of(request, resolver)]

    def images_at_source(order: Order) -> list[Order]:
        goal = None if is_settled(order) else repository_of(order)
        if shard and goal and not shard.holds(goal):
            return []  # so that a source is not asked for its tags by every machine
        connections.sign_in(order)
        return orders_from(order, connections)

    def images_for(found: Prepared) -> list[Prepared]:
        if isinstance(found, Unready):
            return [found]
        return _attempt(found.request, found.around, lambda: images_at_source(found))

    nothing_known = Surroundings(resolver.suffix)
    # The directory of registries is asked by one thread, and the registries themselves by several.
    planned = [each for request in requests for each in _attempt(request, nothing_known, partial(orders_for, request))]
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="acrx-tags") as pool:
        try:
            prepared = [each for found in pool.map(images_for, planned) for each in found]
        except BaseException:  # Ctrl-C arrives here too, and would wait for what is being asked
            connections.interrupt()
            raise
    orders = [each for each in prepared if isinstance(each, Order)]
    wanted = {id(each) for each in check_entries(orders, _claim) if shard is None or shard.holds(_repository_of(each))}
    return [each for each in prepared if isinstance(each, Unready) or id(each) in wanted]


def _attempt(request: Request, around: Surroundings, make: Callable[[], Iterable[Prepared]]) -> list[Prepared]:
    try:
        return list(make())
    except _ONE_REQUEST as ex:
        return [Unready(request, ex, around)]


def _repository_of(order: Order) -> str:
    return next(iter(order.images.targets))


def _claim(order: Order) -> Claim:
    source = " ".join([order.source_name, *map(str, order.request.platforms)])
    beside = "" if order.request.referrers is None else repr(order.request.referrers)
    return Claim(order.request.line or 0, order.target.host, order.images.names, source, order.images.untagged, beside)


def order_of(request: Request, resolver: Resolver) -> Order:
    """What a request comes to.

    :raises RegistryMissing: one of its registries cannot be found.
    :raises InvalidRequest: an argument cannot be used.
    :raises RouteRefused: no route may be taken.
    """
    target = resolver.target(request.target, request.group)
    layout = LayoutReference.parse(request.source) if is_layout(request.source) else None
    if layout:
        source, images = _layout_source(layout), replace(NO_NAMES, source=str(layout), force=request.force)
    else:
        source, image = resolver.source(SourceArguments(request.source, request.registry, bool(request.login)))
        images = images_of(request, source.host, image)
    _warn_of_doubled_names(target, images)
    via, via_origin = request.via
    plan = choose_route(
        target.facts,
        source.facts,
        via=via,
        via_origin=via_origin,
        same_registry=source.host == target.host,
        local_options=_local_options(request, layout),
    )
    return Order(request, target, source, images, plan, _surroundings(resolver, target, source, request), layout)


def _layout_source(layout: LayoutReference) -> Endpoint:
    return Endpoint(layout.layout, None, NetworkFacts(layout.layout, is_acr=False, in_arm=False))


def _local_options(request: Request, layout: LayoutReference | None) -> list[str]:
    """What was asked for that only a copy from here can do."""
    found = [f"--source {layout.kind}:"] if layout else []
    if len(request.platforms) > 1:
        found.append("several platforms (--platform)")
    return found


def _warn_of_doubled_names(target: Endpoint, images: Images) -> None:
    """`az acr import` takes such names as they are, and so does this; hardly anybody means them."""
    for name in images.targets:
        if name.startswith(f"{target.host}/"):
            logger.warning("The repository will be named %s, within the registry of that name.", name)


def _surroundings(resolver: Resolver, target: Endpoint, source: Endpoint, request: Request) -> Surroundings:
    identity = str(request.login.identity or "")
    unread = tuple(each.host for each in (target, source) if each.facts.is_acr and not each.azure)
    return Surroundings(resolver.suffix, unread, resolver.directory.current_subscription, bool(request.login), identity)
