# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""The importImage operation of Azure Resource Manager: start it, follow it to its end.

Source: https://learn.microsoft.com/rest/api/container-registry/registries/import-image
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from azext_acrimport.arm import ResourceId
from azext_acrimport.registry.errors import Cancelled
from azext_acrimport.registry.said import clean

# Where the service gives no Retry-After. The SDK's own default of 30 s would make a small import wait for nothing.
POLL_SECONDS = 5
_MAX_MESSAGE = 4000  # it may quote the registries, which say what they like
_WAIT_SECONDS = 0.5  # how long it may take to notice that nobody waits any more

States = Mapping[str, str]
Follow = Callable[[States], None]


@dataclass(eq=False)
class ImportRefused(Exception):
    """The service refused an import, or it failed there. ``status`` is that of the HTTP answer that said so."""

    status: int | None
    code: str
    message: str

    def __str__(self) -> str:
        return self.message


def import_image(
    client: Any,
    target: ResourceId,
    body: Mapping[str, Any],
    *,
    follow: Follow,
    no_wait: bool,
    stopped: threading.Event,
) -> None:
    """Have the service import an image, and wait for it unless ``no_wait``: then it has only been accepted.

    ``follow`` gets the states of the image's manifests (``repository@digest`` to ``Pending``, ``Succeeded``...) with
    each answer, on a thread of the SDK's.

    :raises ImportRefused: the service refused or failed.
    :raises Cancelled: ``stopped`` was set while it was waited for; the service goes on with it.
    """
    from azure.core.exceptions import HttpResponseError

    try:
        # The body goes as bytes, the one form that every version of the SDK passes on unchanged.
        poller = client.begin_import_image(
            target.group,
            target.name,
            json.dumps(body).encode(),
            content_type="application/json",
            polling=False if no_wait else _polling(follow),
        )
        while not no_wait and not poller.done():
            poller.wait(_WAIT_SECONDS)
            if stopped.is_set():
                raise Cancelled
        poller.result()
    except HttpResponseError as ex:
        raise _refused(ex) from ex


def _polling(follow: Follow) -> Any:
    from azure.mgmt.core.polling.arm_polling import ARMPolling

    class FollowedPolling(ARMPolling):  # type: ignore[misc]
        """The SDK's polling, which also passes on what each answer says of the single manifests."""

        def update_status(self) -> None:
            super().update_status()
            follow(_states(self._pipeline_response.http_response))

    return FollowedPolling(POLL_SECONDS)


def _states(response: Any) -> States:
    """The per-manifest map of a poll's answer: https://github.com/Azure/azure-cli/issues/23142."""
    try:
        fields = json.loads(response.text() or "null")
    except ValueError:
        return {}
    if not isinstance(fields, dict):
        return {}
    return {name: state for name, state in fields.items() if "@" in name and isinstance(state, str)}


def _refused(ex: Any) -> ImportRefused:
    """The service's own words, without what the SDK puts around them."""
    code, message = "", str(ex.message)
    error = getattr(ex, "error", None)
    if error is not None and getattr(error, "message", None):
        code, message = str(error.code or ""), str(error.message)
    return ImportRefused(ex.status_code, clean(code, 64), clean(message, _MAX_MESSAGE))
