"""What heads are trained on and what they predict, and the way from the network's input back to the image."""

from __future__ import annotations

from typing import NamedTuple, Protocol, Self

import torch
import torch.nn.functional as F
from torch import Tensor

#: label of pixels that count as no class
IGNORED = 255


class Frame(NamedTuple):
    """Where an image lies in the network's input.

    Attributes:
        height: of the image, in pixels.
        width: of the image, in pixels.
        top: first row of the input that shows the image.
        left: first column of the input that shows the image.
        rows: how many rows of the input show it.
        columns: how many columns of the input show it.
    """

    height: int
    width: int
    top: int
    left: int
    rows: int
    columns: int

    def to_input(self, boxes: Tensor) -> Tensor:
        """Boxes ``[…, 4]`` in pixels of the image → in pixels of the input."""
        scale, shift = self._scale_and_shift(boxes)
        return boxes * scale + shift

    def to_image(self, boxes: Tensor) -> Tensor:
        """Boxes ``[…, 4]`` in pixels of the input → in pixels of the image, cut at its borders."""
        scale, shift = self._scale_and_shift(boxes)
        x1, y1, x2, y2 = ((boxes - shift) / scale).unbind(-1)
        return torch.stack(
            (x1.clamp(0, self.width), y1.clamp(0, self.height), x2.clamp(0, self.width), y2.clamp(0, self.height)),
            dim=-1,
        )

    def _scale_and_shift(self, like: Tensor) -> tuple[Tensor, Tensor]:
        x, y = self.columns / self.width, self.rows / self.height
        return like.new_tensor([x, y, x, y]), like.new_tensor([self.left, self.top, self.left, self.top])


class Prediction(Protocol):
    """A head's answer for one image."""

    def to_image(self, frame: Frame) -> Self:
        """The answer in pixels of the image that ``frame`` lays into the network's input."""
        ...


class BoxTargets(NamedTuple):
    """Objects of a batch, padded to one number of boxes an image.

    Attributes:
        boxes: ``[N, M, 4]`` as x1, y1, x2, y2 in pixels of the network's input.
        labels: ``[N, M]`` foreground classes from 0; −1 where a row is padding.
    """

    boxes: Tensor
    labels: Tensor


class Detections(NamedTuple):
    """Objects found in one image, best first.

    Attributes:
        boxes: ``[K, 4]`` as x1, y1, x2, y2 in pixels.
        scores: ``[K]`` in 0 … 1.
        labels: ``[K]`` foreground classes from 0.
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor

    def to_image(self, frame: Frame) -> Detections:
        """See :meth:`Prediction.to_image`."""
        return self._replace(boxes=frame.to_image(self.boxes))


class Segmentation(NamedTuple):
    """The classes of every pixel of one image: ``scores`` ``[num_classes, H, W]``, of which the greatest counts."""

    scores: Tensor

    @property
    def labels(self) -> Tensor:
        """The class of every pixel, ``[H, W]`` int64."""
        return self.scores.max(0).indices  # what argmax finds, in half of its time on a CPU

    def to_image(self, frame: Frame) -> Segmentation:
        """See :meth:`Prediction.to_image`; scores are enlarged or shrunk bilinearly, which keeps edges finer."""
        shown = self.scores[:, frame.top : frame.top + frame.rows, frame.left : frame.left + frame.columns]
        if shown.shape[1:] == (frame.height, frame.width):
            return Segmentation(shown)
        resized = F.interpolate(shown[None], size=(frame.height, frame.width), mode="bilinear", align_corners=False)
        return Segmentation(resized[0])


class Classification(NamedTuple):
    """The class of one image: ``scores`` ``[num_classes]`` in 0 … 1, which sum to 1 where they come from a softmax."""

    scores: Tensor

    def to_image(self, frame: Frame) -> Classification:
        """See :meth:`Prediction.to_image`; a class has no place."""
        return self
