# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Signatures, SBOMs and attestations come along with their image."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from azext_acrimport.oci.errors import InvalidManifest
from azext_acrimport.oci.referrers import ReferrerFilter
from azext_acrimport.registry import listing
from azext_acrimport.registry.errors import ProtocolError
from azext_acrimport.transfer import referrers as module
from azext_acrimport.transfer.copier import Root, copy, copy_all
from azext_acrimport.transfer.errors import CopyError, ReferrerTagExists, Side
from azext_acrimport.transfer.referrers import Referrer, discover
from azext_acrimport.transfer.result import CopyResult, Count
from emulator import content, signing
from emulator.content import Artifact
from emulator.faults import Answer, Fault, registry_error
from emulator.http import Request, Response
from emulator.store import Repository
from tests.support.lab import SOURCE, TARGET, Lab, assert_copied

ALL = ReferrerFilter()
IMAGE = content.multi_arch()
CHILD = IMAGE.children[1]
SIGNATURE = signing.signature(IMAGE)
SBOM = signing.sbom(IMAGE)
SBOM_SIGNATURE = signing.signature(SBOM)
CHILD_SBOM = signing.sbom(CHILD)
COSIGN = signing.cosign(IMAGE)
COSIGN_TAG = signing.cosign_tag(IMAGE)
CHILD_TAG = signing.cosign_tag(CHILD, "att")
CHILD_ATTESTATION = signing.cosign(CHILD, "att")
WITH_SUBJECT = (SIGNATURE, SBOM, SBOM_SIGNATURE, CHILD_SBOM)
EVERYTHING = (*WITH_SUBJECT, COSIGN, CHILD_ATTESTATION)


def source_of(lab: Lab) -> Repository:
    return lab.source_app.store.repository(SOURCE)


def target_of(lab: Lab) -> Repository:
    return lab.target_app.store.repository(TARGET)


def attach(lab: Lab) -> None:
    """Put all that refers to the image at the source, and list it there as the source does that."""
    held = source_of(lab)
    for each in WITH_SUBJECT:
        each.put(held)
    COSIGN.put(held, COSIGN_TAG)
    CHILD_ATTESTATION.put(held, CHILD_TAG)
    if not lab.source_app.behaviour.referrers:
        list_by_tag(held, IMAGE, SIGNATURE, SBOM)
        list_by_tag(held, SBOM, SBOM_SIGNATURE)
        list_by_tag(held, CHILD, CHILD_SBOM)


def bring(lab: Lab, wanted: ReferrerFilter = ALL, *targets: tuple[str, tuple[str, ...]], **options: Any) -> CopyResult:
    return copy([lab.root("v1", *targets)._replace(referrers=wanted, **options)], observe=lab.events.append)[0]


def list_by_tag(held: Repository, subject: Artifact, *referrers: Artifact) -> None:
    signing.listing(*referrers).put(held, signing.list_tag(subject))


def listed(held: Repository, subject: Artifact) -> list[dict[str, Any]]:
    """What the index under the subject's tag lists."""
    index = held.manifest(signing.list_tag(subject))
    return [] if index is None else index.json["manifests"]


def requests(lab: Lab, path: str = "/referrers/") -> int:
    return len(lab.asked(lab.source_host, path=path))


@pytest.fixture(params=[True, False], ids=["api", "tags"])
def image(lab: Lab, request: pytest.FixtureRequest) -> Artifact:
    """An image with all that refers to it, at a source that lists that itself or by tags."""
    lab.behave(lab.source_app, referrers=request.param, max_referrers_page=1)
    attach(lab)
    return lab.put(IMAGE)


