# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""What a preview says, compared with what the copy then does; and that nothing is changed by it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from azext_acrimport.oci.platform import Platform
from azext_acrimport.oci.referrers import ReferrerFilter
from azext_acrimport.registry.credentials import Password
from azext_acrimport.transfer.copier import Root, Target, copy_all
from azext_acrimport.transfer.errors import CopyCancelled, CopyError, Side, TagExists
from azext_acrimport.transfer.preview import Preview, TagChange, TagPreview, preview
from azext_acrimport.transfer.result import CopyResult, Count
from emulator import content, signing
from emulator.auth import BearerAuth, TokenService
from emulator.faults import Answer, Fault
from tests.support.lab import ONE_WORKER, SOURCE, TARGET, Lab

OTHER = content.image("other")


def looked(lab: Lab, *roots: Root) -> list[Preview | Exception]:
    """The previews of these images, after a look at all that was sent for them."""
    lab.server.log.clear()
    found = preview(roots, settings=ONE_WORKER)
    assert {entry.method for entry in lab.server.log} <= {"GET", "HEAD"}
    return found


def seen(lab: Lab, *targets: tuple[str, tuple[str, ...]], force: bool = False) -> Preview:
    (found,) = looked(lab, lab.root("v1", *targets, force=force))
    assert isinstance(found, Preview)
    return found


def figures(found: Preview | CopyResult | Exception) -> tuple[Any, ...]:
    if isinstance(found, Preview):
        return found.digest, found.media_type, found.manifests, found.blobs, found.bytes_to_move
    assert isinstance(found, CopyResult), found
    return found.digest, found.media_type, found.manifests, found.blobs, found.bytes_copied


def nothing_there(lab: Lab, image: content.Artifact) -> None:
    pass


def a_blob_there(lab: Lab, image: content.Artifact) -> None:
    lab.target_app.store.repository(TARGET).add_blob(next(iter(image.all_blobs.values())))


def a_child_there(lab: Lab, image: content.Artifact) -> None:
    (image.children or (image,))[0].put(lab.target_app.store.repository(TARGET))


def all_there_untagged(lab: Lab, image: content.Artifact) -> None:
    image.put(lab.target_app.store.repository(TARGET))


def all_there(lab: Lab, image: content.Artifact) -> None:
    image.put(lab.target_app.store.repository(TARGET), "v1")


@pytest.mark.parametrize("image", [content.image(), content.multi_arch(), content.nested_index()])
@pytest.mark.parametrize("before", [nothing_there, a_blob_there, a_child_there, all_there_untagged, all_there])
def test_the_figures_are_those_of_the_copy(
    lab: Lab, image: content.Artifact, before: Callable[[Lab, content.Artifact], None]
) -> None:
    lab.put(image)
    before(lab, image)

    found = seen(lab)

    assert found.digest == image.digest
    assert figures(found) == figures(lab.copy(settings=ONE_WORKER))


def test_new_image_is_all_to_be_copied(lab: Lab) -> None:
    image = lab.put(content.multi_arch())

    found = seen(lab, (TARGET, ("v1", "latest")))

    assert found.tags == tuple(TagPreview(TARGET, tag, None, TagChange.WRITE) for tag in ("v1", "latest"))
    assert found.manifests == Count(copied=len(image.manifests))
    assert found.blobs == Count(copied=len(image.all_blobs))
    assert found.bytes_to_move == sum(map(len, image.all_blobs.values()))
    assert lab.target_app.store.names() == []


def test_each_tag_is_told_with_what_it_names_now(lab: Lab) -> None:
    image = lab.put(content.image())
    held = lab.target_app.store.repository(TARGET)
    image.put(held, "same")
    OTHER.put(held, "another")
    tags = (TARGET, ("new", "same", "another"))

    refused, forced = seen(lab, tags), seen(lab, tags, force=True)

    new = TagPreview(TARGET, "new", None, TagChange.WRITE)
    same = TagPreview(TARGET, "same", image.digest, TagChange.NOTHING)
    assert refused.tags == (new, same, TagPreview(TARGET, "another", OTHER.digest, TagChange.CONFLICT))
    assert forced.tags == (new, same, TagPreview(TARGET, "another", OTHER.digest, TagChange.OVERWRITE))
    assert [tag.tag for tag in refused.conflicts] == ["another"]
    assert forced.conflicts == ()
    assert held.tags == {"same": image.digest, "another": OTHER.digest}


def test_conflict_moves_nothing_as_the_copy_then_does(lab: Lab) -> None:
    image = lab.put(content.image())
    OTHER.put(lab.target_app.store.repository(TARGET), "v1")

    found = seen(lab)

    assert figures(found) == (image.digest, "", Count(), Count(), 0)
    with pytest.raises(TagExists):
        lab.copy()


def test_with_force_what_is_incomplete_below_is_counted(lab: Lab) -> None:
    image = lab.put(content.multi_arch())
    held = lab.target_app.store.repository(TARGET)
    image.put(held, "v1")
    held.delete_blob(content.digest_of(image.children[0].blobs[1]))

    found = seen(lab, force=True)

    assert found.bytes_to_move == len(image.children[0].blobs[1])
    assert figures(found) == figures(lab.copy(force=True, settings=ONE_WORKER))


