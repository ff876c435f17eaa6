"""What every task shares: building the network, training steps, optimiser and schedule, checkpoints."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.cli import OptimizerCallable
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn
from torch import Tensor
from torch.optim import Optimizer

from ..backbones.contract import Backbone
from ..backbones.weights import load_weights
from ..errors import TaskError, UserError
from ..heads.contract import HeadFactory, default_class_names
from .averaging import ExponentialMovingAverage
from .checkpoints import check_same_network
from .data import DataModule, ResumableLoader
from .freezing import Epochs, StagedUnfreezing
from .images import Image
from .loss_watch import NonFiniteLossGuard
from .network import Network
from .preprocessing import Preprocessing
from .processes import broadcast_buffers
from .schedule import Cosine, Schedule, parameter_groups, scale_learning_rate, warmup_schedule
from .starts import load_pretrained


class Report(NamedTuple):
    """Result of one evaluation.

    Attributes:
        values: plain values for a JSON file.
        table: the same to read.
        sheets: tables for files of their own, ``[rows, columns]`` by name, header included.
        pictures: ``[H, W, 3]`` uint8 by name.
    """

    values: dict[str, Any]
    table: str
    tables: Mapping[str, Sequence[Sequence[object]]] = {}
    pictures: Mapping[str, Image] = {}


class Task(LightningModule, ABC):
    """Teaches a network and measures it.

    The network is built when a run starts, once the data has said what classes there are.

    Args:
        backbone: what turns images into maps.
        head: builds the head from the maps, the number of classes and the backbone's width.
        preprocessing: how images become the input.
        num_classes: foreground classes; None takes the data's, a number that differs from the data's is an error.
        feature_maps: names of the backbone's maps that the head takes; None takes those published for the task.
        backbone_weights: what the backbone starts training from: "imagenet", an exact published name, or a file. None
            starts from scratch.
        weights: what the whole network starts training from, trained on whatever classes: a run's folder, a file, or
            the exact name of published ones; instead of ``backbone_weights``.
        optimizer: builds the optimiser from the parameters; norms and biases are not decayed.
        base_batch_size: how many images a step the optimiser's learning rate is meant for; where all processes together
            and accumulated batches make k times as many, it is multiplied by k. None takes it as it is.
        warmup_steps: steps of linear warm-up, a tenth of the run at most.
        schedule: how the learning rate falls after it; None takes a cosine to nothing.
        freeze_epochs: epochs at the beginning in which the backbone does not learn; "all" trains the head alone.
        unfreeze_interval: epochs from the thawing of a stage of the backbone to that of the next finer one, the coarsest
            first; 0 thaws all of it together.
        ema_decay: evaluate, save and export an exponential moving average of the weights, of which a late step
            keeps this share (0.999, say); None trains without one.
        channels_last: lay tensors out in memory with the channels last, which convolutions on CPUs and tensor cores
            are quickest with.
    """

    role: ClassVar[str]
    #: the figure that the best checkpoint has most of
    monitor: ClassVar[str]
    #: what it trains and evaluates on
    data_class: ClassVar[type[DataModule[Any]]]

    network: Network
    report: Report | None = None
    #: of the step that was logged last; and the epoch and step at which loaded weights were saved
    last_loss: float | None = None
    saved_at: tuple[int, int] | None = None
    _average: ExponentialMovingAverage | None = None
    _watch: NonFiniteLossGuard

    def __init__(
        self,
        backbone: Backbone,
        head: HeadFactory,
        preprocessing: Preprocessing,
        num_classes: int | None,
        feature_maps: Sequence[str] | None,
        backbone_weights: str | None,
        weights: str | None,
        optimizer: OptimizerCallable,
        base_batch_size: int | None,
        warmup_steps: int,
        schedule: Schedule | None,
        freeze_epochs: Epochs,
        unfreeze_interval: int,
        ema_decay: float | None,
        channels_last: bool,
    ) -> None:
        super().__init__()
        if ema_decay is not None and not 0 <= ema_decay < 1:
            raise UserError(f"ema_decay must be in 0 … 1, 1 not included, not {ema_decay}.")
        if warmup_steps < 0:
            raise UserError(f"warmup_steps must be 0 or more, not {warmup_steps}.")
        if base_batch_size is not None and base_batch_size < 1:
            raise UserError(f"base_batch_size must be a number of images, not {base_batch_size}.")
        self.preprocessing = preprocessing
        self._parts = (backbone, head)
        self._num_classes = num_classes
        self._maps = feature_maps
        if weights is not None and backbone_weights is not None:
            raise TaskError("weights start the backbone, too: give either weights or backbone_weights.")
        self._starts = (backbone_weights, weights)
        self._optimizer = optimizer
        self._reference_batch = base_batch_size
        self._warmup_steps = warmup_steps
        self._schedule = schedule or Cosine()
        self._freeze = (freeze_epochs, unfreeze_interval)
        self._average_decay = ema_decay
        self._resumed: dict[str, Any] = {}  # what a checkpoint holds beside what Lightning restores
        self._channels_last = channels_last
        # maps that the backbone lacks are better known now than after the data was read
        backbone.check_offered(backbone.feature_names(self.role) if feature_maps is None else feature_maps)

    def __setattr__(self, name: str, value: Any) -> None:
        # Lightning notes the name of every hook here, some fifteen times a step, and a module's own way of setting
        # attributes looks for parameters first
        if name == "_current_fx_name":
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)

    # building

    def configure_model(self) -> None:
        """Builds the network for the data's classes; Lightning calls this after the data is set up."""
        if hasattr(self, "network"):
            return
        self.network = self.build(self._class_names())
        del self._parts
        # before processes agree on which gradients to share
        self._freezing = StagedUnfreezing(self.network.backbone, *self._freeze)
        self._freezing.apply(0)
        if self._channels_last:
            self.network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue] — torch's stub lacks it

    def build(self, classes: Sequence[str]) -> Network:
        """The network for ``classes``, with weights drawn at random; it takes this task's backbone."""
        backbone, head = self._parts
        network = Network(backbone, head, classes, self.preprocessing, role=self.role, feature_maps=self._maps)
        if network.head.role not in ("", self.role):
            raise TaskError(
                f"{type(self).__name__} trains heads for {self.role}, and {type(network.head).__name__} is one for "
                f"{network.head.role}: give another head, or another task."
            )
        return network

    def _class_names(self) -> tuple[str, ...]:
        data = getattr(self._trainer, "datamodule", None)
        names = getattr(data, "classes", None)
        if names is None:
            if self._num_classes is None:
                raise TaskError("num_classes has to be given, because the data does not say what classes there are.")
            return default_class_names(self._num_classes)
        if self._num_classes not in (None, len(names)):
            raise TaskError(
                f"num_classes is {self._num_classes}, but the data has {len(names)} classes: {', '.join(names[:5])}"
                f"{', …' if len(names) > 5 else ''}."
            )
        return tuple(names)

    # training

    def on_fit_start(self) -> None:
        """Prepares what a training has and an evaluation has not, once the network is on its device."""
        data = self._data()
        self._load_start()
        self._watch = NonFiniteLossGuard(self._log_every(), lambda index: data.image_name("train", index))
        if self._average_decay is not None:
            self._average = ExponentialMovingAverage(self.network, self._average_decay)
            if "average" in self._resumed:
                self._average.load(self._resumed["average"], self._resumed["updates"])

    def _load_start(self) -> None:
        """Loads what the training starts from, once, unless it goes on from a checkpoint, which is read before this."""
        backbone_weights, weights = self._starts
        self._starts = (None, None)
        if self.trainer.ckpt_path is None and backbone_weights is not None:
            report = load_weights(self.network.backbone, backbone_weights)
            rank_zero_info(f"Backbone: {report}.")
            self._compare_normalisation(report.source)
        if self.trainer.ckpt_path is None and weights is not None:
            rank_zero_info(f"Network: {load_pretrained(self.network, weights)}.")

    def _compare_normalisation(self, weights: str) -> None:
        """Warns where published weights were trained on images normalised otherwise than this network's."""
        theirs, ours = self.network.backbone.normalisation(weights), self.preprocessing.normalisation
        if theirs is not None and theirs != ours:
            flags = (f"--model.preprocessing.{name}=[{', '.join(map(str, x))}]" for name, x in theirs._asdict().items())
            rank_zero_warn(
                f"{weights} was trained on images normalised by mean {theirs.mean} and std {theirs.std}, and this "
                f"network normalises by {ours.mean} and {ours.std}: give {' '.join(flags)} to start where it ended."
            )

    def on_train_start(self) -> None:
        self._freeze_and_thaw()  # a run that goes on within an epoch does not start it
        if "random" in self._resumed:
            torch.set_rng_state(self._resumed["random"])
        loader = self.trainer.train_dataloader
        if "position" in self._resumed and isinstance(loader, ResumableLoader):
            # Lightning would do so itself, had the loaders not been asked for the number of steps before it could
            loader.load_state_dict(self._resumed["position"])
        self._resumed = {}

    def on_train_epoch_start(self) -> None:
        self._freeze_and_thaw()

    def _freeze_and_thaw(self) -> None:
        """Lets those stages learn that do in this epoch."""
        if self._freezing.apply(self.current_epoch):
            rank_zero_info(f"Epoch {self.current_epoch}: {self._freezing.thawed} of the backbone's stages learn.")
            if isinstance(strategy := self.trainer.strategy, DDPStrategy):
                strategy.model = self  # processes share the gradients of what learnt when they were joined
                strategy.configure_ddp()

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        try:
            terms = self.losses(batch)
        except ValueError as error:
            if not str(error).startswith("Expected more than 1 value per channel"):  # as PyTorch's batch norms say it
                raise
            raise TaskError(
                f"A step on one image of {batch.images.shape[2]}×{batch.images.shape[3]} pixels leaves a batch norm "
                "one value for each channel, which has no variance: take two or more with --data.batch_size=2."
            ) from error
        loss = torch.stack(list(terms.values())).sum()
        step = self.global_step
        self._watch.note(step, batch.indices, loss)
        if (step + 1) % self._log_every() == 0:
            self._log_training(loss, terms)
        return loss

    def losses(self, batch: Any) -> dict[str, Tensor]:
        """The terms by name whose sum a training step minimises."""
        return self.network.head.loss(self.network(batch.images), batch.targets)

    def _log_training(self, loss: Tensor, terms: dict[str, Tensor]) -> None:
        """Hands the losses to the loggers, past ``self.log``, which takes some 0.2 ms for each of them."""
        values = {"train/loss": loss, **{f"train/{name}": term for name, term in terms.items()}}
        numbers: dict[str, float] = dict(zip(values, torch.stack(list(values.values())).tolist(), strict=True))
        self.last_loss = numbers["train/loss"]
        numbers["train/lr"] = self.trainer.optimizers[0].param_groups[0]["lr"]
        for logger in self.loggers:
            logger.log_metrics(numbers | {"epoch": self.current_epoch}, step=self.global_step)

    def optimizer_step(self, *arguments: Any, **options: Any) -> None:
        super().optimizer_step(*arguments, **options)
        if self._average is not None:
            self._average.update()

    def configure_gradient_clipping(
        self, optimizer: Optimizer, gradient_clip_val: float | None = None, gradient_clip_algorithm: str | None = None
    ) -> None:
        if gradient_clip_val is not None:  # else Lightning prepares in every step to clip nothing
            super().configure_gradient_clipping(optimizer, gradient_clip_val, gradient_clip_algorithm)

    def on_train_epoch_end(self) -> None:
        self._watch.look()

    def on_train_end(self) -> None:
        """Leaves the averaged weights in the network."""
        if self._average is not None:
            self._average.swap()
            self._average = None

    def configure_optimizers(self) -> Any:
        late = set(self._freezing.learn)
        groups = parameter_groups(p for p in self.network.parameters() if p.requires_grad or p in late)
        try:
            optimizer = self._optimizer(groups)
        except ValueError as error:  # PyTorch's own, of a rate below nothing, say
            raise TaskError(f"The optimiser cannot be built: {str(error).rstrip('.')}.") from error
        clipped = self.trainer.gradient_clip_val is not None
        if clipped and optimizer.defaults.get("fused") and str(self.trainer.precision).endswith("mixed"):
            raise TaskError(
                "A fused optimiser's gradients cannot be clipped in mixed precision: add --model.optimizer.fused=false."
            )
        if self._reference_batch is not None:
            accumulated = self.trainer.accumulate_grad_batches
            scale_learning_rate(
                optimizer, self._reference_batch, self._data().batch_size, self.trainer.world_size, accumulated
            )
        steps = int(self.trainer.estimated_stepping_batches)
        epochs = steps * self.trainer.accumulate_grad_batches / self.trainer.num_training_batches
        rates = warmup_schedule(optimizer, self._schedule, steps, epochs, self._warmup_steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": rates, "interval": "step"}}

    def _log_every(self) -> int:
        # Lightning sets the attribute in a connector, where its types do not show it
        return self.trainer.log_every_n_steps  # pyright: ignore[reportAttributeAccessIssue]

    def _data(self) -> DataModule[Any]:
        data = getattr(self.trainer, "datamodule", None)
        if not isinstance(data, self.data_class):
            raise TaskError(
                f"{type(self).__name__} trains and evaluates data of the kind {self.data_class.__name__}, which "
                f"{'nothing' if data is None else type(data).__name__} is not: give another --data, or another --model."
            )
        return data

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
        if self._average is not None:
            self._average.swap()
        broadcast_buffers(self.network)
        self.start_evaluation("val")

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.evaluate(batch)

    def on_validation_epoch_end(self) -> None:
        self._log_evaluation("val")
        if self._average is not None:
            self._average.swap()

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
        """Adds what it takes to build the network without this task, and to go on with a training to the bit.

        ``state_dict`` holds what is evaluated: the average where there is one.
        """
        checkpoint["network"] = self.network.config()
        if self.trainer.state.fn != TrainerFn.FITTING:
            return
        self._watch.look()  # weights that a bad loss has spoilt must not replace good ones
        checkpoint["random"] = torch.get_rng_state()
        if isinstance(loader := self.trainer.train_dataloader, ResumableLoader):
            checkpoint["position"] = loader.state_dict()
        if self._average is not None:
            average = {f"network.{name}": value for name, value in self._average.state_dict().items()}
            checkpoint["trained"] = {"state_dict": checkpoint["state_dict"], "updates": self._average.updates}
            checkpoint["state_dict"] = average

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuses the checkpoint of another network, and sorts out what a training goes on with."""
        self._data()  # where it is of another kind, its classes are not what is wrong
        check_same_network(checkpoint, self.network)
        self.saved_at = (checkpoint["epoch"], checkpoint["global_step"])
        if self.trainer.state.fn != TrainerFn.FITTING:
            return
        self._resumed = {name: checkpoint[name] for name in ("random", "position") if name in checkpoint}
        if "trained" in checkpoint and self._average_decay is not None:
            average = {k.removeprefix("network."): v for k, v in checkpoint["state_dict"].items()}
            self._resumed |= {"average": average, "updates": checkpoint["trained"]["updates"]}
            checkpoint["state_dict"] = checkpoint["trained"]["state_dict"]
