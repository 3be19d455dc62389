# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""The handlers, whose signatures the CLI reads for every help and completion: so they import what they do inside."""

from __future__ import annotations

from typing import Any


def import_image(  # pylint: disable=too-many-locals
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
    from azext_acrimport._console import suited_console
    from azext_acrimport.command import ImportCommand
    from azext_acrimport.orders import Effort

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
    command = ImportCommand(cmd.cli_ctx, effort, no_wait=return_at_once, fail_fast=fail_fast, dry_run=dry_run)
    with suited_console(cmd.cli_ctx):
        return command(arguments, from_file, shard)


def check_registries(
    cmd: Any,
    *,
    registry_name: str,
    source_image: str | None = None,
    source_registry: str | None = None,
    source_registry_username: str | None = None,
    source_registry_password: str | None = None,
    source_identity: str | None = None,
    resource_group_name: str | None = None,
) -> dict[str, Any]:
    """See whether an import would get through, by which route, and what stands in the way."""
    from azext_acrimport.check.command import check

    arguments = {
        "name": registry_name,
        "resource-group": resource_group_name,
        "source": source_image,
        "registry": source_registry,
        "username": source_registry_username,
        "password": source_registry_password,
        "source-identity": source_identity,
    }
    return check(cmd.cli_ctx, arguments)
