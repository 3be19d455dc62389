# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""The command: gather facts, choose the route, take it, return what was done."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from knack.log import get_logger

from azext_acrimport._console import manner_of, suited_console
from azext_acrimport._errors import cli_errors, shown_as
from azext_acrimport._pipelines import NOTICE
from azext_acrimport._validators import check_arguments, via_of
from azext_acrimport.arm import open_directory
from azext_acrimport.connections import Connections
from azext_acrimport.explain import Surroundings
from azext_acrimport.orders import Effort, Login, Order, Request
from azext_acrimport.outcome import Outcome, Status
from azext_acrimport.plan import Route
from azext_acrimport.planning import order_of
from azext_acrimport.redaction import hidden_in_logs
from azext_acrimport.request import TargetName
from azext_acrimport.resolve import Resolver
from azext_acrimport.run import Ended, Run
from azext_acrimport.service import Service

logger = get_logger(__name__)


def import_image(
    cmd: Any,
    *,
    registry_name: str,
    source_image: str,
    source_registry: str | None = None,
    source_registry_username: str | None = None,
    source_registry_password: str | None = None,
    target_tags: list[str] | None = None,
    resource_group_name: str | None = None,
    repository: list[str] | None = None,
    force: bool = False,
    return_at_once: bool = False,
    via: str | None = None,
    retries: int = 5,
    timeout: float | None = None,
    max_connections: int | None = None,
) -> dict[str, Any] | None:
    """Import an image by the route that the registries' network settings allow."""
    suffix = acr_suffix(cmd.cli_ctx)
    around = [Surroundings(acr_suffix=suffix)]
    effort = Effort(retries, timeout, max_connections)
    with (
        suited_console(cmd.cli_ctx),
        hidden_in_logs(source_registry_password),
        cli_errors(lambda: around[0]),
        Connections(cmd.cli_ctx, effort) as connections,
    ):
        request = Request(
            target=TargetName.parse(registry_name, suffix),
            group=resource_group_name,
            source=source_image,
            registry=source_registry,
            images=tuple(target_tags or ()),
            repositories=tuple(repository or ()),
            force=force,
            login=Login(source_registry_username, source_registry_password),
            via=via_of(via, cmd.cli_ctx.config),
        )
        check_arguments(request.source, request.registry, request.images, request.repositories)
        order = order_of(request, Resolver(open_directory(cmd.cli_ctx), suffix))
        around[0] = order.around
        _say_routes([order])
        run = Run(
            Service(lambda subscription: _registries_of(cmd.cli_ctx, subscription), no_wait=return_at_once),
            connections,
            effort,
            no_wait=return_at_once,
            shows_progress=shows_progress(cmd.cli_ctx),
            manner=manner_of(cmd.cli_ctx),
        )
        (ended,) = run([order])
        if ended.failure:
            raise ended.failure
        _count_routes([ended])
        if ended.status is Status.STARTED:
            logger.warning(
                "The import has started. Without waiting for it, the command does not tell whether it fails."
            )
            return None  # a result would say that the image is there; as of `az acr import`, there is none yet
        return outcome_of(ended).as_dict()


def acr_suffix(cli_ctx: Any) -> str | None:
    """What the cloud's login servers end with, such as ``.azurecr.io``; None where the cloud does not say."""
    from azure.cli.core.cloud import CloudSuffixNotSetException

    try:
        suffix = cli_ctx.cloud.suffixes.acr_login_server_endpoint
    except CloudSuffixNotSetException:
        return None
    return f".{suffix.lstrip('.').lower()}" if suffix else None


def shows_progress(cli_ctx: Any) -> bool:
    """Whether the user has not turned progress off."""
    disabled = cli_ctx.config.getboolean("core", "disable_progress_bar", fallback=False)
    return not disabled and not cli_ctx.only_show_errors


def outcome_of(ended: Ended) -> Outcome:
    """How an order ended, as it is printed."""
    order, azure = ended.order, ended.order.target.azure
    return Outcome(
        status=ended.status,
        registry=azure.name if azure else order.target.facts.name,
        login_server=order.target.host,
        source=f"{order.source.host}/{order.images.source}",
        images=order.images,
        taken=ended.taken,
        copied=ended.copied,
        seconds=ended.seconds,
        line=order.request.line,
        error=shown_as(ended.failure, order.around) if ended.failure else None,
    )


def _registries_of(cli_ctx: Any, subscription: str) -> Any:
    from azext_acrimport._client_factory import cf_registries

    return cf_registries(cli_ctx, subscription)


def _say_routes(orders: Sequence[Order]) -> None:
    """Say who moves what and why, before anything moves: a line for each reason."""
    by_reason: dict[tuple[Route, str], int] = {}
    for order in orders:
        key = (order.plan.route, order.plan.reason)
        by_reason[key] = by_reason.get(key, 0) + 1
    for (route, reason), count in by_reason.items():
        what = "" if len(orders) == 1 else f" {count} image{'s' if count > 1 else ''}"
        if route is Route.SERVICE:
            logger.warning("Importing%s by the service: %s.", what, reason, extra=NOTICE)
        else:
            logger.warning("Copying%s from here: %s.", what, reason, extra=NOTICE)


def _count_routes(ended: Sequence[Ended]) -> None:
    """Tell the CLI's telemetry, where the user has it on, which routes it were: no names, nothing else."""
    from azure.cli.core import telemetry

    for route in sorted({each.taken.route.value for each in ended}):
        telemetry.add_extension_event("acrimport", {"Context.Default.AzureCLI.AcrxRoute": route})
