"""What every task shares: building the network, training steps, optimiser and schedule, checkpoints."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.cli import OptimizerCallable
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor

from ..backbones.contract import Backbone
from ..backbones.weights import load_weights
from ..heads.contract import HeadFactory, nameless_classes
from .network import Network
from .preprocessing import Preprocessing
from .schedule import parameter_groups, warmup_cosine
from .starts import load_start


class Batch(NamedTuple):
    """What every task's batches have: ``images`` ``[N, 3, H, W]`` uint8 and the head's ``targets``."""

    images: Tensor
    targets: Any


class TaskError(ValueError):
    """Parts of a run that contradict each other."""


class Report(NamedTuple):
    """Result of one evaluation: plain ``values`` for a JSON file, and the same as a ``table`` to read."""

    values: dict[str, Any]
    table: str


class Task(LightningModule, ABC):
    """Teaches a network and measures it.

    The network is built when a run starts, once the data has said what classes there are.

    Args:
        backbone: what turns images into maps.
        head: builds the head from the maps, the number of classes and the backbone's width.
        preprocessing: how images become the input.
        num_classes: foreground classes; None takes the data's, a number that differs from the data's is an error.
        maps: names of the backbone's maps that the head takes; None takes those published for the task.
        backbone_weights: what the backbone starts training from: "imagenet", an exact published name, or a file. None
            starts from scratch.
        weights: what the whole network starts training from, trained on whatever classes: a run's folder, a file, or
            the exact name of published ones; instead of ``backbone_weights``.
        optimizer: builds the optimiser from the parameters; norms and biases are not decayed.
        warmup_steps: steps of linear warm-up, a tenth of the run at most; a cosine follows.
        channels_last: lay tensors out in memory with the channels last, which convolutions on CPUs and tensor cores
            are quickest with.
    """

    role: ClassVar[str]
    #: the figure that the best checkpoint has most of
    monitor: ClassVar[str]

    network: Network
    report: Report | None = None

    def __init__(
        self,
        backbone: Backbone,
        head: HeadFactory,
        preprocessing: Preprocessing,
        num_classes: int | None,
        maps: Sequence[str] | None,
        backbone_weights: str | None,
        weights: str | None,
        optimizer: OptimizerCallable,
        warmup_steps: int,
        channels_last: bool,
    ) -> None:
        super().__init__()
        self.preprocessing = preprocessing
        self._parts = (backbone, head)
        self._num_classes = num_classes
        self._maps = maps
        if weights is not None and backbone_weights is not None:
            raise TaskError("weights start the backbone, too: give either weights or backbone_weights.")
        self._starts = (backbone_weights, weights)
        self._optimizer = optimizer
        self._warmup_steps = warmup_steps
        self._channels_last = channels_last
        # maps that the backbone lacks are better known now than after the data was read
        backbone.check_offered(backbone.tap(self.role) if maps is None else maps)

    # building

    def configure_model(self) -> None:
        """Builds the network for the data's classes; Lightning calls this after the data is set up."""
        if hasattr(self, "network"):
            return
        backbone, head = self._parts
        self.network = Network(backbone, head, self._class_names(), self.preprocessing, role=self.role, maps=self._maps)
        del self._parts
        if self._channels_last:
            self.network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue] — torch's stub lacks it

    def _class_names(self) -> tuple[str, ...]:
        data = getattr(self._trainer, "datamodule", None)
        names = getattr(data, "classes", None)
        if names is None:
            if self._num_classes is None:
                raise TaskError("num_classes has to be given, because the data does not say what classes there are.")
            return nameless_classes(self._num_classes)
        if self._num_classes not in (None, len(names)):
            raise TaskError(
                f"num_classes is {self._num_classes}, but the data has {len(names)} classes: {', '.join(names[:5])}"
                f"{', …' if len(names) > 5 else ''}."
            )
        return tuple(names)

    # training

    def on_fit_start(self) -> None:
        """Loads what the training starts from, once, unless it goes on from a checkpoint, which is read before this."""
        backbone_weights, weights = self._starts
        self._starts = (None, None)
        if self.trainer.ckpt_path is None and backbone_weights is not None:
            rank_zero_info(f"Backbone: {load_weights(self.network.backbone, backbone_weights)}.")
        if self.trainer.ckpt_path is None and weights is not None:
            rank_zero_info(f"Network: {load_start(self.network, weights)}.")

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        terms = self.network.head.loss(self.network(batch.images), batch.targets)
        loss = torch.stack(list(terms.values())).sum()
        # every call of log costs some 0.2 ms, and loggers look at every n-th step only; Lightning sets the attribute
        # in a connector, where its types do not show it
        if (self.global_step + 1) % self.trainer.log_every_n_steps == 0:  # pyright: ignore[reportAttributeAccessIssue]
            self.log("train/loss", loss.detach(), batch_size=len(batch.images))
            for name, term in terms.items():
                self.log(f"train/{name}", term.detach(), batch_size=len(batch.images))
            self.log("train/lr", self.trainer.optimizers[0].param_groups[0]["lr"], batch_size=len(batch.images))
        return loss

    def configure_optimizers(self) -> Any:
        optimizer = self._optimizer(parameter_groups(self.network))
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = warmup_cosine(optimizer, steps, self._warmup_steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    # evaluation

    @abstractmethod
    def evaluate(self, batch: Any) -> None:
        """Predicts for ``batch`` and takes the predictions into account."""

    @abstractmethod
    def start_evaluation(self, split: str) -> None:
        """Prepares to evaluate "val" or "test"."""

    @abstractmethod
    def finish_evaluation(self) -> tuple[dict[str, float], Report]:
        """Figures to log by name, and the whole report."""

    @abstractmethod
    def draw(self, batch: Any, path: Path) -> None:
        """Draws ``batch``, which was just evaluated, with truth and predictions into a picture file."""

    def on_validation_epoch_start(self) -> None:
        self.start_evaluation("val")

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.evaluate(batch)

    def on_validation_epoch_end(self) -> None:
        self._log_evaluation("val")

    def on_test_epoch_start(self) -> None:
        self.start_evaluation("test")

    def test_step(self, batch: Any, batch_idx: int) -> None:
        self.evaluate(batch)

    def on_test_epoch_end(self) -> None:
        self._log_evaluation("test")

    def _log_evaluation(self, split: str) -> None:
        figures, self.report = self.finish_evaluation()
        shown = self.monitor.rpartition("/")[2]
        for name, value in figures.items():
            self.log(f"{split}/{name}", value, prog_bar=name == shown)

    # checkpoints

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds what it takes to build the network again without this task."""
        checkpoint["network"] = self.network.spec()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuses the checkpoint of another network in one sentence, where PyTorch would list every tensor."""
        stored, own = checkpoint.get("network"), self.network.spec()
        if stored is None:
            raise TaskError("The checkpoint holds no network of litmobile.")
        for part in ("classes", "maps"):
            if list(stored[part]) != own[part]:
                raise TaskError(
                    f"The checkpoint was trained with other {part}: {stored[part]} there, {own[part]} here."
                )
        for part in ("backbone", "head"):
            if stored[part]["class_path"] != own[part]["class_path"]:
                raise TaskError(
                    f"The checkpoint holds a {stored[part]['class_path']} as {part}, this run builds a "
                    f"{own[part]['class_path']}."
                )
