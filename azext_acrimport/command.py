# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""The command: gather facts, choose the route, take it, return what was done."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from azext_acrimport._console import manner_of
from azext_acrimport._errors import cli_errors
from azext_acrimport._exit import exit_after_output
from azext_acrimport.arm import open_directory
from azext_acrimport.connections import Connections
from azext_acrimport.explain import Surroundings
from azext_acrimport.gather import Arguments, requests_of
from azext_acrimport.orders import Effort, Order
from azext_acrimport.outcome import Status
from azext_acrimport.planning import Prepared, Unready, prepare
from azext_acrimport.redaction import hidden_in_logs
from azext_acrimport.reporting import (
    count_routes,
    outcome_of,
    outcome_of_unready,
    say_end,
    say_failure,
    say_routes,
    say_started,
    say_sum,
)
from azext_acrimport.request import InvalidRequest
from azext_acrimport.resolve import Resolver
from azext_acrimport.run import Ended, Run, skipped
from azext_acrimport.service import Service

if TYPE_CHECKING:
    from azext_acrimport.lists.shard import Shard


class ImportCommand:  # pylint: disable=too-few-public-methods
    """One call of the command, from what is asked for to what is printed."""

    def __init__(self, cli_ctx: Any, effort: Effort, *, no_wait: bool, fail_fast: bool, dry_run: bool) -> None:
        self._cli_ctx = cli_ctx
        self._effort = effort
        self._no_wait = no_wait
        self._fail_fast = fail_fast
        self._dry_run = dry_run

    def __call__(self, arguments: Arguments, from_file: str | None, shard: str | None) -> Any:
        """Import one image, whose result is an object, or many, whose result is a list."""
        suffix = acr_suffix(self._cli_ctx)
        with cli_errors(lambda: Surroundings(suffix)):
            requests = requests_of(arguments, from_file, suffix=suffix, config=self._cli_ctx.config)
            is_many = bool(from_file or requests[0].tags.is_active)
            part = _part_of(shard, is_many=is_many)
            with (
                hidden_in_logs(*{each.login.password for each in requests}) as hide,
                Connections(self._cli_ctx, self._effort, hide=hide) as connections,
            ):
                resolver = Resolver(open_directory(self._cli_ctx), suffix)
                prepared = prepare(requests, resolver, connections, part)
                return self._many(prepared, connections) if is_many else self._one(prepared[0], connections)

    def _one(self, prepared: Prepared, connections: Connections) -> dict[str, Any] | None:
        """Import one image, or raise why not."""
        with cli_errors(lambda: prepared.around):
            if isinstance(prepared, Unready):
                raise prepared.failure
            if self._dry_run:
                return self._forecast([prepared], connections)[0]
            say_routes([prepared])
            (ended,) = self._run([prepared], connections)
            if ended.failure:
                raise ended.failure
            if ended.status is Status.STARTED:
                say_started()
                return None  # a result would say that the image is there; as of `az acr import`, there is none yet
            return outcome_of(ended).as_dict()

    def _many(self, prepared: Sequence[Prepared], connections: Connections) -> list[dict[str, Any]]:
        """Import what can be imported, and tell of each how it ended; the exit code says whether any failed."""
        if self._dry_run:
            return self._forecast(prepared, connections)
        orders = [each for each in prepared if isinstance(each, Order)]
        unready = {id(each): outcome_of_unready(each) for each in prepared if isinstance(each, Unready)}
        for outcome in unready.values():
            say_failure(outcome)
        if unready and self._fail_fast:
            ended = [skipped(each) for each in orders]
        else:
            say_routes(orders)
            ended = self._run(orders, connections, tell=say_end)
        outcomes = unready | {id(each.order): outcome_of(each) for each in ended}
        results = [outcomes[id(each)] for each in prepared]
        say_sum(results)
        if any(each.status in (Status.FAILED, Status.SKIPPED) for each in results):
            exit_after_output(self._cli_ctx, 1)
        return [each.as_dict() for each in results]

    def _forecast(self, prepared: Sequence[Prepared], connections: Connections) -> list[dict[str, Any]]:
        from azext_acrimport.dryrun import forecast

        return [each.as_dict() for each in forecast(prepared, connections, self._effort)]

    def _run(
        self, orders: Sequence[Order], connections: Connections, tell: Callable[[Ended], None] | None = None
    ) -> list[Ended]:
        service = Service(
            lambda subscription: _registries_of(self._cli_ctx, subscription),
            connections.password_for_service,
            no_wait=self._no_wait,
            patient=len(orders) > 1,
        )
        run = Run(
            service,
            connections,
            self._effort,
            no_wait=self._no_wait,
            fail_fast=self._fail_fast,
            shows_progress=shows_progress(self._cli_ctx),
            manner=manner_of(self._cli_ctx),
            tell=tell,
        )
        ended = run(orders)
        count_routes(ended)
        return ended


def _part_of(shard: str | None, *, is_many: bool) -> Shard | None:
    if not shard:
        return None
    from azext_acrimport.lists.shard import Shard

    part = Shard.parse(shard, os.environ)
    if not is_many:
        raise InvalidRequest("--shard divides many images, and here is one: leave it out, or give --from-file")
    return part


def _registries_of(cli_ctx: Any, subscription: str) -> Any:
    from azext_acrimport._client_factory import cf_registries

    return cf_registries(cli_ctx, subscription)


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
