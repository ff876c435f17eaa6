"""Teachers: trained classifiers whose answers a smaller one learns to give (Hinton et al. 2015, arXiv 1503.02531)."""

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
from ...errors import TaskError, UserError
from ...heads.contract import full_precision
from ..network import load


class Teacher(ABC):
    """Gives the student logits to learn from, for the images that it sees.

    The teacher is no part of the student's network: neither its checkpoints nor its averages hold it.

    Args:
        temperature: that both distributions are softened by before they are compared.
        distillation_weight: of the distillation in the loss; the true classes have the rest.
        size: side in pixels of square images that the teacher wants; None gives it the student's images.
    """

    def __init__(self, temperature: float, distillation_weight: float, size: int | None) -> None:
        if not 0 < temperature < float("inf"):
            raise UserError(f"temperature must be positive and finite, not {temperature}.")
        if not 0 < distillation_weight <= 1:
            raise UserError(f"share must be in 0 … 1, 0 not included, not {distillation_weight}.")
        if size is not None and size < 32:
            raise UserError(f"A teacher's size must be at least 32 pixels, not {size}.")
        self.temperature = temperature
        self.distillation_weight = distillation_weight
        self.size = size

    @abstractmethod
    def prepare(self, classes: Sequence[str], device: torch.device) -> None:
        """Loads the teacher onto ``device``, for a student of ``classes``.

        Raises:
            TaskError: it does not know these classes.
            WeightsError: there is no such teacher.
        """

    @abstractmethod
    def logits(self, images: Tensor) -> Tensor:
        """Images ``[N, 3, H, W]`` in 0 … 1 → logits ``[N, C]`` in the order of the student's classes."""

    @torch.no_grad()
    def answer(self, images: Tensor) -> Tensor:
        """Images ``[N, 3, H, W]``, uint8 or floats in 0 … 1, as the student gets them → logits ``[N, C]``."""
        images = images if images.is_floating_point() else images.float() / 255
        if self.size is not None and images.shape[2:] != (self.size, self.size):
            images = F.interpolate(images, (self.size, self.size), mode="bilinear", antialias=True)
        return full_precision(self.logits(images))

    def terms(self, loss: dict[str, Tensor], student: Tensor, teacher: Tensor) -> dict[str, Tensor]:
        """The terms of the student's ``loss`` beside the divergence of both softened distributions.

        The divergence is multiplied by the square of the temperature, which its gradients are divided by (section 2.1).

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
        distillation = self.distillation_weight * self.temperature**2 * divergence
        return {name: (1 - self.distillation_weight) * term for name, term in loss.items()} | {
            "distillation": distillation
        }


class RunTeacher(Teacher):
    """The best network of one of your runs.

    Args:
        run: its folder, or a checkpoint file. Classes are matched by name; those that the student lacks are left out.
        temperature: see :class:`Teacher`, as for the rest.
        distillation_weight: of the distillation in the loss.
        size: of the images that it wants, in pixels.
    """

    def __init__(
        self, run: str, temperature: float = 1.0, distillation_weight: float = 0.5, size: int | None = None
    ) -> None:
        super().__init__(temperature, distillation_weight, size)
        self.run = Path(run).expanduser()

    def prepare(self, classes: Sequence[str], device: torch.device) -> None:
        network = load(self.run)
        if network.head.role != "classification":
            raise TaskError(f"The teacher {self.run} is no classifier: its head is {type(network.head).__name__}.")
        lost = [name for name in classes if name not in network.classes]
        if lost:
            raise TaskError(f"The teacher {self.run} does not know the class {lost[0]}, which the data has.")
        self._rows = torch.tensor([network.classes.index(name) for name in classes], device=device)
        self._network = network.to(device)

    def logits(self, images: Tensor) -> Tensor:
        return self._network(images)[:, self._rows]


class TimmTeacher(Teacher):
    """A classifier of timm's, whose classes have to be the student's in the same order, as ImageNet's sorted ones are.

    Args:
        name: of the network, with or without the tag of published weights, such as "resnet50.a1_in1k".
        weights: file to read its weights from; None downloads the published ones.
        temperature: see :class:`Teacher`, as for the rest.
        distillation_weight: of the distillation in the loss.
        size: of the images that it wants, in pixels.
    """

    def __init__(
        self,
        name: str,
        weights: str | None = None,
        temperature: float = 1.0,
        distillation_weight: float = 0.5,
        size: int | None = None,
    ) -> None:
        super().__init__(temperature, distillation_weight, size)
        if not timm.is_model(name.partition(".")[0]):
            raise UserError(f"timm has no network {name!r}.")
        self.name = name
        self.weights = None if weights is None else Path(weights).expanduser()

    def prepare(self, classes: Sequence[str], device: torch.device) -> None:
        state = fetch(self.name) if self.weights is None else tensors_of(read_checkpoint(self.weights), self.weights)
        network = timm.create_model(self.name, num_classes=len(classes))
        try:
            network.load_state_dict(state)
        except RuntimeError as error:  # which lists every tensor
            source = self.weights or "what is published"
            raise TaskError(
                f"timm's {self.name} with {len(classes)} classes, which the data has, does not fit the weights of "
                f"{source}: a teacher has to be trained on the student's classes."
            ) from error
        config = cast(dict[str, Any], network.pretrained_cfg)
        self._mean, self._std = (torch.tensor(config[k], device=device).view(3, 1, 1) for k in ("mean", "std"))
        self._network: nn.Module = network.to(device).eval()

    def logits(self, images: Tensor) -> Tensor:
        return self._network((images - self._mean) / self._std)
