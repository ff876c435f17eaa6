"""The section about the claims of the plan."""

from __future__ import annotations

from collections.abc import Sequence

from ...plan.contents import Plan
from ...plan.protocols import PROTOCOLS
from ..claims import Assessment, assess_claim, summarize
from ..estimates import TaskEstimates
from ..formats import format_difference
from ..parts import Part, Section, Table


def show_claims(plan: Plan, tasks: Sequence[TaskEstimates]) -> Section:
    """Tests the claims of the plan."""
    parts: list[Part] = []
    protocols = [name for name in PROTOCOLS if not PROTOCOLS[name].is_probe]
    used = [name for name in protocols if any(name in block.protocols for block in plan.blocks)]
    for claim in plan.claims:
        found = {protocol: assess_claim(claim, tasks, protocol) for protocol in used}
        sentences = [summarize(claim, assessed, plan, protocol) for protocol, assessed in found.items()]
        parts.append(f"“{claim.text}” {' '.join(sentences)}")
        rows = [format_assessment(one) for assessed in found.values() for one in assessed]
        if rows:
            header = [
                "task",
                "backbone",
                "other",
                "difference",
                "P(higher)",
                f"P(within {claim.margin:g})",
                "the claim",
            ]
            caption = f"{claim.text} (expected: {claim.expected}, margin {claim.margin:g})"
            parts.append(Table(caption, header, rows, words=(0, 1, 2, 6)))
    note = (
        "A 95 % interval decides. “Better” holds above 0 and fails below it. “Not better” holds up to the margin and "
        "fails above it, and “close” holds within the margin on both sides. Intervals are not corrected for the number "
        "of claims."
    )
    return Section("Claims", [note, *parts] if parts else [])


def format_assessment(one: Assessment) -> list[str]:
    """Returns the cells of an assessed claim."""
    found = one.difference
    shares = [f"{found.probability:.2f}", f"{found.equivalence:.2f}"]
    return [one.task, str(one.first), str(one.second), format_difference(found), *shares, one.verdict]
