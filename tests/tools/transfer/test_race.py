"""Races, with finished cells that are made by hand."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from litmobile.tools.cli import main
from litmobile.tools.transfer.live import LiveView, Progress
from litmobile.tools.transfer.plan.contents import Block, LearningRates, MoreSeeds
from litmobile.tools.transfer.race import remove_decisions
from litmobile.tools.transfer.resolve import ResolvedCell
from litmobile.tools.transfer.schedule import Schedule
from litmobile.tools.transfer.store import Study
from support.studies import finish_cell, make_plan, make_schedule, read_records, write_plan

IMAGES = 60
NAMES: tuple[str, ...] = ("V1", "V2", "Lite0")
LADDER = [Block(NAMES, ("tones",), ("full", "knn", "ridge"))]
#: share of right images by backbone: the first is far below the others, which are about equal
ACCURACY: dict[str, float] = {"V1": 0.5, "V2": 0.93, "Lite0": 0.9}


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return Study(tmp_path / "study")


def answer(accuracy: float, seed: int = 0) -> list[bool]:
    """Return which images a classifier gets right."""
    right = np.arange(IMAGES) < round(accuracy * IMAGES)
    return np.random.default_rng(seed).permutation(right).tolist()


def finish(schedule: Schedule, entries: Sequence[ResolvedCell], accuracy: dict[str, float] = ACCURACY) -> None:
    for entry in entries:
        if not schedule.study.is_finished(entry.hash):
            finish_cell(schedule.study, entry, answer(accuracy[entry.cell.backbone], entry.cell.seed))


def race(study: Study, blocks: Sequence[Block] = LADDER, **options: Any) -> Schedule:
    return make_schedule(make_plan(blocks, **options), study, races=True)


def run_all(schedule: Schedule, accuracy: dict[str, float] = ACCURACY) -> list[list[str]]:
    """Finish all cells; returns protocol and backbone of those that could run at a time."""
    rounds = []
    while new := schedule.next_cells():
        rounds.append([f"{entry.cell.protocol} {entry.cell.backbone}" for entry in new])
        finish(schedule, new, accuracy)
    return rounds


def test_a_worse_backbone_drops_out(study: Study) -> None:
    schedule = race(study)
    rounds = run_all(schedule)
    assert rounds == [[f"knn {name}" for name in NAMES], ["ridge V2", "ridge Lite0"], ["full V2", "full Lite0"]]
    assert [str(cell) for cell in schedule.dropped] == ["tones, V1, full, seed 0", "tones, V1, ridge, seed 0"]
    (note,) = schedule.take_notes()
    assert note == "tones, V1 drops out after knn: 0.433 below V2 (0.310 to 0.552)"
    assert schedule.take_notes() == schedule.open == []


def test_decisions_are_written(study: Study) -> None:
    run_all(race(study))
    decisions = json.loads((study.folder / "race.json").read_text())
    assert [(entry["rung"], entry["backbone"], entry["dropped"]) for entry in decisions] == [
        ("knn", "V1", True),
        ("knn", "Lite0", False),
        ("ridge", "Lite0", False),
    ]
    for entry in decisions:
        assert (entry["task"], entry["ladder"], entry["leader"]) == ("tones", "pretrained", "V2")
        assert (entry["figure"], entry["protocol"], entry["share"]) == ("mean_recall", entry["rung"], 1.0)
        assert entry["low"] < entry["difference"] < entry["high"]
        assert (entry["low"] > 0) == entry["dropped"] == (entry["p_value"] < 0.05)
    assert decisions[0]["difference"] == pytest.approx(ACCURACY["V2"] - ACCURACY["V1"], abs=0.02)


def test_a_race_without_drops_runs_what_a_study_runs(study: Study, tmp_path: Path) -> None:
    equal = dict.fromkeys(NAMES, 0.8)
    raced, plain = race(study), make_schedule(make_plan(LADDER), Study(tmp_path / "plain"))
    run_all(raced, equal)
    run_all(plain, equal)
    assert raced.known.keys() == plain.known.keys()
    assert set(raced.list_hashes()) == raced.known.keys()


def test_rungs_go_from_cheap_to_dear(study: Study) -> None:
    blocks = [
        Block(("V1", "V2"), ("tones",), ("full", "norms"), (1.0, 0.1, 0.25)),
        Block(("V1", "V2"), ("tones",), ("ridge", "frozen", "knn")),
    ]
    schedule = race(study, blocks)
    rungs = []
    while new := schedule.next_cells():
        rungs.append(sorted({(entry.cell.protocol, entry.cell.share) for entry in new}))
        finish(schedule, new, dict.fromkeys(NAMES, 0.8))
    shares = (0.1, 0.25, 1.0)
    expected = [(name, 1.0) for name in ("knn", "ridge", "frozen")]
    expected += [(name, share) for name in ("norms", "full") for share in shares]
    assert rungs == [[rung] for rung in expected]


def test_probes_do_not_decide_about_training_from_scratch(study: Study) -> None:
    blocks = [*LADDER, Block(NAMES, ("tones",), ("scratch",), (0.5, 1.0))]
    rounds = run_all(race(study, blocks))
    assert rounds[0] == [*(f"knn {name}" for name in NAMES), *(f"scratch {name}" for name in NAMES)]
    assert rounds[1] == ["ridge V2", "ridge Lite0", "scratch V2", "scratch Lite0"]
    decisions = json.loads((study.folder / "race.json").read_text())
    assert {(entry["ladder"], entry["rung"]) for entry in decisions if entry["dropped"]} == {
        ("pretrained", "knn"),
        ("scratch", "scratch, 50 % of the images"),
    }


def test_tasks_race_by_themselves(study: Study) -> None:
    plan = make_plan([Block(NAMES, ("tones", "cells"), ("knn", "full"))])
    plan.tasks["cells"] = plan.tasks["tones"]
    schedule = make_schedule(plan, study, races=True)
    first = schedule.next_cells()
    finish(schedule, [entry for entry in first if entry.cell.task == "cells"])
    assert [str(entry.cell) for entry in schedule.next_cells()] == [
        "cells, V2, full, seed 0",
        "cells, Lite0, full, seed 0",
    ]


def test_seeds_that_vary_keep_a_backbone_in(study: Study) -> None:
    """V1 is far below V2 in the mean, and the intervals over images alone would tell them apart."""
    blocks = [Block(("V1", "V2"), ("tones",), ("frozen",), (1.0,), (0, 1)), Block(("V1", "V2"), ("tones",), ("full",))]
    schedule = race(study, blocks)
    for entry in schedule.next_cells():
        accuracy = {"V1": (0.3, 0.8), "V2": (0.9, 0.95)}[entry.cell.backbone][entry.cell.seed]
        finish_cell(study, entry, answer(accuracy))
    assert len(schedule.next_cells()) == 2
    (decision,) = json.loads((study.folder / "race.json").read_text())
    assert decision["difference"] == pytest.approx(0.375, abs=0.01)
    assert decision["low"] < 0
    assert not schedule.dropped


def interrupt(schedule: Schedule, count: int) -> None:
    """Finish ``count`` cells one by one."""
    queue: list[ResolvedCell] = []
    for _ in range(count):
        queue += schedule.next_cells()
        if queue:
            finish(schedule, [queue.pop(0)])


@pytest.mark.parametrize("count", range(8))
def test_a_restarted_race_takes_the_same_decisions(count: int, study: Study, tmp_path: Path) -> None:
    run_all(race(study))
    other = Study(tmp_path / "restarted")
    interrupt(race(other), count)
    run_all(race(Study(other.folder)))
    assert read_records(other.folder).keys() == read_records(study.folder).keys()
    assert (other.folder / "race.json").read_bytes() == (study.folder / "race.json").read_bytes()


def test_dropped_cells_run_without_the_race(study: Study) -> None:
    run_all(race(study))
    schedule = make_schedule(make_plan(LADDER), study)
    new = [entry for entry in schedule.next_cells() if not study.is_finished(entry.hash)]
    assert [str(entry.cell) for entry in new] == ["tones, V1, full, seed 0", "tones, V1, ridge, seed 0"]
    remove_decisions(study)
    assert not (study.folder / "race.json").exists()


def test_finished_cells_of_a_dropped_backbone_decide_nothing(study: Study) -> None:
    """They are left from a study without a race; the better ridge probe of V1 would make it the leader."""
    plan = make_schedule(make_plan(LADDER), study)
    for entry in plan.next_cells():
        accuracy = ACCURACY | ({"V1": 1.0} if entry.cell.protocol == "ridge" else {})
        finish(plan, [entry], accuracy)
    schedule = race(study)
    schedule.next_cells()
    assert len(schedule.dropped) == 2
    decisions = json.loads((study.folder / "race.json").read_text())
    assert {entry["leader"] for entry in decisions} == {"V2"}


def test_a_failed_cell_stops_nothing_and_drops_nobody(study: Study) -> None:
    schedule = race(study)
    first = schedule.next_cells()
    finish(schedule, [entry for entry in first if entry.cell.backbone != "Lite0"])
    assert schedule.next_cells() == []
    schedule.fail(first[2].hash, "no memory")
    assert [entry.cell.backbone for entry in schedule.next_cells()] == ["V2", "Lite0"]
    assert {cell.backbone for cell in schedule.dropped} == {"V1"}


def test_trials_run_for_released_groups_only(study: Study) -> None:
    schedule = race(study, learning_rates=LearningRates((0.1, 0.3)))
    rounds = run_all(schedule)
    assert rounds[2:] == [["full V2", "full V2", "full Lite0", "full Lite0"], ["full V2", "full Lite0"]]
    assert {entry.cell.backbone for entry in schedule.known.values() if entry.cell.role == "learning rate"} == {
        "V2",
        "Lite0",
    }


def test_a_rung_is_over_when_no_learning_rate_works(study: Study) -> None:
    blocks = [Block(("V1", "V2"), ("tones",), ("frozen", "full"))]
    schedule = race(study, blocks, learning_rates=LearningRates((0.1, 0.3)))
    first = schedule.next_cells()
    assert {entry.cell.protocol for entry in first} == {"frozen"}
    for entry in first:
        schedule.fail(entry.hash, "no memory")
    assert {entry.cell.protocol for entry in schedule.next_cells()} == {"full"}
    assert len(schedule.blocked) == 2


def test_dropped_cells_do_not_hold_back_more_seeds(study: Study) -> None:
    schedule = race(study, more_seeds=MoreSeeds(1, (7,)))
    rounds = run_all(schedule)
    assert rounds[-1] == ["full V2"]
    assert list(schedule.known.values())[-1].cell.seed == 7
    assert schedule.dropped
    assert schedule.explain_missing_seeds() == []


@pytest.mark.parametrize("spoil", [Path.unlink, lambda path: path.write_bytes(b"torn")], ids=["missing", "damaged"])
def test_evidence_that_cannot_be_read_drops_nobody(spoil: Callable[[Path], Any], study: Study) -> None:
    schedule = race(study)
    first = schedule.next_cells()
    finish(schedule, first)
    spoil(study.cell_folder(first[1].hash) / "val-evidence.npz")
    assert len(schedule.next_cells()) == 3
    (note,) = schedule.take_notes()
    assert note.startswith("tones, knn: no backbone drops out, because ")
    assert "val-evidence.npz" in note


def test_other_images_drop_nobody(study: Study) -> None:
    schedule = race(study)
    first = schedule.next_cells()
    finish(schedule, first[:2])
    finish_cell(study, first[2], answer(0.9)[:-2])
    assert len(schedule.next_cells()) == 3
    assert "cannot be compared: only the first has the images" in schedule.take_notes()[0]


def test_five_images_drop_nobody(study: Study) -> None:
    schedule = race(study)
    for entry in schedule.next_cells():
        finish_cell(study, entry, [entry.cell.backbone != "V1"] * 5)
    assert len(schedule.next_cells()) == 3
    decisions = json.loads((study.folder / "race.json").read_text())
    assert [(entry["difference"], entry["low"]) for entry in decisions] == [(1.0, None), (0.0, None)]


def test_a_plan_without_ladders_is_noted(study: Study) -> None:
    schedule = race(study, [Block(NAMES, ("tones",), ("full", "scratch"))])
    assert len(schedule.next_cells()) == 6
    assert schedule.take_notes() == ["The race changes nothing: no ladder of the plan has several protocols or shares."]


def test_the_table_counts_dropped_cells(study: Study) -> None:
    schedule = race(study)
    finish(schedule, schedule.next_cells())
    progress = Progress(schedule.known, 1)
    schedule.next_cells()
    progress.open, progress.dropped = schedule.open, schedule.dropped
    lines = [line.split() for line in LiveView(study, progress, io.StringIO()).list_lines()]
    assert lines[1] == ["task", "protocol", "finished", "running", "failed", "waiting", "dropped"]
    assert lines[2:5] == [
        ["tones", "knn", "3", "0", "0", "0", "0"],
        ["tones", "ridge", "0", "0", "0", "2", "1"],
        ["tones", "full", "0", "0", "0", "2", "1"],
    ]
    assert lines[5][:4] == ["3", "of", "7", "cells,"]


@pytest.mark.slow
def test_a_race_runs_from_the_command_line(tones: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blocks = [{"backbones": ["V1", "V2"], "protocols": ["scratch"], "shares": [0.5, 1]}]
    plan = write_plan(tmp_path / "plan.yaml", tones, {"cells": blocks})
    main(["transfer", str(plan), "--to", str(tmp_path / "study"), "--race", "--jobs=1"])
    printed = capsys.readouterr().out
    order = [
        printed.index(f"tones, {name}: top1")
        for name in ("V1, scratch, 50 % of the images, seed 0", "V1, scratch, seed 0")
    ]
    assert order == sorted(order)
    assert len(read_records(tmp_path / "study")) == 4
    (decision,) = json.loads((tmp_path / "study" / "race.json").read_text())
    assert (decision["low"], decision["dropped"]) == (None, False)  # four images decide nothing
    main(["transfer", str(plan), "--to", str(tmp_path / "study")])
    assert not (tmp_path / "study" / "race.json").exists()
    assert "4 finished cells in " in capsys.readouterr().out