class TestWhatComes:
    @pytest.mark.parametrize("has_api", [True, False])
    def test_all_of_it_at_every_target(self, lab: Lab, image: Artifact, has_api: bool) -> None:
        lab.behave(lab.target_app, referrers=has_api)
        result = bring(lab, ALL, (TARGET, ("v1", "latest")), ("other", ("x",)), ("bare", ()))
        for name, tags in ((TARGET, ("v1", "latest")), ("other", ("x",)), ("bare", ())):
            assert_copied(lab.target_app, image, *tags, repository=name)
            for each in WITH_SUBJECT:
                assert_copied(lab.target_app, each, repository=name)
            assert_copied(lab.target_app, COSIGN, COSIGN_TAG, repository=name)
            assert_copied(lab.target_app, CHILD_ATTESTATION, CHILD_TAG, repository=name)
        assert result.referrers == len(EVERYTHING)
        assert result.manifests == Count(copied=3 * (4 + len(EVERYTHING)))
        assert result.digest == image.digest

    def test_one_type_at_every_level(self, lab: Lab, image: Artifact) -> None:
        result = bring(lab, ReferrerFilter((signing.SBOM_TYPE,)))
        assert result.referrers == 2
        assert_copied(lab.target_app, image, "v1")
        assert set(target_of(lab).manifests) - set(image.manifests) == {SBOM.digest, CHILD_SBOM.digest}
        assert target_of(lab).tags == {"v1": image.digest}

    def test_cosign_by_its_short_name(self, lab: Lab, image: Artifact) -> None:
        bring(lab, ReferrerFilter(("sig",)))
        assert target_of(lab).tags == {"v1": image.digest, COSIGN_TAG: COSIGN.digest}

    def test_none_without_being_asked_for(self, lab: Lab, image: Artifact) -> None:
        assert lab.copy().referrers == 0
        assert requests(lab) == 0
        assert set(target_of(lab).manifests) == set(image.manifests)

    def test_type_is_that_of_the_config_where_the_manifest_has_none(self, lab: Lab) -> None:
        lab.put(IMAGE)
        signature = content.image("old signature", subject=IMAGE)
        signature.put(source_of(lab))
        bring(lab, ReferrerFilter((content.OCI_CONFIG,)))
        assert_copied(lab.target_app, signature)

    def test_index_as_a_referrer_with_what_refers_to_its_children(self, lab: Lab) -> None:
        lab.put(IMAGE)
        part = content.artifact("part")
        bundle = content.index(part, subject=IMAGE)
        signed = signing.signature(part)
        for each in (bundle, signed):
            each.put(source_of(lab))
        assert bring(lab).referrers == 2
        assert_copied(lab.target_app, bundle)
        assert_copied(lab.target_app, signed)

    def test_attestation_that_is_in_the_index_as_well(self, lab: Lab) -> None:
        child = content.image()
        image = lab.put(content.index(child, signing.sbom(child)))
        assert bring(lab).referrers == 1
        assert_copied(lab.target_app, image, "v1")


class TestOrder:
    def test_referrers_come_after_their_subjects_and_the_images_tag_last(self, lab: Lab, image: Artifact) -> None:
        bring(lab)
        puts = [entry.path.rpartition("/")[2] for entry in lab.asked(lab.target_host, "PUT", "/manifests/")]
        assert puts[-1] == "v1"
        order = [image.digest, SBOM.digest, SBOM_SIGNATURE.digest]
        assert [name for name in puts if name in order] == order
        for name in (CHILD_SBOM.digest, SIGNATURE.digest, COSIGN_TAG, CHILD_TAG):
            assert puts.index(image.digest) < puts.index(name)

    def test_one_that_fails_is_named_and_leaves_the_image_without_its_tag(self, lab: Lab, image: Artifact) -> None:
        source_of(lab).delete_blob(content.digest_of(SBOM.blobs[1]))
        with pytest.raises(CopyError) as raised:
            bring(lab)
        assert (raised.value.side, raised.value.subject) == (Side.SOURCE, content.digest_of(SBOM.blobs[1]))
        assert "v1" not in target_of(lab).tags
        SBOM.put(source_of(lab))
        bring(lab)
        assert_copied(lab.target_app, image, "v1")
        assert_copied(lab.target_app, SBOM)

    def test_failure_of_one_image_leaves_others_that_share_its_parts_alone(self, lab: Lab) -> None:
        shared = content.image("shared")
        bad = lab.put(content.index(shared, content.image("bad")), "bad")
        good = lab.put(content.index(shared, content.image("good")), "good")
        signing.signature(shared).put(source_of(lab))
        source_of(lab).delete_blob(content.digest_of(bad.children[1].blobs[1]))
        roots = [lab.root("bad", (TARGET, ("bad",))), lab.root("good", (TARGET, ("good",)))]
        first, second = copy_all([root._replace(referrers=ALL) for root in roots])
        assert isinstance(first, CopyError)
        assert isinstance(second, CopyResult)
        assert_copied(lab.target_app, good, "good")
        assert_copied(lab.target_app, signing.signature(shared))


