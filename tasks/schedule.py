"""Optimiser, parameter groups and the learning rate over a run."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any

from lightning.pytorch.cli import OptimizerCallable
from lightning.pytorch.utilities import rank_zero_info
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from ..errors import TaskError, check_range


def parameter_groups(parameters: Iterable[nn.Parameter]) -> list[dict[str, Any]]:
    """Returns two groups: weights of convolutions and linear layers; norms and biases, without weight decay."""
    parameters = list(parameters)
    decayed = [p for p in parameters if p.ndim > 1]
    others = [p for p in parameters if p.ndim <= 1]
    return [{"params": decayed}, {"params": others, "weight_decay": 0.0}]


def build_optimizer(
    factory: OptimizerCallable, parameters: Iterable[nn.Parameter], decay_norms: bool = False
) -> Optimizer:
    """Builds the optimiser of ``parameters``, divided by :func:`parameter_groups` unless ``decay_norms``.

    Raises:
        TaskError: the optimiser refuses a value, e.g. a negative learning rate.
    """
    groups = list(parameters) if decay_norms else parameter_groups(parameters)
    try:
        return factory(groups)
    except (ValueError, TypeError, RuntimeError) as error:
        reason = str(error).partition("\n")[0].partition(". ")[0].rstrip(".")
        raise TaskError(f"The optimiser cannot be built: {reason}.") from error


def check_same_optimizer(checkpoint: Mapping[str, Any], optimizer: Optimizer) -> None:
    """Checks that ``optimizer`` can continue from the state in ``checkpoint``, and logs options that it overrides.

    Raises:
        TaskError: the checkpoint has the state of another class, or of other parameters.
    """
    try:
        stored: list[dict[str, Any]] = [dict(group) for group in checkpoint["optimizer_states"][0]["param_groups"]]
    except (LookupError, TypeError, ValueError) as error:
        raise TaskError("The checkpoint's optimiser state is damaged: resume from another checkpoint.") from error
    before, name = checkpoint.get("optimizer"), type(optimizer).__name__
    if before not in (None, name):
        raise TaskError(
            f"--model.optimizer={name} cannot continue the checkpoint of {before}: keep the "
            "optimiser, or start a new run with --model.weights=RUN."
        )
    if [len(group["params"]) for group in stored] != [len(group["params"]) for group in optimizer.param_groups]:
        raise TaskError(
            "The checkpoint's optimiser has other parameters: resume with the same --model.decay_norms and "
            "--model.freeze_epochs, or start a new run with --model.weights=RUN."
        )
    for option, value in optimizer.param_groups[0].items():
        if option not in ("params", "lr") and (kept := stored[0].get(option, value)) != value:
            label = {"initial_lr": "lr"}.get(option, option)
            rank_zero_info(f"The optimiser keeps {label}={kept} of the checkpoint; {label}={value} has no effect.")


class Schedule(ABC):
    """How the learning rate changes after the warm-up."""

    @abstractmethod
    def factor(self, progress: float, epoch: float) -> float:
        """Returns the factor of the learning rate.

        Args:
            progress: completed share of the steps after the warm-up, between 0 and 1.
            epoch: number of completed epochs as a fraction, warm-up included.
        """


class Cosine(Schedule):
    """Half a cosine down to a share of the learning rate (Loshchilov and Hutter 2016, arXiv 1608.03983, no restarts).

    Args:
        end: share of the learning rate at the end, e.g. 0.01.
    """

    def __init__(self, end: float = 0.0) -> None:
        check_range("end", end, ge=0, lt=1)
        self.end = end

    def factor(self, progress: float, epoch: float) -> float:
        return self.end + (1 - self.end) * 0.5 * (1 + math.cos(math.pi * progress))


class Poly(Schedule):
    """Polynomial decay to a share of the learning rate; linear with power 1.

    Args:
        power: exponent; 0.9 is usual in segmentation (DeepLab, arXiv 1606.00915, section 4.1).
        end: share of the learning rate at the end, e.g. 0.01.
    """

    def __init__(self, power: float = 0.9, end: float = 0.0) -> None:
        check_range("power", power, gt=0, lt=math.inf)
        check_range("end", end, ge=0, lt=1)
        self.power = power
        self.end = end

    def factor(self, progress: float, epoch: float) -> float:
        return self.end + (1 - self.end) * (1 - progress) ** self.power


class Exponential(Schedule):
    """Multiplies the learning rate by a constant factor every few epochs.

    Args:
        rate: the factor, e.g. MobileNetV2's 0.98 (arXiv 1801.04381, section 6.1).
        epochs: epochs between two reductions.
    """

    def __init__(self, rate: float = 0.98, epochs: float = 1.0) -> None:
        check_range("rate", rate, gt=0, lt=1)
        check_range("epochs", epochs, gt=0, lt=math.inf)
        self.rate = rate
        self.epochs = epochs

    def factor(self, progress: float, epoch: float) -> float:
        return self.rate ** int(epoch / self.epochs)


class Warmup:
    """A linear warm-up, and then a schedule.

    Args:
        schedule: after the warm-up.
        steps: length of the warm-up; at most a tenth of all steps, so that short runs reach the full rate, too.
        per_epoch: change the schedule's factor only between epochs. Its progress then includes the warm-up.
    """

    def __init__(self, schedule: Schedule, steps: int, per_epoch: bool = False) -> None:
        self.schedule = schedule
        self.steps = steps
        self.per_epoch = per_epoch

    def build(self, optimizer: Optimizer, steps: int, epochs: float) -> LambdaLR:
        """Builds the schedule of a run of ``steps`` steps, which take ``epochs`` epochs."""
        return LambdaLR(optimizer, lambda step: self.factor(step, steps, epochs))

    def build_endless(self, optimizer: Optimizer) -> LambdaLR:
        """Builds the schedule of a run without a last step: the warm-up, and then a constant rate."""
        return LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / (self.steps + 1)))

    def factor(self, step: int, steps: int, epochs: float) -> float:
        """Returns the factor of the learning rate at ``step`` of a run of ``steps`` steps and ``epochs`` epochs."""
        warmup = min(self.steps, steps // 10)
        epoch = epochs * step / max(1, steps)
        if self.per_epoch:
            epoch = math.floor(epoch + 1e-6)  # an epoch's first step may be computed as slightly less
            schedule = self.schedule.factor(min(1.0, epoch / epochs), epoch)
            return schedule * min(1.0, (step + 1) / (warmup + 1))
        if step < warmup:
            return (step + 1) / (warmup + 1)
        return self.schedule.factor(min(1.0, (step - warmup) / max(1, steps - warmup)), epoch)


def scale_learning_rate(
    optimizer: Optimizer, base_batch_size: int, batch: int, processes: int, accumulated: int
) -> None:
    """Scales the learning rates to the effective batch size (Goyal et al. 2017, arXiv 1706.02677), and logs it.

    Args:
        optimizer: changed in place.
        base_batch_size: batch size that its rates were tuned for.
        batch: images per batch.
        processes: number of processes that step together.
        accumulated: batches per step and process.
    """
    effective = batch * processes * accumulated
    before = optimizer.param_groups[0]["lr"]
    for group in optimizer.param_groups:
        group["lr"] *= effective / base_batch_size
    rank_zero_info(
        f"Learning rate {optimizer.param_groups[0]['lr']:.4g}: {before:.4g} is for batch size {base_batch_size}; the "
        f"effective one is {effective} ({batch} images × {processes} processes × {accumulated} accumulated batches)."
    )
