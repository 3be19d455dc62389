# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""What the service means by its refusals: a pure function over the texts that it answers with.

The service's text often names the target for what the source refused (https://github.com/Azure/azure-cli/issues/31412),
and most texts are documented nowhere: each pattern below has its source beside it.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import NamedTuple


class Kind(str, Enum):
    """What the service could not get past."""

    NETWORK = "network"
    UNREACHABLE = "unreachable"
    RIGHTS = "rights"
    SOURCE_RIGHTS = "source rights"
    THROTTLED = "throttled"
    SOURCE_PROTOCOL = "source protocol"
    TOO_MANY_MANIFESTS = "too many manifests"
    OPAQUE = "opaque"
    CREDENTIALS = "credentials"
    NOT_FOUND = "not found"
    TAG_EXISTS = "tag exists"
    EXPORT_POLICY = "export policy"
    LOCKED = "locked"
    UNKNOWN = "unknown"


# What a copy from here can do and the service cannot. A wrong credential, a missing image or an existing tag are
# the answer by whichever route, and an administrator's policy is not to be got round.
_CURABLE = frozenset(
    {
        Kind.NETWORK,
        Kind.UNREACHABLE,
        Kind.RIGHTS,
        Kind.SOURCE_RIGHTS,
        Kind.THROTTLED,
        Kind.SOURCE_PROTOCOL,
        Kind.TOO_MANY_MANIFESTS,
        Kind.OPAQUE,
    }
)


class Refusal(NamedTuple):
    """A refusal, understood. ``side`` is the one to blame: ``source``, ``target``, or empty where it cannot be told."""

    kind: Kind
    side: str
    meaning: str

    @property
    def curable(self) -> bool:
        """Whether a copy from here can do what the service could not."""
        return self.kind in _CURABLE


class _Rule(NamedTuple):
    pattern: str
    kind: Kind
    side: str
    meaning: str


