"""What heads that classify every pixel share: loss, decoding and the rows of their classes."""

from __future__ import annotations

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from ..errors import UserError
from .contract import ClassDimension, Head, full_precision
from .predictions import IGNORED, Segmentation


class PixelHead(Head):
    """A head whose output is logits ``[N, num_classes, H, W]`` at the size of the images, in single precision or more.

    Logits are enlarged in full precision, too: bfloat16 would make neighbouring classes equal.

    Attributes:
        class_layers: names of the layers that have a filter and a bias for every class.
    """

    role = "segmentation"
    class_layers: ClassVar[tuple[str, ...]]

    def loss(self, output: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Cross-entropy with label maps ``[N, H, W]``, a mean over the labelled pixels; 0 where there are none."""
        total = F.cross_entropy(full_precision(output), targets.long(), ignore_index=IGNORED, reduction="sum")
        return {"segmentation": total / (targets != IGNORED).sum().clamp(min=1)}

    def decode(self, output: Tensor, image_size: tuple[int, int]) -> list[Segmentation]:
        """Logits, image by image."""
        return [Segmentation(logits) for logits in full_precision(output)]

    def class_dimensions(self) -> dict[str, ClassDimension]:
        return {f"{layer}.{leaf}": ClassDimension() for layer in self.class_layers for leaf in ("weight", "bias")}


def check_options(head: Head, num_classes: int, filters: int) -> None:
    """Raises ValueError unless a byte can hold the classes and what counts as none of them, and there are filters."""
    if not 1 <= num_classes < IGNORED:
        raise UserError(f"{type(head).__name__} tells 1 to {IGNORED - 1} classes apart, not {num_classes}.")
    if filters < 1:
        raise UserError(f"{type(head).__name__} needs at least one filter, not {filters}.")


def enlarged(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Maps ``[N, C, h, w]`` at another (height, width), bilinearly between the centres of cells."""
    return F.interpolate(x, size=size, mode="bilinear", align_corners=False)
