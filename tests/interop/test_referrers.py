# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Referrers between real registries. They list none themselves, so that both sides keep the lists under tags."""

from __future__ import annotations

import json

import pytest

from azext_acrimport.oci.referrers import ReferrerFilter
from azext_acrimport.registry.registry import Registry
from azext_acrimport.registry.transport import Transport
from azext_acrimport.transfer.copier import Root, Target, copy
from azext_acrimport.transfer.result import CopyResult
from emulator import content, signing
from emulator.content import Artifact
from tests.interop.conftest import DockerRegistry, Skopeo

pytestmark = pytest.mark.interop

IMAGE = content.multi_arch("signed")
SIGNATURE, SBOM = signing.signature(IMAGE), signing.sbom(IMAGE)
SBOM_SIGNATURE = signing.signature(SBOM)
CHILD_SBOM = signing.sbom(IMAGE.children[0])
COSIGN = signing.cosign(IMAGE)


def bring(source: DockerRegistry, target: DockerRegistry, wanted: ReferrerFilter) -> CopyResult:
    with Transport() as transport:
        origin = Registry(source.host, transport=transport).repository("from/app")
        goal = Registry(target.host, transport=transport).repository("to/app")
        return copy([Root(origin, "v1", (Target(goal, ("v1",)),), referrers=wanted)])[0]


def attach(source: DockerRegistry) -> None:
    source.put(IMAGE, "from/app", "v1")
    for subject, referrers in (
        (IMAGE, (SIGNATURE, SBOM)),
        (SBOM, (SBOM_SIGNATURE,)),
        (IMAGE.children[0], (CHILD_SBOM,)),
    ):
        for each in referrers:
            source.put(each, "from/app")
        source.put(signing.listing(*referrers), "from/app", signing.list_tag(subject))
    source.put(COSIGN, "from/app", signing.cosign_tag(IMAGE))


def listed(skopeo: Skopeo, target: DockerRegistry, subject: Artifact) -> set[str]:
    index = json.loads(skopeo.raw_manifest(f"{target.host}/to/app:{signing.list_tag(subject)}"))
    return {item["digest"] for item in index["manifests"]}


def test_everything_arrives_and_is_found_by_tags(
    source: DockerRegistry, target: DockerRegistry, skopeo: Skopeo
) -> None:
    attach(source)

    result = bring(source, target, ReferrerFilter())

    assert (result.digest, result.referrers) == (IMAGE.digest, 5)
    tags = [signing.list_tag(each) for each in (IMAGE, SBOM, IMAGE.children[0])]
    assert skopeo.tags(f"{target.host}/to/app") == sorted(["v1", signing.cosign_tag(IMAGE), *tags])
    assert listed(skopeo, target, IMAGE) == {SIGNATURE.digest, SBOM.digest}
    assert listed(skopeo, target, SBOM) == {SBOM_SIGNATURE.digest}
    assert listed(skopeo, target, IMAGE.children[0]) == {CHILD_SBOM.digest}
    assert skopeo.raw_manifest(f"{target.host}/to/app:{signing.cosign_tag(IMAGE)}") == COSIGN.manifest
    for each in (IMAGE, SIGNATURE, SBOM, SBOM_SIGNATURE, CHILD_SBOM, COSIGN):
        assert {**each.manifests, **each.all_blobs}.items() <= target.contents().items()


def test_lists_grow_from_run_to_run(source: DockerRegistry, target: DockerRegistry, skopeo: Skopeo) -> None:
    attach(source)

    bring(source, target, ReferrerFilter((signing.SBOM_TYPE,)))
    assert listed(skopeo, target, IMAGE) == {SBOM.digest}

    bring(source, target, ReferrerFilter((signing.NOTATION_TYPE,)))
    assert listed(skopeo, target, IMAGE) == {SBOM.digest, SIGNATURE.digest}

    before = target.contents()
    third = bring(source, target, ReferrerFilter())
    late = {**COSIGN.all_blobs, **SBOM_SIGNATURE.all_blobs}  # the signature of what was not wanted before
    assert third.bytes_copied == sum(len(blob) for digest, blob in late.items() if digest not in before)
    fourth = bring(source, target, ReferrerFilter())
    assert (fourth.bytes_copied, fourth.manifests.copied) == (0, 0)
    assert before.items() <= target.contents().items()