class TestAgain:
    def test_second_run_writes_nothing(self, lab: Lab, image: Artifact) -> None:
        first = bring(lab)
        lab.server.log.clear()
        second = bring(lab)
        assert {entry.method for entry in lab.asked(lab.target_host)} <= {"GET", "HEAD"}
        assert lab.asked(lab.source_host, path="/blobs/") == []
        assert (second.referrers, second.digest) == (first.referrers, first.digest)
        assert second.manifests == Count(existing=1 + len(EVERYTHING))

    @pytest.mark.parametrize("has_api", [True, False])
    def test_image_that_is_there_gets_what_it_misses(self, lab: Lab, image: Artifact, has_api: bool) -> None:
        lab.behave(lab.target_app, referrers=has_api)
        lab.copy()
        SIGNATURE.put(target_of(lab))
        lab.server.log.clear()
        result = bring(lab)
        for each in EVERYTHING:
            assert_copied(lab.target_app, each)
        assert result.manifests == Count(copied=len(EVERYTHING) - 1, existing=2)
        assert [entry for entry in lab.asked(lab.target_host, "PUT") if image.digest in entry.path] == []
        if not has_api:
            assert {item["digest"] for item in listed(target_of(lab), image)} == {SIGNATURE.digest, SBOM.digest}

    def test_requests_grow_with_the_manifests_only(self, lab: Lab) -> None:
        attach(lab)
        lab.put(IMAGE)
        bring(lab)
        assert requests(lab) == 4 + len(EVERYTHING)
        assert len(lab.asked(lab.source_host, "GET", "/manifests/")) == 4 + len(EVERYTHING)


