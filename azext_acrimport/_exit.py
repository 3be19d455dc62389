# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""The exit code of a command that has a result to print and has failed all the same."""

from __future__ import annotations

import sys
from typing import Any, NoReturn


def exit_after_output(cli_ctx: Any, code: int) -> None:
    """End the process with this exit code once the command's result has been printed, as any ``--output`` has it.

    The core takes 0 for every command that returns; the event that tells of success comes when the result is out.
    """
    from knack.events import EVENT_CLI_POST_EXECUTE, EVENT_CLI_SUCCESSFUL_EXECUTE

    def leave(_cli: Any, **_event: Any) -> NoReturn:
        sys.exit(code)

    def forget(cli: Any, **_event: Any) -> None:
        cli.unregister_event(EVENT_CLI_SUCCESSFUL_EXECUTE, leave)
        cli.unregister_event(EVENT_CLI_POST_EXECUTE, forget)

    cli_ctx.register_event(EVENT_CLI_SUCCESSFUL_EXECUTE, leave)
    cli_ctx.register_event(EVENT_CLI_POST_EXECUTE, forget)  # of no concern to a next command of this process
