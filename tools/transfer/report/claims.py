"""Tests the claims of a plan on every task and protocol."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from ...compare.bootstrap import Difference, compare
from ..plan.contents import Claim, Plan
from ..plan.protocols import PROTOCOLS
from .estimates import TaskEstimates
from .results import Row

Verdict = Literal["holds", "fails", "undecided"]


class Assessment(NamedTuple):
    """A claim about two rows of a task.

    Attributes:
        claim: the claim.
        task: name of the task.
        first: row of the backbone that the claim is about.
        second: row of one of the others.
        difference: the first minus the second.
        verdict: what the interval of the difference says.
    """

    claim: Claim
    task: str
    first: Row
    second: Row
    difference: Difference
    verdict: Verdict


def assess_claim(claim: Claim, tasks: Sequence[TaskEstimates], protocol: str) -> list[Assessment]:
    """Assesses a claim on all tasks by a protocol, where both backbones have cells on all images."""
    assessments: list[Assessment] = []
    for task in tasks:
        for other in claim.others:
            first, second = Row(claim.backbone, protocol), Row(other, protocol)
            if first not in task.estimates or second not in task.estimates:
                continue
            found = compare(task.estimates[first], task.estimates[second], claim.margin, task.results.images)
            if found is not None:
                assessments.append(Assessment(claim, task.name, first, second, found, judge(claim, *found.interval)))
    return assessments


def judge(claim: Claim, low: float, high: float) -> Verdict:
    """Says what the interval of a difference means for a claim; an undefined interval decides nothing."""
    margin = claim.margin
    if claim.expected == "better":
        holds, fails = low > 0, high < 0
    elif claim.expected == "not better":
        holds, fails = high <= margin, low > margin
    else:
        holds, fails = -margin <= low and high <= margin, low > margin or high < -margin
    return "holds" if holds else "fails" if fails else "undecided"


def summarize(claim: Claim, assessments: Sequence[Assessment], plan: Plan, protocol: str) -> str:
    """Says in a sentence what all assessments of a claim by one protocol say together."""
    if not assessments:
        return f"{protocol}: cannot be tested here, because {find_obstacle(claim, plan, protocol)}."
    counts = {
        verdict: sum(one.verdict == verdict for one in assessments) for verdict in ("holds", "fails", "undecided")
    }
    parts = [f"{verdict} in {count}" for verdict, count in counts.items() if count]
    listed = ", ".join(parts).replace("undecided", "is undecided")
    return f"{protocol}: of {len(assessments)} comparisons, the claim {listed}."


def find_obstacle(claim: Claim, plan: Plan, protocol: str) -> str:
    """Says why a claim cannot be tested by a protocol."""
    backbones = (claim.backbone, *claim.others)
    lacking = [name for name in backbones if plan.backbones[name].weights is None]
    if PROTOCOLS[protocol].needs_weights and lacking:
        return f"{lacking[0]} has no weights in the plan"
    return "the cells of both are not finished or not in the plan"
