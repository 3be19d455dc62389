# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""What the source and the target tell this machine of an import by the service: digests, referrers, what is there."""

from __future__ import annotations

from typing import Any, cast

import pytest

from azext_acrimport.connections import Connections
from azext_acrimport.existing import missing_names
from azext_acrimport.oci.platform import Platform
from azext_acrimport.oci.referrers import ReferrerFilter
from azext_acrimport.orders import Order
from azext_acrimport.pinned import parts_of
from azext_acrimport.registry.errors import NoToken, ProtocolError
from azext_acrimport.transfer import platforms, referrers
from azext_acrimport.transfer.errors import CopyError, Side
from azext_acrimport.transfer.platforms import Choice
from azext_acrimport.transfer.referrers import Referrer
from tests.support.orders import Answers, digest, order

SOURCE = "docker.io/library/app"
ONE, TWO = digest(1), digest(2)


def parts(wanted: Order, answers: Answers) -> list[Order]:
    return list(parts_of(wanted, cast(Connections, answers)))


def test_of_an_image_alone_the_source_is_asked_nothing() -> None:
    answers = Answers({SOURCE: {"v1": ONE}})
    wanted = order(f"{SOURCE}:v1")

    assert parts(wanted, answers) == [wanted]
    assert answers.sources[SOURCE].asked == []


def test_one_platform_is_imported_by_its_digest_under_the_same_names(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def choose(source: Any, identifier: str, platforms: Any) -> Choice:
        asked.append((source.name, identifier, platforms))
        return Choice(TWO, original_digest=ONE)

    monkeypatch.setattr(platforms, "choose", choose)
    arm = (Platform("linux", "arm64"),)

    (part,) = parts(order(f"{SOURCE}:v1", platforms=arm), Answers({SOURCE: {"v1": ONE}}))

    assert asked == [("library/app", "v1", arm)]
    assert part.images.source == f"library/app@{TWO}"
    assert part.images.tagged == (("library/app", "v1"),)


@pytest.mark.parametrize("identifier", [":v1", f"@{ONE}"])
def test_what_refers_to_an_image_goes_to_all_its_repositories(monkeypatch: pytest.MonkeyPatch, identifier: str) -> None:
    found = [Referrer(digest(3), "sbom", ONE), Referrer(digest(4), "sig", ONE, ("sha256-1.sig",))]
    monkeypatch.setattr(referrers, "discover", lambda source, subject, wanted: found if subject == ONE else [])
    wanted = order(f"{SOURCE}{identifier}", referrers=ReferrerFilter(), images=("a:x", "b:y"), repositories=("c",))

    image, sbom, signature = parts(wanted, Answers({SOURCE: {"v1": ONE}}))

    assert image.images.source == f"library/app@{ONE}"
    assert image.images.tags == ("a:x", "b:y")
    assert (sbom.images.source, sbom.images.tags, sbom.images.untagged) == (
        f"library/app@{digest(3)}",
        (),
        ("a", "b", "c"),
    )
    assert (signature.images.tags, signature.images.untagged) == (
        ("a:sha256-1.sig", "b:sha256-1.sig", "c:sha256-1.sig"),
        (),
    )


def test_a_source_that_does_not_tell_is_blamed() -> None:
    answers = Answers({SOURCE: {}})
    answers.sources[SOURCE].failure = ProtocolError("docker.io", "no sense")

    with pytest.raises(CopyError) as raised:
        parts(order(f"{SOURCE}:v1", referrers=ReferrerFilter()), answers)

    assert raised.value.side is Side.SOURCE


NAMES = ("a:1", "a:2", "b:1")


@pytest.mark.parametrize(
    ("target", "missing"),
    [
        ({}, NAMES),
        ({"a": {"1": ONE}}, ("a:2", "b:1")),
        ({"a": {"1": ONE, "2": ONE}, "b": {"1": ONE}}, None),
        ({"a": {"1": ONE, "2": TWO}}, NAMES),  # it is not to be overwritten, and the service says so
    ],
)
@pytest.mark.parametrize("identifier", [":v1", f"@{ONE}"])
def test_the_names_that_the_target_lacks(target: Any, missing: tuple[str, ...] | None, identifier: str) -> None:
    wanted = order(f"{SOURCE}{identifier}", images=NAMES)

    found = missing_names(wanted, cast(Connections, Answers({SOURCE: {"v1": ONE}}, target)))

    assert (found.tags if found else None) == missing


def test_a_repository_that_gets_it_without_a_tag_is_still_missing() -> None:
    wanted = order(f"{SOURCE}:v1", images=("a:1",), repositories=("bare",))

    found = missing_names(wanted, cast(Connections, Answers({SOURCE: {"v1": ONE}}, {"a": {"1": ONE}})))

    assert found
    assert (found.tags, found.untagged) == ((), ("bare",))


@pytest.mark.parametrize("failure", [ProtocolError("docker.io", "no sense"), NoToken("docker.io")])
def test_where_nothing_can_be_seen_the_services_answer_stands(failure: Exception) -> None:
    answers = Answers({SOURCE: {"v1": ONE}})
    answers.sources[SOURCE].failure = failure
    wanted = order(f"{SOURCE}:v1")

    assert missing_names(wanted, cast(Connections, answers)) == wanted.images
