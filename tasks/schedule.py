"""Parameter groups and the learning rate over a run: what the recipes of the three tasks share."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

from lightning.pytorch.utilities import rank_zero_info
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from ..errors import UserError


def parameter_groups(parameters: Iterable[nn.Parameter]) -> list[dict[str, Any]]:
    """Two groups: weights of convolutions and linear layers, and norms and biases, which are not decayed."""
    parameters = list(parameters)
    decayed = [p for p in parameters if p.ndim > 1]
    others = [p for p in parameters if p.ndim <= 1]
    return [{"params": decayed}, {"params": others, "weight_decay": 0.0}]


class Schedule(ABC):
    """How the learning rate falls once it has warmed up."""

    @abstractmethod
    def factor(self, progress: float, epoch: float) -> float:
        """What the rate is multiplied by.

        Args:
            progress: share of the steps behind the warm-up that are done, in 0 … 1.
            epoch: epochs that are done, the warm-up's among them, with fractions.
        """


class Cosine(Schedule):
    """Half a cosine down to a share of the rate (Loshchilov and Hutter 2016, arXiv 1608.03983, without restarts).

    Args:
        end: that share.
    """

    def __init__(self, end: float = 0.0) -> None:
        check_end(end)
        self.end = end

    def factor(self, progress: float, epoch: float) -> float:
        return self.end + (1 - self.end) * 0.5 * (1 + math.cos(math.pi * progress))


class Poly(Schedule):
    """A power of what is left, down to a share of the rate; a straight line with power 1.

    Args:
        power: 0.9 is segmentation's (DeepLab, arXiv 1606.00915, section 4.1).
        end: that share.
    """

    def __init__(self, power: float = 0.9, end: float = 0.0) -> None:
        if not 0 < power < float("inf"):
            raise UserError(f"power must be positive and finite, not {power}.")
        check_end(end)
        self.power = power
        self.end = end

    def factor(self, progress: float, epoch: float) -> float:
        return self.end + (1 - self.end) * (1 - progress) ** self.power


class Exponential(Schedule):
    """Multiplied by one factor every few epochs, in steps.

    Args:
        rate: the factor, such as MobileNetV2's 0.98 (arXiv 1801.04381, section 6.1).
        epochs: how many epochs lie between two steps.
    """

    def __init__(self, rate: float = 0.98, epochs: float = 1.0) -> None:
        if not 0 < rate < 1:
            raise UserError(f"rate must be in 0 … 1, neither included, not {rate}.")
        if not 0 < epochs < float("inf"):
            raise UserError(f"epochs must be positive and finite, not {epochs}.")
        self.rate = rate
        self.epochs = epochs

    def factor(self, progress: float, epoch: float) -> float:
        return self.rate ** int(epoch / self.epochs)


def check_end(end: float) -> None:
    """Raises ValueError unless ``end`` is a share of the rate that a schedule can fall to."""
    if not 0 <= end < 1:
        raise UserError(f"end must be in 0 … 1, 1 not included, not {end}.")


def warmup_schedule(optimizer: Optimizer, schedule: Schedule, steps: int, epochs: float, warmup: int) -> LambdaLR:
    """Linear warm-up over ``warmup`` steps, then ``schedule`` until ``steps``, which ``epochs`` consist of.

    The warm-up takes a tenth of all steps at most, so that short runs have a peak, too.
    """
    warmup = min(warmup, steps // 10)

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / (warmup + 1)
        progress = min(1.0, (step - warmup) / max(1, steps - warmup))
        return schedule.factor(progress, epochs * step / max(1, steps))

    return LambdaLR(optimizer, factor)


def scale_learning_rate(optimizer: Optimizer, reference: int, batch: int, processes: int, accumulated: int) -> None:
    """Multiplies the learning rates by what a step sees over ``reference`` (Goyal et al., arXiv 1706.02677).

    What was done is said in the log.

    Args:
        optimizer: changed in place.
        reference: images a step that its rates are meant for.
        batch: images of a batch.
        processes: that step together.
        accumulated: batches a step and process.
    """
    whole = batch * processes * accumulated
    given = [group["lr"] for group in optimizer.param_groups]
    for group in optimizer.param_groups:
        group["lr"] *= whole / reference
    rank_zero_info(
        f"Learning rate {optimizer.param_groups[0]['lr']:.4g}: {given[0]:.4g} is meant for {reference} images a step, "
        f"and a step sees {whole} ({batch} images × {processes} processes × {accumulated} accumulated batches)."
    )