def test_blobs_that_images_share_move_once(lab: Lab) -> None:
    shared = content.image("shared")
    lab.put(content.index(shared), "a")
    lab.put(content.index(shared, OTHER), "b")

    def roots() -> list[Root]:
        source, to = lab.source.repository(SOURCE), lab.target
        return [
            Root(source, "a", (Target(to.repository("one"), ("a",)),)),
            Root(source, "b", (Target(to.repository("one"), ("b",)), Target(to.repository("two"), ("b",)))),
        ]

    found = looked(lab, *roots())

    assert [figures(each) for each in found] == [figures(each) for each in copy_all(roots(), settings=ONE_WORKER)]
    both = {**shared.all_blobs, **OTHER.all_blobs}
    assert sum(each.bytes_to_move for each in found if isinstance(each, Preview)) == sum(map(len, both.values()))


def test_within_one_registry_blobs_are_mounted(lab: Lab) -> None:
    image = lab.put(content.multi_arch())
    lab.target_host, lab.target_app = lab.source_host, lab.source_app

    found = seen(lab)

    assert (found.blobs, found.bytes_to_move) == (Count(mounted=len(image.all_blobs)), 0)
    assert figures(found) == figures(lab.copy(settings=ONE_WORKER))


@pytest.mark.parametrize(
    "chosen",
    [
        {"platforms": (Platform.parse("linux/arm64"),)},
        {"platforms": (Platform.parse("linux/amd64"), Platform.parse("linux/arm64"))},
        {"referrers": ReferrerFilter()},
        {"referrers": ReferrerFilter(), "platforms": (Platform.parse("linux/arm64"),)},
    ],
)
@pytest.mark.parametrize("lists_referrers", [True, False])
def test_platforms_and_referrers_are_chosen_as_the_copy_does(
    lab: Lab, chosen: dict[str, Any], lists_referrers: bool
) -> None:
    image = lab.put(content.multi_arch())
    for each in (image, *image.children):
        signing.signature(each).put(lab.source_app.store.repository(SOURCE))
    lab.behave(lab.target_app, referrers=lists_referrers)

    (found,) = looked(lab, lab.root()._replace(**chosen))
    assert lab.target_app.store.names() == []
    (result,) = copy_all([lab.root()._replace(**chosen)], settings=ONE_WORKER)

    assert figures(found) == figures(result)
    assert isinstance(found, Preview)
    assert isinstance(result, CopyResult)
    assert (found.referrers, found.original_digest) == (result.referrers, result.original_digest)


def test_tag_of_a_signature_that_names_another_one_is_a_conflict(lab: Lab) -> None:
    image = lab.put(content.image())
    tag = signing.cosign_tag(image)
    signing.cosign(image).put(lab.source_app.store.repository(SOURCE), tag)
    OTHER.put(lab.target_app.store.repository(TARGET), tag)

    (found,) = looked(lab, lab.root()._replace(referrers=ReferrerFilter()))
    (outcome,) = copy_all([lab.root()._replace(referrers=ReferrerFilter())], settings=ONE_WORKER)

    assert isinstance(found, Preview)
    assert found.conflicts == (TagPreview(TARGET, tag, OTHER.digest, TagChange.CONFLICT),)
    assert isinstance(outcome, TagExists)


def test_manifest_without_a_tag(lab: Lab) -> None:
    image = lab.put(content.image())

    absent = seen(lab, (TARGET, ()))
    image.put(lab.target_app.store.repository(TARGET))
    present = seen(lab, (TARGET, ()))

    assert (absent.tags, absent.manifests) == ((), Count(copied=1))
    assert (present.tags, present.manifests) == ((), Count(existing=1))


def test_media_type_is_told_for_many_images_that_are_there(lab: Lab) -> None:
    image = lab.put(content.multi_arch())
    image.put(lab.target_app.store.repository(TARGET), "v1", "v2")

    found = looked(lab, lab.root("v1"), lab.root("v1", (TARGET, ("v2",))))

    assert [each.media_type for each in found if isinstance(each, Preview)] == [image.media_type] * 2


def test_one_that_fails_does_not_stop_the_others(lab: Lab) -> None:
    good = lab.put(content.image("good"), "good")
    bad = content.image("bad")
    lab.put(content.index(bad), "bad")
    lab.source_app.store.repository(SOURCE).delete_manifest(bad.digest)
    lab.server.faults.add(Fault(Answer(403), host=lab.target_host, path="/v2/closed/", times=None))

    missing, broken, closed, fine = looked(
        lab,
        lab.root("missing", (TARGET, ("missing",))),
        lab.root("bad", (TARGET, ("bad",))),
        lab.root("good", ("closed", ("good",))),
        lab.root("good", (TARGET, ("good",))),
    )

    failures = [each for each in (missing, broken, closed) if isinstance(each, CopyError)]
    assert [each.side for each in failures] == [Side.SOURCE, Side.SOURCE, Side.TARGET]
    assert isinstance(fine, Preview)
    assert fine.digest == good.digest


def test_tokens_are_for_pulling_only_and_at_the_target_too(lab: Lab) -> None:
    lab.put(content.multi_arch())
    asked: list[str] = []

    def authorise(app: Any) -> None:
        tokens = TokenService({"user": "secret"}, clock=lab.clock.now)

        def serve(request: Any) -> Any:
            asked.extend(request.args("scope"))
            return tokens(request)

        app.authorise = BearerAuth(tokens, realm=f"http://{lab.server.serve_plain(serve)}/token", service="example")

    authorise(lab.source_app)
    authorise(lab.target_app)
    lab.source_credentials = lab.target_credentials = Password("user", "secret")

    seen(lab)

    assert sorted(asked) == [f"repository:{TARGET}:pull", f"repository:{SOURCE}:pull"]


def test_a_run_that_is_stopped_ends(lab: Lab) -> None:
    lab.put(content.image())
    lab.clock.cancelled.set()

    with pytest.raises(CopyCancelled):
        preview([lab.root()])
