# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""The command: gather facts, choose the route, take it, return what was done."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

from knack.log import get_logger

from azext_acrimport._console import manner_of, suited_console
from azext_acrimport._errors import cli_errors, shown_as
from azext_acrimport._exit import exit_after_output
from azext_acrimport._pipelines import NOTICE
from azext_acrimport.arm import open_directory
from azext_acrimport.connections import Connections
from azext_acrimport.dryrun import forecast
from azext_acrimport.explain import Surroundings
from azext_acrimport.gather import requests_of
from azext_acrimport.lists.shard import Shard
from azext_acrimport.orders import Effort, Order
from azext_acrimport.outcome import Outcome, Status
from azext_acrimport.plan import Route
from azext_acrimport.planning import Prepared, Unready, prepare
from azext_acrimport.redaction import hidden_in_logs
from azext_acrimport.resolve import Resolver
from azext_acrimport.run import Ended, Run, known_digest, skipped
from azext_acrimport.service import Service

logger = get_logger(__name__)


def import_image(
    cmd: Any,
    *,
    registry_name: str | None = None,
    source_image: str | None = None,
    source_registry: str | None = None,
    source_registry_username: str | None = None,
    source_registry_password: str | None = None,
    target_tags: list[str] | None = None,
    resource_group_name: str | None = None,
    repository: list[str] | None = None,
    force: bool = False,
    return_at_once: bool = False,
    via: str | None = None,
    from_file: str | None = None,
    shard: str | None = None,
    fail_fast: bool = False,
    dry_run: bool = False,
    all_tags: bool = False,
    tag_patterns: list[str] | None = None,
    exclude_tags: list[str] | None = None,
    semver: str | None = None,
    latest: int | None = None,
    source_identity: str | None = None,
    with_aliases: bool = False,
    platforms: list[str] | None = None,
    referrers: list[str] | None = None,
    retries: int = 5,
    timeout: float | None = None,
    max_connections: int | None = None,
) -> Any:
    """Import images by the routes that the registries' network settings allow."""
    arguments = {
        "name": registry_name,
        "resource-group": resource_group_name,
        "source": source_image,
        "registry": source_registry,
        "username": source_registry_username,
        "password": source_registry_password,
        "source-identity": source_identity,
        "image": target_tags,
        "repository": repository,
        "force": force,
        "via": via,
        "all-tags": all_tags,
        "tags": tag_patterns,
        "exclude-tags": exclude_tags,
        "semver": semver,
        "latest": latest,
        "with-aliases": with_aliases,
        "platform": platforms,
        "referrers": True if referrers == [] else referrers,  # the option alone is for all of them
    }
    effort = Effort(retries, timeout, max_connections)
    suffix = acr_suffix(cmd.cli_ctx)
    around = [Surroundings(acr_suffix=suffix)]
    with suited_console(cmd.cli_ctx), cli_errors(lambda: around[0]):
        requests = requests_of(arguments, from_file, suffix=suffix, config=cmd.cli_ctx.config)
        part = Shard.parse(shard, os.environ) if shard else None
        is_many = bool(from_file or part or requests[0].tags.is_active)
        with (
            hidden_in_logs(*{each.login.password for each in requests}) as hide,
            Connections(cmd.cli_ctx, effort, hide=hide) as connections,
        ):
            prepared = prepare(requests, Resolver(open_directory(cmd.cli_ctx), suffix), connections, part)
            command = _Command(cmd.cli_ctx, connections, effort, no_wait=return_at_once, fail_fast=fail_fast)
            if not is_many:
                around[0] = prepared[0].around
            if dry_run:
                found = command.forecast(prepared, is_many=is_many)
                return found if is_many else found[0]
            return command.import_many(prepared) if is_many else command.import_one(prepared[0])


