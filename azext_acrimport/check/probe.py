# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""What a registry lets this machine do, found out without changing anything there: GET and HEAD alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from azext_acrimport._errors import shown_as
from azext_acrimport.check.findings import BOTH, HERE, Finding, Status, in_one_line
from azext_acrimport.explain import Surroundings, refused_address
from azext_acrimport.identity.failure import IdentityFailure
from azext_acrimport.oci.descriptor import Descriptor
from azext_acrimport.oci.errors import OciError
from azext_acrimport.plan import Route
from azext_acrimport.registry.causes import failure
from azext_acrimport.registry.errors import ConnectionFailed, NoToken, Reason, RegistryError
from azext_acrimport.registry.registry import Registry
from azext_acrimport.registry.repository import Repository
from azext_acrimport.registry.response import HttpViolation
from azext_acrimport.transfer.errors import CopyError, Side, blamed_on
from azext_acrimport.transfer.graph import MAX_DEPTH

PLACEHOLDER = "acrx-check"  # the repository that is asked about where none was named: it need not exist
_STEPS = {Reason.DNS: "name", Reason.TLS: "tls", Reason.PROXY: "proxy"}
_CHECKS = {401: "pull", 403: "pull", 404: "image", 429: "rate limit"}
_ANSWERS = frozenset({200, 401})
_ROLES = {"pull": "AcrPull", "push": "AcrPush"}
_ABAC = {"pull": "Container Registry Repository Reader", "push": "Container Registry Repository Writer"}


@dataclass(frozen=True)
class Place:  # pylint: disable=too-many-instance-attributes
    """One side, as this machine meets it.

    ``identifier`` is the tag or digest in ``repository``, where an image was named. ``shown`` says in words which
    credentials the registry is shown, and ``service_has_them`` whether the service would show it the same;
    ``assign`` makes the command that gives the signed-in identity a role there, and is None where the credentials are
    others.
    """

    side: Side
    registry: Registry
    around: Surroundings = field(repr=False)
    shown: str
    service_has_them: bool = True
    is_acr: bool = True
    repository: str = PLACEHOLDER
    identifier: str | None = None
    assign: Callable[[str], str] | None = None

    @property
    def wanted(self) -> tuple[str, ...]:
        """What this machine has to be allowed there."""
        return ("pull", "push") if self.side is Side.TARGET else ("pull",)

    def ok(self, check: str, detail: str) -> Finding:
        """Something is as it should be."""
        return Finding(self.side, check, Status.OK, detail)

    def failed(self, check: str, detail: str, advice: str, blocks: frozenset[Route] = HERE) -> Finding:
        """Something stands in the way."""
        return Finding(self.side, check, Status.FAILED, detail, advice, blocks)

    def unknown(self, check: str, detail: str) -> Finding:
        """Something cannot be told."""
        return Finding(self.side, check, Status.UNKNOWN, detail)

    @property
    def answers(self) -> Finding:
        """It can be reached."""
        return self.ok("connection", f"{self.registry.host} answers")

    @property
    def signed_in(self) -> Finding:
        """It has taken the credentials."""
        return self.ok("sign-in", self.shown)


def look_at_target(place: Place) -> list[Finding]:
    """Whether this machine gets to the target, and may read and write there."""
    repository = place.registry.repository(place.repository).to_push()
    return _look(place, repository, partial(_rights, place, repository))


def look_at_source(place: Place) -> list[Finding]:
    """Whether this machine gets to the source, and may read the image if there is one, with its blobs."""
    repository = place.registry.repository(place.repository)
    if place.identifier:
        return _look(place, repository, partial(_image, place, repository, place.identifier))
    if place.is_acr:
        return _look(place, repository, partial(_rights, place, repository))
    return _look(place, repository, partial(_front_door, place))


def gave_no_answer(place: Place, seconds: float) -> list[Finding]:
    """What is known of a side that has been waited for long enough."""
    host = place.registry.host
    ex = CopyError(place.side, host, place.repository)
    ex.__cause__ = ConnectionFailed(host, host, Reason.TIMEOUT, f"no answer within {seconds:.0f} seconds")
    return _failed(place, ex, None)


def _look(place: Place, repository: Repository, ask: Callable[[], list[Finding]]) -> list[Finding]:
    try:
        with blamed_on(place.side, repository, place.identifier or ""):
            return ask()
    except CopyError as ex:
        return _failed(place, ex, repository.granted)


def _rights(place: Place, repository: Repository) -> list[Finding]:
    """Ask for a manifest, whether there is one or not: the token that comes of it says what is allowed."""
    repository.digest_of("latest")
    return [place.answers, place.signed_in, *_told(place, repository.granted)]


