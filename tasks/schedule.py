"""Parameter groups and the learning rate over a run: what the recipes of the three tasks share."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from lightning.pytorch.utilities import rank_zero_info
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


def parameter_groups(parameters: Iterable[nn.Parameter]) -> list[dict[str, Any]]:
    """Two groups: weights of convolutions and linear layers, and norms and biases, which are not decayed."""
    parameters = list(parameters)
    decayed = [p for p in parameters if p.ndim > 1]
    others = [p for p in parameters if p.ndim <= 1]
    return [{"params": decayed}, {"params": others, "weight_decay": 0.0}]


def warmup_cosine(optimizer: Optimizer, steps: int, warmup: int) -> LambdaLR:
    """Linear warm-up over ``warmup`` steps, then half a cosine down to nothing at ``steps``.

    The warm-up takes a tenth of all steps at most, so that short runs have a peak, too.
    """
    warmup = min(warmup, steps // 10)

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / (warmup + 1)
        progress = (step - warmup) / max(1, steps - warmup)
        return 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))

    return LambdaLR(optimizer, factor)


def scale_rate(optimizer: Optimizer, reference: int, batch: int, processes: int, accumulated: int) -> None:
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