class TestTargetWithoutApi:
    @pytest.fixture(autouse=True)
    def _no_api(self, lab: Lab) -> None:
        lab.behave(lab.target_app, referrers=False)
        attach(lab)
        lab.put(IMAGE)

    def test_lists_are_kept_under_tags(self, lab: Lab) -> None:
        bring(lab)
        by_digest = {item["digest"]: item for item in listed(target_of(lab), IMAGE)}
        assert set(by_digest) == {SIGNATURE.digest, SBOM.digest}
        assert by_digest[SIGNATURE.digest] == {
            **SIGNATURE.descriptor(),
            "artifactType": signing.NOTATION_TYPE,
            "annotations": SIGNATURE.json["annotations"],
        }
        assert [item["digest"] for item in listed(target_of(lab), SBOM)] == [SBOM_SIGNATURE.digest]
        assert [item["digest"] for item in listed(target_of(lab), CHILD)] == [CHILD_SBOM.digest]

    def test_what_others_have_listed_stays(self, lab: Lab) -> None:
        theirs = signing.signature(IMAGE, "theirs")
        theirs.put(target_of(lab))
        list_by_tag(target_of(lab), IMAGE, theirs)
        before = listed(target_of(lab), IMAGE)
        bring(lab)
        after = listed(target_of(lab), IMAGE)
        assert after[:1] == before
        assert {item["digest"] for item in after} == {theirs.digest, SIGNATURE.digest, SBOM.digest}

    def test_images_of_one_run_do_not_overwrite_each_others_lists(self, lab: Lab) -> None:
        tags = [f"v{number}" for number in range(6)]
        for tag in tags:
            source_of(lab).tag(tag, IMAGE.digest)
        wanted = [ReferrerFilter((kind,)) for kind in (signing.NOTATION_TYPE, signing.SBOM_TYPE)]
        copy(
            [lab.root(tag, (TARGET, (tag,)))._replace(referrers=wanted[number % 2]) for number, tag in enumerate(tags)]
        )
        assert {item["digest"] for item in listed(target_of(lab), IMAGE)} == {SIGNATURE.digest, SBOM.digest}

    def test_index_is_listed_without_a_type_where_it_has_none(self, lab: Lab) -> None:
        bundle = content.index(content.artifact("part"), subject=IMAGE)
        bundle.put(source_of(lab))
        bring(lab)
        assert bundle.descriptor() in listed(target_of(lab), IMAGE)

    def test_list_that_cannot_be_read_is_not_overwritten(self, lab: Lab) -> None:
        refusal = registry_error(403, "DENIED")
        lab.server.faults.add(
            Fault(refusal, host=lab.target_host, method="GET", path=signing.list_tag(IMAGE), times=None)
        )
        with pytest.raises(CopyError) as raised:
            bring(lab)
        assert (raised.value.side, raised.value.subject) == (Side.TARGET, signing.list_tag(IMAGE))
        assert listed(target_of(lab), IMAGE) == []

    def test_tag_that_names_no_list_is_an_error_at_the_target(self, lab: Lab) -> None:
        content.image("odd").put(target_of(lab), signing.list_tag(IMAGE))
        with pytest.raises(CopyError) as raised:
            bring(lab)
        assert raised.value.side is Side.TARGET
        assert isinstance(raised.value.__cause__, InvalidManifest)


class TestCosignTagExists:
    @pytest.fixture(autouse=True)
    def _taken(self, lab: Lab) -> None:
        attach(lab)
        lab.put(IMAGE)
        content.artifact("their signature").put(target_of(lab), COSIGN_TAG)

    def test_without_force_it_stays_and_the_image_is_not_tagged(self, lab: Lab) -> None:
        before = target_of(lab).tags
        with pytest.raises(ReferrerTagExists) as raised:
            bring(lab)
        assert (raised.value.tag, raised.value.source_digest) == (COSIGN_TAG, COSIGN.digest)
        assert target_of(lab).tags[COSIGN_TAG] == before[COSIGN_TAG]
        assert "v1" not in target_of(lab).tags

    def test_with_force_it_moves(self, lab: Lab) -> None:
        bring(lab, force=True)
        assert_copied(lab.target_app, COSIGN, COSIGN_TAG)
        assert_copied(lab.target_app, IMAGE, "v1")


