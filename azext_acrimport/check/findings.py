# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""What was found out about two registries, and what follows for an import: no I/O in here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from azext_acrimport.plan import Plan, Route
from azext_acrimport.transfer.errors import Side

NEITHER: frozenset[Route] = frozenset()
HERE = frozenset({Route.LOCAL})
SERVICE = frozenset({Route.SERVICE})
BOTH = HERE | SERVICE


class Status(str, Enum):
    """What became of a check. A failure that does not stand in the way of the chosen route is shown as a warning."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Finding:
    """One check: its outcome, what was seen, and what to type about it. ``blocks`` are the routes that it closes."""

    side: Side
    check: str
    status: Status
    detail: str
    advice: str = ""
    blocks: frozenset[Route] = NEITHER


@dataclass(frozen=True)
class Verdict:
    """The route that an import would take, None for no way through, and why."""

    route: Route | None
    reason: str


@dataclass(frozen=True)
class Report:
    """All that the command tells. ``source`` is None where none was named."""

    registry: str
    source: str | None
    verdict: Verdict
    findings: tuple[Finding, ...]

    def as_dict(self) -> dict[str, Any]:
        """The result as it is printed."""
        return {
            "registry": self.registry,
            "source": self.source,
            "route": self.verdict.route.value if self.verdict.route else "none",
            "reason": self.verdict.reason,
            "checks": [
                {
                    "side": finding.side.value,
                    "check": finding.check,
                    "status": self._status(finding).value,
                    "detail": finding.detail,
                    "advice": finding.advice,
                }
                for finding in self.findings
            ],
        }

    def _status(self, finding: Finding) -> Status:
        route = self.verdict.route
        spared = finding.status is Status.FAILED and route is not None and route not in finding.blocks
        return Status.WARNING if spared else finding.status


def conclude(plan: Plan, findings: Sequence[Finding], *, names: dict[Side, str]) -> Verdict:
    """Say by which route an import would get through, as it would go itself: the planned one, then the other."""
    obstacle = _obstacle(plan.route, findings, names)
    if not obstacle:
        return Verdict(plan.route, plan.reason)
    if plan.route is Route.LOCAL:
        return Verdict(None, f"{plan.reason}; and a copy from here would fail: {obstacle}")
    if not plan.may_fall_back:
        return Verdict(None, f"{plan.reason}; and the service would fail: {obstacle}")
    second = _obstacle(Route.LOCAL, findings, names)
    if not second:
        return Verdict(Route.LOCAL, f"{obstacle}, so the service cannot do it")
    return Verdict(None, obstacle if second == obstacle else f"{obstacle}; and a copy from here would fail: {second}")


def _obstacle(route: Route, findings: Sequence[Finding], names: dict[Side, str]) -> str:
    """The first thing that closes a route, or nothing."""
    for finding in findings:
        if finding.status is Status.FAILED and route in finding.blocks:
            return f"{finding.side.value} {names[finding.side]}: {finding.detail}"
    return ""


def in_one_line(advice: Sequence[str]) -> str:
    """Lines of advice, of which each is a sentence or goes on from the last, as one."""
    text = ""
    for line in advice:
        goes_on = not text or text[-1] in ",.;:" or line[:1].islower() or line[:1] == "("
        text += f"{' ' if goes_on else '; '}{line}"
    return text.strip()
