"""Evaluates an exported file and its run on the same images, and compares them."""

from __future__ import annotations

import io
import json
import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

from ...errors import EvaluationError, UserError, format_count
from ...tasks.atomic import write_text
from ..compare.bootstrap import Difference
from ..compare.comparison import Settings, Side
from ..compare.compute import compare_sides
from ..engines.description import json_path
from ..engines.network import results_folder
from ..evaluations import read_evaluation
from ..library_messages import raise_log_level
from .options import ExportOptions


class Judgement(NamedTuple):
    """An exported file compared with its run.

    Attributes:
        split: evaluated split.
        images: number of images.
        figure: name of the main figure.
        run: figure of the run.
        exported: figure of the file.
        difference: the file minus the run.
    """

    split: str
    images: int
    figure: str
    run: float
    exported: float
    difference: Difference

    def loses_more_than(self, tolerance: float) -> bool:
        """Whether the file's figure is lower than the run's by more than ``tolerance``."""
        return self.difference.value < -tolerance

    def __str__(self) -> str:
        low, high = self.difference.interval
        interval = "too few images for an interval" if math.isnan(low) else f"95 % interval {low:+.4f} to {high:+.4f}"
        return (
            f"{self.figure} on {self.split} ({format_count(self.images, 'images')}): run {self.run:.4f}, "
            f"file {self.exported:.4f}, difference {self.difference.value:+.4f} ({interval})"
        )

    def as_json(self) -> dict[str, Any]:
        """Returns plain values."""
        values = {name: value for name, value in self._asdict().items() if name != "difference"}
        interval = [None if math.isnan(limit) else limit for limit in self.difference.interval]
        return values | {"difference": self.difference.value, "interval": interval}


def judge(options: ExportOptions, weights: str) -> Judgement:
    """Evaluates the file, and the run unless it was evaluated with these weights, and compares them.

    Args:
        options: of the export.
        weights: hash of the run's weights.

    Raises:
        UserError: the data cannot be read, or the main figure is undefined.
    """
    from .. import training  # takes seconds

    command = {"val": training.validate, "test": training.test}[options.split]
    moved = [] if options.data is None else [f"--data.root={options.data}"]
    engine = [] if options.engine is None else [f"--engine={options.engine}"]
    run = ["--run", str(options.run), *moved]
    print(f"Evaluating {options.to} on the {options.split} split …", flush=True)
    with hide_output():
        command([*run, *engine, "--model", str(options.to)])
    if not was_evaluated(options, weights):
        print(f"Evaluating {options.run} on the {options.split} split …", flush=True)
        with hide_output():
            command(run)
    return compare_with_run(options)


@contextmanager
def hide_output() -> Iterator[None]:
    """Hides the tables and notes of an evaluation, which are in its folder; errors and progress stay."""
    loggers = ("lightning.pytorch", "lightning.fabric")
    with raise_log_level(logging.WARNING, *loggers), redirect_stdout(io.StringIO()):
        yield


def was_evaluated(options: ExportOptions, weights: str) -> bool:
    """Whether the run was evaluated with these weights, on the images that the file was evaluated on."""
    try:
        identity = read_evaluation(options.run, options.split).identity
    except EvaluationError:
        return False
    of_file = read_evaluation(results_folder(options.to), options.split).identity
    expected = {"weights": weights, **{key: of_file[key] for key in ("images", "annotations")}}
    return expected.items() <= identity.items()


def compare_with_run(options: ExportOptions) -> Judgement:
    """Compares the evaluations of the file and of its run.

    Raises:
        UserError: they are of different images, or the main figure is undefined.
    """
    evidence = [read_evaluation(folder, options.split).evidence for folder in (results_folder(options.to), options.run)]
    figure = evidence[0].figure_names[0]
    sides = [Side(name, [found]) for name, found in zip(("file", "run"), evidence, strict=True)]
    comparison = compare_sides(sides, Settings(figures=(figure,)))
    (pair,) = comparison.pairs[figure]
    if pair.difference is None:
        raise UserError(f"{figure} is undefined on the {options.split} split, so the file cannot be judged.")
    exported, run = (comparison.estimates[figure][side.name].value for side in sides)
    return Judgement(options.split, comparison.images, figure, run, exported, pair.difference)


def store_judgement(path: Path, judgement: Judgement) -> None:
    """Adds the judgement to the JSON file beside the exported file."""
    beside = json_path(path)
    values = json.loads(beside.read_text(encoding="utf-8")) | {"judgement": judgement.as_json()}
    write_text(beside, json.dumps(values, indent=1) + "\n")
