"""Kills one training again and again, resumes it each time, and compares each end with an uninterrupted run."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from .comparison import check_equal, list_files
from .processes import MOMENTS, Aim, FailedRunError, generalise, list_writes, start
from .trainings import TRAININGS


class KillExperiment:
    """An uninterrupted training and its repetitions with kills, in one folder that does not exist yet.

    The checkout must not change meanwhile, because options are read from its files at every start.

    Attributes:
        writes: number of writes of each file in the uninterrupted run, by name; see ``generalise``.
    """

    def __init__(self, task: str, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.words = TRAININGS[task](folder / "data")
        self.expected = folder / "uninterrupted"
        began = time.monotonic()
        start(self.expected, self.words)
        self.seconds = time.monotonic() - began
        self.writes = Counter(list_writes(self.expected))
        appended = {name for file in list_files(self.expected) if (name := self._name(file)) not in self.writes}
        if appended:
            raise FailedRunError(f"{self.expected} has files that were not written beside and renamed: {appended}")

    def kill_randomly(self, kills: int, seed: int = 0) -> None:
        """Kills trainings ``kills`` times at random moments of the uninterrupted run's duration."""
        moments = random.Random(seed)
        self._kill("random", kills, lambda run, _: start(run, self.words, seconds=moments.uniform(0, self.seconds)))

    def kill_at_writes(self, file: str, kills: int) -> None:
        """Kills trainings ``kills`` times at writes of ``file``: before, within and after each of its writes."""

        def attempt(run: Path, kill: int) -> bool:
            skipped = kill // len(MOMENTS) % self.writes[file]
            return start(run, self.words, Aim(file, MOMENTS[kill % len(MOMENTS)], skipped))

        self._kill(file.replace("/", "-").replace("*", "N"), kills, attempt)

    def _kill(self, name: str, kills: int, attempt: Callable[[Path, int], bool]) -> None:
        """Calls ``attempt`` with a run and the number of kills so far until that many kills have happened.

        A run that ends before it is killed is compared, and the next one begins.
        """
        runs: Iterator[Path] = (self.folder / f"{name}-{number}" for number in range(2 * kills + 1))
        run, done = next(runs), 0
        while done < kills:
            if attempt(run, done):
                done += 1
            else:
                check_equal(run, self.expected)
                run = next(runs)
        start(run, self.words)
        check_equal(run, self.expected)

    def _name(self, file: str) -> str:
        return generalise(self.expected, self.expected / file)
