# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""The command table."""

from __future__ import annotations

from typing import Any

from azext_acrimport._format import check_table, import_table


def load_command_table(self: Any, _: Any) -> None:
    """Register the commands."""
    with self.command_group("acrx", is_preview=True) as group:
        group.custom_command("import", "import_image", table_transformer=import_table)
        group.custom_command("check", "check_registries", table_transformer=check_table)
