# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""The import operation of the container registry service: what it accepts, copies, refuses, and says while at it.

The words of its failures are those that users have posted; where none is public (the export policy, more than 50
manifests) they are made up in the same style.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from emulator import identity
from emulator.arm_errors import ArmError
from emulator.copying import StoredSource, errors, pull, put
from emulator.identity import Directory, Principal
from emulator.messages import App, Response
from emulator.pulling import PullError, RemoteSource, Source, SourceCredentials
from emulator.resources import SERVICE_ADDRESS, AzureRegistry

# For ``fail_next``: failures of the service that do not come from what was asked of it.
THROTTLED = "Invalid message 429 Too Many Requests Too Many Requests (HAP429)."

_HUB_NAMES = ("docker.io", "index.docker.io", "registry-1.docker.io")
_HUB_HOST = "registry-1.docker.io"
_DENIED = "requested access to the resource is denied"
_FIREWALL = "client with IP '{address}' is not allowed access. Refer https://aka.ms/acr/firewall to grant access."
_LOCKED = (
    "The operation is disallowed on this registry, repository or image. View troubleshooting steps at "
    "https://aka.ms/acr/faq/#why-does-my-pull-or-push-request-fail-with-disallowed-operation"
)


@dataclass
class Operation:
    """One import: ``status`` is Accepted, Succeeded or Failed, ``manifests`` are the keys of its progress map."""

    name: str
    target: AzureRegistry
    principal: Principal
    body: dict[str, Any]
    status: str = "Accepted"
    error: ArmError | None = None
    manifests: tuple[str, ...] = ()
    polls: int = 0
    polls_needed: int = 0

    @property
    def error_message(self) -> str:
        return self.error.message if self.error else ""

    def progress(self) -> dict[str, str]:
        """Return the body of a poll: each manifest goes from Pending over InProgress to Succeeded."""
        done = len(self.manifests) * (self.polls - 1) // max(1, self.polls_needed)
        states = {
            key: "Succeeded" if i < done else "InProgress" if i == done else "Pending"
            for i, key in enumerate(self.manifests)
        }
        return {**states, "status": "Accepted"}


@dataclass(frozen=True)
class _Target:
    repository: str
    tag: str = ""


@dataclass
class ImportService:
    """Imports images between registries, in process.

    An import is done when its POST is answered. How long that takes to show is up to ``pending_polls``: so many polls
    are answered with 202 and the progress before the outcome. ``retry_after_seconds`` is what each answer asks the
    client to wait (azure-core takes less than 1 for "not given" and waits 30 s). Hosts in ``unreachable`` are those
    that Azure cannot reach.
    """

    directory: Directory
    registries: list[AzureRegistry]
    resolve: Callable[[str], App | None]
    pending_polls: int = 0
    retry_after_seconds: int = 1
    unreachable: set[str] = field(default_factory=set)
    operations: list[Operation] = field(default_factory=list)
    _failures: list[ArmError] = field(default_factory=list)
    _hangs: list[int] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def fail_next(self, message: str, *, code: str = "InvalidParameters", status: int = 400) -> None:
        """Let the next import fail with this text, after nothing was copied."""
        self._failures.append(ArmError(status, code, message))

    def hang_next(self, polls: int) -> None:
        """Let the next import say nothing but Accepted for so many polls."""
        self._hangs.append(polls)

    def start(self, principal: Principal, target: AzureRegistry, body: dict[str, Any] | None) -> Operation:
        """Begin an import.

        :raises ArmError: it is refused at once: malformed, or the caller may not read the source resource.
        """
        with self._lock:
            parameters = _checked(body)
            self._check_linked_scope(principal, target, parameters["source"])
            operation = Operation(f"registries-{uuid.uuid4()}", target, principal, parameters)
            operation.polls_needed = self._hangs.pop(0) if self._hangs else self.pending_polls
            self.operations.append(operation)
            self._run(operation)
            return operation

    def poll(self, name: str, location: str) -> Response:
        """Answer for an operation: 202 with its progress, 200, or its failure."""
        operation = next((o for o in self.operations if o.name == name), None)
        if operation is None:
            raise ArmError(404, "OperationNotFound", f"The operation '{name}' was not found.")
        operation.polls += 1
        if operation.polls <= operation.polls_needed:
            return self.accepted(location, operation.progress())
        if operation.error:
            raise operation.error
        return Response.json(200, {"status": "Succeeded"})

    def accepted(self, location: str, body: object) -> Response:
        return Response.json(202, body, {"Location": location, "Retry-After": str(self.retry_after_seconds)})

    def _run(self, operation: Operation) -> None:
        try:
            if self._failures:
                raise self._failures.pop(0)
            self._import(operation)
            operation.status = "Succeeded"
        except PullError as ex:
            self._fail(operation, ArmError(400, "InvalidParameters", ex.text))
        except ArmError as ex:
            self._fail(operation, ex)

    def _fail(self, operation: Operation, error: ArmError) -> None:
        message = f"Operation {operation.name} failed. Resource {operation.target.id} {error.message}"
        operation.status = "Failed"
        operation.error = ArmError(error.status, error.code, message)

    def _import(self, operation: Operation) -> None:
        target, source = operation.target, operation.body["source"]
        repository, tag, digest = _split_image(source["sourceImage"])
        targets = list(_targets(operation.body, tag))
        if target.restricted and not target.trusting:
            raise PullError(f"Access to {target.login_server} denied.")
        _check_tags(target, targets, force=operation.body.get("mode") == "Force")
        opened = self._open(operation, source, repository)
        image = pull(opened, digest or tag)
        operation.manifests = tuple(f"{repository}@{manifest.digest}" for manifest in image.manifests)
        for item in targets:
            put(target.store.repository(item.repository), image, item.tag)

    def _open(self, operation: Operation, source: dict[str, Any], repository: str) -> Source:
        if source.get("resourceId"):
            return self._open_resource(operation, self._resource(source["resourceId"]), repository)
        host = str(source["registryUri"]).lower().removeprefix("https://").rstrip("/")
        if host in _HUB_NAMES:
            host = _HUB_HOST
            repository = repository if "/" in repository else f"library/{repository}"
        known = next((r for r in self.registries if r.login_server == host), None)
        if known is not None:
            _check_export(known, operation.target)
            _check_source_network(known, by_resource=False)
        given = source.get("credentials")
        credentials = SourceCredentials(given.get("username") or "", given["password"]) if given else None
        return RemoteSource(self.resolve, host, repository, credentials, frozenset(self.unreachable))

    def _open_resource(self, operation: Operation, registry: AzureRegistry, repository: str) -> Source:
        _check_export(registry, operation.target)
        _check_source_network(registry, by_resource=True)
        if not self.directory.allows(operation.principal, identity.PULL, registry.id):
            detail = [{"Type": "repository", "Class": "", "Name": repository, "Action": "pull"}]
            body = errors("UNAUTHORIZED", "authentication required", detail)
            raise PullError(f"Invalid message Unauthorized Unauthorized {body}")
        return StoredSource(registry.store, repository)

    def _resource(self, resource_id: str) -> AzureRegistry:
        wanted = resource_id.lower().rstrip("/")
        found = next((registry for registry in self.registries if registry.id.lower() == wanted), None)
        if found is None:
            raise ArmError(404, "ResourceNotFound", f"The source '{resource_id}' was not found.")
        return found

    def _check_linked_scope(self, principal: Principal, target: AzureRegistry, source: dict[str, Any]) -> None:
        """Refuse a source resource that the caller may not read, as the resource manager does before the service."""
        scope = source.get("resourceId")
        if not scope:
            return
        registry = next((item for item in self.registries if item.id.lower() == scope.lower().rstrip("/")), None)
        may = (
            f"The client '{principal.client_id}' with object id '{principal.object_id}' has permission to perform "
            f"action '{identity.IMPORT}' on scope '{target.id}'; however, "
        )
        if registry is not None and registry.tenant_id != principal.tenant_id:
            text = (
                f"the current tenant '{principal.tenant_id}' is not authorized to access linked subscription "
                f"'{registry.subscription.id}'."
            )
            raise ArmError(403, "LinkedAuthorizationFailed", may + text)
        if registry is None or not self.directory.allows(principal, identity.READ, scope):
            text = f"it does not have permission to perform action 'read' on the linked scope(s) '{scope}'."
            raise ArmError(403, "LinkedAuthorizationFailed", may + text)


