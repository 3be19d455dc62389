# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""A repository of a registry: its manifests, tags and blobs, as the OCI distribution specification lets us ask."""

from __future__ import annotations

from azext_acrimport.registry.blobs import Blobs
from azext_acrimport.registry.listing import Listings
from azext_acrimport.registry.manifests import Manifests


class Repository(Manifests, Blobs, Listings):
    """One repository of a registry. See :meth:`Registry.repository`."""

    def to_push(self) -> Repository:
        """The same repository, to be written to."""
        return self.asking_for("pull,push")
