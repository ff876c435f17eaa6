"""Base class of all tasks: builds the network, and defines training steps, optimiser, schedule and evaluation."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar, Literal

import torch
from lightning.pytorch import Callback
from lightning.pytorch.cli import OptimizerCallable
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor, nn
from torch._dynamo.exc import TorchDynamoException

from ..backbones.blocks import init_convolutions
from ..backbones.contract import Backbone, check_choice
from ..errors import TaskError, check_range
from ..heads.contract import HeadFactory
from .callbacks.ema import ExponentialMovingAverage
from .callbacks.evaluation import Report
from .callbacks.monitors import check_defined, check_monitors, list_monitored
from .callbacks.non_finite_loss import NonFiniteLossGuard
from .callbacks.resume import ExactResume
from .callbacks.unfreezing import FreezeEpochs, StagedUnfreezing
from .data.files import format_list
from .data.module import DataModule, resolve_class_names
from .evidence import Evidence
from .examples import Examples
from .images import Image
from .length import TrainingLength
from .loaders.task_data import TaskData
from .network import (
    Network,
    Predictor,
    broadcast_buffers,
    has_single_value_norm,
    hash_weights,
    summarize_network,
)
from .preprocessing import Preprocessing
from .pretrained import AUTO, check_same_network, load_starting_weights
from .schedule import Cosine, Schedule, Warmup, build_optimizer, check_same_optimizer, scale_learning_rate


class Task(TaskData):
    """Trains and evaluates a network, which is built when a run starts, because its classes come from the data.

    Args:
        backbone: turns images into feature maps.
        head: class of the head, or a factory; called with the feature maps' channels and strides, and the number of
            classes.
        preprocessing: resizing and normalisation of images, see :class:`.preprocessing.Preprocessing`.
        optimizer: builds the optimiser; weight decay does not apply to norms and biases.
        schedule: learning-rate schedule after the warm-up. Default: cosine decay to 0.
        warmup_steps: steps of linear warm-up, e.g. 500; shortened to a tenth of the run if the run is short.
        length: number of epochs by the size of the data, for a Trainer without a limit (``max_epochs: -1``); see
            :class:`.length.TrainingLength`.
        schedule_interval: "step" changes the learning rate at every step; "epoch" only between epochs, counted from the
            start of the warm-up, as torchvision's detection recipes do.
        decay_norms: whether weight decay also applies to norms and biases, as in torchvision's detection recipes.
        num_classes: number of classes, without a background class. Default: that of the data, which it must match.
        classes: names of the classes, for a DataLoader of your own, e.g. ``[cat, dog]``. Default: those of the data.
        feature_maps: names of the backbone's feature maps for the head, finest first, e.g. ``[c4, final]``. Default:
            those that its paper uses for the task. ``litmobile profile NAME`` lists the names.
        backbone_weights: initial weights of the backbone: "imagenet", an exact published name such as
            ``MobileNet_V2_Weights.IMAGENET1K_V2``, or a file. "auto" is "imagenet" where these weights are published
            and can be downloaded, and otherwise random weights; ``weights`` replaces it. Default: random weights.
        backbone_init_std: standard deviation of normal initial weights for the backbone's convolutions, e.g. 0.03 in
            torchvision's and TensorFlow's SSDLite. Default: the backbone's own initialisation.
        weights: initial weights of the whole network: a run's folder (its best checkpoint), a file, or an exact
            published name. Rows of classes that the weights lack stay random. Not together with ``backbone_weights``.
        base_batch_size: batch size that the learning rate was tuned for, e.g. 192. The rate is scaled linearly to the
            effective batch size (batch × processes × accumulation). Default: not scaled.
        freeze_epochs: epochs for which the backbone is frozen, e.g. 5; "all" trains the head only.
        unfreeze_interval: epochs between unfreezing one backbone stage and the next, the deepest first; 0 unfreezes
            all stages together.
        train_norms: whether the norms of frozen stages train: their scales and shifts, and their statistics. With
            ``freeze_epochs=all``, head and norms train, which is often nearly as good as training all weights.
        ema_decay: decay per step of the moving average (EMA) of the weights, e.g. 0.999. If set, the averaged weights
            are validated, saved and exported.
        channels_last: use the channels-last memory format, which is faster on CPUs and tensor cores.
        compile: compile the network for training with ``torch.compile``, whose kernels join norms and activations. The
            first step then takes minutes. Evaluations are not compiled. CPUs need a C++ compiler.
    """

    #: kind of task, e.g. "detection"; heads and data of another kind are refused
    role: ClassVar[str]
    #: metric that selects the best checkpoint, e.g. "val/AP"
    monitor: ClassVar[str]

    network: Network
    #: evaluates the current split; its ``compute().figures`` has a key for each figure
    evaluator: Any
    #: hash of the weights that were evaluated last
    evaluated_weights: str

    def __init__(
        self,
        backbone: Backbone,
        head: HeadFactory,
        preprocessing: Preprocessing = Preprocessing(),  # noqa: B008 — frozen
        optimizer: OptimizerCallable = lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, weight_decay=4e-5),
        schedule: Schedule | None = None,
        warmup_steps: int = 1000,
        length: TrainingLength | None = None,
        schedule_interval: Literal["step", "epoch"] = "step",
        decay_norms: bool = False,
        num_classes: int | None = None,
        feature_maps: list[str] | None = None,
        backbone_weights: str | None = None,
        backbone_init_std: float | None = None,
        weights: str | None = None,
        base_batch_size: int | None = None,
        freeze_epochs: FreezeEpochs = 0,
        unfreeze_interval: int = 0,
        train_norms: bool = False,
        ema_decay: float | None = None,
        channels_last: bool = True,
        compile: bool = False,
        classes: list[str] | None = None,
    ) -> None:
        super().__init__()
        check_range("warmup_steps", warmup_steps, ge=0)
        check_choice("schedule_interval", schedule_interval, ("step", "epoch"))
        if backbone_init_std is not None:
            check_range("backbone_init_std", backbone_init_std, gt=0, lt=math.inf)
        if base_batch_size is not None:
            check_range("base_batch_size", base_batch_size, ge=1)
        if weights is not None and backbone_weights not in (None, AUTO):
            raise TaskError("weights already include the backbone: set weights or backbone_weights, not both.")
        # checked now, to fail before the data is read
        backbone.check_feature_names(backbone.feature_names(self.role) if feature_maps is None else feature_maps)
        self.preprocessing = preprocessing
        self.exported: Predictor | None = None
        self._parts = (backbone, head)
        self._feature_maps = feature_maps
        self._num_classes = num_classes
        self._classes = None if classes is None else tuple(classes)
        self._initial_weights = (weights, backbone_weights)
        self._backbone_init_std = backbone_init_std
        self._optimizer = optimizer
        self._decay_norms = decay_norms
        self._length = length
        self._schedule = Warmup(schedule or Cosine(), warmup_steps, per_epoch=schedule_interval == "epoch")
        self._base_batch_size = base_batch_size
        self._channels_last = channels_last
        self._compile = compile
        self._compiled_forward: Callable[[Tensor], Any] | None = None
        self._resumed_from: dict[str, Any] | None = None
        self.unfreezing = StagedUnfreezing(freeze_epochs, unfreeze_interval, train_norms)
        #: options that the data decided, e.g. under "head.init_args.anchor_scales", for the run's configuration
        self.decided_options: dict[str, Any] = {}
        self._callbacks: list[Callback] = [NonFiniteLossGuard(), ExactResume(), self.unfreezing]
        if ema_decay is not None:
            self._callbacks.append(ExponentialMovingAverage(ema_decay))

    def configure_callbacks(self) -> list[Callback]:
        return self._callbacks

    def configure_model(self) -> None:
        """Builds the network with one output per class of the data; Lightning calls this after the data's ``setup``."""
        if self.exported is not None:
            self._check_exported(self.exported)
        if self.exported is not None or hasattr(self, "network"):
            return
        names = self.data().classes if self.has_data else self._classes
        if names is not None and self._classes not in (None, names):
            raise TaskError(f"The data has the classes {format_list(names)}, which differ from the option classes.")
        self.network = self.build_network(resolve_class_names(names, self._num_classes))
        self.unfreezing.attach(self.network.backbone)  # now, so that the optimiser leaves out layers that never train
        if self._backbone_init_std is not None:
            init_convolutions(self.network.backbone, partial(nn.init.normal_, std=self._backbone_init_std))
        if self._channels_last:
            self.network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue] — missing in torch's stub
        if self._compile:  # a method, because a compiled module would add its parameters to checkpoints again
            self._compiled_forward = torch.compile(self.network.forward)

    def build_network(self, classes: Sequence[str]) -> Network:
        """Builds the network with random weights; call it only once, because it uses the task's own backbone."""
        backbone, head = self._parts
        network = Network(backbone, head, classes, self.preprocessing, role=self.role, feature_maps=self._feature_maps)
        if network.head.role not in ("", self.role):
            raise TaskError(
                f"{type(self).__name__} trains heads for {self.role}, but {type(network.head).__name__} is for "
                f"{network.head.role}: choose another head, or another task."
            )
        return network

    @property
    def predictor(self) -> Predictor:
        """What evaluations predict with: the network, or the exported one."""
        return self.network if self.exported is None else self.exported

    def evaluate_exported(self, exported: Predictor) -> None:
        """Lets evaluations predict with a network that was exported, and with its preprocessing."""
        self.exported = exported
        self.preprocessing = exported.preprocessing

    def _check_exported(self, exported: Predictor) -> None:
        """Raises TaskError if the exported network has other classes than the data."""
        names = self.data().classes
        if tuple(names) != exported.classes:
            raise TaskError(
                f"The exported network has the classes {', '.join(exported.classes)}, but the data have "
                f"{', '.join(names)}: pass the data that it was trained on."
            )

    # training

    def on_fit_start(self) -> None:
        """Loads the initial weights once, unless the training resumes from a checkpoint.

        Raises:
            TaskError: the optimiser cannot continue from the checkpoint.
            UserError: a callback monitors an unknown figure.
        """
        if self.has_data:
            self.data()
        self._check_monitors()
        rank_zero_info(summarize_network(self.network))
        if self._resumed_from is not None:
            check_same_optimizer(self._resumed_from, self.trainer.optimizers[0])
            self._resumed_from = None
        if self.trainer.ckpt_path is None:
            self.load_initial_weights()
        self._initial_weights = (None, None)

    def load_initial_weights(self) -> None:
        """Loads what ``weights`` or ``backbone_weights`` names into the network, and logs it."""
        load_starting_weights(self.network, *self._initial_weights)

    def _check_monitors(self) -> None:
        """Raises UserError if a callback monitors a figure that the task does not compute."""
        if not list_monitored(self.trainer):
            return
        self.start_evaluation("val")
        figures = self.evaluator.compute().figures if self.trainer.limit_val_batches else ()  # 0: no validation
        check_monitors(self.trainer, ["train/loss", *(f"val/{name}" for name in figures)])

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        batch = self.take_batch(batch)
        try:
            terms = self.losses(batch)
        except (ValueError, TorchDynamoException) as error:  # PyTorch's batch norm raises ValueError
            if len(batch.indices) == 1 and has_single_value_norm(self.network, batch.images):
                raise TaskError(
                    f"Batch norm cannot train on one image of {batch.images.shape[2]}×{batch.images.shape[3]} pixels, "
                    "which leaves one value per channel: raise --data.batch_size until every step has two."
                ) from error
            if not isinstance(error, TorchDynamoException):
                raise
            reason = str(error).strip().splitlines()[0]
            raise TaskError(f"The network cannot be compiled, set --model.compile=false: {reason}") from error
        loss = torch.stack(list(terms.values())).sum()
        every = self.trainer.log_every_n_steps  # pyright: ignore[reportAttributeAccessIssue] — Lightning sets it at run time, untyped
        if every and (self.global_step + 1) % every == 0:
            self._log_step(loss, terms)
        return loss

    def _log_step(self, loss: Tensor, terms: dict[str, Tensor]) -> None:
        self.log("train/loss", loss, prog_bar=True, logger=False)
        row: Any = {f"train/{name}": term.item() for name, term in {"loss": loss, **terms}.items()}
        row |= {"train/lr": self.trainer.optimizers[0].param_groups[0]["lr"], "epoch": self.current_epoch}
        for logger in self.loggers:  # self.log would write this row only after the checkpoint of the step
            logger.log_metrics(row, self.global_step)

    def losses(self, batch: Any) -> dict[str, Tensor]:
        """Returns the loss terms by name; their sum is the training loss."""
        return self.network.head.loss(self.forward(batch.images), batch.targets)

    def forward(self, images: Tensor) -> Any:
        """Runs the network in training: images ``[N, 3, H, W]`` → output of the head."""
        return self.network(images) if self._compiled_forward is None else self._compiled_forward(images)

    def configure_optimizers(self) -> Any:
        trainer, accumulated = self.trainer, self.trainer.accumulate_grad_batches
        parameters = (p for p in self.network.parameters() if p.requires_grad)
        optimizer = build_optimizer(self._optimizer, parameters, self._decay_norms)
        is_clipped = trainer.gradient_clip_val is not None
        if is_clipped and optimizer.defaults.get("fused") and str(trainer.precision).endswith("mixed"):
            raise TaskError("A fused optimiser cannot clip in mixed precision: add --model.optimizer.fused=false.")
        if self._base_batch_size is not None:
            batch = self.data().batch_size
            scale_learning_rate(optimizer, self._base_batch_size, batch, trainer.world_size, accumulated)
        if self._length is not None:
            trainer.fit_loop.setup_data()  # counts the batches
            train, val = (len(self.data().splits[split]) for split in ("train", "val"))
            self._length.set_limits(trainer, train, val)
        steps = trainer.estimated_stepping_batches
        if steps == math.inf:
            rank_zero_info(
                "The run has no last step, so the learning rate does not decay after the warm-up; --trainer.max_epochs "
                "or --trainer.max_steps sets one."
            )
            scheduler = self._schedule.build_endless(optimizer)
        else:
            epochs = steps * accumulated / trainer.num_training_batches
            scheduler = self._schedule.build(optimizer, int(steps), epochs)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    @abstractmethod
    def start_evaluation(self, split: str) -> None:
        """Resets the evaluator before "val" or "test" is evaluated."""

    @abstractmethod
    def evaluate(self, batch: Any) -> Any:
        """Runs the network on ``batch``, updates the evaluator, and returns the predictions for :meth:`draw`."""

    @abstractmethod
    def report(self) -> Report:
        """Returns the result of the last evaluation; all processes must call it, because the first call gathers."""

    @abstractmethod
    def evidence(self) -> Evidence | None:
        """Returns what the last evaluation keeps of each image, in the first process; all must call it."""

    @abstractmethod
    def examples(self) -> Examples | None:
        """Returns drawn images of the last evaluation, in the first process; all must call it."""

    def settings(self) -> dict[str, Any]:
        """Returns plain values of what an evaluation depends on, beside weights and data."""
        return {"network": self.predictor.config()}

    @abstractmethod
    def draw(self, batch: Any, predictions: Any) -> Image:
        """Draws ``batch`` with ground truth and ``predictions`` side by side."""

    def on_validation_epoch_start(self) -> None:
        self.own_images = 0
        broadcast_buffers(self.predictor)
        self.start_evaluation("val")

    def on_test_epoch_start(self) -> None:
        self.own_images = 0
        self.start_evaluation("test")

    def validation_step(self, batch: Any, batch_idx: int) -> Any:
        return self.evaluate(self.take_batch(batch))

    def test_step(self, batch: Any, batch_idx: int) -> Any:
        return self.evaluate(self.take_batch(batch))

    def on_validation_epoch_end(self) -> None:
        self._log_figures("val")

    def on_test_epoch_end(self) -> None:
        self._log_figures("test")

    def _log_figures(self, split: str) -> None:
        self.evaluated_weights = hash_weights(self.predictor)  # now, because the moving average is still in place
        figures = {f"{split}/{name}": value for name, value in self.report().figures.items()}
        for name, value in figures.items():
            self.log(name, value, prog_bar=name.partition("/")[2] == self.monitor.partition("/")[2])
        if self.trainer.state.fn == TrainerFn.FITTING:
            check_defined(self.trainer, figures)

    # checkpoints

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Stores the network's configuration, to build it without this task, and what a resumed run must share."""
        checkpoint["network"] = self.network.config()
        if isinstance(data := self._datamodule(), DataModule):
            checkpoint["data"] = data.fingerprints()
        if self.trainer.optimizers:
            checkpoint["optimizer"] = type(self.trainer.optimizers[0]).__name__

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Prints how the data differs from that of the checkpoint.

        Raises:
            TaskError: the checkpoint belongs to a different network.
        """
        data = self.data() if self.has_data else None  # otherwise the error below would blame the classes
        check_same_network(checkpoint, self.network)
        if data is not None:
            data.log_changes(checkpoint.get("data", {}))
        if self.trainer.state.fn == TrainerFn.FITTING:
            self._resumed_from = checkpoint if "optimizer_states" in checkpoint else None
