# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""The Azure CLI extension `acrimport`. The CLI imports this module for every command, so it imports little."""

from __future__ import annotations

from typing import Any

from azure.cli.core import AzCommandsLoader

from azext_acrimport import _help  # noqa: F401  # pylint: disable=unused-import


class AcrimportCommandsLoader(AzCommandsLoader):  # type: ignore[misc]
    """Loads the group ``acrx``."""

    def __init__(self, cli_ctx: Any = None) -> None:
        from azure.cli.core.commands import CliCommandType

        super().__init__(
            cli_ctx=cli_ctx, custom_command_type=CliCommandType(operations_tmpl="azext_acrimport.custom#{}")
        )

    def load_command_table(self, args: Any) -> Any:
        """The CLI's hook for commands."""
        from azext_acrimport.commands import load_command_table

        load_command_table(self, args)
        return self.command_table

    def load_arguments(self, command: str) -> None:
        """The CLI's hook for arguments."""
        from azext_acrimport._params import load_arguments

        load_arguments(self, command)


COMMAND_LOADER_CLS = AcrimportCommandsLoader
