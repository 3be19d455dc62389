# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""What the exceptions of sockets, TLS and HTTP mean, as our own errors."""

from __future__ import annotations

import socket

from azext_acrimport.registry.address import Origin
from azext_acrimport.registry.errors import ConnectionFailed, ProtocolError, Reason, RegistryFailure, TooLarge
from azext_acrimport.registry.response import HttpViolation, TooLong


def failure(host: str, origin: Origin, ex: Exception) -> RegistryFailure:
    """Our error for what a socket or the HTTP parser raised."""
    if isinstance(ex, RegistryFailure):
        return ex
    if isinstance(ex, TooLong):
        return TooLarge(host, f"{origin.authority} sent {ex}")
    if isinstance(ex, HttpViolation):
        return ProtocolError(host, f"{origin.authority} sent {ex}")
    reason, detail = next((reason, words) for kinds, reason, words in _meanings() if isinstance(ex, kinds))
    said = getattr(ex, "verify_message", "") or getattr(ex, "reason", "") or detail_of(ex)
    return ConnectionFailed(host, origin.authority, reason, detail.format(said))


def is_certificate_refused(ex: Exception) -> bool:
    """Whether the peer speaks TLS, but we do not trust its certificate."""
    import ssl

    return isinstance(ex.__cause__, ssl.SSLCertVerificationError)


def _meanings() -> tuple[tuple[tuple[type[Exception], ...], Reason, str], ...]:
    """What exceptions mean, the narrow kinds before the wide ones."""
    import ssl

    return (
        ((socket.gaierror,), Reason.DNS, "the name cannot be resolved ({})"),
        ((ConnectionRefusedError,), Reason.REFUSED, "the connection was refused"),
        # The last three are what Python makes of a time limit that the kernel keeps.
        (
            (TimeoutError, BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError),
            Reason.TIMEOUT,
            "no answer in time",
        ),
        ((ssl.SSLCertVerificationError,), Reason.TLS, "its certificate is not trusted ({})"),
        ((ssl.SSLEOFError, ssl.SSLZeroReturnError), Reason.BROKEN, "the connection broke ({})"),
        ((ssl.SSLError,), Reason.TLS, "TLS failed ({})"),
        ((OSError,), Reason.BROKEN, "the connection broke ({})"),
        ((Exception,), Reason.TLS, "{}"),
    )


def detail_of(ex: Exception) -> str:
    """What an exception says, as far as it says anything."""
    return getattr(ex, "strerror", "") or str(ex) or type(ex).__name__
