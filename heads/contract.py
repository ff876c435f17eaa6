"""The interface of heads: maps → output, output and targets → losses, output → predictions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from ..backbones.contract import Configurable, Features
from ..errors import UserError
from .predictions import Prediction


def full_precision(x: Tensor) -> Tensor:
    """Converts half precision to float32 and keeps other types; losses and boxes need the precision."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


class ClassDimension(NamedTuple):
    """Layout of the classes along the first dimension of a tensor.

    Attributes:
        groups: number of times the classes repeat, e.g. once per anchor of a cell.
        offset: number of rows before the classes in every group, e.g. 1 for a background class.
    """

    groups: int = 1
    offset: int = 0


def default_class_names(count: int) -> tuple[str, ...]:
    """Returns names for ``count`` classes whose names are unknown: class_0, class_1 and so on."""
    return tuple(f"class_{k}" for k in range(count))


class Head(Configurable, ABC):
    """Turns some of a backbone's maps into one kind of output.

    Every head is built as ``Head(features, num_classes, …)`` from its feature maps, finest first, and the number of
    foreground classes. All other arguments are options with defaults.

    Attributes:
        role: "classification", "detection" or "segmentation"; tasks refuse heads of another role. An empty role fits
            every task.
        class_arguments: names of the constructor arguments that change what the outputs of a class mean.
    """

    role: ClassVar[str] = ""
    class_arguments: ClassVar[tuple[str, ...]] = ()

    #: constructor arguments that come from the backbone and the data, not from the user
    GIVEN: ClassVar = ("features", "num_classes")

    @abstractmethod
    def forward(self, maps: dict[str, Tensor], image_size: tuple[int, int]) -> Any:
        """Maps of a batch, and (height, width) of its images in pixels → plain tensors."""

    @abstractmethod
    def loss(self, output: Any, targets: Any) -> dict[str, Tensor]:
        """Returns scalar loss terms by name; training minimises their sum."""

    @abstractmethod
    def decode(self, output: Any, image_size: tuple[int, int]) -> Sequence[Prediction]:
        """Returns the prediction of each image, in pixels of the network's input."""

    def exported_outputs(self, output: Any, image_size: tuple[int, int]) -> dict[str, Tensor]:
        """Returns what an exported file outputs, by name, computed by operations that ``torch.export`` can trace.

        Classifiers return "probabilities" ``[N, C]``, and segmentation heads "logits" ``[N, C, H, W]``. Detectors
        return "boxes" ``[N, A, 4]`` as x1, y1, x2, y2 in pixels, inside the input, and "scores" ``[N, A, C]``, 0 … 1.
        C is the number of foreground classes, and A that of boxes before suppression. A detector also needs an
        attribute ``postprocess``, a :class:`~litmobile.heads.ssdlite.decode.PostprocessConfig`, which exported files
        or the programs that run them apply.

        Args:
            output: of the head, for N images.
            image_size: (height, width) of the images in pixels.

        Raises:
            UserError: the head does not define it.
        """
        raise UserError(f"{type(self).__name__} cannot be exported: define its method exported_outputs.")

    def class_dimensions(self) -> dict[str, ClassDimension]:
        """Returns the tensors whose shape depends on the classes; fine-tuning on other classes reinitialises them."""
        return {}


HeadFactory = Callable[[Features, int], Head]
