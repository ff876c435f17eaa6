"""Writes the report of a study as a page, as Markdown and as a table of cells."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ....errors import format_count
from ....tasks.atomic import write_text
from ...pages import Section as PageSection
from ...pages import definitions, render_page
from ...profile.tables import machine_text
from ..plan.cells import Cell, list_cells, normalise
from ..plan.contents import Plan
from ..store import MARKDOWN, PAGE, TABLE, Study
from .costs import find_costs
from .decisions import Rivals, describe_leader, describe_steps
from .estimates import RESAMPLES, estimate_task
from .parts import Section, as_html, as_markdown, escape
from .results import Row, TaskResults, Trial, read_results, read_trials
from .sections.agreement import show_agreement
from .sections.cells import CellTable
from .sections.claims import show_claims
from .sections.figures import show_figures, show_ranks, show_shares
from .sections.fronts import Cost, list_costs, show_fronts
from .sections.pretraining import show_gains
from .sections.published import list_top1, show_published
from .sections.race import show_race
from .sections.rates import show_rates

NOTE = (
    "Intervals are 95 % intervals of a bootstrap over the evaluated images, widened by the variation between seeds "
    "where there are several. Differences are of the same images, and p-values are corrected by Holm."
)


def write_report(study: Study, plan: Plan, hashes: Collection[str] | None = None, threads: int = 1) -> list[str]:
    """Writes the report of the finished cells into the study's folder, and returns the sentences of its answer.

    Args:
        study: the study.
        plan: its plan.
        hashes: of the plan's cells, where they are known.
        threads: CPU threads of the engines that are measured.

    Raises:
        UserError: no cell is finished, or a cell is damaged.
    """
    results = read_results(study, plan, hashes)
    facts = find_costs(study, plan, results, threads)
    report = Report(plan, results, read_trials(study, plan, hashes), facts, show_race(study.folder))
    write_text(study.folder / TABLE, report.cells.as_csv())
    write_text(study.folder / MARKDOWN, report.as_markdown())
    write_text(study.folder / PAGE, report.as_html())
    return report.answer()


class Report:
    """What a study says.

    Args:
        plan: its plan.
        results: the finished cells.
        trials: finished trainings that choose learning rates.
        facts: costs by task, see :func:`.costs.find_costs`.
        race: the section about a race.
    """

    def __init__(
        self,
        plan: Plan,
        results: Sequence[TaskResults],
        trials: Sequence[Trial],
        facts: Mapping[str, Any],
        race: Section,
    ) -> None:
        self.plan = plan
        self.results = results
        self.trials = trials
        self.race = race
        self.facts = facts
        self.cells = CellTable(results)
        self.tasks = [estimate_task(found) for found in results]
        self.costs = {task.name: list_costs(facts[task.name]) for task in self.tasks}
        self.rivals = [Rivals(task) for task in self.tasks]
        self.title = f"{format_count(len(plan.backbones), 'backbones')} on {', '.join(plan.tasks)}"

    def answer(self) -> list[str]:
        """Returns the sentences that say what to take."""
        sentences = self.describe_gaps()
        for rivals in self.rivals:
            sentences.append(describe_leader(rivals))
            for cost in choose_costs(self.costs[rivals.task.name]):
                if len(rivals.rows) > 1:
                    steps = rivals.climb(cost.means)
                    sentences.append(describe_steps(rivals.task.name, steps, cost.label, cost.digits))
        return sentences

    def describe_gaps(self) -> list[str]:
        """Says how many cells of the plan are not finished; nothing if all are."""
        planned = {name_cell(cell) for cell in list_cells(self.plan)}
        finished = {
            (task.name, row, 0 if row.is_probe and row.share == 1 else cell.seed)
            for task, row, cell, _ in self.cells.entries
        }
        missing = planned - finished
        if not missing:
            return []
        text = f"This report is partial: {format_count(len(missing), 'cells')} of {len(planned)} are not finished"
        unknown = [name for name in self.plan.tasks if name not in {task.name for task in self.tasks}]
        return [f"{text}; of {', '.join(unknown)}, no cell is." if unknown else f"{text}."]

    def sections(self) -> list[Section]:
        """Returns all sections with content but that of the settings."""
        found = [
            *(show_figures(task, choose_costs(self.costs[task.name])) for task in self.tasks),
            *(show_fronts(rivals, self.costs[rivals.task.name]) for rivals in self.rivals),
            show_shares(self.tasks),
            show_gains(self.plan, self.tasks),
            show_agreement(self.tasks, list_top1(self.plan, self.facts)),
            show_ranks(self.tasks),
            self.race,
            show_claims(self.plan, self.tasks),
            show_published(self.plan, self.tasks, self.facts),
            show_rates(self.results, self.trials),
            self.cells.as_section(),
        ]
        return [section for section in found if section.parts]

    def settings(self) -> dict[str, str]:
        """Describes how figures and costs were measured."""
        records = [entry[2].record for entry in self.cells.entries]
        versions = {
            name: sorted({record["versions"].get(name, "") for record in records}) for name in records[0]["versions"]
        }
        hours = sum(record["seconds"] for record in records) / 3600
        notes = {f"note on {name}": backbone.note for name, backbone in self.plan.backbones.items()}
        values = notes | {
            "cells": f"{len(records)}, {hours:.1f} hours",
            "resamples": f"{RESAMPLES:,} of the images of each task",
            "differences that do not matter": f"at most {self.tasks[0].settings.rope:g}",
            "commits": ", ".join(sorted({record["commit"] or "" for record in records} - {""})),
            "versions": ", ".join(f"{name} {' or '.join(found)}" for name, found in versions.items()),
        }
        if self.plan.engines:
            machines = dict.fromkeys(machine_text(found["machine"]) for found in self.facts.values())
            values["latency"] = "; ".join(machines)
        return {name: text for name, text in values.items() if text}

    def as_html(self) -> str:
        """Returns the text of ``report.html``."""
        measured = PageSection("How it was measured", [definitions(self.settings())])
        return render_page(self.title, self.answer(), [*map(as_html, self.sections()), measured], NOTE)

    def as_markdown(self) -> str:
        """Returns the text of ``report.md``."""
        measured = "\n".join(f"- {escape(name)}: {escape(text)}" for name, text in self.settings().items())
        parts = [f"# {escape(self.title)}", *map(escape, self.answer()), escape(NOTE)]
        parts += [*map(as_markdown, self.sections()), f"## How it was measured\n\n{measured}"]
        return "\n\n".join(parts) + "\n"


def name_cell(cell: Cell) -> tuple[str, Row, int]:
    """Returns task, row and seed of a cell; a probe of all images does not depend on the seed."""
    plain = normalise(cell)
    return plain.task, Row(plain.backbone, plain.protocol, plain.share), plain.seed


def choose_costs(costs: Sequence[Cost]) -> list[Cost]:
    """Returns the costs that the answer is about: latency where it was measured, or else multiply-adds."""
    latencies = [cost for cost in costs if cost.is_latency]
    return latencies or list(costs[:1])
