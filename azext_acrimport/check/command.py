# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""The command ``az acrx check``: both registries looked at side by side, and what follows for an import."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from azext_acrimport._console import suited_console
from azext_acrimport._errors import cli_errors
from azext_acrimport._exit import exit_after_output
from azext_acrimport._validators import via_of
from azext_acrimport.arm import Directory, open_directory
from azext_acrimport.check.findings import Finding, Report, Verdict, conclude
from azext_acrimport.check.probe import PLACEHOLDER
from azext_acrimport.check.survey import Source, look_around
from azext_acrimport.command import acr_suffix
from azext_acrimport.explain import Surroundings
from azext_acrimport.gather import Arguments, login_of
from azext_acrimport.oci.reference import Reference
from azext_acrimport.plan import NetworkFacts, RouteRefused, Via, choose_route
from azext_acrimport.redaction import hidden_in_logs
from azext_acrimport.request import TargetName, check_source
from azext_acrimport.resolve import Endpoint, SourceArguments, find_source, find_target
from azext_acrimport.transfer.errors import Side

_ANYWHERE = NetworkFacts("any open registry", is_acr=False, in_arm=False)


def check(cli_ctx: Any, arguments: Arguments) -> dict[str, Any]:
    """See whether an import would get through, by which route, and what stands in the way."""
    around = [Surroundings(acr_suffix=acr_suffix(cli_ctx))]
    with (
        suited_console(cli_ctx),
        hidden_in_logs(arguments["password"]) as hide,
        cli_errors(lambda: around[0]),
    ):
        login = login_of(arguments)
        via, via_origin = via_of(None, cli_ctx.config)
        name = TargetName.parse(arguments["name"], around[0].acr_suffix)
        given, has_image = _named(arguments["source"], arguments["registry"], has_credentials=bool(login))
        directory = open_directory(cli_ctx)
        target = find_target(directory, name, arguments["resource-group"])
        source = None
        if given:
            endpoint, image = find_source(directory, given, around[0].acr_suffix)
            reference = Reference.within(endpoint.host, image)
            source = Source(endpoint, reference, has_image, login)
        around[0] = _surroundings(around[0], directory, target, source)
        findings = look_around(cli_ctx, target, source, around[0], hide=hide)
        report = _report(target, source, findings, via=via, via_origin=via_origin)
    if report.verdict.route is None:
        exit_after_output(cli_ctx, 1)
    return report.as_dict()


def _named(source: str | None, registry: str | None, *, has_credentials: bool) -> tuple[SourceArguments | None, bool]:
    """The arguments that name the source, and whether they name an image.

    :raises InvalidRequest: they are malformed.
    """
    if not source:
        return SourceArguments(PLACEHOLDER, registry, has_credentials) if registry else None, False
    if not registry and _is_registry(source):
        return SourceArguments(f"{source.rstrip('/')}/{PLACEHOLDER}", None, has_credentials), False
    check_source(source, registry)
    return SourceArguments(source, registry, has_credentials), True


def _is_registry(source: str) -> bool:
    host, colon, port = source.rstrip("/").partition(":")
    return "/" not in host + port and ("." in host or host == "localhost") and (not colon or port.isdigit())


def _surroundings(before: Surroundings, directory: Directory, target: Endpoint, source: Source | None) -> Surroundings:
    sides = [target, source.endpoint] if source else [target]
    return replace(
        before,
        unread=tuple(each.host for each in sides if each.facts.is_acr and not each.azure),
        subscription=directory.current_subscription,
        credentials_given=bool(source and source.login),
        identity=str(source.login.identity or "") if source else "",
    )


def _report(
    target: Endpoint, source: Source | None, findings: Sequence[Finding], *, via: Via, via_origin: str
) -> Report:
    facts = source.endpoint.facts if source else _ANYWHERE
    same = source is not None and source.endpoint.host == target.host
    try:
        plan = choose_route(target.facts, facts, via=via, via_origin=via_origin, same_registry=same)
        verdict = conclude(plan, findings, names={Side.TARGET: target.facts.name, Side.SOURCE: facts.name})
    except RouteRefused as ex:
        verdict = Verdict(None, str(ex))
    registry = target.azure.name if target.azure else target.facts.name
    return Report(registry, source.name if source else None, verdict, tuple(findings))