class _Command:
    """One call of the command, from what is to be done to what is printed."""

    def __init__(
        self, cli_ctx: Any, connections: Connections, effort: Effort, *, no_wait: bool, fail_fast: bool
    ) -> None:
        self._cli_ctx = cli_ctx
        self._connections = connections
        self._effort = effort
        self._no_wait = no_wait
        self._fail_fast = fail_fast

    def import_one(self, single: Prepared) -> dict[str, Any] | None:
        """Import one image, or raise why not."""
        if isinstance(single, Unready):
            raise single.failure
        _say_routes([single])
        (ended,) = self._run([single])
        if ended.failure:
            raise ended.failure
        if ended.status is Status.STARTED:
            logger.warning(
                "The import has started. Without waiting for it, the command does not tell whether it fails."
            )
            return None  # a result would say that the image is there; as of `az acr import`, there is none yet
        return outcome_of(ended).as_dict()

    def forecast(self, prepared: Sequence[Prepared], *, is_many: bool) -> list[dict[str, Any]]:
        """Say what would be done for each, and do none of it."""
        if not is_many and isinstance(prepared[0], Unready):
            raise prepared[0].failure
        orders = [each for each in prepared if isinstance(each, Order)]
        found = {id(each.order): each.as_dict() for each in forecast(orders, self._connections, self._effort)}
        return [
            outcome_of_unready(each).as_dict() if isinstance(each, Unready) else found[id(each)] for each in prepared
        ]

    def import_many(self, prepared: Sequence[Prepared]) -> list[dict[str, Any]]:
        """Import what can be imported, and tell of each how it ended; the exit code says whether any failed."""
        orders = [each for each in prepared if isinstance(each, Order)]
        _say_routes(orders)
        unready = {id(each): outcome_of_unready(each) for each in prepared if isinstance(each, Unready)}
        for outcome in unready.values():
            _say_failure(outcome)
        is_over = bool(unready) and self._fail_fast
        ended = [skipped(each) for each in orders] if is_over else self._run(orders, tell=_say_end)
        outcomes = unready | {id(each.order): outcome_of(each) for each in ended}
        results = [outcomes[id(each)] for each in prepared]
        if any(each.status in (Status.FAILED, Status.SKIPPED) for each in results):
            exit_after_output(self._cli_ctx, 1)
        return [each.as_dict() for each in results]

    def _run(self, orders: Sequence[Order], tell: Callable[[Ended], None] | None = None) -> list[Ended]:
        service = Service(
            lambda subscription: _registries_of(self._cli_ctx, subscription),
            self._connections.password_for_service,
            no_wait=self._no_wait,
            patient=len(orders) > 1,
        )
        run = Run(
            service,
            self._connections,
            self._effort,
            no_wait=self._no_wait,
            fail_fast=self._fail_fast,
            shows_progress=shows_progress(self._cli_ctx),
            manner=manner_of(self._cli_ctx),
            tell=tell,
        )
        ended = run(orders)
        _count_routes(ended)
        return ended


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
        source=order.source_name,
        images=order.images,
        taken=ended.taken,
        copied=ended.copied,
        digest=ended.digest or known_digest(order),
        referrers=_referrers_of(ended),
        seconds=ended.seconds,
        line=order.request.line,
        error=shown_as(ended.failure, order.around) if ended.failure else None,
    )


def _referrers_of(ended: Ended) -> int | None:
    if ended.order.request.referrers is None:
        return None
    return ended.copied.referrers if ended.copied else ended.referrers


def outcome_of_unready(unready: Unready) -> Outcome:
    """A request that came to no order, as it is printed."""
    request = unready.request
    return Outcome(
        status=Status.FAILED,
        registry=request.target.name,
        source=request.source,
        line=request.line,
        error=shown_as(unready.failure, unready.around),
    )


def _say_end(ended: Ended) -> None:
    if ended.failure:
        _say_failure(outcome_of(ended))


def _say_failure(outcome: Outcome) -> None:
    """Say of one of many why it failed, as soon as that is known."""
    error = outcome.error
    where = f"Line {outcome.line}: " if outcome.line else ""
    if error:
        logger.error("%s%s", where, "\n".join([error.message, *error.advice]))


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