class TestSource:
    @pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 501])
    def test_list_that_is_refused_is_looked_for_under_the_tag(self, lab: Lab, status: int) -> None:
        lab.put(IMAGE)
        SIGNATURE.put(source_of(lab))
        list_by_tag(source_of(lab), IMAGE, SIGNATURE)
        lab.server.faults.add(Fault(Answer(status), host=lab.source_host, path="/referrers/", times=None))
        assert bring(lab).referrers == 1

    @pytest.mark.parametrize("path", ["/referrers/", f"/manifests/{signing.list_tag(IMAGE)}$"])
    def test_list_that_fails_fails_the_copy(self, lab: Lab, path: str) -> None:
        lab.behave(lab.source_app, referrers=False)
        lab.put(IMAGE)
        lab.server.faults.add(Fault(Answer(500), host=lab.source_host, path=path, times=None))
        with pytest.raises(CopyError) as raised:
            bring(lab)
        assert raised.value.side is Side.SOURCE
        assert target_of(lab).tags == {}

    def test_throttled_lists_are_asked_for_again(self, lab: Lab) -> None:
        attach(lab)
        lab.put(IMAGE)
        slow = registry_error(429, "TOOMANYREQUESTS", headers=[("Retry-After", "7")])
        lab.server.faults.add(Fault(slow, host=lab.source_host, path="/referrers/", times=3))
        assert bring(lab).referrers == len(EVERYTHING)
        assert all(seconds >= 7 for seconds in lab.clock.waits)

    def test_few_lists_are_asked_for_at_once(self, lab: Lab) -> None:
        lab.put(content.many_manifests(30))
        under_way, most = [0], [0]
        inner = lab.source_app

        def counting(request: Request) -> Response:
            if "/referrers/" not in request.path:
                return inner(request)
            under_way[0] += 1
            most[0] = max(most[0], under_way[0])
            try:
                return inner(request)
            finally:
                under_way[0] -= 1

        lab.source_host = lab.server.serve_plain(counting)
        bring(lab)
        assert requests(lab) == 31
        assert most[0] <= 4

    def test_entry_that_is_gone_from_a_list_by_tag_is_passed_over(self, lab: Lab) -> None:
        lab.behave(lab.source_app, referrers=False)
        lab.put(IMAGE)
        SBOM.put(source_of(lab))
        list_by_tag(source_of(lab), IMAGE, SIGNATURE, SBOM)
        assert bring(lab).referrers == 1

    def test_manifest_that_the_registry_lists_and_does_not_have_is_an_error(self, lab: Lab) -> None:
        attach(lab)
        lab.put(IMAGE)
        lab.server.faults.add(Fault(registry_error(404, "MANIFEST_UNKNOWN"), path=SBOM.digest, method="GET"))
        with pytest.raises(CopyError) as raised:
            bring(lab)
        assert raised.value.subject == SBOM.digest


