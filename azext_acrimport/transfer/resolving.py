# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""The first step of a copy: what is asked of both sides, and what follows for each target from the answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from azext_acrimport.registry.repository import Repository
from azext_acrimport.transfer.errors import TagExists
from azext_acrimport.transfer.executor import Task
from azext_acrimport.transfer.nodes import Tally, Target
from azext_acrimport.transfer.source import Source
from azext_acrimport.transfer.survey import Survey, batch_size


def questions(tallies: Sequence[Tally], survey: Survey) -> Iterator[tuple[list[Tally], Task]]:
    """What is to be asked, for each repository about many tags together, each question with the images that need it.

    All may be asked at once. Each image counts its own.
    """
    sources: dict[Source, list[Tally]] = {}
    targets: dict[Repository, list[Tally]] = {}
    for tally in tallies:
        sources.setdefault(tally.root.source, []).append(tally)
        for target in tally.root.targets:
            targets.setdefault(target.repository, []).append(tally)
        tally.questions = 1 + 2 * len({target.repository for target in tally.root.targets})
    for source, wanting in sources.items():
        for some in _batches(wanting):
            yield some, partial(survey.ask_source, source, [tally.root.identifier for tally in some])
    for repository, wanting in targets.items():
        goal = repository.to_push()
        yield wanting, partial(survey.ask_whether_tagless, goal)
        for some in _batches(wanting):
            tags = sorted({tag for tally in some for tag in tally.root.tags_in(repository)})
            yield some, partial(survey.ask_target, goal, tags)


def plan_target(tally: Tally, target: Target, survey: Survey) -> tuple[Target, bool] | None:
    """What is left to do at a target, and whether the image may be there already; None when nothing is.

    :raises TagExists: a tag names another image.
    """
    repository, force = target.repository.to_push(), tally.root.force
    to_write = []
    for tag in target.tags:
        existing = survey.target_digest(repository, tag)
        if existing is not None and existing != tally.digest and not force:
            raise TagExists(repository.registry.host, repository.name, tag, existing, tally.digest)
        if existing != tally.digest:
            to_write.append(tag)
    if force:
        # What is below an existing manifest is checked too: a cache rule may have left it incomplete.
        return Target(repository, target.tags), False
    if target.tags:
        return (Target(repository, tuple(to_write)), True) if to_write else None
    return None if survey.target_digest(repository, tally.digest) else (Target(repository), False)


def _batches(tallies: list[Tally]) -> list[list[Tally]]:
    size = batch_size(len(tallies))
    return [tallies[start : start + size] for start in range(0, len(tallies), size)]
