# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""Some platforms of an image, and no others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from azext_acrimport.oci.errors import UnknownPlatform
from azext_acrimport.oci.platform import Platform
from azext_acrimport.oci.referrers import ReferrerFilter
from azext_acrimport.oci.selection import ORIGINAL_DIGEST
from azext_acrimport.transfer.copier import copy, copy_all
from azext_acrimport.transfer.errors import CopyError, Side, TagExists
from azext_acrimport.transfer.platforms import choose
from azext_acrimport.transfer.result import CopyResult, Count
from emulator import content, signing
from emulator.content import Artifact
from emulator.store import StoredManifest
from tests.support.lab import SOURCE, TARGET, Lab, assert_copied

TWO = ("linux/amd64", "linux/arm64")
ALL = ("linux/arm/v7", "linux/arm64", "linux/amd64")


def platforms(*names: str) -> tuple[Platform, ...]:
    return tuple(Platform.parse(name) for name in names)


def take(lab: Lab, *names: str, **options: Any) -> CopyResult:
    return copy([lab.root()._replace(platforms=platforms(*names), **options)])[0]


def tagged(lab: Lab, tag: str = "v1") -> StoredManifest:
    found = lab.target_app.store.repository(TARGET).manifest(tag)
    assert found is not None
    return found


class TestOne:
    @pytest.mark.parametrize("name", ["linux/arm64", "linux/aarch64", "linux/arm64/v8"])
    def test_that_image_alone_byte_for_byte(self, lab: Lab, name: str) -> None:
        image = lab.put(content.multi_arch())
        result = take(lab, name)
        wanted = image.children[1]
        assert_copied(lab.target_app, wanted, "v1")
        assert set(lab.target_app.store.repository(TARGET).manifests) == {wanted.digest}
        assert (result.digest, result.original_digest) == (wanted.digest, image.digest)
        assert result.media_type == content.OCI_MANIFEST

    def test_out_of_an_index_of_one(self, lab: Lab) -> None:
        image = lab.put(content.windows_image(build="10.0.20348.2527"))
        assert take(lab, "windows/amd64:10.0.20348").digest == image.children[0].digest

    def test_out_of_an_index_in_an_index(self, lab: Lab) -> None:
        image = lab.put(content.nested_index())
        assert take(lab, "linux/arm64").digest == image.children[0].children[1].digest

    def test_image_that_is_no_index_says_by_its_config_what_it_is(self, lab: Lab) -> None:
        image = lab.put(content.image(platform="linux/arm64"))
        result = take(lab, "linux/arm64")
        assert_copied(lab.target_app, image, "v1")
        assert (result.digest, result.original_digest) == (image.digest, None)

    def test_entry_without_a_platform_is_what_its_config_says(self, lab: Lab) -> None:
        images = [content.image(platform=name) for name in TWO]
        lab.put(content.index(*(replace(each, platform=None) for each in images)))
        assert take(lab, "linux/arm64").digest == images[1].digest


class TestSeveral:
    @pytest.mark.parametrize("docker", [True, False])
    def test_index_with_just_those_in_the_originals_order(self, lab: Lab, docker: bool) -> None:
        image = lab.put(content.multi_arch(docker=docker))
        result = take(lab, *reversed(TWO))
        made = tagged(lab)
        assert made.json["manifests"] == image.json["manifests"][:2]
        assert made.json["annotations"] == {ORIGINAL_DIGEST: image.digest}
        assert made.media_type == image.media_type == made.json["mediaType"]
        assert (result.digest, result.original_digest) == (made.digest, image.digest)
        for child in image.children[:2]:
            assert_copied(lab.target_app, child)
        assert image.children[2].digest not in lab.target_app.store.repository(TARGET).manifests

    def test_attestations_of_those_come_with_them(self, lab: Lab) -> None:
        image = lab.put(signing.attested())
        take(lab, *TWO)
        made = tagged(lab)
        listed = image.json["manifests"]
        assert made.json["manifests"] == [listed[0], listed[1], listed[3], listed[4]]
        assert_copied(lab.target_app, image.children[3])

    def test_annotations_of_the_index_stay(self, lab: Lab) -> None:
        children = content.multi_arch().children
        image = lab.put(content.index(*children, annotations={"vendor": "contoso"}))
        take(lab, *TWO)
        assert tagged(lab).json["annotations"] == {"vendor": "contoso", ORIGINAL_DIGEST: image.digest}

    def test_all_of_them_are_the_original(self, lab: Lab) -> None:
        image = lab.put(signing.attested())
        result = take(lab, *ALL)
        assert_copied(lab.target_app, image, "v1")
        assert (result.digest, result.original_digest) == (image.digest, None)

    def test_several_versions_of_one_platform_are_all_taken(self, lab: Lab) -> None:
        builds = [content.image(platform=f"windows/amd64:10.0.{build}.1") for build in (17763, 20348)]
        image = lab.put(content.index(*builds, content.image()))
        take(lab, "windows/amd64")
        assert tagged(lab).json["manifests"] == image.json["manifests"][:2]

    def test_indexes_in_an_index_are_flattened(self, lab: Lab) -> None:
        image = lab.put(content.index(content.multi_arch("a"), content.image("b", platform="linux/s390x")))
        take(lab, "linux/amd64", "linux/s390x")
        inner = image.children[0].json["manifests"]
        assert tagged(lab).json["manifests"] == [inner[0], image.json["manifests"][1]]


