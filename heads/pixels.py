"""Base class of heads that classify every pixel: loss, decoding and class layers."""

from __future__ import annotations

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from ..errors import check_range
from .contract import ClassDimension, Head, full_precision
from .predictions import IGNORED, Segmentation


class PixelHead(Head):
    """A head whose output is logits ``[N, num_classes, H, W]`` at the size of the images, in float32 or float64.

    Logits are upsampled in full precision as well, because bfloat16 would round scores of different classes to equal
    values.

    Attributes:
        class_layers: names of the layers that have a filter and a bias per class.
    """

    role = "segmentation"
    class_layers: ClassVar[tuple[str, ...]]

    def loss(self, output: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Computes the mean cross-entropy over labelled pixels of label maps ``[N, H, W]``; 0 if none is labelled."""
        total = F.cross_entropy(full_precision(output), targets.long(), ignore_index=IGNORED, reduction="sum")
        return {"segmentation": total / (targets != IGNORED).sum().clamp(min=1)}

    def decode(self, output: Tensor, image_size: tuple[int, int]) -> list[Segmentation]:
        """Returns the logits of each image."""
        return [Segmentation(logits) for logits in full_precision(output)]

    def exported_outputs(self, output: Tensor, image_size: tuple[int, int]) -> dict[str, Tensor]:
        """Returns "logits" ``[N, num_classes, H, W]``."""
        return {"logits": output}

    def class_dimensions(self) -> dict[str, ClassDimension]:
        return {f"{layer}.{leaf}": ClassDimension() for layer in self.class_layers for leaf in ("weight", "bias")}


def check_options(head: Head, num_classes: int, channels: int) -> None:
    """Raises UserError unless ``num_classes`` is in 1 … 254 and ``channels`` is at least 1."""
    check_range(f"{type(head).__name__}'s num_classes", num_classes, ge=1, le=IGNORED - 1)
    check_range(f"{type(head).__name__}'s channels", channels, ge=1)


def resize_maps(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Resizes maps ``[N, C, h, w]`` bilinearly to ``size``, (height, width)."""
    return F.interpolate(x, size=size, mode="bilinear", align_corners=False)
