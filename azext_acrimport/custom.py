# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""The command: gather facts, choose the route, take it, return what was done."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field, replace
from typing import Any

from knack.log import get_logger

from azext_acrimport._errors import ServiceFailure, cli_errors
from azext_acrimport._progress import Display, ImportTally
from azext_acrimport._validators import check_arguments, via_of
from azext_acrimport.arm import Directory, open_directory
from azext_acrimport.explain import Surroundings
from azext_acrimport.identity.form import SourceIdentity
from azext_acrimport.identity.sign_in import sign_in, token_for_service
from azext_acrimport.importing import ImportRefused
from azext_acrimport.importing import import_image as import_by_service
from azext_acrimport.local import Effort, copy_from_here, shows_progress
from azext_acrimport.outcome import Outcome, Taken
from azext_acrimport.plan import Plan, Route, Via, choose_route
from azext_acrimport.redaction import hidden_in_logs
from azext_acrimport.refusals import Kind, Refusal, classify
from azext_acrimport.registry.credentials import EntraIdentity
from azext_acrimport.request import Images, TargetName, import_body
from azext_acrimport.resolve import Endpoint, SourceArguments, find_source, find_target
from azext_acrimport.transfer.result import CopyResult

logger = get_logger(__name__)


@dataclass(frozen=True)
class Order:  # pylint: disable=too-many-instance-attributes
    """An import with everything that is known before it begins."""

    cli_ctx: Any
    target: Endpoint
    source: Endpoint
    images: Images
    username: str | None
    password: str | None = field(repr=False)
    identity: EntraIdentity | None
    effort: Effort


