# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""Finding registries in Azure Resource Manager, with clients of the SDK's shapes that speak to nobody."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from types import SimpleNamespace as Model
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError
from knack.util import CLIError

from azext_acrimport.arm import AzureRegistry, Directory, ResourceId
from tests.support.sdk import Transport, Wire, registries_of

CURRENT, SHARED, BROKEN = "sub-current", "sub-shared", "sub-broken"


def resource_id(name: str, subscription: str = CURRENT, group: str = "rg") -> str:
    return (
        f"/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.ContainerRegistry/registries/{name}"
    )


def flat(name: str, subscription: str = CURRENT, **changes: Any) -> Model:
    """A registry as the SDK of azure-cli 2.75 has it."""
    fields = {
        "id": resource_id(name, subscription),
        "login_server": f"{name}.azurecr.io",
        "sku": Model(name="Premium"),
        "public_network_access": "Disabled",
        "network_rule_set": Model(default_action=Model(value="Deny")),
        "network_rule_bypass_options": "None",
        "policies": Model(export_policy=Model(status="disabled")),
    }
    return Model(**(fields | changes))


def nested(name: str, subscription: str = CURRENT) -> Model:
    """A registry as an SDK has it that keeps the settings under ``properties``."""
    model = flat(name, subscription)
    own = {"id": model.id, "sku": model.sku}
    return Model(**own, properties=Model(**{key: value for key, value in vars(model).items() if key not in own}))


def refusal(status: int) -> HttpResponseError:
    error = HttpResponseError(message="no")
    error.status_code = status
    return error


class Client:
    """The SDK's operations on the registries of one subscription."""

    def __init__(self, *models: Model, error: Exception | None = None) -> None:
        self.models, self.error = models, error
        self.listings = 0

    def list(self) -> Iterator[Model]:
        self.listings += 1
        if self.error:
            raise self.error
        return iter(self.models)

    def get(self, group: str, name: str) -> Model:
        if self.error:
            raise self.error
        for model in self.models:
            if model.id.lower() == resource_id(name, model.id.split("/")[2], group).lower():
                return model
        raise refusal(404)


def directory(**clients: Client) -> Directory:
    by_subscription = {CURRENT: Client(), **{f"sub-{name}": client for name, client in clients.items()}}

    def client_for(subscription: str) -> Client:
        if subscription not in by_subscription:
            raise CLIError(f"Subscription '{subscription}' not found.")
        return by_subscription[subscription]

    return Directory(client_for, CURRENT, lambda: list(by_subscription))


@pytest.mark.parametrize("shape", [flat, nested])
def test_a_registry_is_read_whichever_shape_the_sdk_gives_it(shape: Callable[[str], Model]) -> None:
    found = AzureRegistry.of_model(shape("prodreg"))

    assert found
    assert (found.name, found.login_server, found.sku, found.is_managed) == (
        "prodreg",
        "prodreg.azurecr.io",
        "Premium",
        True,
    )
    assert (found.id.subscription, found.id.group) == (CURRENT, "rg")
    facts = found.facts()
    assert (facts.restricted, facts.trusting, facts.exportable) == (True, False, False)


def test_the_models_of_the_installed_sdk_are_read() -> None:
    answer = {
        "id": resource_id("prodreg"),
        "name": "prodreg",
        "location": "eastus",
        "sku": {"name": "Standard"},
        "properties": {
            "loginServer": "prodreg-d5c0.azurecr.io",
            "publicNetworkAccess": "Enabled",
            "networkRuleSet": {"defaultAction": "Deny"},
            "networkRuleBypassOptions": "AzureServices",
            "policies": {"exportPolicy": {"status": "enabled"}},
        },
    }
    wire = Wire([(200, {}, json.dumps({"value": [answer]})), (200, {}, json.dumps(answer)), (404, {}, "{}")])
    client = registries_of(Transport(wire))
    by_sdk = Directory(lambda subscription: client, CURRENT, list)

    listed, found = by_sdk.find("prodreg"), by_sdk.in_group("rg", "prodreg")

    assert listed
    assert listed == found
    assert (listed.login_server, listed.sku) == ("prodreg-d5c0.azurecr.io", "Standard")
    facts = listed.facts()
    assert (facts.restricted, facts.trusting, facts.exportable) == (True, True, True)
    assert by_sdk.in_group("rg", "other") is None


