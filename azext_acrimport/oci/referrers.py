# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""What refers to a manifest: signatures, SBOMs, attestations, and the names that they are found by.

Source: OCI distribution specification, "Listing Referrers", "Referrers Tag Schema" and "Pushing Manifests with
Subject"; cosign's older scheme of tags, https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from azext_acrimport.oci import media_types
from azext_acrimport.oci.digest import algorithm_of
from azext_acrimport.oci.errors import InvalidManifest
from azext_acrimport.oci.manifest import Manifest, written

# The artifact types that cosign gives to the same content where it pushes it with a subject.
COSIGN_TYPES = {kind: f"application/vnd.dev.cosign.artifact.{kind}.v1+json" for kind in ("sig", "att", "sbom")}


class ReferrerFilter(NamedTuple):
    """Which referrers are wanted, by artifact type: all where none is named.

    ``sig``, ``att`` and ``sbom`` are short for cosign's types.
    """

    types: tuple[str, ...] = ()

    def wants(self, artifact_type: str) -> bool:
        """Whether referrers of this type are wanted."""
        return not self.types or artifact_type in {COSIGN_TYPES.get(each, each) for each in self.types}


def schema_tag(digest: str) -> str:
    """The tag of the index that lists the referrers of a manifest where the registry itself does not."""
    algorithm, _, text = digest.partition(":")
    return f"{algorithm}-{text[:64]}"


def cosign_tags(digest: str, wanted: ReferrerFilter) -> dict[str, str]:
    """The tags under which cosign keeps what belongs to a manifest, with the artifact type that each stands for."""
    if algorithm_of(digest) != "sha256":
        return {}  # such a tag would be longer than a tag may be
    name = digest.replace(":", "-")
    return {f"{name}.{kind}": named for kind, named in COSIGN_TYPES.items() if wanted.wants(named)}


def entry_of(referrer: Manifest) -> dict[str, Any]:
    """What a list of referrers says about one of them."""
    found: dict[str, Any] = {
        "mediaType": referrer.media_type,
        "digest": referrer.digest,
        "size": len(referrer.content),
    }
    if referrer.artifact_type:
        found["artifactType"] = referrer.artifact_type
    if referrer.annotations:
        found["annotations"] = dict(referrer.annotations)
    return found


def with_entries(index: Manifest | None, referrers: Sequence[Manifest]) -> Manifest | None:
    """The index that lists these referrers too, after those of ``index``; None where that lists them all.

    :raises InvalidManifest: ``index`` is none, or it would grow larger than registries take.
    """
    if index and not index.is_index:
        raise InvalidManifest("the tag that is to name the list of referrers names another manifest")
    known = {each.digest for each in index.manifests} if index else set()
    fresh = [each for each in referrers if each.digest not in known]
    if not fresh:
        return None
    fields: dict[str, Any] = json.loads(index.content) if index else {"schemaVersion": 2}
    fields["mediaType"] = index.media_type if index else media_types.OCI_INDEX
    fields["manifests"] = (fields.get("manifests") or []) + [entry_of(each) for each in fresh]
    return Manifest.parse(written(fields))
