# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""What the command prints: the result and its table."""

from __future__ import annotations

from azext_acrimport._format import import_table
from azext_acrimport.outcome import Outcome, Status, Taken
from azext_acrimport.plan import Route
from azext_acrimport.request import Images
from azext_acrimport.transfer.result import CopyResult, Count

DIGEST = "sha256:" + "0123456789abcdef" * 4
KEYS = [
    "status", "registry", "loginServer", "source", "digest", "originalDigest", "mediaType", "images", "repositories",
    "route", "reason", "fallback", "manifests", "blobs", "referrers", "bytesCopied", "seconds", "line", "error",
]  # fmt: skip
COPIED = CopyResult(DIGEST, "application/x", Count(copied=3, existing=1), Count(copied=5, mounted=2, existing=4), 1234)


def outcome(copied: CopyResult | None, source: str = "app:v1", *, fallback: bool = False) -> Outcome:
    images = Images.of(source, ["copy:v1", "copy"], ["bare"])
    return Outcome(
        status=Status.IMPORTED,
        registry="prodreg",
        login_server="prodreg.azurecr.io",
        source=f"docker.io/{source}",
        images=images,
        taken=Taken(Route.LOCAL if copied else Route.SERVICE, "so it is", fallback),
        seconds=1.26,
        copied=copied,
    )


def test_a_copy_tells_all_it_did() -> None:
    assert outcome(COPIED, fallback=True).as_dict() == {
        "status": "imported",
        "registry": "prodreg",
        "loginServer": "prodreg.azurecr.io",
        "source": "docker.io/app:v1",
        "digest": DIGEST,
        "originalDigest": None,
        "mediaType": "application/x",
        "images": ["copy:v1"],
        "repositories": ["bare"],
        "route": "local",
        "reason": "so it is",
        "fallback": True,
        "manifests": {"copied": 3, "existing": 1},
        "blobs": {"copied": 5, "mounted": 2, "existing": 4},
        "referrers": None,
        "bytesCopied": 1234,
        "seconds": 1.3,
        "line": None,
        "error": None,
    }


def test_the_service_leaves_open_what_it_does_not_tell() -> None:
    result = outcome(None).as_dict()

    assert list(result) == KEYS == list(outcome(COPIED).as_dict())
    assert (result["digest"], result["mediaType"], result["bytesCopied"]) == (None, None, None)
    assert result["manifests"] == {"copied": None, "existing": None}
    assert result["blobs"] == {"copied": None, "mounted": None, "existing": None}


def test_a_digest_that_was_asked_for_is_known_on_both_routes() -> None:
    assert outcome(None)._replace(digest=DIGEST).as_dict()["digest"] == DIGEST


def test_the_table_has_a_row_for_each_name() -> None:
    rows = import_table(outcome(COPIED, fallback=True).as_dict())

    assert [row["Image"] for row in rows] == ["copy:v1", "bare (untagged)"]
    assert dict(rows[0]) == {
        "Status": "imported",
        "Registry": "prodreg",
        "Image": "copy:v1",
        "Source": "docker.io/app:v1",
        "Digest": "0123456789ab",
        "Route": "local (fallback)",
        "BytesCopied": 1234,
        "Seconds": 1.3,
    }


def test_the_table_shortens_digests() -> None:
    row = import_table(outcome(COPIED, f"team/app@{DIGEST}").as_dict())[0]

    assert row["Source"] == "docker.io/team/app@sha256:0123456789ab"


def test_the_table_of_many_has_a_row_for_one_that_came_to_nothing() -> None:
    failed = Outcome(Status.FAILED, "prodreg", "docker.io/app")

    rows = import_table([outcome(COPIED).as_dict(), failed.as_dict()])

    assert [(row["Status"], row["Image"]) for row in rows] == [
        ("imported", "copy:v1"),
        ("imported", "bare (untagged)"),
        ("failed", ""),
    ]


def test_the_table_leaves_blank_what_is_not_known() -> None:
    row = import_table(outcome(None).as_dict())[0]

    assert (row["Digest"], row["Route"], row["BytesCopied"]) == ("", "service", "")
