"""The sections of the report about pretraining, agreement of orders, claims and published figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...compare.comparison import Pair
from ...compare.output import format_pair, make_header
from ...pages import Interval, interval_chart
from ...text_tables import NOTHING
from ..plan import Plan
from ..protocols import PROTOCOLS
from .claims import Assessment, assess_claim, summarize
from .correlations import Agreement, correlate_imagenet, correlate_protocols, correlate_tasks
from .estimates import TaskEstimates
from .formats import format_difference, format_estimate, format_interval
from .gains import describe_gains, find_gains
from .parts import Charts, Part, Section, Table
from .published import find_figures
from .results import Row

Facts = Mapping[str, Any]


def show_gains(tasks: Sequence[TaskEstimates]) -> Section:
    """Shows the gain of pretrained weights over random ones."""
    parts: list[Part] = []
    charts, tables = [], []
    for task in tasks:
        gains = find_gains(task)
        if not gains:
            continue
        parts.append(describe_gains(task, gains))
        rows = [to_interval(f"{gain.pretrained.backbone}{describe_share(gain.scratch)}", gain.pair) for gain in gains]
        charts.append(interval_chart(task.name, f"gain in {task.figure}", rows, rope=task.settings.rope))
        body = [[str(gain.pretrained), str(gain.scratch), *format_pair(gain.pair)] for gain in gains]
        caption = f"{task.name}: {task.figure} with pretrained weights minus {task.figure} from scratch"
        tables.append(Table(caption, ["pretrained", "scratch", *make_header(task.settings)], body, words=(0, 1)))
    return Section("Gain of pretraining", [*parts, Charts(charts), *tables] if parts else [])


def describe_share(row: Row) -> str:
    """Returns the share of the images of a row, if it is not all."""
    return "" if row.share == 1 else f" {100 * row.share:g} %"


def to_interval(name: str, pair: Pair) -> Interval:
    """Converts a difference to a row of a chart."""
    found = pair.difference
    return Interval(name, np.nan, np.nan, np.nan) if found is None else Interval(name, found.value, *found.interval)


def show_agreement(tasks: Sequence[TaskEstimates], top1: Mapping[str, float]) -> Section:
    """Shows rank correlations between tasks, between protocols, and with published accuracy."""
    text = (
        "Kendall's τ is 1 where two orders of the backbones are equal, and −1 where one is the other reversed. "
        "Intervals are 95 % intervals over images, seeds and the choice of backbones, so three backbones say little."
    )
    tables: list[Part] = []
    by_protocol = correlate_tasks(tasks)
    if by_protocol:
        rows = [format_agreement(found, protocol) for protocol, all_found in by_protocol.items() for found in all_found]
        tables.append(Table("Between tasks", ["task", "task", "protocol", "backbones", "τ"], rows, words=(0, 1, 2)))
    rows = [format_agreement(found, task.name) for task in tasks for found in correlate_protocols(task)]
    if rows:
        header = ["protocol", "protocol", "task", "backbones", "τ"]
        tables.append(Table("Between protocols", header, rows, words=(0, 1, 2)))
    rows = [format_agreement(found) for task in tasks for found in correlate_imagenet(task, top1)]
    if rows:
        header = ["task", "protocol", "backbones", "τ"]
        tables.append(Table("With published accuracy on ImageNet", header, rows, words=(0, 1)))
    return Section("Do orders of backbones agree?", [text, *tables] if tables else [])


def format_agreement(found: Agreement, *others: str) -> list[str]:
    """Returns the cells of an agreement."""
    correlation = found.correlation
    if correlation is None:
        return [found.first, found.second, *others, str(found.backbones), NOTHING]
    text = format_interval(correlation.value, correlation.low, correlation.high, 2)
    return [found.first, found.second, *others, str(found.backbones), text]


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
    note = "A claim holds or fails where a 95 % interval says so; intervals are not corrected for the number of claims."
    return Section("Claims", [note, *parts] if parts else [])


def format_assessment(one: Assessment) -> list[str]:
    """Returns the cells of an assessed claim."""
    found = one.difference
    pair = Pair("", "", found, 1.0, None, "")
    shares = [f"{found.probability:.2f}", f"{found.equivalence:.2f}"]
    return [one.task, str(one.first), str(one.second), format_difference(pair), *shares, one.verdict]


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
        "recipes. They are not comparable with ours; their order is."
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
