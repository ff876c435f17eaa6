"""The section about rank correlations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ....text_tables import NOTHING
from ..correlations import Agreement, correlate_imagenet, correlate_protocols, correlate_tasks
from ..estimates import TaskEstimates
from ..formats import format_interval
from ..parts import Part, Section, Table


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
