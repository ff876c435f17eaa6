"""Killed trainings resume to the same bits; ``python -m support.kills`` tries more kills."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.kills.experiment import KillExperiment
from support.kills.trainings import TRAININGS


@pytest.mark.slow
@pytest.mark.parametrize("task", TRAININGS)
def test_killed_training_resumes_to_the_same_bits(task: str, tmp_path: Path) -> None:
    experiment = KillExperiment(task, tmp_path / task)
    experiment.kill_randomly(1)
    experiment.kill_at_writes("checkpoints/last.ckpt", 2)
