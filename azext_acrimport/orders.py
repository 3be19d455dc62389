# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""What is asked for, and what is to be done for it: the values between the arguments and the result."""

from __future__ import annotations

from dataclasses import dataclass, field

from azext_acrimport.explain import Surroundings
from azext_acrimport.identity.form import SourceIdentity
from azext_acrimport.layout.reference import LayoutReference
from azext_acrimport.lists.selection import TagFilter
from azext_acrimport.oci.platform import Platform
from azext_acrimport.oci.reference import Reference
from azext_acrimport.oci.referrers import ReferrerFilter
from azext_acrimport.plan import Plan, Via
from azext_acrimport.request import Images, TargetName
from azext_acrimport.resolve import Endpoint


@dataclass(frozen=True)
class Login:
    """What the source is to be shown, where that was given.

    A user with a password, a token as password alone, or the tokens of an identity.
    """

    username: str | None = None
    password: str | None = field(default=None, repr=False)
    identity: SourceIdentity | None = None

    def __bool__(self) -> bool:
        return bool(self.password or self.identity)


@dataclass(frozen=True)
class Effort:
    """How long copies go on where they do not get through, and how much goes on at once.

    That is further tries of each request, seconds in all, and connections to each registry.
    """

    retries: int = 5
    timeout_seconds: float | None = None
    max_connections: int | None = None


@dataclass(frozen=True)
class Request:  # pylint: disable=too-many-instance-attributes
    """One import as it was asked for: by the command's arguments, or by an entry of a list at ``line``.

    ``source``, ``registry``, ``images`` and ``repositories`` are as they were written; names may be templates.
    ``via`` goes with where it was set. ``tags`` choose from the repository that the source then is;
    ``referrers`` that come along are none without a filter.
    """

    target: TargetName
    source: str
    group: str | None = None
    registry: str | None = None
    images: tuple[str, ...] = ()
    repositories: tuple[str, ...] = ()
    force: bool = False
    login: Login = Login()
    via: tuple[Via, str] = (Via.AUTO, "--via")
    tags: TagFilter = field(default_factory=TagFilter)
    with_aliases: bool = False
    platforms: tuple[Platform, ...] = ()
    referrers: ReferrerFilter | None = None
    line: int | None = None


@dataclass(frozen=True)
class Order:
    """One image to import, with everything that is known before it begins."""

    request: Request
    target: Endpoint
    source: Endpoint
    images: Images
    plan: Plan
    around: Surroundings = field(default_factory=Surroundings)
    layout: LayoutReference | None = None

    @property
    def registry_name(self) -> str:
        """What the target is called in Azure Resource Manager, or by the user."""
        return self.target.azure.name if self.target.azure else self.target.facts.name

    @property
    def reference(self) -> Reference:
        """The image in its registry, in full; of a layout there is none."""
        return Reference.within(self.source.host, self.images.source)

    @property
    def identifier(self) -> str:
        """The tag or digest that the image has at its source; of a layout empty where it is the only one."""
        return self.layout.identifier if self.layout else self.reference.identifier

    @property
    def source_name(self) -> str:
        """The image at its source as the user named it, in full."""
        return str(self.layout) if self.layout else f"{self.source.host}/{self.images.source}"