def _told(place: Place, granted: frozenset[str] | None, advice: str = "") -> list[Finding]:
    if granted is None:
        detail = "the registry tells no more before something is moved"
        return [place.unknown(right, detail) for right in place.wanted]
    within = f"allowed in {place.repository}" if place.repository != PLACEHOLDER else "allowed"
    return [place.ok(right, within) if right in granted else _no_right(place, right, advice) for right in place.wanted]


def _no_right(place: Place, right: str, advice: str) -> Finding:
    blocks = BOTH if place.side is Side.SOURCE and place.service_has_them else HERE
    if not place.assign:
        return place.failed(right, f"these credentials may not {right}", advice, blocks)
    role = _ROLES[right]
    detail = f"the signed-in identity may not {right}: it needs {role}, or {_ABAC[right]} where the registry uses ABAC"
    return place.failed(right, detail, place.assign(role), blocks)


def _image(place: Place, repository: Repository, identifier: str) -> list[Finding]:
    manifest = repository.manifest(identifier)
    found = [place.answers, place.signed_in, place.ok("image", f"{manifest.digest} ({manifest.media_type})")]
    for _ in range(MAX_DEPTH):
        if not manifest.manifests:
            break
        manifest = repository.manifest(manifest.manifests[0].digest)
    blob = next((each for each in manifest.blobs if each.size), None)
    return [*found, _blobs(place, repository, blob)] if blob else found


def _blobs(place: Place, repository: Repository, blob: Descriptor) -> Finding:
    """Read one byte of a blob: registries send for them to other hosts, which firewalls forget.

    Source: https://learn.microsoft.com/azure/container-registry/container-registry-firewall-access-rules
    """

    try:
        with blamed_on(Side.SOURCE, repository, blob.digest):
            place.registry.client.retrying(partial(_read_a_byte, repository, blob.digest))
    except CopyError as ex:
        advice = "Let this machine reach the host that the registry sends to for its blobs"
        name = place.around.acr_name(place.registry.host)
        if name:
            own_hosts = f"az acr update -n {name} --data-endpoint-enabled true"
            advice += f" (*.blob.core.windows.net), or have it use hosts of its own, and allow those: {own_hosts}"
        return place.failed("blobs", f"the image is there, but not its blobs: {ex.__cause__}", advice)
    return place.ok("blobs", "one byte was read")


def _read_a_byte(repository: Repository, digest: str) -> None:
    response = repository.open_blob(digest, last=0)  # of a registry that knows no ranges it is the whole blob
    try:
        response.readinto(memoryview(bytearray(1)))
    except (OSError, HttpViolation) as ex:
        raise failure(repository.registry.host, repository.registry.client.origin, ex) from ex
    finally:
        response.close()


def _front_door(place: Place) -> list[Finding]:
    place.registry.client.call("GET", "/v2/", scope=(), expect=_ANSWERS)
    return [place.answers, place.unknown("pull", "name an image in --source to see whether it may be read")]


def _failed(place: Place, ex: CopyError, granted: frozenset[str] | None) -> list[Finding]:
    """What a failure says, with what worked before it."""
    cause = ex.__cause__
    advice = in_one_line(shown_as(ex, place.around).advice)
    if isinstance(cause, RegistryError):
        return _refused(place, cause, advice, granted)
    if isinstance(cause, ConnectionFailed):
        return [place.failed(_STEPS.get(cause.reason, "connection"), str(cause), advice)]
    if isinstance(cause, NoToken):
        blocks = BOTH if isinstance(cause.__cause__, IdentityFailure) else HERE  # the service would show its token too
        return [place.answers, place.failed("sign-in", str(cause), advice, blocks)]
    check = "image" if isinstance(cause, OciError) else "connection"
    return [place.failed(check, str(cause), advice)]


def _refused(place: Place, cause: RegistryError, advice: str, granted: frozenset[str] | None) -> list[Finding]:
    address = refused_address(cause.message)
    if address:
        detail = f"it refuses this machine, which it sees as {address}"
        return [place.answers, place.failed("firewall", detail, advice)]
    if granted is not None and "pull" not in granted and cause.status in (401, 403):
        return [place.answers, place.signed_in, *_told(place, granted, advice)]
    check = _CHECKS.get(cause.status, "connection")
    if cause.status in (401, 403) and "/v2/" not in cause.request:  # it was the registry's token service
        check = "sign-in"
    detail = f"no such image: {cause}" if cause.status == 404 else str(cause)
    return [place.answers, place.failed(check, detail, advice, _blocked_by(place, cause))]


def _blocked_by(place: Place, cause: RegistryError) -> frozenset[Route]:
    """The service meets the same refusal at the source, unless it comes with other credentials."""
    same = cause.status == 404 or (cause.status in (401, 403) and place.service_has_them)
    return BOTH if same and place.side is Side.SOURCE else HERE
