"""Kills trainings of all tasks and prints a table: ``PYTHONPATH=tests python -m support.kills``, from the checkout."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported

from .experiment import KillExperiment
from .processes import FailedRunError
from .trainings import TRAININGS


def run(argv: list[str] | None = None) -> int:
    """Runs the command; the exit status is 1 if a training did not resume to the same bits."""
    parser = argparse.ArgumentParser("python -m support.kills", description=__doc__)
    parser.add_argument("--tasks", nargs="+", choices=TRAININGS, default=list(TRAININGS))
    parser.add_argument("--random", type=int, default=20, help="kills at random moments, for each task")
    parser.add_argument("--aimed", type=int, default=10, help="kills at writes of each file, in the first task with it")
    parser.add_argument("--files", nargs="+", help='files to aim at, e.g. metrics.csv "images/val-*.jpg"; default: all')
    parser.add_argument("--folder", type=Path, help="folder for data and runs, which are kept; default: temporary")
    options = parser.parse_args(argv)
    failures, aimed = 0, set()
    with tempfile.TemporaryDirectory() as temporary:
        for task in options.tasks:
            experiment = KillExperiment(task, (options.folder or Path(temporary)) / task)
            print(f"{task}: uninterrupted in {experiment.seconds:.1f} s", flush=True)
            if options.random:
                failures += attempt(f"{options.random} random", lambda e=experiment: e.kill_randomly(options.random))
            for file in sorted(set(experiment.writes) - aimed):
                aimed.add(file)
                if options.aimed and file in (options.files or experiment.writes):
                    failures += attempt(
                        f"{options.aimed} at {file}", lambda e=experiment, f=file: e.kill_at_writes(f, options.aimed)
                    )
    print(f"{failures} failures")
    return int(failures > 0)


def attempt(name: str, kill: Callable[[], None]) -> int:
    """Calls ``kill``, prints its outcome as a line, and returns the number of failures."""
    began = time.monotonic()
    try:
        kill()
        outcome = "all resumed to the same bits"
    except FailedRunError as error:
        outcome = f"FAILED: {error}"
    print(f"  {name}: {outcome} ({time.monotonic() - began:.0f} s)", flush=True)
    return int(outcome.startswith("FAILED"))


if __name__ == "__main__":
    sys.exit(run())
