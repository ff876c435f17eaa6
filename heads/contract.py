"""What every head promises: built from features, it turns maps into an answer, an answer into losses or predictions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from ..backbones.contract import Feature, Part
from .predictions import Prediction

Features = dict[str, Feature]


def full_precision(x: Tensor) -> Tensor:
    """Half-precision tensors as float32, others as they are: losses and boxes need the bits."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


class Head(Part, ABC):
    """Turns some of a backbone's maps into one kind of answer.

    Every head is built as ``Head(features, num_classes, width, …)``: the maps it will be given, finest first, the
    number of foreground classes, and the backbone's width multiplier. The rest are options with defaults.
    """

    #: constructor arguments that come from the backbone and the data, not from the user
    GIVEN: ClassVar = ("features", "num_classes", "width")

    @abstractmethod
    def forward(self, maps: dict[str, Tensor], image_size: tuple[int, int]) -> Any:
        """Maps of a batch, and the (height, width) of its images in pixels → plain tensors."""

    @abstractmethod
    def loss(self, output: Any, targets: Any) -> dict[str, Tensor]:
        """Named scalar terms, whose sum is what training minimises."""

    @abstractmethod
    def decode(self, output: Any, image_size: tuple[int, int]) -> Sequence[Prediction]:
        """Predictions image by image, in pixels of the network's input."""


HeadFactory = Callable[[Features, int, float], Head]
