"""What to take at which cost follows from paired differences."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from litmobile.tools.transfer.plan.reading import read_plan
from litmobile.tools.transfer.report.decisions import Rivals, Step, describe_leader, describe_steps
from litmobile.tools.transfer.report.estimates import TaskEstimates, estimate_task
from litmobile.tools.transfer.report.results import Row, read_results
from litmobile.tools.transfer.store import Study
from support.finished_studies import write_cell, write_study

COSTS = {"V1": 1.0, "V2": 5.0, "Shuffle": 2.0, "Own": 0.5}


def make_rivals(folder: Path, skills: dict[str, float]) -> Rivals:
    """Returns rivals whose probability of a right answer is given."""
    study, plan = write_study(folder, {"cells": [{"backbones": ["V1"], "tasks": ["leaves"], "protocols": ["knn"]}]})
    for name, skill in skills.items():
        for seed in range(3):
            write_cell(study, "insects", name, "scratch", 1.0, seed, skill)
    return Rivals(estimate_task(read_results(study, plan)[0]))


def test_leader_has_the_highest_mean(insects: TaskEstimates) -> None:
    rivals = Rivals(insects)
    values = [insects.value(row) for row in insects.trained_rows()]
    assert insects.value(rivals.rows[0]) == max(values)
    assert f"insects: {rivals.rows[0]} has the highest top1" in describe_leader(rivals)


def test_backbones_count_with_their_best_protocol(insects: TaskEstimates) -> None:
    assert {row.protocol for row in Rivals(insects).rows} == {"full"}


def test_a_dearer_backbone_is_taken_if_it_is_better(tmp_path: Path) -> None:
    steps = make_rivals(tmp_path, {"Own": 0.3, "V1": 0.6, "Shuffle": 0.3, "V2": 0.95}).climb(COSTS)
    assert [(step.row.backbone, step.cost) for step in steps] == [("Own", 0.5), ("V1", 1.0), ("V2", 5.0)]
    assert [[row.backbone for row in step.tied] for step in steps] == [[], [], []]


def test_a_dearer_equal_backbone_is_not_taken(tmp_path: Path) -> None:
    (step,) = make_rivals(tmp_path, {"V1": 0.7, "V2": 0.7, "Shuffle": 0.3}).climb(COSTS)
    assert (step.row.backbone, [row.backbone for row in step.tied]) == ("V1", ["V2"])


def test_a_higher_figure_is_named_though_not_significant(tmp_path: Path) -> None:
    rivals = make_rivals(tmp_path, {"V1": 0.68, "V2": 0.72})
    (step,) = rivals.climb({"V1": 1.0, "V2": 5.0})
    assert step.row.backbone == "V1" and step.higher is not None and step.higher.difference is not None
    assert f"(V2 (scratch) − V1 (scratch): {step.higher.difference.value:+.3f} (" in describe_steps("", [step], "ms", 1)


def test_order_of_a_pair_does_not_matter(insects: TaskEstimates) -> None:
    pair = Row("V1", "full"), Row("V1", "scratch")
    first, second = (insects.compare_rows([rows])[0].difference for rows in (pair, pair[::-1]))
    assert first is not None and second is not None
    assert first.interval == pytest.approx((-second.interval[1], -second.interval[0]), abs=0.03)
    assert first.p_value == pytest.approx(second.p_value, rel=0.2)


def test_a_single_seed_has_the_variance_of_the_others(tmp_path: Path) -> None:
    make_rivals(tmp_path, {"V1": 0.7, "V2": 0.7})
    write_cell(Study(tmp_path), "insects", "Own", "scratch")
    task = read_task(tmp_path)
    several, single = (task.estimates[Row(name, "scratch")] for name in ("V1", "Own"))
    assert single.seed_variance == pytest.approx(3 * several.seed_variance) and several.seed_variance > 0


def test_a_probe_above_all_trainings_is_named(tmp_path: Path) -> None:
    make_rivals(tmp_path, {"V1": 0.5, "V2": 0.6})
    write_cell(Study(tmp_path), "insects", "V2", "ridge", skill=0.95)
    assert "; V2 (ridge), which trains no network, has 0.9" in describe_leader(Rivals(read_task(tmp_path)))


def read_task(folder: Path) -> TaskEstimates:
    """Returns estimates of the first task of a study."""
    return estimate_task(read_results(Study(folder), read_plan(folder / "plan.yaml"))[0])


def test_backbones_without_a_cost_are_left_out(tmp_path: Path) -> None:
    rivals = make_rivals(tmp_path, {"V1": 0.7, "V2": 0.7})
    assert [step.row.backbone for step in rivals.climb({"V2": 1.0})] == ["V2"]


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (
            [Step(Row("A", "full"), 1.5, [])],
            "insects, by ms (eager): from 1.5 on take A (full); none is cheaper, and no dearer one is significantly "
            "better.",
        ),
        (
            [
                Step(Row("A", "full"), 1.5, [Row("B", "scratch")]),
                Step(Row("C", "full"), 2.0, []),
                Step(Row("D", "full"), 7.0, []),
            ],
            "insects, by ms (eager): from 1.5 to 2.0 take A (full), which cannot be told apart from B (scratch); from "
            "2.0 to 7.0 take C (full); from 7.0 on take D (full); none is cheaper.",
        ),
    ],
)
def test_steps_are_described_by_their_costs(steps: list[Step], expected: str) -> None:
    assert describe_steps("insects", steps, "ms (eager)", 1) == expected


def test_draws_of_a_row_have_its_mean_and_interval(insects: TaskEstimates) -> None:
    for row, found in insects.estimates.items():
        drawn = insects.draw(row)
        assert drawn.mean() == pytest.approx(found.value, abs=0.01)
        low, high = np.quantile(drawn, (0.025, 0.975))
        assert (low, high) == pytest.approx(found.interval, abs=0.03)


def test_rows_vary_independently_between_seeds(insects: TaskEstimates) -> None:
    first, second = (insects.draw(Row(name, "full")) for name in ("V1", "V2"))
    images = [insects.estimates[Row(name, "full")].resampled for name in ("V1", "V2")]
    deviations = [drawn - drawn.mean() - (own - own.mean()) for drawn, own in zip((first, second), images, strict=True)]
    assert abs(np.corrcoef(deviations)[0, 1]) < 0.2
