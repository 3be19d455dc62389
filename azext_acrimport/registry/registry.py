# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""A registry: its connections, its credentials, and what a run learns of its habits."""

from __future__ import annotations

from azext_acrimport.oci.reference import DOCKER_HUB, check_repository
from azext_acrimport.registry.client import Client
from azext_acrimport.registry.credentials import Credentials
from azext_acrimport.registry.errors import RegistryFailure
from azext_acrimport.registry.repository import Repository
from azext_acrimport.registry.retry import Clock, RetryPolicy
from azext_acrimport.registry.sender import OnWait
from azext_acrimport.registry.transport import Transport
from azext_acrimport.registry.upload import UploadHabits, habits_for


class Registry:
    """A registry by its host, as the user wrote it, with the credentials to show it."""

    def __init__(
        self,
        host: str,
        *,
        transport: Transport,
        credentials: Credentials | None = None,
        policy: RetryPolicy | None = None,
        clock: Clock | None = None,
        on_wait: OnWait | None = None,
    ) -> None:
        self.host = host
        self.transport = transport
        self.client = Client(host, transport, credentials=credentials, policy=policy, clock=clock, on_wait=on_wait)
        self.habits: UploadHabits = habits_for(host)
        self.lists_referrers: bool | None = None  # as far as it has shown when it was given some
        self.refuses_tags = False  # whether it has refused to list them: ACR may want a right of its own for that

    @property
    def counts_pulls(self) -> bool:
        """Whether each manifest that is fetched counts against a limit, and a look at its digest does not.

        Source: https://docs.docker.com/docker-hub/usage/pulls/
        """
        return self.host == DOCKER_HUB

    @property
    def is_busy(self) -> bool:
        """Whether it has asked for patience just now."""
        return self.client.is_busy

    @property
    def round_trip_seconds(self) -> float:
        """How long a request takes at least; 0 before the first."""
        return self.transport.round_trip_seconds(self.client.origin)

    def listen(self, on_wait: OnWait) -> None:
        """Tell of waits from now on, before whoever is told already."""
        also = self.client.on_wait

        def told(host: str, seconds: float, cause: RegistryFailure) -> None:
            on_wait(host, seconds, cause)
            if also:
                also(host, seconds, cause)

        self.client.on_wait = told

    def connect_ahead(self, count: int) -> None:
        """Have so many connections for further requests, at least begun. Waits for the very first one only.

        :raises ConnectionFailed: that one cannot be made.
        """
        self.transport.connect_ahead(self.host, self.client.origin, count)

    def interrupt(self) -> None:
        """Break off what is under way, in all threads; only farewells are still said."""
        self.client.clock.cancelled.set()
        self.transport.interrupt()

    def stop(self) -> None:
        """Break off what is under way, in all threads; nothing further is asked of the registry."""
        self.client.clock.cancelled.set()
        self.transport.abort()

    def repository(self, name: str) -> Repository:
        """The repository of this name.

        :raises InvalidReference: it is not a name that a repository can have.
        """
        return Repository(self, check_repository(name))
