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
_WHY_WIDTH = 60


def import_table(result: Any) -> list[OrderedDict[str, Any]]:
    """A row for each name that an image has, or would have, in the target."""
    results = result if isinstance(result, list) else [result]
    return [row for each in results for row in (_plan_rows(each) if "tags" in each else _rows(each))]


def _rows(result: dict[str, Any]) -> list[OrderedDict[str, Any]]:
    names = result["images"] + [f"{name} (untagged)" for name in result["repositories"]]
    return [_row(result, name) for name in names or [""]]


def _row(result: dict[str, Any], name: str) -> OrderedDict[str, Any]:
    route = f"{result['route']} (fallback)" if result["fallback"] else result["route"] or ""
    return OrderedDict(
        [
            ("Status", result["status"]),
            ("Registry", result["registry"]),
            ("Image", name),
            ("Source", _source(result)),
            ("Digest", _short(result["digest"])),
            ("Route", route),
            ("BytesCopied", "" if result["bytesCopied"] is None else result["bytesCopied"]),
            ("Seconds", result["seconds"]),
        ]
    )


def _plan_rows(result: dict[str, Any]) -> list[OrderedDict[str, Any]]:
    """The rows of a dry run: what would become of each name, with the reason for the route below the first."""
    changes = {tag["name"]: tag["change"] for tag in result["tags"]}
    names = result["images"] + [f"{name} (untagged)" for name in result["repositories"]]
    rows = [_plan_row(result, name, changes.get(name, "")) for name in names or [""]]
    rows[0]["Why"] = "\n".join(textwrap.wrap(_why(result), _WHY_WIDTH, break_on_hyphens=False))
    for row in rows[1:]:
        row.update(dict.fromkeys(("Manifests", "Blobs", "BytesToMove"), ""))  # else a reader adds them up
    return rows


def _why(result: dict[str, Any]) -> str:
    """What decides: the error, or the tag in the way, or else the reason for the route."""
    if result["error"]:
        return str(result["error"]["message"])
    if result["status"] == "conflict":
        return "a tag names another image there; --force overwrites it"
    return str(result["reason"])


def _plan_row(result: dict[str, Any], name: str, change: str) -> OrderedDict[str, Any]:
    manifests, blobs = result["manifests"]["toCopy"], result["blobs"]["toCopy"]
    return OrderedDict(
        [
            ("Status", result["status"]),
            ("Route", result["route"] or ""),
            ("Registry", result["registry"]),
            ("Image", name),
            ("Tag", change),
            ("Source", _source(result)),
            ("Digest", _short(result["digest"])),
            ("Manifests", "" if manifests is None else manifests),
            ("Blobs", "" if blobs is None else blobs),
            ("BytesToMove", "" if result["bytesToMove"] is None else result["bytesToMove"]),
            ("Why", ""),
        ]
    )


def _source(result: dict[str, Any]) -> str:
    """The source, with as much of its digest as the column beside it has."""
    source: str = result["source"]
    name, at, digest = source.partition("@")
    return f"{name}{at}{digest.partition(':')[0]}:{_short(digest)}" if at else source


def _short(digest: str | None) -> str:
    return (digest or "").partition(":")[2][:12]


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
