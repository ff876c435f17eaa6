"""Killed trainings resume to the same bits; ``python -m support.kills`` tries more kills."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.kills.trainings import TRAININGS

TESTS = Path(__file__).parents[1]


@pytest.mark.slow
@pytest.mark.parametrize("task", TRAININGS)
def test_killed_training_resumes_to_the_same_bits(task: str) -> None:
    kills = ["--random=1", "--aimed=2", "--files", "checkpoints/last.ckpt"]
    paths = os.pathsep.join(filter(None, (str(TESTS), os.environ.get("PYTHONPATH"))))
    # a process of its own, because forks of this one, which has threads, could hang
    done = subprocess.run(
        [sys.executable, "-m", "support.kills", f"--tasks={task}", *kills],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 at checkpoints/last.ckpt: all resumed" in done.stdout
