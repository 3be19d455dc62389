# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""A part of the work for each of several machines, without a word between them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from azext_acrimport.oci.digest import printable
from azext_acrimport.request import InvalidRequest

AUTO = "auto"

# Set in each job, from 1; both are 1 in a job without `strategy: parallel`.
# Source: https://learn.microsoft.com/azure/devops/pipelines/test/parallel-testing-any-test-runner
PIPELINES_POSITION, PIPELINES_TOTAL = "SYSTEM_JOBPOSITIONINPHASE", "SYSTEM_TOTALJOBSINPHASE"
# Set in each container of an Indexed Job, from 0; how many there are is not told to it, and has to be set in its `env`.
# Sources: https://kubernetes.io/docs/tasks/job/indexed-parallel-processing-static/ and
# https://github.com/kubernetes/kubernetes/issues/106009
KUBERNETES_INDEX, KUBERNETES_COUNT = "JOB_COMPLETION_INDEX", "JOB_COMPLETIONS"

_SHARD = re.compile(r"([0-9]{1,6})/([0-9]{1,6})\Z")
_COUNT = re.compile(r"[0-9]{1,6}\Z")


@dataclass(frozen=True)
class Shard:
    """Part ``index`` of ``count``, from 1."""

    index: int
    count: int

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    @staticmethod
    def parse(text: str, environ: Mapping[str, str]) -> Shard:
        """Read ``I/N``, or what the environment says for ``auto``.

        :raises InvalidRequest: it is neither, I is not from 1 to N, or the environment does not say.
        """
        if text.strip().lower() == AUTO:
            return _from_environment(environ)
        found = _SHARD.match(text.strip())
        shard = Shard(int(found[1]), int(found[2])) if found else None
        if not shard or not 1 <= shard.index <= shard.count:
            raise InvalidRequest(
                f"--shard {printable(text)} is not I/N with I from 1 to N, such as 2/4, and not {AUTO}"
            )
        return shard

    def holds(self, repository: str) -> bool:
        """Whether the target's repository belongs to this part: the same on every machine, whatever else is listed.

        A repository is never divided, so that its images share their blobs.
        """
        number = int.from_bytes(hashlib.sha256(repository.encode()).digest()[:8], "big")
        return number % self.count == self.index - 1


def _from_environment(environ: Mapping[str, str]) -> Shard:
    if environ.get(PIPELINES_POSITION) and environ.get(PIPELINES_TOTAL):
        return _shard(environ, PIPELINES_POSITION, PIPELINES_TOTAL, first=1)
    if not environ.get(KUBERNETES_INDEX):
        raise InvalidRequest(
            f"--shard {AUTO} finds neither {PIPELINES_POSITION} and {PIPELINES_TOTAL} (Azure Pipelines) nor "
            f"{KUBERNETES_INDEX} (an Indexed Job of Kubernetes) in the environment: give --shard I/N"
        )
    if not environ.get(KUBERNETES_COUNT):
        raise InvalidRequest(
            f"--shard {AUTO} finds {KUBERNETES_INDEX}, but not how many there are: set {KUBERNETES_COUNT} in the "
            "container's env to the same number as spec.completions of the Job, or give --shard I/N"
        )
    return _shard(environ, KUBERNETES_INDEX, KUBERNETES_COUNT, first=0)


def _shard(environ: Mapping[str, str], index: str, count: str, *, first: int) -> Shard:
    texts = environ[index].strip(), environ[count].strip()
    if all(_COUNT.match(each) for each in texts):
        shard = Shard(int(texts[0]) + 1 - first, int(texts[1]))
        if 1 <= shard.index <= shard.count:
            return shard
    raise InvalidRequest(
        f"--shard {AUTO}: {index}={printable(texts[0])} and {count}={printable(texts[1])} are no position and count"
    )