def _checked(body: dict[str, Any] | None) -> dict[str, Any]:
    parameters = body or {}
    source = parameters.get("source") or {}
    if not source.get("sourceImage"):
        raise ArmError(400, "InvalidParameters", "Missing value for property parameters.Source.SourceImage.")
    if not source.get("resourceId") and not source.get("registryUri"):
        text = "Either parameters.Source.ResourceId or parameters.Source.RegistryUri is required."
        raise ArmError(400, "InvalidParameters", text)
    return parameters


def _check_export(source: AzureRegistry, target: AzureRegistry) -> None:
    if source.export_policy == "disabled" and source is not target:
        text = f"The export policy of registry {source.login_server} is disabled."
        raise PullError(f"Invalid message Forbidden Forbidden {errors('DENIED', text)}")


def _check_source_network(source: AzureRegistry, *, by_resource: bool) -> None:
    if (by_resource and source.trusting) or source.admits("service"):
        return
    text = _DENIED if source.public_network_access == "Disabled" else _FIREWALL.format(address=SERVICE_ADDRESS)
    raise PullError(f"Invalid message Forbidden Forbidden {errors('DENIED', text)}")


def _check_tags(target: AzureRegistry, targets: list[_Target], *, force: bool) -> None:
    """Refuse before anything is copied; without Force an existing tag is a conflict, whatever its digest."""
    for item in targets:
        repository = target.store.get(item.repository)
        exists = bool(repository and item.tag in repository.tags)
        name = f"{item.repository}:{item.tag}"
        if exists and not force:
            raise ArmError(409, "Conflict", f"{name} Tag {name} already exists in target registry.")
        behaviour = target.behaviour
        if behaviour.read_only or item.tag in behaviour.locked_tags or item.repository in behaviour.locked_repositories:
            error = errors("REGISTRY_DISALLOWED_OPERATION", _LOCKED)
            raise PullError(f"Invalid message MethodNotAllowed Method Not Allowed {error}")


def _targets(body: dict[str, Any], source_tag: str) -> Iterator[_Target]:
    for text in body.get("targetTags") or []:
        repository, colon, tag = text.partition(":")
        yield _Target(repository, tag if colon else source_tag or "latest")
    for repository in body.get("untaggedTargetRepositories") or []:
        yield _Target(repository)


def _split_image(image: str) -> tuple[str, str, str]:
    """Return repository, tag and digest; the tag is latest where neither is given."""
    name, _, digest = image.partition("@")
    repository, _, tag = name.partition(":")
    return repository, tag or ("" if digest else "latest"), digest
