"""Exponential moving average of the weights, which generalises better than the last weights."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from ...errors import check_range
from ..network import NETWORK_PREFIX

CHECKPOINT_KEY = "trained"  # the weights in training and the number of updates; state_dict is what was evaluated


class ExponentialMovingAverage(Callback):
    """Averages weights and norm statistics over the training; the average is validated, saved and left in the network.

    Update n keeps a share of ``min(decay, (1 + n) / (10 + n))`` of the average. A constant decay would keep the random
    initial weights for most of a short run.

    A checkpoint's ``state_dict`` is the average. On resume, Lightning loads it into the model before it restores the
    callbacks. This callback then copies the average and loads the weights in training. Lightning's own callback
    synchronises with the device in every step, and its checkpoints do not store the average as ``state_dict``.

    Args:
        decay: share of the average that a late update keeps, between 0 and 1, e.g. 0.999.
    """

    def __init__(self, decay: float) -> None:
        check_range("ema_decay", decay, ge=0, lt=1)
        self.decay = decay
        self.updates = 0
        self._step = 0
        self._restored: dict[str, Tensor] | None = None
        self._average: dict[str, Tensor] = {}
        self._live: dict[str, Tensor] = {}

    @torch.no_grad()
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Starts the average from the network's weights, or from those of the checkpoint."""
        network = pl_module.network
        assert isinstance(network, nn.Module)
        self._live = network.state_dict()  # these tensors share the network's memory
        start = self._live if self._restored is None else self._restored
        self._restored = None
        self._average = {name: start[name].to(value.device, copy=True) for name, value in self._live.items()}
        self._step = trainer.global_step

    @torch.no_grad()
    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.global_step == self._step:  # gradients are still accumulating
            return
        self._step = trainer.global_step
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        floating = [name for name, value in self._live.items() if value.is_floating_point()]
        average, live = [self._average[name] for name in floating], [self._live[name] for name in floating]
        get_ema_multi_avg_fn(decay)(average, live, self.updates)
        for name in self._live.keys() - floating:  # counters of the norms
            self._average[name].copy_(self._live[name])

    @torch.no_grad()
    def swap(self) -> None:
        """Exchanges the average and the network's weights."""
        for name, live in self._live.items():
            kept = live.clone()
            live.copy_(self._average[name])
            self._average[name].copy_(kept)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.swap()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.swap()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leaves the average in the network."""
        self.swap()
        self._live = {}

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        if not self._live:
            return
        checkpoint[CHECKPOINT_KEY] = {"state_dict": checkpoint["state_dict"], "updates": self.updates}
        checkpoint["state_dict"] = {f"{NETWORK_PREFIX}{name}": value for name, value in self._average.items()}

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        if trainer.state.fn != TrainerFn.FITTING or CHECKPOINT_KEY not in checkpoint:
            return
        self.updates = checkpoint[CHECKPOINT_KEY]["updates"]
        average = checkpoint["state_dict"].items()
        self._restored = {name.removeprefix(NETWORK_PREFIX): value for name, value in average}
        pl_module.load_state_dict(checkpoint[CHECKPOINT_KEY]["state_dict"])