def test_a_registry_that_is_still_being_made_cannot_be_used() -> None:
    assert AzureRegistry.of_model(flat("prodreg", login_server=None)) is None


def test_the_retired_kind_is_not_managed() -> None:
    found = AzureRegistry.of_model(flat("prodreg", sku=Model(name="Classic")))
    assert found
    assert not found.is_managed


@pytest.mark.parametrize("text", ["prodreg", "prodreg.azurecr.io", resource_id("a/b"), "/subscriptions/s"])
def test_what_is_no_resource_id_of_a_registry_is_none(text: str) -> None:
    assert ResourceId.parse(text) is None


def test_a_resource_id_is_read_in_any_case() -> None:
    found = ResourceId.parse(f" {resource_id('prodreg').upper()}/ ")
    assert found
    assert found.name == "PRODREG"
    assert found.text == resource_id("prodreg").upper()


@pytest.mark.parametrize("wanted", ["srcreg", "SrcReg", "srcreg.azurecr.io", "SRCREG.azurecr.io"])
def test_a_registry_is_found_by_name_or_login_server(wanted: str) -> None:
    found = directory(current=Client(flat("other"), flat("srcreg"))).find(wanted)

    assert found
    assert found.name == "srcreg"


def test_the_other_subscriptions_are_searched_once_the_current_one_has_it_not() -> None:
    shared = Client(flat("srcreg", SHARED))
    found = directory(shared=shared, broken=Client(error=refusal(403)), current=Client(flat("prodreg")))

    assert found.find("srcreg.azurecr.io").id.subscription == SHARED  # type: ignore[union-attr]
    assert found.find("nothing") is None
    assert shared.listings == 1


def test_the_other_subscriptions_are_left_alone_for_what_the_current_one_has() -> None:
    shared = Client(flat("srcreg", SHARED))

    assert directory(shared=shared, current=Client(flat("prodreg"))).find("prodreg")
    assert shared.listings == 0


def test_a_host_outside_azure_is_looked_for_in_the_current_subscription_alone() -> None:
    shared = Client(flat("srcreg", SHARED))

    assert directory(shared=shared).find("docker.io", everywhere=False) is None
    assert shared.listings == 0


@pytest.mark.parametrize("status", [403, 404, 500])
def test_another_subscription_that_fails_is_passed_over(status: int) -> None:
    found = directory(broken=Client(error=refusal(status)), shared=Client(flat("srcreg", SHARED)))

    assert found.find("srcreg")


def test_no_right_in_the_current_subscription_is_no_registry_there() -> None:
    assert directory(current=Client(error=refusal(403))).find("prodreg") is None


def test_a_failure_of_resource_manager_is_not_taken_for_an_answer() -> None:
    with pytest.raises(HttpResponseError):
        directory(current=Client(error=refusal(500))).find("prodreg")
    with pytest.raises(HttpResponseError):
        directory(current=Client(error=refusal(500))).in_group("rg", "prodreg")


def test_a_resource_group_saves_the_listing() -> None:
    client = Client(flat("prodreg"))

    assert directory(current=client).in_group("rg", "prodreg")
    assert directory(current=client).in_group("other", "prodreg") is None
    assert client.listings == 0


def test_a_resource_id_is_read_in_its_own_subscription() -> None:
    found = directory(shared=Client(flat("srcreg", SHARED)))

    identity = ResourceId.parse(resource_id("srcreg", SHARED))
    assert identity
    assert found.by_id(identity)


def test_a_subscription_that_one_does_not_see_is_not_asked() -> None:
    identity = ResourceId.parse(resource_id("srcreg", "sub-of-a-stranger"))

    assert identity
    assert directory().by_id(identity) is None
