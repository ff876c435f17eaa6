"""Estimates how long a study takes from a few timed steps of each kind of cell."""

from __future__ import annotations

import copy
import math
import statistics
import tempfile
import time
import warnings
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from ...errors import UserError, first_line, format_count
from ..options.yaml_text import dump_yaml
from ..parts import build_parts
from ..training import RunCLI, merged_arguments, split_options
from .live import format_seconds
from .plan.cells import Cell, Group, normalise
from .plan.contents import LearningRates
from .probes.features import extract_features
from .probes.probe import choose_device, prepare
from .resolve import ResolvedCell, Resolver, set_option

TIMED_STEPS = 3
START_SECONDS = 3.0  # of a cell before its first step, and after its last


class TimedEnough(Exception):  # noqa: N818 — ends the training, no error
    """Enough steps were timed."""


class Times(NamedTuple):
    """How long parts of a training take.

    Attributes:
        step: seconds of a training step, data included.
        batch: seconds of an evaluated batch, data included.
        steps: number of training steps.
        epoch_steps: number of training steps of an epoch.
        batches: number of batches of a validation.
        validations: number of validations.
        test_batches: number of batches of the test split, if that is evaluated.
    """

    step: float
    batch: float
    steps: int
    epoch_steps: int
    batches: int
    validations: int
    test_batches: int

    def total(self, share: float = 1.0) -> float:
        """Returns the seconds of the whole training on a share of the training images."""
        evaluated = self.batches * self.validations + self.test_batches
        return START_SECONDS + self.step * self.steps * share + self.batch * evaluated

    def trial(self, rates: LearningRates) -> float:
        """Returns the seconds of a training that tries a learning rate."""
        held_out = rates.val_from_train
        trained, validated = self.steps * (1 - held_out), self.epoch_steps * held_out * self.validations
        return START_SECONDS + rates.length * (self.step * trained + self.batch * validated)


