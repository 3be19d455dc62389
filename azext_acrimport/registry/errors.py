# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""What can go wrong between us and one registry.

    RegistryFailure                 everything below; ``host`` is the registry's
    ├── RegistryError               the registry answered, and refused
    ├── ConnectionFailed            no answer: ``reason`` says at which step it ended
    ├── NoToken                 there is no token to show: the cause says why
    ├── ContentMismatch             the bytes are not those that the digest or size promised
    ├── ProtocolError               an answer that makes no sense
    │   └── TooLarge                more of it than we take
    └── OutOfTime                   the run's time limit was reached
    Cancelled                       somebody stopped the run

None of them knows which side of a copy the registry is on: ``transfer.errors.CopyError`` adds that.
"""

from __future__ import annotations

from enum import Enum

_RETRYABLE = frozenset({408, 425, 429, 499, 500, 502, 503, 504, 522})


class RegistryFailure(Exception):
    """Something went wrong with one registry. ``host`` is its name as the user wrote it."""

    settled = False  # set once the retries are used up: no outer loop tries again

    def __init__(self, host: str) -> None:
        super().__init__(host)
        self.host = host

    @property
    def retryable(self) -> bool:
        """Whether the same request may succeed later."""
        return False


class RegistryError(RegistryFailure):
    """A registry refused a request.

    ``request`` is the method and the URL without its query, which may hold a signature. ``codes`` are the error
    codes of the distribution specification; ``message`` is the registry's own text, without control characters;
    ``retry_after`` the seconds that it asked to wait.
    """

    def __init__(
        self,
        host: str,
        request: str,
        status: int,
        *,
        codes: tuple[str, ...] = (),
        message: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(host)
        self.request = request
        self.status = status
        self.codes = codes
        self.message = message
        self.retry_after = retry_after

    def __str__(self) -> str:
        said = ": ".join(part for part in (", ".join(self.codes), self.message) if part)
        return f"{self.request} was answered with {self.status}" + (f" ({said})" if said else "")

    @property
    def retryable(self) -> bool:
        return self.status in _RETRYABLE


class Reason(str, Enum):
    """At which step a connection failed."""

    DNS = "dns"
    REFUSED = "refused"
    TLS = "tls"
    PROXY = "proxy"
    TIMEOUT = "timeout"
    BROKEN = "broken"


class ConnectionFailed(RegistryFailure):
    """There was no answer. ``peer`` is the host that was spoken to: the registry's, a realm's, a storage's."""

    def __init__(self, host: str, peer: str, reason: Reason, detail: str) -> None:
        super().__init__(host)
        self.peer = peer
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.peer}: {self.detail}"

    @property
    def retryable(self) -> bool:
        return self.reason is not Reason.TLS


class NoToken(RegistryFailure):
    """The identity that the registry was to be shown gets no token. The cause (``__cause__``) says why."""

    def __str__(self) -> str:
        return str(self.__cause__)


class _Detailed(RegistryFailure):
    """A failure that says in ``detail`` all there is to say."""

    def __init__(self, host: str, detail: str) -> None:
        super().__init__(host)
        self.detail = detail

    def __str__(self) -> str:
        return self.detail


class ContentMismatch(_Detailed):
    """The registry sent other bytes than its manifest promised."""


class ProtocolError(_Detailed):
    """The registry sent an answer that does not follow the distribution specification or HTTP."""


class TooLarge(ProtocolError):
    """The registry sent a body that is longer than we take."""


class OutOfTime(RegistryFailure):
    """The run's time limit was reached while this registry was being waited for."""

    def __str__(self) -> str:
        return "the time limit of the run was reached"


class Cancelled(Exception):
    """The run was stopped from outside."""
