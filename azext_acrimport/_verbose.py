# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""What ``--verbose`` tells of a copy: a line for each blob, manifest and tag."""

from __future__ import annotations

from knack.log import get_logger

from azext_acrimport._tally import format_bytes
from azext_acrimport.transfer.events import BlobFinished, Event, ManifestFinished, TagWritten, Waiting
from azext_acrimport.transfer.result import BlobOutcome

logger = get_logger(__name__)


def log_event(event: Event) -> None:
    """Log what has been done."""
    if isinstance(event, BlobFinished):
        logger.info("Blob %s, %s, %s.", short(event.digest), format_bytes(event.size), _how(event))
    elif isinstance(event, ManifestFinished):
        logger.info("Manifest %s, %s.", short(event.digest), "copied" if event.copied else "was there")
    elif isinstance(event, TagWritten):
        logger.info("Tag %s:%s, written.", event.repository, event.tag)
    elif isinstance(event, Waiting):
        logger.info("Waiting %.1f s for %s: %s", event.seconds, event.host, event.cause)


def short(digest: str) -> str:
    """The beginning of a digest, as other tools show it."""
    return digest.partition(":")[2][:12]


def _how(event: BlobFinished) -> str:
    if event.outcome is BlobOutcome.EXISTING:
        return f"was in {event.repository}"
    return f"{event.outcome.value} from {event.origin} to {event.repository}"
