"""Finished cells are read by task and row."""

from __future__ import annotations

from pathlib import Path

import pytest

from litmobile.errors import UserError
from litmobile.tools.transfer.plan.contents import Plan
from litmobile.tools.transfer.report.results import Row, read_results
from litmobile.tools.transfer.store import Study
from support.finished_studies import make_evidence, write_cell, write_study

ONE = {"cells": [{"backbones": ["V1"], "tasks": ["insects"], "protocols": ["scratch"], "seeds": [0, 1]}]}


def test_rows_have_a_cell_for_each_seed(finished: tuple[Study, Plan]) -> None:
    insects = read_results(*finished)[0]
    assert [cell.seed for cell in insects.rows[Row("V1", "full")]] == [0, 1, 2]
    assert [cell.seed for cell in insects.rows[Row("V1", "ridge")]] == [0]


def test_rows_are_ordered_as_in_the_plan(finished: tuple[Study, Plan]) -> None:
    rows = list(read_results(*finished)[0].rows)
    assert list(dict.fromkeys(row.backbone for row in rows)) == list(finished[1].backbones)
    assert [str(row) for row in rows if row.backbone == "V1"] == [
        "V1 (scratch)",
        "V1 (full)",
        "V1 (full, 25 % of the images)",
        "V1 (full, 10 % of the images)",
        "V1 (knn)",
        "V1 (ridge)",
    ]


def test_probes_have_the_figure_of_trainings_if_they_can(finished: tuple[Study, Plan]) -> None:
    insects = read_results(*finished)[0]
    assert insects.figure == insects.figure_of(Row("V1", "full")) == "top1"
    assert insects.figure_of(Row("V1", "knn")) == "top1"  # which its evidence has, too


def test_cells_of_other_plans_are_left_out(tmp_path: Path) -> None:
    study, plan = write_study(tmp_path, ONE)
    write_cell(study, "elsewhere", "V1", "scratch")
    assert [task.name for task in read_results(study, plan)] == ["insects"]


def test_known_hashes_choose_among_equal_cells(tmp_path: Path) -> None:
    study, plan = write_study(tmp_path, ONE)
    known = {path.name for path in (tmp_path / "cells").iterdir()}
    other = write_cell(study, "insects", "V1", "full")
    record = study.cell_folder(other) / "cell.json"
    record.write_text(record.read_text().replace('"protocol": "full"', '"protocol": "scratch"'))
    fresh = Study(study.folder)
    assert len(read_results(fresh, plan, known)[0].rows[Row("V1", "scratch")]) == 2
    with pytest.raises(UserError, match=r"two cells of “insects, V1 \(scratch\), seed 0”, of different plans"):
        read_results(fresh, plan)


def test_other_images_are_refused(tmp_path: Path) -> None:
    study, plan = write_study(tmp_path, ONE)
    write_cell(study, "insects", "V2", "scratch", evidence=make_evidence(0.5, 0, images=60))
    with pytest.raises(UserError, match=r"V2 \(scratch\).*insects cannot be compared: only the first has the images"):
        read_results(study, plan)


def test_missing_evidence_is_refused(tmp_path: Path) -> None:
    study, plan = write_study(tmp_path, ONE)
    for path in tmp_path.glob("cells/*/val-evidence.npz"):
        path.unlink()
    with pytest.raises(UserError, match="has no readable evidence; remove the folder, and it runs again"):
        read_results(study, plan)


def test_a_study_without_cells_is_refused(tmp_path: Path) -> None:
    study, plan = write_study(
        tmp_path, ONE | {"cells": [{"backbones": ["V1"], "protocols": ["knn"], "tasks": ["leaves"]}]}
    )
    with pytest.raises(UserError, match="no finished cell"):
        read_results(study, plan, hashes=())
