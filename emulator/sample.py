# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""A filled Azure to try things on: registries of every kind, with images in them."""

from __future__ import annotations

from emulator import content
from emulator.azure import Emulator

SCOPED_TOKEN = ("pull-team-app", "scoped-token-password")


def fill(azure: Emulator) -> None:
    """Add six registries, and images to those that things are imported from.

    ``myregistry`` is public and empty. ``closedregistry``, empty too, lets nobody in from outside its network,
    ``trustedregistry`` only Azure's own services. ``sharedregistry`` is in the other subscription,
    ``partnerregistry`` in another tenant.
    """
    azure.add_registry("myregistry")
    azure.add_registry("sourceregistry", anonymous_pull=True)
    azure.add_registry("closedregistry", public_network_access="Disabled", bypass="None")
    azure.add_registry("trustedregistry", public_network_access="Disabled")
    azure.add_registry("sharedregistry", subscription="shared")
    partner = azure.add_registry("partnerregistry", subscription="partner")
    partner.scoped_tokens.add(*SCOPED_TOKEN, {"team/app": ["content/read", "metadata/read"]})
    for name in ("sourceregistry", "trustedregistry", "sharedregistry", "partnerregistry"):
        _put_images(azure, name)


def _put_images(azure: Emulator, registry: str) -> None:
    store = azure.registry(registry).store
    app = content.multi_arch(f"{registry}/team-app", layers=(3_000_000, 400_000, 20_000))
    app.put(store.repository("team/app"), "v1", "latest")
    signature = content.artifact(f"{registry}/signature", subject=app)
    signature.put(store.repository("team/app"))
    content.helm_chart("billing", "2.1.0").put(store.repository("charts/billing"), "2.1.0")
    content.image(f"{registry}/tool", layers=(60_000,)).put(store.repository("tool"), "1.0")
