# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""From a repository with rules to its images, and from an image to its other tags: the source is asked for them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from azext_acrimport.connections import Connections
from azext_acrimport.layout.reference import LayoutReference
from azext_acrimport.lists.template import SourceParts, expand, has_fields
from azext_acrimport.oci.reference import DEFAULT_TAG, Reference, is_tag, split_image
from azext_acrimport.orders import Order, Request
from azext_acrimport.request import Images, InvalidRequest, check_names
from azext_acrimport.transfer.errors import Side, blamed_on
from azext_acrimport.transfer.source import Source
from azext_acrimport.transfer.survey import MOST_TAGS_AT_ONCE

NO_NAMES = Images("", ())
"""An image whose names are not known yet."""


@dataclass(eq=False)
class NothingChosen(Exception):
    """None of a repository's tags is chosen. ``tags`` is how many there are."""

    host: str
    repository: str
    tags: int

    def __str__(self) -> str:
        there = f"none of its {self.tags} tags is chosen" if self.tags else "it has no tags, or does not exist"
        return f"source {self.host}/{self.repository}: {there}"


def orders_from(order: Order, connections: Connections) -> list[Order]:
    """The orders that one comes to: of a repository with rules for tags, one for each image that they choose.

    Tags of the same digest go together, so that it is imported once, and by its digest, so that a tag that moves
    meanwhile moves nothing here.

    :raises NothingChosen: the rules choose none.
    :raises CopyError: the source does not tell.
    :raises InvalidRequest: a template gives no name.
    """
    if order.layout:
        return [_from_layout(order, order.layout, connections)]
    if is_settled(order):
        return [order]
    repository = connections.source(order)
    with blamed_on(Side.SOURCE, repository):
        listed = list(repository.tags())
    if order.request.with_aliases:
        return [_with_aliases(order, repository, listed)]
    chosen = order.request.tags.select(listed)
    if not chosen:
        raise NothingChosen(repository.registry.host, repository.name, len(listed))
    return [_chosen(order, digest, tags) for digest, tags in _by_digest(repository, chosen).items()]


def is_settled(order: Order) -> bool:
    """Whether it is one image, whose names are known without asking the source."""
    return not (order.layout or order.request.tags.is_active or order.request.with_aliases)


def repository_of(order: Order) -> str | None:
    """The target repository that every image of an order goes to first, as far as that is known without asking."""
    if order.images.targets:
        return next(iter(order.images.targets))
    request = order.request
    if not request.tags.is_active:
        return None
    repository = split_image(order.images.source)[0]
    template = (*request.images, *request.repositories, repository)[0].partition(":")[0]
    if "{tag}" in template:
        return None
    return expand(template, SourceParts.of(Reference.within(order.source.host, repository)))


def images_of(request: Request, host: str, image: str) -> Images:
    """The image, and its names in the target as the request's templates give them.

    Where tags are yet to be chosen there are none.

    :raises InvalidRequest: a name is malformed, or a template gives none.
    """
    if request.tags.is_active:
        return replace(NO_NAMES, source=image, force=request.force)
    parts = SourceParts.of(Reference.within(host, image))
    images = [expand(each, parts) for each in request.images]
    return Images.of(image, images, _untagged(request, parts), force=request.force)


def _from_layout(order: Order, layout: LayoutReference, connections: Connections) -> Order:
    """The image of a layout, which may know its own name in full, or only a tag, or nothing."""
    from azext_acrimport.layout.repository import LayoutRepository

    request, source = order.request, connections.source(order)
    suggested = None
    if isinstance(source, LayoutRepository) and (not request.images or any(map(has_fields, request.images))):
        with blamed_on(Side.SOURCE, source, layout.identifier):
            suggested = source.suggested_name(layout.identifier)
    if not (request.images or request.repositories or suggested):
        raise InvalidRequest(f"--source {layout} does not know its own name: give it one with --image repository:tag")
    repository, tag, _ = split_image(suggested) if suggested else (None, None, None)
    tag = tag or (layout.tag if is_tag(layout.tag) else None)
    parts = SourceParts(None, repository, tag)
    names = [expand(each, parts) for each in request.images]
    if not (names or request.repositories) and suggested:
        names = [suggested]
    untagged = _untagged(request, parts)
    check_names(names, untagged)
    images = replace(order.images, tags=tuple(names), untagged=tuple(untagged), source_tag=tag or DEFAULT_TAG)
    return replace(order, images=images)


def _chosen(order: Order, digest: str, tags: list[str]) -> Order:
    """The image of some of the tags that were chosen."""
    request, repository = order.request, split_image(order.images.source)[0]
    parts = SourceParts.of(Reference.within(order.source.host, repository))
    templates = request.images or (() if request.repositories else (repository,))
    names = []
    for tag in tags:
        named = [expand(each, parts._replace(tag=tag)) for each in templates]
        names += [each if ":" in each else f"{each}:{tag}" for each in named]
    untagged = _untagged(request, parts._replace(tag=tags[0]))
    images = Images.of(f"{repository}@{digest}", names, untagged, force=request.force)
    return replace(order, images=images)


def _with_aliases(order: Order, repository: Source, listed: list[str]) -> Order:
    """The image with all its tags: the others come into the same repositories, under their own names."""
    reference = order.reference
    with blamed_on(Side.SOURCE, repository, reference.identifier):
        digest = reference.digest or repository.digest_of(reference.identifier)
    if digest is None:
        return order  # there is no such image, and the import itself says that best
    own = None if reference.digest else reference.tag or DEFAULT_TAG
    aliases = [tag for tag in _by_digest(repository, listed).get(digest, []) if tag != own]
    # A digest has no tag of its own to be called by: `latest` would be a guess where its real tags are known.
    is_named = order.request.images or reference.tag or not (reference.digest and aliases)
    names = list(order.images.names) if is_named else []
    names += [f"{name}:{alias}" for name in dict.fromkeys(name for name, _ in order.images.tagged) for alias in aliases]
    source = f"{split_image(order.images.source)[0]}@{digest}"
    return replace(order, images=replace(order.images, source=source, tags=tuple(dict.fromkeys(names))))


def _untagged(request: Request, parts: SourceParts) -> list[str]:
    return [expand(each, parts, option="--repository") for each in request.repositories]


def _by_digest(repository: Source, tags: list[str]) -> dict[str, list[str]]:
    """The tags of each digest, in their order; those that have gone meanwhile are left out."""
    found: dict[str, str | None] = {}
    with blamed_on(Side.SOURCE, repository):
        for start in range(0, len(tags), MOST_TAGS_AT_ONCE):
            some = tags[start : start + MOST_TAGS_AT_ONCE]
            known = repository.digests_of(some)
            found.update({tag: known[tag] if tag in known else repository.digest_of(tag) for tag in some})
    groups: dict[str, list[str]] = {}
    for tag in tags:
        digest = found[tag]
        if digest:
            groups.setdefault(digest, []).append(tag)
    return groups