class TestHostileSource:
    def test_what_does_not_refer_to_the_image_stays(self, lab: Lab) -> None:
        lab.behave(lab.source_app, referrers=False)
        lab.put(IMAGE)
        stranger, unrelated = signing.signature(content.image("else")), content.artifact("unrelated")
        for each in (stranger, unrelated, SIGNATURE):
            each.put(source_of(lab))
        list_by_tag(source_of(lab), IMAGE, stranger, unrelated, SIGNATURE)
        assert bring(lab).referrers == 1
        assert stranger.digest not in target_of(lab).manifests
        assert unrelated.digest not in target_of(lab).manifests

    def test_what_is_listed_twice_comes_once(self, lab: Lab) -> None:
        lab.behave(lab.source_app, referrers=False)
        lab.put(IMAGE)
        SIGNATURE.put(source_of(lab))
        list_by_tag(source_of(lab), IMAGE, SIGNATURE, SIGNATURE)
        assert len(discover(lab.source.repository(SOURCE), IMAGE.digest, ALL)) == 1
        assert bring(lab).manifests == Count(copied=5)

    def test_image_with_too_much_below_it(self, lab: Lab) -> None:
        image = content.image()
        for _ in range(10):
            image = content.index(image)
        lab.put(image)
        with pytest.raises(CopyError, match="more below it than we follow"):
            bring(lab)

    def test_type_is_what_the_manifest_says(self, lab: Lab) -> None:
        lab.behave(lab.source_app, referrers=False)
        lab.put(IMAGE)
        SIGNATURE.put(source_of(lab))
        lie = signing.listing(SIGNATURE).manifest.replace(signing.NOTATION_TYPE.encode(), signing.SBOM_TYPE.encode())
        source_of(lab).add_manifest(lie, content.OCI_INDEX, tags=[signing.list_tag(IMAGE)])
        assert bring(lab, ReferrerFilter((signing.SBOM_TYPE,))).referrers == 0

    def test_cosign_tags_that_name_each_other(self, lab: Lab) -> None:
        lab.put(IMAGE)
        COSIGN.put(source_of(lab), COSIGN_TAG, signing.cosign_tag(COSIGN))
        source_of(lab).tag(signing.cosign_tag(COSIGN, "att"), IMAGE.digest)
        assert bring(lab).referrers == 2
        assert target_of(lab).tags == source_of(lab).tags

    def test_chain_without_end(self, lab: Lab) -> None:
        lab.put(IMAGE)
        subject = IMAGE
        for number in range(12):
            subject = signing.signature(subject, number)
            subject.put(source_of(lab))
        with pytest.raises(CopyError, match="more than 8 deep"):
            bring(lab)

    def test_too_many(self, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "MAX_REFERRERS", 3)
        attach(lab)
        lab.put(IMAGE)
        with pytest.raises(CopyError, match="more refers to the image"):
            bring(lab)

    def test_pages_without_end(self, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(listing, "_MAX_REFERRERS_BYTES", 1 << 20)
        lab.put(content.image())
        pages: Iterator[int] = iter(range(10_000))
        inner = lab.source_app

        def endless(request: Request) -> Response:
            if "/referrers/" not in request.path:
                return inner(request)
            link = f'<{request.path}?page={next(pages)}>; rel="next"'
            body = {"schemaVersion": 2, "mediaType": content.OCI_INDEX, "manifests": []}
            return Response(200, {"Link": link, "Content-Type": content.OCI_INDEX}, json.dumps(body).encode())

        lab.source_host = lab.server.serve_plain(endless)
        with pytest.raises(CopyError) as raised:
            bring(lab)
        assert isinstance(raised.value.__cause__, ProtocolError)
        assert requests(lab) < 100

    @pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"manifests": 5}', b'{"manifests": [{"digest": "x"}]}'])
    def test_list_that_makes_no_sense(self, lab: Lab, body: bytes) -> None:
        lab.put(content.image())
        lab.server.faults.add(Fault(Answer(200, body=body), host=lab.source_host, path="/referrers/", times=None))
        with pytest.raises(CopyError) as raised:
            bring(lab)
        assert raised.value.side is Side.SOURCE


class TestDiscover:
    def test_what_there_is_each_after_its_subject(self, lab: Lab, image: Artifact) -> None:
        found = discover(lab.source.repository(SOURCE), image.digest, ALL)
        assert set(found) == {
            Referrer(SIGNATURE.digest, signing.NOTATION_TYPE, image.digest),
            Referrer(SBOM.digest, signing.SBOM_TYPE, image.digest),
            Referrer(SBOM_SIGNATURE.digest, signing.NOTATION_TYPE, SBOM.digest),
            Referrer(CHILD_SBOM.digest, signing.SBOM_TYPE, CHILD.digest),
            Referrer(COSIGN.digest, "application/vnd.dev.cosign.artifact.sig.v1+json", image.digest, (COSIGN_TAG,)),
            Referrer(
                CHILD_ATTESTATION.digest,
                "application/vnd.dev.cosign.artifact.att.v1+json",
                CHILD.digest,
                (CHILD_TAG,),
            ),
        }
        place = [each.digest for each in found]
        assert place.index(SBOM.digest) < place.index(SBOM_SIGNATURE.digest)
        assert len(lab.asked(lab.target_host)) == 0

    def test_image_that_does_not_exist(self, lab: Lab) -> None:
        with pytest.raises(CopyError) as raised:
            discover(lab.source.repository(SOURCE), IMAGE.digest, ALL)
        assert raised.value.subject == IMAGE.digest


def test_same_registry(lab: Lab) -> None:
    lab.target_host, lab.target_app = lab.source_host, lab.source_app
    attach(lab)
    lab.put(IMAGE)
    root: Root = lab.root()
    result = copy([root._replace(referrers=ALL)])[0]
    assert result.bytes_copied == 0
    for each in EVERYTHING:
        assert_copied(lab.source_app, each)
