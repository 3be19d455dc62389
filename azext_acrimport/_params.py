# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""The arguments: those of ``az acr import``, and in groups what goes beyond."""

from __future__ import annotations

from typing import Any

from azure.cli.core.commands.parameters import (
    get_enum_type,
    get_resource_name_completion_list,
    resource_group_name_type,
)

from azext_acrimport._completers import complete_source
from azext_acrimport._validators import (
    validate_connections,
    validate_effort,
    validate_required,
    validate_source_credentials,
)
from azext_acrimport.plan import Via

REGISTRY_TYPE = "Microsoft.ContainerRegistry/registries"


def load_arguments(self: Any, _: Any) -> None:
    """Register the arguments."""
    with self.argument_context("acrx") as c:
        c.argument(
            "registry_name",
            options_list=["--name", "-n"],
            help="Name or login server of the target registry. You can configure the default registry using "
            "`az configure --defaults acr=<registry name>`.",
            completer=get_resource_name_completion_list(REGISTRY_TYPE),
            configured_default="acr",
        )
        c.argument("resource_group_name", arg_type=resource_group_name_type, required=False)
    with self.argument_context("acrx import") as c:
        c.argument(
            "via",
            arg_type=get_enum_type([each.value for each in Via]),
            help="Who moves the image: the service, a copy from this machine, or the one of them that the network "
            "settings of both registries ask for. Default: the value of `az config set acrimport.via=...`, else auto.",
        )
        c.argument("force", action="store_true", help="Overwrite existing tags.")
        c.argument(
            "dry_run",
            action="store_true",
            help="Show what would be done, and do nothing: the route and why, what is there, what would move.",
        )
        c.argument(
            "return_at_once",  # the core keeps the name no_wait for commands that never have a result with it
            options_list=["--no-wait"],
            action="store_true",
            help="Return once the service has accepted the import. Failures are not shown then. "
            "A copy from this machine always runs to its end.",
        )
    _load_source(self)
    _load_tags(self)
    _load_parts(self)
    _load_names(self)
    _load_lists(self)
    _load_effort(self)
    with self.argument_context("acrx check", arg_group="Source") as c:
        c.argument(
            "source_image",
            options_list=["--source"],
            help="Image to import, as for `az acrx import`, or a registry alone: `registry.contoso.com`.",
        )


def _load_source(self: Any) -> None:
    with self.argument_context("acrx import", arg_group="Source") as c:
        c.argument(
            "source_image",
            options_list=["--source"],
            completer=complete_source,
            help="Image to import: `registry/repository:tag` or `registry/repository@digest`; with `--registry` just "
            "`repository:tag`; with options that choose tags the repository alone. Or an image layout on this machine: "
            "`oci:DIRECTORY:tag`, `oci-archive:FILE:tag`.",
            validator=validate_required,
        )
    with self.argument_context("acrx", arg_group="Source") as c:
        c.argument(
            "source_registry",
            options_list=["--registry", "-r"],
            help="Source container registry of Azure: its name, login server or resource ID, "
            "in any subscription that you see.",
            completer=get_resource_name_completion_list(REGISTRY_TYPE),
        )
        c.argument(
            "source_registry_username",
            options_list=["--username", "-u"],
            help="User of the source registry. Default: the environment variable ACRX_SOURCE_USERNAME.",
            validator=validate_source_credentials,
        )
        c.argument(
            "source_registry_password",
            options_list=["--password", "-p"],
            help="Password of the source registry; without a user, an access token. `@file` reads it from a file. "
            "Default: the environment variable ACRX_SOURCE_PASSWORD. Both keep it out of the list of processes.",
        )
        c.argument(
            "source_identity",
            help="Sign in to the source, a container registry of Azure, as somebody else, without a password: "
            "`cli:TENANT` (yourself, in another tenant), `managed[:CLIENT_ID]` (this machine), `workload` (AKS), "
            "`pipelines:SERVICE_CONNECTION_ID` (Azure DevOps), or `environment` (the service principal of "
            "AZURE_CLIENT_ID).",
        )


def _load_names(self: Any) -> None:
    with self.argument_context("acrx import") as c:
        c.argument(
            "target_tags",
            options_list=["--image", "-t"],
            action="append",
            help="Name and tag in the target: `repository:tag`. May be given several times. Default: those of the "
            "source, whose parts may be used: `prod/{repository}:{tag}`, also {name} and {registry}.",
        )
        c.argument(
            "repository",
            action="append",
            help="Repository in the target that gets the image without a tag. May be given several times.",
        )


def _load_tags(self: Any) -> None:
    with self.argument_context("acrx import", arg_group="Tag") as c:
        c.argument("all_tags", action="store_true", help="Import all tags of the repository.")
        c.argument(
            "tag_patterns",
            options_list=["--tags"],
            nargs="+",
            help="Import the tags that match one of these patterns: `1.*`, `*-alpine`. Of several rules for tags, all "
            "have to agree.",
        )
        c.argument("exclude_tags", nargs="+", help="Leave out the tags that match one of these patterns.")
        c.argument("semver", help="Import the tags that are versions in this range: `>=1.2 <2`, `^1.4`, `1.x || 2.x`.")
        c.argument("latest", type=int, help="Import the newest versions of what is chosen, so many of them.")
        c.argument(
            "with_aliases",
            action="store_true",
            help="Import the image under its other tags at the source as well, such as `1.4.2`, `1.4` and `latest`.",
        )


def _load_parts(self: Any) -> None:
    with self.argument_context("acrx import", arg_group="Content") as c:
        c.argument(
            "platforms",
            options_list=["--platform"],
            action="append",
            help="Import only the image for this platform: `linux/amd64`, `linux/arm/v7`. May be given several times: "
            "that makes a new index, with a digest of its own.",
        )
        c.argument(
            "referrers",
            nargs="*",
            help="Import what refers to the image as well: signatures, SBOMs, attestations. With artifact types only "
            "those; `sig`, `att` and `sbom` are short for those of cosign.",
        )


def _load_lists(self: Any) -> None:
    with self.argument_context("acrx import", arg_group="List") as c:
        c.argument(
            "from_file",
            help="Import the images of a list: YAML, JSON, or one reference on a line; `-` reads standard input. "
            "Other options hold for the entries that do not say otherwise.",
        )
        c.argument(
            "shard",
            help="Import one of several disjoint parts, for several machines: `1/4`, or `auto` in parallel jobs of "
            "Azure Pipelines and Indexed Jobs of Kubernetes.",
        )
        c.argument(
            "fail_fast",
            action="store_true",
            help="Begin nothing further once an image has failed. Default: the others are imported.",
        )


def _load_effort(self: Any) -> None:
    with self.argument_context("acrx import", arg_group="Local Copy") as c:
        c.argument(
            "retries",
            type=int,
            help="How often a request is sent again when the network or a registry fails; 0 for never.",
            validator=validate_effort,
        )
        c.argument(
            "timeout",
            help="Time limit of the whole copy: seconds, or a number with s, m or h, such as `15m`. The next run goes "
            "on from there. Default: no limit.",
        )
        c.argument(
            "max_connections",
            type=int,
            help="The most connections to each registry, for a line that is shared with others. Default: as many as "
            "help, 64 at the most.",
            validator=validate_connections,
        )
