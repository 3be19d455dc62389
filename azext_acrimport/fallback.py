# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""What a refusal of the service leads to: a copy from here where that can do what the service could not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from azext_acrimport.importing import ImportRefused
from azext_acrimport.orders import Order
from azext_acrimport.refusals import Kind, Refusal, classify
from azext_acrimport.registry.credentials import Credentials

Saved = Callable[[str, str], Credentials | None]


@dataclass(eq=False)
class ServiceFailure(Exception):
    """The service's refusal, understood, with the names that the user gave. The cause is :class:`ImportRefused`.

    ``is_referrer``: the image itself has been imported, and this is about something that refers to it.
    """

    refusal: Refusal
    source_host: str
    source_image: str
    target_host: str
    tags: tuple[str, ...] = ()
    is_referrer: bool = False

    def __str__(self) -> str:
        return f"{self.refusal.meaning}: {self.__cause__}"


def understood(order: Order, ex: ImportRefused) -> Refusal:
    """What the service means by it."""
    return classify(
        f"{ex.code}: {ex.message}", status=ex.status, target_host=order.target.host, source_host=order.source.host
    )


def is_cured_here(order: Order, refusal: Refusal, saved: Saved) -> bool:
    """Whether a copy from here may do what the service could not.

    Where the source asked for credentials and none were given, this machine may have some that the service had not:
    ``saved`` tells what it keeps for a host and a repository.
    """
    if not order.plan.may_fall_back:
        return False
    if refusal.curable:
        return True
    if refusal.kind is not Kind.CREDENTIALS or order.request.login or order.source.resource_id:
        return False
    return order.source.facts.is_acr or saved(order.source.host, order.reference.repository) is not None


def reason_for_here(order: Order, refusal: Refusal) -> str:
    """Why the image is copied from here after all, in words for the user."""
    side = {"source": f"source {order.source.facts.name}: ", "target": f"target {order.target.facts.name}: "}
    if refusal.kind is Kind.CREDENTIALS:
        return f"{side['source']}it asks for credentials, and those that this machine has are not for the service"
    return f"{side.get(refusal.side, '')}{refusal.meaning}"


def failure_of(order: Order, refusal: Refusal, *, is_referrer: bool = False) -> ServiceFailure:
    """The refusal as an error that names both sides."""
    images = order.images
    return ServiceFailure(refusal, order.source.host, images.source, order.target.host, images.names, is_referrer)
