# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Asking programs for their versions."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence

_SECONDS = 20


def output(command: Sequence[str]) -> str:
    """What a program prints, or nothing if it cannot be run."""
    try:
        done = subprocess.run(
            list(command), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout


def first_line(command: Sequence[str]) -> str:
    """The first line of what a program prints."""
    return output(command).partition("\n")[0].strip()


def version_of(kind: str, path: str) -> str:
    """The version of a peer."""
    if kind == "skopeo":
        return re.sub(r"^skopeo version | commit: ([0-9a-f]{7}).*", r" \1", first_line([path, "--version"])).strip()
    if kind == "crane":
        return first_line([path, "version"])
    fields = dict(re.findall(r"(\w+):\s+(\S+)", output([path, "version"])))
    tag = fields.get("VCSTag", "unknown")
    return (
        tag if not tag.startswith("v0.0.0-") else f"{fields.get('VCSRef', '')[:7]} of {fields.get('VCSDate', '')[:10]}"
    )
