"""The section about published figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ....text_tables import NOTHING
from ...plan.contents import Plan
from ..estimates import TaskEstimates
from ..formats import format_estimate
from ..parts import Section, Table
from ..published import find_figures

Facts = Mapping[str, Any]


def show_published(plan: Plan, tasks: Sequence[TaskEstimates], costs: Mapping[str, Facts]) -> Section:
    """Shows published figures of the same architectures beside those of the study."""
    top1 = list_top1(plan, costs)
    rows: list[list[str]] = []
    for name in plan.backbones:
        ours = []
        for task in tasks:
            best = task.best_rows([row for row in task.trained_rows() if row.backbone == name])
            ours += [format_estimate(task.estimates[row]) for row in best.values()] or [NOTHING]
        facts = next((found["backbones"][name] for found in costs.values() if name in found["backbones"]), None)
        elsewhere = find_figures(facts["architecture"]["family"], facts["architecture"]["arguments"]) if facts else []
        texts = [f"{entry.figure}: {entry.value:g} ({entry.source})" for entry in elsewhere]
        published = f"{top1[name]:g}" if name in top1 else NOTHING
        rows.append([name, *ours, published, "; ".join(texts) or NOTHING])
    header = ["backbone", *(f"ours: {task.name}, {task.figure}" for task in tasks)]
    header += ["published: ImageNet top-1, %", "published: other tasks, %"]
    text = (
        "Published figures are of the same architecture, trained by its authors on much more data, and with other "
        "recipes. They are not comparable with ours."
    )
    table = Table("Our best figure beside published ones", header, rows, words=(0, len(header) - 1))
    return Section("Published figures", [text, table])


def list_top1(plan: Plan, costs: Mapping[str, Facts]) -> dict[str, float]:
    """Returns published accuracies on ImageNet in %: those of the plan, or else of the papers."""
    found: dict[str, float] = {}
    for name, backbone in plan.backbones.items():
        known = [
            facts["backbones"][name]["architecture"]["top1"] for facts in costs.values() if name in facts["backbones"]
        ]
        value = backbone.top1 if backbone.top1 is not None else next(iter(known), None)
        if value is not None:
            found[name] = value
    return found