class StepTimer(Callback):
    """Times an evaluated batch and a few steps, then ends the training.

    Args:
        test_batches: number of batches of the test split, if that is evaluated.

    Attributes:
        times: the result, once the training has ended.
    """

    def __init__(self, test_batches: int) -> None:
        self.times: Times | None = None
        self._test_batches = test_batches
        self._ends: list[float] = []

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        task: Any = pl_module
        data: Any = trainer.datamodule  # pyright: ignore[reportAttributeAccessIssue] — set by a connector, untyped
        task.eval()
        for _ in range(2):  # the first one is slower
            task.start_evaluation("val")
            began = time.perf_counter()
            with torch.no_grad():
                batch = trainer.strategy.batch_to_device(next(iter(data.val_dataloader())))
                task.evaluate(batch)
            self._batch = time.perf_counter() - began
        task.train()
        self._ends = [time.perf_counter()]

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._ends.append(time.perf_counter())
        if len(self._ends) <= TIMED_STEPS and not trainer.is_last_batch:
            return
        durations = [end - start for start, end in zip(self._ends, self._ends[1:], strict=False)]
        later = durations[1:] or durations  # the first step is slower
        epochs = trainer.max_epochs or 1
        every = trainer.check_val_every_n_epoch or 1
        validations = max(1, epochs // every)
        batches = sum(int(number) for number in trainer.num_val_batches) or 1
        steps = trainer.num_training_batches * epochs
        if trainer.max_steps > 0:
            steps = min(steps, trainer.max_steps) if epochs > 0 else trainer.max_steps
        self.times = Times(
            statistics.median(later),
            self._batch,
            int(steps),
            int(trainer.num_training_batches),
            batches,
            validations,
            self._test_batches,
        )
        raise TimedEnough


def time_cell(resolved: ResolvedCell) -> Times:
    """Times the first steps of a cell in this process.

    Raises:
        UserError: it cannot be trained.
    """
    timer = StepTimer(count_batches(resolved, "test") if resolved.split == "test" else 0)
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as resources, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # advice for a training
        folder = Path(temporary)
        (folder / "config.yaml").write_text(dump_yaml(resolved.config), encoding="utf-8")
        words = ["--config", str(folder / "config.yaml"), "--data.num_workers=0"]
        options = split_options("fit", words)
        arguments = merged_arguments(options.configs, options.flags)
        cli = RunCLI("fit", folder / "run", True, resources, arguments)
        cli.trainer.callbacks.append(timer)  # pyright: ignore[reportAttributeAccessIssue] — set by a connector, untyped
        with suppress(TimedEnough):
            cli.start()
    if timer.times is None:
        raise UserError("No step was trained, so its time cannot be estimated.")
    return timer.times


def time_features(resolved: ResolvedCell) -> float:
    """Times in this process how long the features of a batch take, data included, in seconds.

    Raises:
        UserError: the cell cannot be probed.
    """
    config = copy.deepcopy(resolved.config)
    set_option(config, "data.num_workers", 0)
    task, data = build_parts(config)
    network, device = prepare(task, data, resolved.split), choose_device(config)
    seconds = 0.0
    for _ in range(2):  # the first one is slower
        began = time.perf_counter()
        batch = next(iter(data.evaluation_dataloader("train")))
        extract_features(network, task.role, [batch], True, device)
        seconds = time.perf_counter() - began
    return seconds


def count_batches(resolved: ResolvedCell, split: str) -> int:
    """Returns the number of batches of a split."""
    return math.ceil(resolved.data[split]["images"] / resolved.config["data"]["init_args"]["batch_size"])


def estimate_trainings(resolver: Resolver, cells: Sequence[Cell]) -> float:
    """Times a training of each group of ``cells``; returns the seconds of all, and of more seeds for leaders."""
    times: dict[Group, Times] = {}
    for cell in cells:
        if cell.group not in times:
            whole = replace(cell, share=1.0, role="main", learning_rate=None)
            try:
                times[cell.group] = time_cell(resolver.resolve(whole))
            except Exception as error:  # a network can fail in any way
                raise UserError(f"{cell.group} fails in its first steps: {first_line(error)}.") from error
            print(f"{cell.group}: about {format_seconds(times[cell.group].total())} a cell at all images", flush=True)
    rates, more = resolver.plan.learning_rates, resolver.plan.more_seeds
    total = 0.0
    for cell in cells:
        found = times[cell.group]
        total += found.trial(rates) if rates is not None and cell.role == "learning rate" else found.total(cell.share)
    if more is not None:
        for task in {group.task for group in times}:
            longest = sorted((times[group].total() for group in times if group.task == task), reverse=True)
            total += len(more.seeds) * sum(longest[: more.leaders])
    return total


def estimate_probes(resolver: Resolver, cells: Sequence[Cell]) -> float:
    """Times the features of a batch for each task and backbone of ``cells``; returns the seconds of all probes.

    Features are computed once for all probes of a backbone on the same images. What follows takes little time.
    """
    total = len(cells) * START_SECONDS
    seconds: dict[tuple[str, str], float] = {}
    training_sets: set[tuple[str, str, float, int]] = set()
    for cell in map(normalise, cells):
        key, resolved = (cell.task, cell.backbone), resolver.resolve(cell)
        if key not in seconds:
            seconds[key] = time_features(resolver.resolve(replace(cell, share=1.0)))
            evaluated = seconds[key] * count_batches(resolved, resolved.split)
            whole = evaluated + seconds[key] * count_batches(resolved, "train")
            print(f"{cell.task}, {cell.backbone}, features for probes: about {format_seconds(whole)}", flush=True)
            total += evaluated
        if (*key, cell.share, cell.seed) not in training_sets:
            training_sets.add((*key, cell.share, cell.seed))
            total += seconds[key] * count_batches(resolved, "train") * cell.share
    return total


def print_estimate(resolver: Resolver, cells: Sequence[Cell], slots: int, threads: int) -> None:
    """Times a cell of each kind, and prints what the study will take."""
    torch.set_num_threads(threads)
    possible = [cell for cell in cells if cell.group not in resolver.refusals]
    trained = [cell for cell in possible if not cell.is_probe]
    probed = [cell for cell in possible if cell.is_probe]
    hours = (estimate_trainings(resolver, trained) + estimate_probes(resolver, probed)) / 3600
    counted = [format_count(len(trained), "trainings")] if trained or not probed else []
    counted += [format_count(len(probed), "probes")] if probed else []
    each = f", {hours / slots:.2f} h with {format_count(slots, 'cells')} at a time" if slots > 1 else ""
    print(f"{' and '.join(counted)} take about {hours:.2f} h one after the other{each}.")
