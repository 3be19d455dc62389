# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""What ``--output table`` shows."""

from __future__ import annotations

import textwrap
from collections import OrderedDict
from typing import Any

_DETAIL_WIDTH = 90


def import_table(result: dict[str, Any]) -> list[OrderedDict[str, Any]]:
    """A row for each name that the image has in the target."""
    names = result["images"] + [f"{name} (untagged)" for name in result["repositories"]]
    return [_row(result, name) for name in names]


def _row(result: dict[str, Any], name: str) -> OrderedDict[str, Any]:
    digest = (result["digest"] or "").partition(":")[2]
    route = f"{result['route']} (fallback)" if result["fallback"] else result["route"]
    return OrderedDict(
        [
            ("Registry", result["registry"]),
            ("Image", name),
            ("Source", result["source"]),
            ("Digest", digest[:12]),
            ("Route", route),
            ("BytesCopied", "" if result["bytesCopied"] is None else result["bytesCopied"]),
            ("Seconds", result["seconds"]),
        ]
    )


def check_table(result: dict[str, Any]) -> list[OrderedDict[str, Any]]:
    """A row for each check, with what to do about it below; the route that follows is the last."""
    route = {"side": "", "check": "route", "status": result["route"], "detail": result["reason"], "advice": ""}
    return [_check_row(check) for check in [*result["checks"], route]]


def _check_row(check: dict[str, str]) -> OrderedDict[str, Any]:
    lines = textwrap.wrap(check["detail"], _DETAIL_WIDTH, break_long_words=False, break_on_hyphens=False)
    lines += textwrap.wrap(
        check["advice"],
        _DETAIL_WIDTH,
        initial_indent="-> ",
        subsequent_indent="   ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    return OrderedDict(
        [("Side", check["side"]), ("Check", check["check"]), ("Status", check["status"]), ("Detail", "\n".join(lines))]
    )
