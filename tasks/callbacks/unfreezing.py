"""Backbones that train later than their head: frozen for some epochs, then unfrozen at once or stage by stage."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_info
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from ...backbones.contract import Backbone
from ...errors import TaskError, UserError, check_range

FreezeEpochs = int | Literal["all"]
# _NormBase is the base of batch and instance norms; timm's batch, group and layer norms derive from these classes
NORMS = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm)


class Stage(NamedTuple):
    """Layers that are frozen and unfrozen together.

    Attributes:
        module: the layers.
        parameters: those that train only while the stage is not frozen.
        norms: layers that train in any case.
    """

    module: nn.Module
    parameters: Sequence[nn.Parameter]
    norms: Sequence[nn.Module]


class StagedUnfreezing(Callback):
    """Freezes the backbone and unfreezes its stages, the deepest first (Howard and Ruder 2018, arXiv 1801.06146).

    Frozen layers get no gradients, and their norms keep their statistics, unless ``train_norms`` is set.

    Stages that train later are frozen only when training starts. DistributedDataParallel has wrapped the network by
    then, and shares the gradients of all parameters that were trainable at that time. It therefore has to look for
    unused parameters.

    Args:
        freeze_epochs: epochs for which the whole backbone is frozen, or "all" for the whole training.
        unfreeze_interval: epochs between unfreezing one stage and the next; 0 unfreezes all stages together.
        train_norms: whether norms train in frozen stages: scales, shifts and statistics (Frankle et al. 2021, arXiv
            2003.00152, train nothing else). Dropout in these stages stays off.

    Raises:
        UserError: an option is out of range, or has no effect with the others.
    """

    def __init__(self, freeze_epochs: FreezeEpochs, unfreeze_interval: int, train_norms: bool = False) -> None:
        if freeze_epochs != "all":
            check_range("freeze_epochs", freeze_epochs, ge=0)
        check_range("unfreeze_interval", unfreeze_interval, ge=0)
        if unfreeze_interval and freeze_epochs == "all":
            raise UserError("unfreeze_interval has no effect with freeze_epochs=all: remove one of them.")
        if train_norms and freeze_epochs == unfreeze_interval == 0:
            raise UserError("train_norms has no effect without a frozen backbone: set freeze_epochs, or remove it.")
        self.freeze_epochs = freeze_epochs
        self.unfreeze_interval = unfreeze_interval
        self.train_norms = train_norms
        self._stages: list[Stage] = []
        self._frozen: list[bool] = []

    @property
    def unfreezes_later(self) -> bool:
        """Whether frozen parameters train in a later epoch."""
        return self.freeze_epochs not in (0, "all") or self.unfreeze_interval > 0

    def attach(self, backbone: Backbone) -> None:
        """Takes the stages of ``backbone``, after its feature maps were selected; "all" freezes them permanently.

        Parameters that are already frozen stay frozen.
        """
        stages = [nn.ModuleList(stage) for stage in backbone.stages()]
        self._stages = [self._describe_stage(stage) for stage in stages]
        self._frozen = [False] * len(stages)
        if self.freeze_epochs == "all":
            self.freeze_for(0)

    def _describe_stage(self, stage: nn.Module) -> Stage:
        norms = [module for module in stage.modules() if isinstance(module, NORMS)] if self.train_norms else []
        of_norms = {id(parameter) for norm in norms for parameter in norm.parameters()}
        parameters = [p for p in stage.parameters() if p.requires_grad and id(p) not in of_norms]
        return Stage(stage, parameters, norms)

    def freeze_for(self, epoch: int) -> bool:
        """Freezes and unfreezes stages for ``epoch``, counted from 0; returns whether anything changed."""
        before, self._frozen = self._frozen, [epoch < first for first in self._first_epochs()]
        for stage, frozen, was_frozen in zip(self._stages, self._frozen, before, strict=True):
            for parameter in stage.parameters:
                parameter.requires_grad_(not frozen)
                if frozen:
                    parameter.grad = None  # the optimiser would keep applying it
            if frozen or was_frozen:
                stage.module.train(not frozen)
                for norm in stage.norms:
                    norm.train()
        return self._frozen != before

    def _first_epochs(self) -> Iterator[float]:
        """Yields the first epoch in which each stage trains."""
        frozen = float("inf") if isinstance(self.freeze_epochs, str) else self.freeze_epochs
        for depth in reversed(range(len(self._stages))):
            yield frozen + depth * self.unfreeze_interval

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        wrapped = trainer.model
        if self.unfreezes_later and isinstance(wrapped, DistributedDataParallel) and not wrapped.find_unused_parameters:
            raise TaskError("Unfreezing in several processes needs --trainer.strategy=ddp_find_unused_parameters_true.")
        self.on_train_epoch_start(trainer, pl_module)  # a run resumed within an epoch does not start that epoch

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.freeze_for(trainer.current_epoch):
            trainable = self._frozen.count(False)
            rank_zero_info(f"Epoch {trainer.current_epoch}: {trainable} of {len(self._stages)} backbone stages train.")
