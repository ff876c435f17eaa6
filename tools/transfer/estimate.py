"""Estimates how long a study takes from a few timed steps of each kind of cell."""

from __future__ import annotations

import statistics
import tempfile
import time
import warnings
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, NamedTuple

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from ...errors import UserError, format_count
from ..options.yaml_text import dump_yaml
from ..training import RunCLI, merged_arguments, split_options
from .cells import Cell, Group
from .live import format_seconds
from .resolve import ResolvedCell, Resolver

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
        batches: number of batches of a validation.
        validations: number of validations.
    """

    step: float
    batch: float
    steps: int
    batches: int
    validations: int

    def total(self) -> float:
        """Returns the seconds of the whole training."""
        return START_SECONDS + self.step * self.steps + self.batch * self.batches * self.validations


class StepTimer(Callback):
    """Times an evaluated batch and a few steps, then ends the training.

    Attributes:
        times: the result, once the training has ended.
    """

    def __init__(self) -> None:
        self.times: Times | None = None
        self._ends: list[float] = []

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        task: Any = pl_module
        data: Any = trainer.datamodule  # pyright: ignore[reportAttributeAccessIssue] — set by a connector, untyped
        began = time.perf_counter()
        task.start_evaluation("val")
        task.eval()
        with torch.no_grad():
            batch = trainer.strategy.batch_to_device(next(iter(data.val_dataloader())))
            task.evaluate(batch)
        task.train()
        self._batch = time.perf_counter() - began
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
        self.times = Times(statistics.median(later), self._batch, int(steps), batches, validations)
        raise TimedEnough


def time_cell(resolved: ResolvedCell) -> Times:
    """Times the first steps of a cell in this process.

    Raises:
        UserError: it cannot be trained.
    """
    timer = StepTimer()
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


def print_estimate(resolver: Resolver, cells: Sequence[Cell], slots: int, threads: int) -> None:
    """Times a training of each group of ``cells``, and prints what the study will take."""
    torch.set_num_threads(threads)
    trained = [cell for cell in cells if not cell.is_probe and cell.group not in resolver.refusals]
    seconds: dict[Group, float] = {}
    for group in dict.fromkeys(cell.group for cell in trained):
        first = next(cell for cell in trained if cell.group == group and cell.role == "main")
        seconds[group] = time_cell(resolver.resolve(first)).total()
        print(f"{group}: about {format_seconds(seconds[group])} a cell at all images", flush=True)
    rates = resolver.plan.learning_rates
    total = 0.0
    for cell in trained:
        part = rates.length if rates is not None and cell.role == "learning rate" else cell.share
        total += part * seconds[cell.group]
    more = resolver.plan.more_seeds
    if more is not None:
        for task in {group.task for group in seconds}:
            longest = sorted((seconds[group] for group in seconds if group.task == task), reverse=True)
            total += len(more.seeds) * sum(longest[: more.leaders])
    counted = format_count(len(trained), "trainings")
    each = f", {total / slots / 3600:.2f} h with {format_count(slots, 'cells')} at a time" if slots > 1 else ""
    print(f"{counted} take about {total / 3600:.2f} h one after the other{each}; probes are not counted.")
