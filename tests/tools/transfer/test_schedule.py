"""The order of a study, with finished cells that are made by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from litmobile.tools.transfer.plan.cells import Cell, Group
from litmobile.tools.transfer.plan.contents import Block, LearningRates, MoreSeeds
from litmobile.tools.transfer.resolve import ResolvedCell
from litmobile.tools.transfer.schedule import Schedule
from litmobile.tools.transfer.store import Study
from support.studies import finish_cell, make_plan, make_schedule

RATES = LearningRates((0.1, 0.3))
BLOCKS = [Block(("V1", "V2"), ("tones",), ("full", "knn")), Block(("V2",), ("tones",), ("full",), (0.5,))]
GOOD, BAD = [True] * 9 + [False], [True] * 6 + [False] * 4


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return Study(tmp_path)


def describe(entries: list[ResolvedCell]) -> list[str]:
    """Return the cells without their task."""
    return [str(entry.cell).removeprefix("tones, ") for entry in entries]


def finish(schedule: Schedule, entries: list[ResolvedCell], best: str = "") -> None:
    """Finish cells; those whose text contains ``best`` are better."""
    for entry in entries:
        finish_cell(schedule.study, entry, GOOD if best and best in str(entry.cell) else BAD)


def test_all_cells_run_at_once_without_learning_rates(study: Study) -> None:
    schedule = make_schedule(make_plan(BLOCKS), study)
    expected = ["V1, full", "V1, knn", "V2, full", "V2, knn", "V2, full, 50 % of the images"]
    assert describe(schedule.next_cells()) == [f"{name}, seed 0" for name in expected]
    assert schedule.next_cells() == schedule.open == []


def test_trials_run_before_probes_and_trainings_wait(study: Study) -> None:
    schedule = make_schedule(make_plan(BLOCKS, learning_rates=RATES), study)
    first = schedule.next_cells()
    trials = [f"{name}, full, learning rate {rate}" for name in ("V1", "V2") for rate in ("0.1", "0.3")]
    assert describe(first) == [*trials, "V1, knn, seed 0", "V2, knn, seed 0"]
    assert len(schedule.open) == 3
    assert schedule.next_cells() == []
    finish(schedule, first[2:4], "0.3")
    assert describe(schedule.next_cells()) == ["V2, full, seed 0", "V2, full, 50 % of the images, seed 0"]
    assert schedule.rates == {Group("tones", "V2", "full"): 0.3}
    assert {entry.cell.learning_rate for entry in list(schedule.known.values())[-2:]} == {0.3}
    finish(schedule, first[:2])  # equal figures
    (entry,) = schedule.next_cells()
    assert entry.cell.learning_rate == 0.1


def test_a_failed_trial_blocks_its_group_only(study: Study) -> None:
    schedule = make_schedule(make_plan(BLOCKS, learning_rates=RATES), study)
    first = schedule.next_cells()
    finish(schedule, first[1:4])
    schedule.fail(first[0].hash, "no memory")
    assert describe(schedule.next_cells()) == ["V2, full, seed 0", "V2, full, 50 % of the images, seed 0"]
    assert schedule.blocked == {Group("tones", "V1", "full"): "a trial of its learning rate failed"}
    assert schedule.open == []


def test_one_call_lists_a_finished_study(study: Study) -> None:
    plan = make_plan(BLOCKS, learning_rates=RATES, more_seeds=MoreSeeds(1, (7,)))
    schedule = make_schedule(plan, study)
    while new := schedule.next_cells():
        finish(schedule, new, "V1, full")
    assert len(schedule.known) == 10
    again = make_schedule(plan, study)
    assert {entry.hash for entry in again.next_cells()} == set(schedule.known)
    assert set(again.list_hashes()) < set(schedule.known)


def test_leaders_wait_for_all_cells(study: Study) -> None:
    schedule = make_schedule(make_plan(BLOCKS, more_seeds=MoreSeeds(1, (7, 8))), study)
    first = schedule.next_cells()
    finish(schedule, first[:-1], "V1, full")
    assert schedule.next_cells() == []
    assert schedule.count_more() == 2
    finish(schedule, first[-1:])
    assert describe(schedule.next_cells()) == ["V1, full, seed 7", "V1, full, seed 8"]
    assert schedule.count_more() == 0
    assert schedule.explain_missing_seeds() == []


def test_a_failed_cell_is_named_as_reason_for_missing_seeds(study: Study) -> None:
    schedule = make_schedule(make_plan(BLOCKS, more_seeds=MoreSeeds(1, (7,))), study)
    first = schedule.next_cells()
    finish(schedule, first[1:])
    schedule.fail(first[0].hash, "no memory")
    assert schedule.next_cells() == []
    (sentence,) = schedule.explain_missing_seeds()
    assert sentence == "tones: the leaders got no more seeds, because “tones, V1, full, seed 0” did not finish."


def test_blocked_cells_are_named_as_reason_for_missing_seeds(study: Study) -> None:
    schedule = make_schedule(make_plan(BLOCKS, learning_rates=RATES, more_seeds=MoreSeeds(1, (7,))), study)
    first = schedule.next_cells()
    finish(schedule, first[:2] + first[4:])
    schedule.fail(first[2].hash, "no memory")
    finish(schedule, first[3:4])
    finish(schedule, schedule.next_cells())
    assert schedule.next_cells() == []
    (sentence,) = schedule.explain_missing_seeds()
    assert "“tones, V2, full, seed 0” and 1 other cell did not finish" in sentence


def test_another_process_may_finish_a_failed_cell(study: Study) -> None:
    schedule = make_schedule(make_plan(BLOCKS, more_seeds=MoreSeeds(1, (7,))), study)
    first = schedule.next_cells()
    schedule.fail(first[0].hash, "no memory")
    finish(schedule, first, "V1, full")
    assert [entry.cell for entry in schedule.next_cells()] == [Cell("tones", "V1", "weights", "full", 1.0, 7)]