class TestAgain:
    @pytest.mark.parametrize("names", [TWO[:1], TWO])
    def test_second_run_finds_it_and_writes_nothing(self, lab: Lab, names: tuple[str, ...]) -> None:
        lab.put(content.multi_arch())
        first = take(lab, *names)
        lab.server.log.clear()
        second = take(lab, *reversed(names))
        assert {entry.method for entry in lab.asked(lab.target_host)} <= {"GET", "HEAD"}
        assert (second.digest, second.media_type, second.original_digest) == (
            first.digest,
            first.media_type,
            first.original_digest,
        )
        assert second.manifests == Count(existing=1)

    def test_tag_of_the_whole_index_is_another_image(self, lab: Lab) -> None:
        image = lab.put(content.multi_arch())
        lab.copy()
        with pytest.raises(TagExists) as raised:
            take(lab, *TWO)
        assert raised.value.existing_digest == image.digest
        assert take(lab, *TWO, force=True).digest == raised.value.source_digest == tagged(lab).digest

    def test_many_images_at_once(self, lab: Lab) -> None:
        images = [lab.put(content.multi_arch(number), f"v{number}") for number in range(3)]
        roots = [
            lab.root(f"v{number}", (TARGET, (f"v{number}",)))._replace(platforms=platforms(*TWO)) for number in range(3)
        ]
        results = copy_all(roots)
        for number, (image, result) in enumerate(zip(images, results, strict=True)):
            assert isinstance(result, CopyResult)
            assert result.original_digest == image.digest
            assert tagged(lab, f"v{number}").digest == result.digest


class TestUnknown:
    @pytest.mark.parametrize(
        ("image", "shown"),
        [
            (content.multi_arch(), "linux/amd64, linux/arm64, linux/arm/v7"),
            (signing.attested(platforms=TWO), "linux/amd64, linux/arm64"),
            (content.image(), "linux/amd64"),
            (content.helm_chart(), "none that names a platform"),
            (content.artifact(), "none that names a platform"),
            (content.index(), "none that names a platform"),
        ],
    )
    def test_error_says_what_there_is_and_nothing_moves(self, lab: Lab, image: Artifact, shown: str) -> None:
        lab.put(image)
        with pytest.raises(CopyError) as raised:
            take(lab, "linux/amd64", "linux/riscv64")
        assert raised.value.side is Side.SOURCE
        assert isinstance(raised.value.__cause__, UnknownPlatform)
        assert "linux/riscv64" in str(raised.value)
        assert str(raised.value).endswith(f"there is {shown}")
        assert lab.target_app.store.names() == []


def test_indexes_that_are_nested_too_deep(lab: Lab) -> None:
    image = content.image()
    for _ in range(10):
        image = content.index(image)
    lab.put(image)
    with pytest.raises(CopyError, match="nested more than 8 deep"):
        take(lab, "linux/amd64")


class TestWithReferrers:
    def test_those_of_the_kept_images_come_and_those_of_the_index_stay(self, lab: Lab) -> None:
        image = lab.put(content.multi_arch())
        kept, dropped, whole = (signing.signature(each) for each in (image.children[0], image.children[2], image))
        for each in (kept, dropped, whole):
            each.put(lab.source_app.store.repository(SOURCE))
        assert take(lab, *TWO, referrers=ReferrerFilter()).referrers == 1
        held = lab.target_app.store.repository(TARGET)
        assert_copied(lab.target_app, kept)
        assert not {dropped.digest, whole.digest} & set(held.manifests)
        assert lab.asked(lab.source_host, path=f"/referrers/{tagged(lab).digest}") == []
        assert take(lab, *ALL, referrers=ReferrerFilter(), force=True).referrers == 3
        assert_copied(lab.target_app, whole)


class TestChoose:
    """What the service is told to import."""

    @pytest.mark.parametrize(("names", "is_new"), [(TWO[1:], False), (TWO, True), (ALL, False)])
    def test_digest(self, lab: Lab, names: tuple[str, ...], is_new: bool) -> None:
        image = lab.put(content.multi_arch())
        choice = choose(lab.source.repository(SOURCE), "v1", platforms(*names))
        assert choice.is_new is is_new
        if len(names) == 1:
            assert (choice.digest, choice.original_digest) == (image.children[1].digest, image.digest)
        elif not is_new:
            assert (choice.digest, choice.original_digest) == (image.digest, None)
        assert lab.asked(lab.target_host) == []
