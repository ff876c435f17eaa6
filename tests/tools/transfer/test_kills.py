"""Studies whose processes are killed at random moments."""

from __future__ import annotations

from pathlib import Path

import pytest

from litmobile.tools.transfer.launchers.local import can_fork
from support.kills.studies import check_equal_studies, finish_study, kill_study
from support.studies import read_records, write_plan

KILLS = 4


@pytest.mark.slow
@pytest.mark.skipif(not can_fork(), reason="the processes of a study are found in /proc, which only Linux has")
def test_kills_lose_no_cell_and_change_no_figure(tones: Path, tmp_path: Path) -> None:
    blocks = [{"backbones": "all", "protocols": ["scratch"], "seeds": [0, 1]}]
    plan = write_plan(tmp_path / "plan.yaml", tones, {"cells": blocks, "more_seeds": {"leaders": 1, "seeds": [2, 3]}})
    seconds = finish_study(plan, tmp_path / "undisturbed")
    assert len(read_records(tmp_path / "undisturbed")) == 6
    kills = 0
    for seed in range(4):  # a study that ends is compared, and the next one is killed
        folder = tmp_path / f"killed-{seed}"
        kills += len(kill_study(plan, folder, KILLS - kills, seconds / 3, seed))
        check_equal_studies(folder, tmp_path / "undisturbed")
        if kills == KILLS:
            break
    assert kills, "no kill hit a running study"
