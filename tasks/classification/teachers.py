"""Knowledge distillation: a student learns a teacher's predictions (Hinton et al. 2015, arXiv 1503.02531)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...backbones.weights import fetch, read_checkpoint, tensors_of
from ...errors import TaskError, UserError, check_range
from ...heads.contract import full_precision
from ..network import load


class Teacher(ABC):
    """Predicts logits for the images of a training step, which the student learns together with the labels.

    The teacher is not part of the student's network, and neither checkpoints nor the EMA contain it.

    Args:
        temperature: divides the logits of teacher and student before they are compared, e.g. 4; higher values give less
            probable classes more weight.
        distillation_weight: weight of the distillation loss, in (0, 1]; the loss on the labels gets the rest.
        size: side in pixels of the square images that the teacher takes, e.g. 288. None gives it the student's images.
    """

    def __init__(self, *, temperature: float = 1.0, distillation_weight: float = 0.5, size: int | None = None) -> None:
        check_range("temperature", temperature, gt=0, lt=float("inf"))
        check_range("distillation_weight", distillation_weight, gt=0, le=1)
        if size is not None:
            check_range("teacher.size", size, ge=32)
        self.temperature = temperature
        self.distillation_weight = distillation_weight
        self.size = size

    @abstractmethod
    def prepare(self, classes: Sequence[str], device: torch.device) -> None:
        """Loads the teacher onto ``device``, for a student of ``classes``.

        Raises:
            TaskError: the teacher does not know these classes.
            UserError: its weights cannot be found or read.
        """

    @abstractmethod
    def logits(self, images: Tensor) -> Tensor:
        """Images ``[N, 3, H, W]`` in 0 … 1 → logits ``[N, C]`` in the order of the student's classes."""

    @torch.no_grad()
    def predict(self, images: Tensor) -> Tensor:
        """The student's images ``[N, 3, H, W]``, uint8 or floats in 0 … 1 → logits ``[N, C]``."""
        images = images if images.is_floating_point() else images.float() / 255
        if self.size is not None and images.shape[2:] != (self.size, self.size):
            images = F.interpolate(images, (self.size, self.size), mode="bilinear", antialias=True)
        return full_precision(self.logits(images))

    def add_distillation(self, loss: dict[str, Tensor], student: Tensor, teacher: Tensor) -> dict[str, Tensor]:
        """Weighs the terms of the student's ``loss``, and adds the KL divergence of the softened distributions.

        The divergence is multiplied by the squared temperature, because its gradients scale with the inverse square
        (section 2.1).

        Args:
            loss: terms by name.
            student: logits ``[N, C]``.
            teacher: logits ``[N, C]``.
        """
        divergence = F.kl_div(
            (full_precision(student) / self.temperature).log_softmax(1),
            (teacher / self.temperature).log_softmax(1),
            reduction="batchmean",
            log_target=True,
        )
        terms = {name: (1 - self.distillation_weight) * term for name, term in loss.items()}
        return terms | {"distillation": self.distillation_weight * self.temperature**2 * divergence}


class RunTeacher(Teacher):
    """The best network of one of your runs. Classes are matched by name; the teacher may have more than the student.

    Args:
        run: folder of the run, e.g. ``runs/large``, or a checkpoint file.
    """

    def __init__(self, run: str, **options: Any) -> None:
        super().__init__(**options)
        self.run = Path(run).expanduser()

    def prepare(self, classes: Sequence[str], device: torch.device) -> None:
        network = load(self.run)
        if network.head.role != "classification":
            raise TaskError(f"The teacher {self.run} is not a classifier: its head is {type(network.head).__name__}.")
        unknown = [name for name in classes if name not in network.classes]
        if unknown:
            raise TaskError(f"The teacher {self.run} was not trained on the class {unknown[0]} of the data.")
        self._rows = torch.tensor([network.classes.index(name) for name in classes], device=device)
        self._network = network.to(device)

    def logits(self, images: Tensor) -> Tensor:
        return self._network(images)[:, self._rows]


class TimmTeacher(Teacher):
    """A classifier of timm. Its classes must be the student's, in the same order, e.g. ImageNet's sorted ids.

    Args:
        name: name in timm, with or without the tag of published weights, e.g. ``resnet50.a1_in1k``.
        weights: file of its weights. None downloads the published ones.
    """

    def __init__(self, name: str, weights: str | None = None, **options: Any) -> None:
        super().__init__(**options)
        if not timm.is_model(name.partition(".")[0]):
            raise UserError(f"timm has no network {name!r}.")
        self.name = name
        self.weights = None if weights is None else Path(weights).expanduser()

    def prepare(self, classes: Sequence[str], device: torch.device) -> None:
        state = fetch(self.name) if self.weights is None else tensors_of(read_checkpoint(self.weights), self.weights)
        network = timm.create_model(self.name, num_classes=len(classes))
        try:
            network.load_state_dict(state)
        except RuntimeError as error:  # its message lists every tensor
            source = self.weights or "the published weights"
            raise TaskError(
                f"timm's {self.name} with {len(classes)} classes, as many as the data has, does not fit {source}: a "
                "teacher has to be trained on the student's classes."
            ) from error
        config = cast(dict[str, Any], network.pretrained_cfg)
        self._mean, self._std = (torch.tensor(config[k], device=device).view(3, 1, 1) for k in ("mean", "std"))
        self._network: nn.Module = network.to(device).eval()

    def logits(self, images: Tensor) -> Tensor:
        return self._network((images - self._mean) / self._std)
