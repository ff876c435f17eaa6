"""The number of CPU threads of a training."""

from __future__ import annotations

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from ...errors import check_range


class CpuThreads(Callback):
    """Limits the threads of a training on a CPU.

    With small steps, threads wait for each other longer than they compute; on a shared machine they wait for every core
    that another program uses.

    Args:
        count: threads per process, e.g. 1.
    """

    def __init__(self, count: int) -> None:
        check_range("count", count, ge=1)
        self.count = count

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        torch.set_num_threads(self.count)
