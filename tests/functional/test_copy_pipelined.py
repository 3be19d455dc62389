# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""Requests sent without waiting for answers in between, and what becomes of them where that is not taken well."""

from __future__ import annotations

import pytest

from azext_acrimport.registry.registry import Registry
from azext_acrimport.registry.transport import Transport
from azext_acrimport.transfer import copier, tuning
from azext_acrimport.transfer.errors import CopyError, Side
from emulator import content
from emulator.faults import Answer, Fault, FlipBit, Reset, SetHeader
from tests.support.lab import ONE_WORKER, SOURCE, TARGET, Lab, assert_copied

TAGS = [f"v{number}" for number in range(6)]


def methods(lab: Lab, host: str, path: str) -> list[str]:
    return [entry.method for entry in lab.asked(host, path=path)]


def put_many(lab: Lab) -> dict[str, content.Artifact]:
    return {tag: lab.put(content.image(tag, layers=(100,)), tag) for tag in TAGS}


def copy_many(lab: Lab) -> None:
    copier.copy([lab.root(tag, (TARGET, (tag,))) for tag in TAGS], settings=ONE_WORKER)


class TestManifestsOfTags:
    def test_one_request_for_each(self, lab: Lab) -> None:
        images = put_many(lab)
        copy_many(lab)
        assert methods(lab, lab.source_host, "/manifests/") == ["GET"] * len(TAGS)
        for tag, image in images.items():
            assert_copied(lab.target_app, image, tag)

    def test_registry_that_counts_them_gives_digests_first(self, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
        """A run that has nothing to do must not use up what Docker Hub allows."""
        monkeypatch.setattr(Registry, "counts_pulls", True)
        put_many(lab)
        copy_many(lab)
        assert methods(lab, lab.source_host, "/manifests/") == ["HEAD"] * len(TAGS) + ["GET"] * len(TAGS)
        lab.server.log.clear()
        copy_many(lab)
        assert methods(lab, lab.source_host, "") == ["HEAD"] * len(TAGS)

    @pytest.mark.parametrize(("host", "counts"), [("docker.io", True), ("ghcr.io", False), ("x.azurecr.io", False)])
    def test_docker_hub_counts_them(self, host: str, counts: bool) -> None:
        with Transport() as transport:
            assert Registry(host, transport=transport).counts_pulls is counts

    @pytest.mark.parametrize("fault", [FlipBit(100), Answer(503), SetHeader("Connection", "close"), Reset()])
    def test_what_goes_wrong_is_asked_for_again(self, lab: Lab, fault: Answer) -> None:
        images = put_many(lab)
        lab.server.faults.add(Fault(fault, host=lab.source_host, method="GET", path="/manifests/v", skip=2))
        copy_many(lab)
        for tag, image in images.items():
            assert_copied(lab.target_app, image, tag)

    def test_one_that_cannot_be_read_fails_alone(self, lab: Lab) -> None:
        put_many(lab)
        lab.source_app.store.repository(SOURCE).add_manifest(b"{}", "application/json", tags=["v3"])
        outcomes = copier.copy_all([lab.root(tag, (TARGET, (tag,))) for tag in TAGS])
        assert [tag for tag, outcome in zip(TAGS, outcomes, strict=True) if isinstance(outcome, CopyError)] == ["v3"]

    def test_no_more_are_kept_than_is_good(self, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("azext_acrimport.transfer.survey._MOST_MANIFESTS", 0)
        put_many(lab)
        copy_many(lab)
        assert methods(lab, lab.source_host, "/manifests/") == ["HEAD"] * len(TAGS) + ["GET"] * len(TAGS)


class TestManifestsOfAnIndex:
    @pytest.fixture
    def index(self, lab: Lab) -> content.Artifact:
        return lab.put(content.multi_arch(layers=(100,)))

    @pytest.fixture(params=[False, True])
    def _guesses(self, request: pytest.FixtureRequest, never_guess: None, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(tuning, "FAR_SECONDS", -1.0 if request.param else 1e9)

    @pytest.mark.usefixtures("_guesses")
    def test_what_the_target_has_is_left_alone(self, lab: Lab, index: content.Artifact) -> None:
        index.children[0].put(lab.target_app.store.repository(TARGET), "other")
        result = lab.copy()
        assert_copied(lab.target_app, index, "v1")
        assert result.manifests.existing == 1
        puts = [entry.path for entry in lab.asked(lab.target_host, "PUT", "/manifests/")]
        assert len(puts) == len(index.manifests) - 1

    @pytest.mark.usefixtures("_guesses")
    @pytest.mark.parametrize("side", ["source", "target"])
    @pytest.mark.parametrize("fault", [FlipBit(100), Answer(503), SetHeader("Connection", "close"), Reset()])
    def test_what_goes_wrong_is_asked_for_again(
        self, lab: Lab, index: content.Artifact, side: str, fault: Answer
    ) -> None:
        host = lab.source_host if side == "source" else lab.target_host
        lab.server.faults.add(Fault(fault, host=host, path="/manifests/sha256:", times=2))
        lab.copy()
        assert_copied(lab.target_app, index, "v1")

    def test_missing_one_is_named(self, lab: Lab, index: content.Artifact) -> None:
        missing = index.children[1].digest
        lab.source_app.store.repository(SOURCE).delete_manifest(missing)
        with pytest.raises(CopyError) as raised:
            lab.copy()
        assert (raised.value.side, raised.value.subject) == (Side.SOURCE, missing)
