"""Averages of the weights over a training, which generalise better than the last ones."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


class ExponentialMovingAverage:
    """Exponential moving average of a network's weights and norm statistics.

    After n updates the average keeps ``min(decay, (1 + n) / (10 + n))`` of itself: a long memory from the start would
    hold the random weights of a short run's beginning for most of it.

    Lightning's callback of this kind asks the device for a number in every step, and its checkpoints without training
    state hold the weights that were not evaluated; hence this one.

    Args:
        network: what is averaged, on the device where it is trained.
        decay: share of the average that a late update keeps, in 0 … 1.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self._state = {name: value.detach().clone() for name, value in network.state_dict().items()}
        live = dict(network.state_dict())  # these share the network's memory
        floating = [name for name, value in live.items() if value.is_floating_point()]
        counters = [name for name in live if name not in floating]
        self._averages, self._live = [self._state[k] for k in floating], [live[k] for k in floating]
        self._counters = [(self._state[k], live[k]) for k in counters]

    @torch.no_grad()
    def update(self) -> None:
        """Takes the network's present weights in."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        get_ema_multi_avg_fn(decay)(self._averages, self._live, self.updates)
        for mine, live in self._counters:
            mine.copy_(live)

    @torch.no_grad()
    def swap(self) -> None:
        """Exchanges the average and the network's weights."""
        for mine, live in (*zip(self._averages, self._live, strict=True), *self._counters):
            kept = live.clone()
            live.copy_(mine)
            mine.copy_(kept)

    def state_dict(self) -> dict[str, Tensor]:
        """The average under the network's names."""
        return self._state

    @torch.no_grad()
    def load(self, state: dict[str, Tensor], updates: int) -> None:
        """Goes on with an average that ``updates`` updates made."""
        for name, value in state.items():
            self._state[name].copy_(value)
        self.updates = updates
