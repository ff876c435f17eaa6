"""Backbones that learn late or never: frozen for some epochs, then thawed at once or stage by stage."""

from __future__ import annotations

from typing import Literal

from torch import nn

from ..backbones.contract import Backbone
from ..errors import UserError

Epochs = int | Literal["all"]


class StagedUnfreezing:
    """Which stages of a backbone learn in which epoch; the coarsest thaws first (Howard and Ruder, arXiv 1801.06146).

    Frozen layers get no gradients, and their norms keep the statistics that they have.

    Args:
        backbone: after its maps were selected. Parameters that do not learn by its own choice never thaw.
        epochs: how long all of it is frozen, or "all" for the whole training.
        unfreeze_interval: epochs from the thawing of a stage to that of the next finer one; 0 thaws all of them together.

    Attributes:
        learn: the parameters of the backbone that learn in some epoch.
    """

    def __init__(self, backbone: Backbone, epochs: Epochs, unfreeze_interval: int) -> None:
        if epochs != "all" and epochs < 0:
            raise UserError(f"freeze_epochs must be a number of epochs or all, not {epochs}.")
        if unfreeze_interval < 0:
            raise UserError(f"unfreeze_interval must be 0 or more, not {unfreeze_interval}.")
        if unfreeze_interval and epochs == "all":
            raise UserError("unfreeze_interval thaws a backbone stage by stage, but freeze_epochs=all never thaws it.")
        self.stages = [nn.ModuleList(stage) for stage in backbone.stages()]
        self._willing = [[p for p in stage.parameters() if p.requires_grad] for stage in self.stages]
        first = float("inf") if epochs == "all" else epochs
        # the coarsest stage, which is the last, thaws first; a stage of its own after the frozen epochs
        ages = range(len(self.stages))[::-1]
        self._thawed_from = [first + age * unfreeze_interval for age in ages]
        self._frozen = [False] * len(self.stages)
        self.learn = [p for ps, e in zip(self._willing, self._thawed_from, strict=True) for p in ps if e < float("inf")]

    def apply(self, epoch: int) -> bool:
        """Freezes and thaws for ``epoch``, counted from 0; whether any parameter changed sides."""
        before = list(self._frozen)
        self._frozen = [epoch < thawed_from for thawed_from in self._thawed_from]
        for stage, parameters, frozen, was in zip(self.stages, self._willing, self._frozen, before, strict=True):
            for parameter in parameters:
                parameter.requires_grad_(not frozen)
                if frozen:
                    parameter.grad = None  # which an optimiser would go on to use
            if frozen or was:
                stage.train(not frozen)
        return self._frozen != before

    @property
    def thawed(self) -> int:
        """How many stages learn."""
        return self._frozen.count(False)
