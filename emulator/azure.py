# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""The emulator as a whole: one object that a test, or a person, starts and fills."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Literal

from emulator import devops, entra, managed_identity
from emulator.acr import AcrApp
from emulator.acr_auth import AcrTokens
from emulator.arm import ArmApp
from emulator.arm_bodies import HOST as ARM_HOST
from emulator.assertions import Assertions
from emulator.behaviour import Behaviour
from emulator.http import App, LogEntry, Request, Response, Server
from emulator.identity import Directory, Principal, Subscription, Tenant
from emulator.importing import ImportService, Operation
from emulator.jwts import Clock, Signer
from emulator.public import DockerHub, GitHubRegistry, MicrosoftRegistry, PrivateRegistry
from emulator.registry import BlobStorageApp, RegistryApp
from emulator.resources import AzureRegistry

Network = Literal["inside", "outside"]

# The principals that each tenant's subscriptions start with, by the role that they have there.
_HOME_PRINCIPALS = {
    "owner": "owner",
    "reader": "reader",
    "importer": "importer",
    "pusher": "pusher",
    "push-only": "push-only",
}


class Emulator:
    """A local Azure: two tenants, three subscriptions, and the registries that are added.

    ``directory`` says who may do what; ``imports`` holds the switches of the import service; ``server`` the faults and
    the log of requests; ``clock`` the time that tokens are measured by; ``tokens`` the token endpoints by registry.
    ``hub``, ``mcr``, ``github`` and ``private`` are registries outside Azure, filled but for ``github``.
    ``assertions`` says what applications may sign in with beside their secrets; ``pipeline`` is a job of Azure DevOps,
    ``machine`` a virtual machine, ``cloud_shell`` a session of Cloud Shell.
    """

    def __init__(self, directory: Path | None = None, *, inside_port: int = 0, outside_port: int = 0) -> None:
        self.clock = Clock()
        self.server = Server(directory, inside_port=inside_port, outside_port=outside_port)
        self.directory = Directory()
        self.registries: list[AzureRegistry] = []
        self.tokens: dict[str, AcrTokens] = {}
        self._signer = Signer(self.clock)
        self.assertions = Assertions(self.clock)
        self.entra = entra.EntraApp(self.directory, self._signer, self.assertions)
        self.pipeline = devops.PipelineApp(self.assertions)
        self.machine = managed_identity.MachineApp(self.entra)
        self.cloud_shell = managed_identity.CloudShellApp(self.entra)
        self.imports = ImportService(self.directory, self.registries, self._app_for_service)
        self.arm = ArmApp(self.directory, self._signer, self.registries, self.imports, self._create)
        self._fill_directory()
        self.hub, self.mcr = DockerHub(), MicrosoftRegistry()
        self.private, self.github = PrivateRegistry(), GitHubRegistry()
        for public in (self.hub, self.mcr, self.private, self.github):
            public.install(self.server)
        for filled in (self.hub, self.mcr, self.private):
            filled.fill()
        for host in entra.ALIASES:
            self.server.add_host(host, self.entra)
        self.server.add_host(ARM_HOST, self.arm)
        self.server.add_host(devops.HOST, self.pipeline)
        # Plain http, for whoever sends it through a proxy too: the real ones are reached without.
        self.server.add_host(managed_identity.IMDS_HOST, self.machine)
        self.server.add_host(managed_identity.CLOUD_SHELL_HOST, self.cloud_shell)

    @classmethod
    def start(cls, directory: Path | None = None, *, inside_port: int = 0, outside_port: int = 0) -> Emulator:
        """Return a running emulator; ``directory`` is where its CA certificate goes."""
        emulator = cls(directory, inside_port=inside_port, outside_port=outside_port)
        emulator.server.start()
        return emulator

    def stop(self) -> None:
        self.server.stop()

    def __enter__(self) -> Emulator:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def home(self) -> Tenant:
        """The tenant with the subscriptions "prod" and "shared"."""
        return self.directory.tenants[0]

    @property
    def partner(self) -> Tenant:
        """Another organisation's tenant, with the subscription "partner"."""
        return self.directory.tenants[1]

    @property
    def subscriptions(self) -> dict[str, Subscription]:
        return self.directory.subscriptions

    @property
    def principals(self) -> dict[str, Principal]:
        return self.directory.principals

    @property
    def operations(self) -> list[Operation]:
        """The import operations so far, in order."""
        return self.imports.operations

    def registry(self, name: str) -> AzureRegistry:
        """Return the registry with this name.

        :raises KeyError: there is none.
        """
        found = next((registry for registry in self.registries if registry.name.lower() == name.lower()), None)
        if found is None:
            raise KeyError(name)
        return found

    def add_registry(
        self,
        name: str,
        *,
        subscription: str = "prod",
        group: str = "",
        sku: str = "Premium",
        public_network_access: str = "Enabled",
        default_action: str = "Allow",
        bypass: str = "AzureServices",
        export_policy: str = "enabled",
        anonymous_pull: bool = False,
        admin_user: bool = False,
    ) -> AzureRegistry:
        """Add a registry; its group is ``rg-SUBSCRIPTION`` unless one is given."""
        registry = self._create(name, self.subscriptions[subscription], group or f"rg-{subscription}")
        registry.sku = sku
        registry.public_network_access = public_network_access
        registry.default_action = default_action
        registry.bypass = bypass
        registry.export_policy = export_policy
        registry.anonymous_pull = anonymous_pull
        registry.admin_user = admin_user
        return registry

    def add_principal(self, name: str, roles: dict[str, str], *, tenant: Tenant | None = None) -> Principal:
        """Add a service principal with these roles, by the scope (a resource ID or a prefix of one) that each has."""
        principal = self.directory.add_principal(name, tenant or self.home)
        for scope, role in roles.items():
            self.directory.grant(principal, role, scope)
        return principal

    def add_user(self, name: str, roles: dict[str, str], *, guest_in: Tenant | None = None) -> Principal:
        """Add a user of the home tenant with these roles, by scope; other tenants know it as their guest."""
        user = self.directory.add_user(name, self.home)
        for scope, role in roles.items():
            self.directory.grant(user, role, scope)
        if guest_in:
            self.directory.invite(user, guest_in)
        return user

    def access_token(self, principal: Principal, audience: str = "https://containerregistry.azure.net") -> str:
        """Return an Entra access token of a principal, as ``az account get-access-token`` would print it."""
        return self.entra.access_token(principal, audience)

    def environment(self, config_dir: Path, *, network: Network = "inside") -> dict[str, str]:
        """Return the environment in which az, or whatever else honours proxies, takes this Azure for the real one."""
        proxy = self.server.inside_proxy if network == "inside" else self.server.outside_proxy
        inherited = {key: value for key, value in os.environ.items() if not _is_ours_to_set(key)}
        return {**inherited, **self.exports(config_dir, proxy)}

    def exports(self, config_dir: Path, proxy: str) -> dict[str, str]:
        """Return the variables that point a client at this Azure through one of its proxies."""
        ca_file = str(self.server.ca_file.resolve())
        return {
            "HTTPS_PROXY": proxy,
            "https_proxy": proxy,
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
            "REQUESTS_CA_BUNDLE": ca_file,
            "CURL_CA_BUNDLE": ca_file,
            "SSL_CERT_FILE": ca_file,
            "AZURE_CONFIG_DIR": str(Path(config_dir).resolve()),
            "AZURE_EXTENSION_DIR": str(Path(config_dir).resolve() / "cliextensions"),
            "AZURE_CORE_INSTANCE_DISCOVERY": "false",
            "AZURE_CORE_COLLECT_TELEMETRY": "false",
            "AZURE_CORE_LOGIN_EXPERIENCE_V2": "false",
        }

    def login_arguments(self, principal: str = "owner") -> list[str]:
        """Return the arguments of ``az`` that sign a principal in."""
        who = self.principals[principal]
        if who.username:
            return ["login", "-u", who.username, "-p", who.secret, "--tenant", who.tenant_id]
        return ["login", "--service-principal", "-u", who.client_id, "-p", who.secret, "--tenant", who.tenant_id]

    def _fill_directory(self) -> None:
        home = self.directory.add_tenant("Contoso", "contoso.onmicrosoft.example")
        partner = self.directory.add_tenant("Fabrikam", "fabrikam.onmicrosoft.example")
        scopes = [self.directory.add_subscription(name, home).scope for name in ("prod", "shared")]
        elsewhere = self.directory.add_subscription("partner", partner).scope
        for name, role in _HOME_PRINCIPALS.items():
            self.add_principal(name, dict.fromkeys(scopes, role))
        self.add_principal("partner-owner", {elsewhere: "owner"}, tenant=partner)
        self.add_principal("partner-puller", {elsewhere: "puller"}, tenant=partner)

    def _app_for_service(self, host: str) -> App | None:
        """Return what the import service finds at a host; its requests are in the log as those of the others are."""
        app = self.server.app_for(host)
        if app is None:
            return None

        def logged(request: Request) -> Response:
            entry = LogEntry(request.host, request.method, request.path, request.query, request.headers, request.client)
            self.server.log.add(entry)
            response = app(request)
            entry.status = response.status
            return response

        return logged

    def _create(self, name: str, subscription: Subscription, group: str) -> AzureRegistry:
        if any(registry.name.lower() == name.lower() for registry in self.registries):
            raise ValueError(f"There is a registry {name} already.")
        data = RegistryApp(behaviour=Behaviour())
        registry = AzureRegistry(name, subscription, group, data)
        registry.behaviour = Behaviour(
            redirect_blobs_to=registry.storage_host, default_tags_page=100, tags_action="metadata_read"
        )
        self.tokens[name] = AcrTokens(registry, self.directory, self._signer, self.clock)
        self.server.add_host(registry.login_server, AcrApp(registry, self.tokens[name]))
        self.server.add_host(registry.storage_host, BlobStorageApp(registry.store))
        self.registries.append(registry)
        return registry


def _is_ours_to_set(variable: str) -> bool:
    """Whether a variable could lead a client past this Azure: another proxy, another CA, another configuration."""
    name = variable.upper()
    return name.endswith("_PROXY") or name.startswith(("AZURE_", "ARM_")) or name in ("PYTHONPATH", "PYTHONHOME")
