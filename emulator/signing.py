# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""What refers to images: signatures, SBOMs and attestations, as the tools of the trade store them."""

from __future__ import annotations

import json
from collections.abc import Sequence

from emulator.content import OCI_INDEX, OCI_MANIFEST, PLATFORMS, Artifact, artifact, describe, image

NOTATION_TYPE = "application/vnd.cncf.notary.signature"
SBOM_TYPE = "application/vnd.contoso.sbom.v1+json"
COSIGN_LAYER = "application/vnd.dev.cosign.simplesigning.v1+json"
COSIGN_CONFIG = "application/vnd.oci.image.config.v1+json"


def signature(subject: Artifact, seed: object = "signature") -> Artifact:
    """A signature of an image or of anything else, as ``notation sign`` makes it."""
    notes = {"io.cncf.notary.x509chain.thumbprint#S256": f"[{seed}]"}
    return artifact(f"{seed}/{subject.digest}", artifact_type=NOTATION_TYPE, subject=subject, annotations=notes)


def sbom(subject: Artifact, seed: object = "sbom") -> Artifact:
    """A list of what an image is made of."""
    return artifact(f"{seed}/{subject.digest}", artifact_type=SBOM_TYPE, subject=subject)


def cosign(subject: Artifact, seed: object = "cosign") -> Artifact:
    """A signature as cosign keeps it under a tag: it names its subject in its payload only."""
    payload = json.dumps(
        {"critical": {"image": {"docker-manifest-digest": subject.digest}}, "seed": str(seed)}
    ).encode()
    config = b'{"architecture":"","os":"","config":{},"rootfs":{"type":"layers","diff_ids":[]}}'
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": describe(config, COSIGN_CONFIG),
        "layers": [describe(payload, COSIGN_LAYER, annotations={"dev.cosignproject.cosign/signature": "MEUCIQ=="})],
    }
    return Artifact(json.dumps(manifest, separators=(",", ":")).encode(), OCI_MANIFEST, (config, payload))


def cosign_tag(subject: Artifact, kind: str = "sig") -> str:
    """The tag under which cosign looks for what it knows of an image."""
    return f"{subject.digest.replace(':', '-')}.{kind}"


def list_tag(subject: Artifact) -> str:
    """The tag under which clients look for the referrers of an image where the registry lists none."""
    return subject.digest.replace(":", "-")


def listing(*referrers: Artifact) -> Artifact:
    """The index that they look for there. It does not bring the referrers with it."""
    listed = [
        {
            **each.descriptor(),
            "artifactType": each.json["artifactType"],
            "annotations": each.json.get("annotations", {}),
        }
        for each in referrers
    ]
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": listed}
    return Artifact(json.dumps(index, separators=(",", ":")).encode(), OCI_INDEX)


def attested(seed: object = "attested", *, platforms: Sequence[str] = PLATFORMS) -> Artifact:
    """An image for several platforms with an attestation for each, as BuildKit pushes it."""
    images = [image(seed, platform=platform) for platform in platforms]
    attestations = [artifact(f"{seed}/{each.digest}/provenance", artifact_type="application/x") for each in images]
    described = [each.descriptor() for each in images] + [
        {
            **attestation.descriptor(),
            "annotations": {
                "vnd.docker.reference.digest": each.digest,
                "vnd.docker.reference.type": "attestation-manifest",
            },
            "platform": {"architecture": "unknown", "os": "unknown"},
        }
        for each, attestation in zip(images, attestations, strict=True)
    ]
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": described}
    return Artifact(json.dumps(index, indent=2).encode(), OCI_INDEX, children=(*images, *attestations))
