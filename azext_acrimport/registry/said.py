# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""What a registry says when it refuses, made fit for a terminal."""

from __future__ import annotations

import json

from azext_acrimport.oci.digest import without_commands

MAX_MESSAGE = 500


def read_error(content: bytes) -> tuple[tuple[str, ...], str]:
    """The codes and the message of an error's body, printable.

    Source: OCI distribution specification, "Error Codes"; anything else is taken as text, unless it is a page.
    """
    try:
        fields = json.loads(content)
    except (ValueError, RecursionError):
        text = content.decode("utf-8", "replace")
        return (), "" if "<html" in text[:1000].lower() else clean(text)
    errors = fields.get("errors") if isinstance(fields, dict) else None
    if isinstance(errors, list):
        listed = [each for each in errors if isinstance(each, dict)]
        codes = tuple(clean(str(each["code"]), 64) for each in listed if each.get("code"))
        return codes[:5], clean("; ".join(str(each["message"]) for each in listed if each.get("message")))
    if isinstance(fields, dict):
        words = [fields.get(key) for key in ("error", "error_description", "message", "details")]
        return (), clean(": ".join(str(word) for word in words if isinstance(word, str) and word))
    return (), ""


def clean(text: str, limit: int = MAX_MESSAGE) -> str:
    """The text on one line, without anything that a terminal or a build service acts on, and not too long."""
    printable = "".join(c if c.isprintable() else " " for c in text[: 4 * limit])
    line = without_commands(" ".join(printable.split()))
    return line if len(line) <= limit else line[: limit - 3] + "..."