# The first that fits decides: the narrow ones stand before the wide ones.
_RULES = (
    # https://github.com/Azure/acr/issues/237
    _Rule(
        r"linked scope|LinkedAuthorizationFailed",
        Kind.SOURCE_RIGHTS,
        "source",
        "the signed-in identity may not read the source registry in Azure Resource Manager",
    ),
    # https://github.com/Azure/acr/issues/281
    _Rule(
        r"AuthorizationFailed.*importImage|authorization to perform action '[^']*importImage",
        Kind.RIGHTS,
        "target",
        "the signed-in identity has no right to importImage",
    ),
    # https://learn.microsoft.com/azure/container-registry/data-loss-prevention
    _Rule(
        r"export\s?policy|exports? (?:is|are) (?:disabled|not allowed)",
        Kind.EXPORT_POLICY,
        "source",
        "its images are not to leave it (exportPolicy is disabled)",
    ),
    # https://github.com/MicrosoftDocs/azure-docs/issues/115975
    _Rule(r"client with IP '[^']*' is not allowed access", Kind.NETWORK, "source", "its firewall refused the service"),
    # https://github.com/Azure/acr/issues/435
    _Rule(r"Forbidden.*requested access to the resource is denied", Kind.NETWORK, "source", "it refused the service"),
    # https://github.com/Azure/acr/issues/571; which side it is, the name in it tells
    _Rule(r"Access to \S+ denied", Kind.NETWORK, "", "its network rules refused the service"),
    # https://github.com/dotnet/docker-tools/pull/1062
    _Rule(r"HAP429", Kind.THROTTLED, "target", "the service is throttling imports into this registry"),
    # https://github.com/Azure/azure-sdk-for-js/issues/34390
    _Rule(
        r"TOOMANYREQUESTS|StatusCode: 429|429 Too Many Requests|rate limit",
        Kind.THROTTLED,
        "source",
        "it has had too many requests from the addresses that the service shares",
    ),
    # https://learn.microsoft.com/azure/container-registry/container-registry-import-images (troubleshooting)
    _Rule(
        r"RFC 7233|Unexpected response status code|Unexpected length of body in response",
        Kind.SOURCE_PROTOCOL,
        "source",
        "it does not serve blobs in the ranges that the service asks for",
    ),
    # https://github.com/Azure/acr/issues/233 and /422
    _Rule(
        r"No value specified for Docker-Content-Digest|Unable to find manifest digest",
        Kind.SOURCE_PROTOCOL,
        "source",
        "it does not name the digests that the service asks for",
    ),
    # https://github.com/Azure/acr/issues/287
    _Rule(
        r"Invalid value \S+ for property parameters\.Source\.RegistryUri",
        Kind.SOURCE_PROTOCOL,
        "source",
        "the service takes no such address",
    ),
    # The limit: https://learn.microsoft.com/azure/container-registry/container-registry-import-images. No text is
    # documented, so this is wide: the number beside the word, or the word beside what says that they are too many.
    _Rule(
        r"\b50\b[^.]{0,60}manifests|manifests[^.]{0,60}\b50\b|(?:too many|number of|maximum|exceed\w*)[^.]{0,60}"
        r"manifests|manifests[^.]{0,60}(?:exceed|limit|maximum|too many)",
        Kind.TOO_MANY_MANIFESTS,
        "source",
        "the image has more manifests than the service imports (50)",
    ),
    # https://github.com/Azure/acr/issues/181 and /449
    _Rule(
        r"UNAUTHORIZED|Unauthorized|authentication required|StatusCode: 401",
        Kind.CREDENTIALS,
        "source",
        "it did not accept the credentials, or the repository does not exist",
    ),
    _Rule(
        r"MANIFEST_UNKNOWN|NAME_UNKNOWN|manifest unknown|repository name not known|manifest \S+ (?:is )?not found|"
        r"StatusCode: 404",
        Kind.NOT_FOUND,
        "source",
        "there is no such image or tag",
    ),
    # https://learn.microsoft.com/azure/container-registry/container-registry-faq (why a push fails)
    _Rule(
        r"REGISTRY_DISALLOWED_OPERATION|operation is disallowed",
        Kind.LOCKED,
        "target",
        "the tag or repository is locked, or the registry takes no writes",
    ),
    _Rule(r"already exists?|\bConflict\b|tag \S+ exists", Kind.TAG_EXISTS, "target", "the tag exists"),
    # Texts of .NET's HTTP client, which the service is written with: https://github.com/dotnet/runtime
    _Rule(
        r"no such host|name or service not known|could not be resolved|nodename nor servname|connection refused|"
        r"actively refused|timed? ?out|unable to connect|failed to connect|connection attempt failed|unreachable|"
        r"error occurred while sending the request|SSL connection could not|certificate",
        Kind.UNREACHABLE,
        "source",
        "the service cannot reach its host",
    ),
    # https://github.com/Azure/acr/issues/632
    _Rule(r"Error copying blobs", Kind.OPAQUE, "", "copying blobs broke off, and the service does not say why"),
)

_BY_STATUS = {
    404: Refusal(Kind.NOT_FOUND, "target", "Azure Resource Manager does not find it"),
    409: Refusal(Kind.TAG_EXISTS, "target", "the tag exists"),
    429: Refusal(Kind.THROTTLED, "target", "Azure Resource Manager is throttling"),
}


def classify(text: str, *, status: int | None = None, target_host: str = "", source_host: str = "") -> Refusal:
    """What the service means. ``status`` is that of its answer; the hosts tell which side a name in the text is."""
    if status == 409:
        return _BY_STATUS[409]
    for rule in _RULES:
        found = re.search(rule.pattern, text, re.IGNORECASE | re.DOTALL)  # which compiles it when it is needed
        if found:
            side = rule.side or _side_named(found.group(), target_host, source_host)
            return Refusal(rule.kind, side, rule.meaning)
    return _BY_STATUS.get(status or 0, Refusal(Kind.UNKNOWN, "", ""))


def _side_named(text: str, target_host: str, source_host: str) -> str:
    if source_host and source_host.lower() in text.lower():
        return "source"
    return "target" if target_host and target_host.lower() in text.lower() else ""
