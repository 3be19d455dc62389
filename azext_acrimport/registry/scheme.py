# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""Whether a registry speaks https or plain http."""

from __future__ import annotations

from azext_acrimport.registry.address import Origin, origin_of
from azext_acrimport.registry.causes import is_certificate_refused
from azext_acrimport.registry.errors import ConnectionFailed, ProtocolError, Reason, RegistryFailure


class Scheme:
    """Where a registry is asked, and whether that has been settled.

    Registries on this machine mostly speak plain http. The first answer tells; it is asked without credentials. Each
    thread finds out for itself: plain http, then TLS, then plain http for good.
    """

    def __init__(self, host: str) -> None:
        secure = origin_of(host, "https")
        self.is_known = not secure.is_loopback
        self.has_answered = False
        self.origin = secure if self.is_known else origin_of(host, "http")

    def wants_tls(self, origin: Origin, status: int) -> bool:
        """Whether an answer of this status may be what servers say to plain http on a port for TLS."""
        return status == 400 and not self.is_known and origin.scheme == "http"

    def settle(self, origin: Origin) -> None:
        """The registry has answered at this origin, unless it is one that it redirected to."""
        self.has_answered = True
        if not self.is_known and (origin.host, origin.port) == (self.origin.host, self.origin.port):
            self.origin = origin
            self.is_known = True

    def other(self, ex: RegistryFailure, origin: Origin) -> Origin:
        """Where to go on after no answer that makes sense; raises ``ex`` unless the scheme was still the question."""
        no_http = isinstance(ex, ProtocolError) or (
            isinstance(ex, ConnectionFailed) and ex.reason in (Reason.BROKEN, Reason.TLS)
        )
        if not no_http or is_certificate_refused(ex) or origin._replace(scheme=self.origin.scheme) != self.origin:
            raise ex
        if self.is_known:
            if origin == self.origin:
                raise ex
            return self.origin  # another thread has found out meanwhile
        if origin.scheme == "http":
            return origin._replace(scheme="https")
        self.settle(self.origin)
        return self.origin