def import_image(  # pylint: disable=too-many-locals
    cmd: Any,
    *,
    registry_name: str,
    source_image: str,
    source_registry: str | None = None,
    source_registry_username: str | None = None,
    source_registry_password: str | None = None,
    source_identity: str | None = None,
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
    around = [Surroundings(acr_suffix=acr_suffix(cmd.cli_ctx))]
    with hidden_in_logs(source_registry_password) as hide, cli_errors(lambda: around[0]):
        started = time.monotonic()
        asked = via_of(via, cmd.cli_ctx.config)
        name = TargetName.parse(registry_name, around[0].acr_suffix)
        wanted = SourceIdentity.parse(source_identity) if source_identity else None
        given = SourceArguments(source_image, source_registry, bool(source_registry_password or wanted))
        check_arguments(given.source, given.registry, target_tags or [], repository or [])

        directory = open_directory(cmd.cli_ctx)
        target = find_target(directory, name, resource_group_name)
        source, image = find_source(directory, given, around[0].acr_suffix)
        around[0] = _surroundings(around[0], directory, target, source, given.has_credentials)
        around[0] = replace(around[0], identity=str(wanted or ""))
        identity = sign_in(cmd.cli_ctx, wanted, source, hide=hide) if wanted else None
        order = Order(
            cmd.cli_ctx,
            target,
            source,
            Images.of(image, target_tags or [], repository or [], force=force),
            source_registry_username,
            source_registry_password,
            identity,
            Effort(retries, timeout, max_connections),
        )

        _warn_of_doubled_names(order)
        return _run(order, _choose(order, *asked), no_wait=return_at_once, started=started)


def acr_suffix(cli_ctx: Any) -> str | None:
    """What the cloud's login servers end with, such as ``.azurecr.io``; None where the cloud does not say."""
    from azure.cli.core.cloud import CloudSuffixNotSetException

    try:
        suffix = cli_ctx.cloud.suffixes.acr_login_server_endpoint
    except CloudSuffixNotSetException:
        return None
    return f".{suffix.lstrip('.').lower()}" if suffix else None


def _surroundings(
    before: Surroundings, directory: Directory, target: Endpoint, source: Endpoint, credentials_given: bool
) -> Surroundings:
    unread = tuple(each.host for each in (target, source) if each.facts.is_acr and not each.azure)
    return Surroundings(before.acr_suffix, unread, directory.current_subscription, credentials_given)


def _choose(order: Order, via: Via, via_origin: str) -> Plan:
    """Choose who moves the bytes, and say so before any of them moves."""
    plan = choose_route(
        order.target.facts,
        order.source.facts,
        via=via,
        via_origin=via_origin,
        same_registry=order.source.host == order.target.host,
    )
    if plan.route is Route.SERVICE:
        logger.warning("Importing by the service: %s.", plan.reason)
    else:
        logger.warning("Copying from here: %s.", plan.reason)
    return plan


def _warn_of_doubled_names(order: Order) -> None:
    """`az acr import` takes such names as they are, and so does this; hardly anybody means them."""
    for name in order.images.targets:
        if name.startswith(f"{order.target.host}/"):
            logger.warning("The repository will be named %s, within the registry of that name.", name)


def _run(order: Order, plan: Plan, *, no_wait: bool, started: float) -> dict[str, Any] | None:
    taken = Taken(plan.route, plan.reason)
    if plan.route is Route.SERVICE:
        try:
            _by_service(order, no_wait=no_wait)
        except ImportRefused as ex:
            taken = _fall_back(order, plan, ex)
    copied = _by_copy(order, no_wait=no_wait) if taken.route is Route.LOCAL else None
    _count_route(taken.route)
    if no_wait and not copied:
        return None  # a result would say that the images are there; as of `az acr import`, there is none yet
    return _outcome(order, taken, copied, time.monotonic() - started).as_dict()


def _fall_back(order: Order, plan: Plan, ex: ImportRefused) -> Taken:
    """Take the other route, if a copy from here can do what the service could not; else raise."""
    refusal = _understood(order, ex)
    if not (plan.may_fall_back and _cured_here(order, refusal)):
        raise _failure(order, refusal) from ex
    reason = _why_here(order, refusal)
    logger.warning("The service could not import it, copying from here instead: %s.", reason)
    logger.info("The service's own words: %s", ex)
    return Taken(Route.LOCAL, reason, fallback=True)


def _by_copy(order: Order, *, no_wait: bool) -> CopyResult:
    if no_wait:
        logger.warning("--no-wait does not apply to a copy from here: it ends with the command.")
    return copy_from_here(
        order.cli_ctx,
        source=order.source,
        target=order.target,
        images=order.images,
        username=order.username,
        password=order.password,
        identity=order.identity,
        effort=order.effort,
    )


def _by_service(order: Order, *, no_wait: bool) -> None:
    from azext_acrimport._client_factory import cf_registries

    azure = order.target.azure
    if azure is None:
        raise ValueError("the service route needs a target that Azure Resource Manager shows")
    body = import_body(
        order.images,
        resource_id=order.source.resource_id,
        host=order.source.host,
        username=order.username,
        password=order.password or token_for_service(order.identity),
    )
    client = cf_registries(order.cli_ctx, azure.id.subscription)
    tally = ImportTally()
    try:
        with Display(tally, sys.stderr, enabled=shows_progress(order.cli_ctx) and not no_wait):
            import_by_service(client, azure.id, body, follow=tally.follow, no_wait=no_wait)
    except KeyboardInterrupt:
        logger.warning("The service goes on with the import; see `az acr repository show-tags`.")
        raise
    if no_wait:
        logger.warning("The import has started. Without waiting for it, the command does not tell whether it fails.")


def _understood(order: Order, ex: ImportRefused) -> Refusal:
    return classify(
        f"{ex.code}: {ex.message}", status=ex.status, target_host=order.target.host, source_host=order.source.host
    )


def _cured_here(order: Order, refusal: Refusal) -> bool:
    """Whether a copy from here may do what the service could not.

    Where the source asked for credentials and none were given, this machine may have some that the service had not.
    """
    if refusal.curable:
        return True
    if refusal.kind is not Kind.CREDENTIALS or order.password or order.identity or order.source.resource_id:
        return False
    from azext_acrimport.credentials import saved_credentials
    from azext_acrimport.oci.reference import Reference

    repository = Reference.within(order.source.host, order.images.source).repository
    return order.source.facts.is_acr or saved_credentials(order.source.host, repository) is not None


def _why_here(order: Order, refusal: Refusal) -> str:
    side = {"source": f"source {order.source.facts.name}: ", "target": f"target {order.target.facts.name}: "}
    if refusal.kind is Kind.CREDENTIALS:
        return f"{side['source']}it asks for credentials, and those that this machine has are not for the service"
    return f"{side.get(refusal.side, '')}{refusal.meaning}"


def _failure(order: Order, refusal: Refusal) -> ServiceFailure:
    tags = tuple(f"{repository}:{tag}" for repository, tag in order.images.tagged)
    return ServiceFailure(refusal, order.source.host, order.images.source, order.target.host, tags)


def _outcome(order: Order, taken: Taken, copied: CopyResult | None, seconds: float) -> Outcome:
    azure = order.target.azure
    return Outcome(
        registry=azure.name if azure else order.target.facts.name,
        login_server=order.target.host,
        source_host=order.source.host,
        images=order.images,
        taken=taken,
        seconds=seconds,
        copied=copied,
    )


def _count_route(route: Route) -> None:
    """Tell the CLI's telemetry, where the user has it on, which route it was: no names, nothing else."""
    from azure.cli.core import telemetry

    telemetry.add_extension_event("acrimport", {"Context.Default.AzureCLI.AcrxRoute": route.value})
