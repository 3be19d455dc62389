# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""What ``--output table`` shows."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any


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
