"""What every head promises: built from features, it turns maps into an answer, an answer into losses or predictions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from ..backbones.contract import Configurable, Features
from .predictions import Prediction


def full_precision(x: Tensor) -> Tensor:
    """Half-precision tensors as float32, others as they are: losses and boxes need the bits."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


class ClassDimension(NamedTuple):
    """How the first dimension of a tensor splits by class.

    Attributes:
        groups: how many times the classes follow one another, such as once for every anchor of a cell.
        background: rows of every group that come before those of the classes.
    """

    groups: int = 1
    background: int = 0


def default_class_names(count: int) -> tuple[str, ...]:
    """What ``count`` classes are called where nothing tells their names."""
    return tuple(f"class_{k}" for k in range(count))


class Head(Configurable, ABC):
    """Turns some of a backbone's maps into one kind of answer.

    Every head is built as ``Head(features, num_classes, …)``: the feature maps it will be given, finest first, and the
    number of foreground classes. All other arguments are options with defaults.

    Attributes:
        role: what it answers, "classification", "detection" or "segmentation"; tasks refuse heads of another role, and
            take those that name none.
    """

    role: ClassVar[str] = ""

    #: constructor arguments that come from the backbone and the data, not from the user
    GIVEN: ClassVar = ("features", "num_classes")

    @abstractmethod
    def forward(self, maps: dict[str, Tensor], image_size: tuple[int, int]) -> Any:
        """Maps of a batch, and the (height, width) of its images in pixels → plain tensors."""

    @abstractmethod
    def loss(self, output: Any, targets: Any) -> dict[str, Tensor]:
        """Named scalar terms, whose sum is what training minimises."""

    @abstractmethod
    def decode(self, output: Any, image_size: tuple[int, int]) -> Sequence[Prediction]:
        """Predictions image by image, in pixels of the network's input."""

    def class_dimensions(self) -> dict[str, ClassDimension]:
        """Every tensor whose shape hangs on the number of classes; a training from other classes starts these anew."""
        return {}


HeadFactory = Callable[[Features, int], Head]
