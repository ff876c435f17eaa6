"""What heads are trained on and what they predict, and the way from the network's input back to the image."""

from __future__ import annotations

import functools
from typing import NamedTuple, Protocol, Self

import torch
import torch.nn.functional as F
from torch import Tensor

#: label of pixels that count as no class
IGNORED = 255


class ResizeGeometry(NamedTuple):
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

    def to_image(self, geometry: ResizeGeometry) -> Self:
        """The answer in pixels of the image that ``geometry`` lays into the network's input."""
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

    def to_image(self, geometry: ResizeGeometry) -> Detections:
        """See :meth:`Prediction.to_image`."""
        return self._replace(boxes=geometry.to_image(self.boxes))


class Segmentation:
    """The classes of every pixel of one image.

    It keeps the scores as the network gave them and resizes them, bilinearly, which keeps edges finer, when they are
    asked for: those of a photo of 12 megapixels and 21 classes take a gigabyte.

    Args:
        scores: ``[num_classes, h, w]``, of which the greatest counts.
        geometry: the part of them that shows the image, and the image's size; None takes all of them as they are.
    """

    def __init__(self, scores: Tensor, geometry: ResizeGeometry | None = None) -> None:
        if geometry is not None:
            scores = scores[
                :, geometry.top : geometry.top + geometry.rows, geometry.left : geometry.left + geometry.columns
            ]
        self._shown = scores
        self._size = tuple(scores.shape[1:]) if geometry is None else (geometry.height, geometry.width)

    @property
    def resizes(self) -> bool:
        """Whether the image has another size than the part of the scores that shows it."""
        return self._shown.shape[1:] != self._size

    @property
    def scores(self) -> Tensor:
        """The scores of every pixel, ``[num_classes, H, W]``."""
        return torch.stack([self._plane(k) for k in range(len(self._shown))]) if self.resizes else self._shown

    @functools.cached_property
    def labels(self) -> Tensor:
        """The class of every pixel, ``[H, W]`` int64, the first of equals; resizes the scores class by class."""
        if not self.resizes:
            return self._shown.max(0).indices  # what argmax finds, in half of its time on a CPU
        best = self._plane(0)
        labels = torch.zeros(best.shape, dtype=torch.int64, device=best.device)
        for k in range(1, len(self._shown)):
            plane = self._plane(k)
            labels.masked_fill_(plane > best, k)
            best = torch.maximum(best, plane)
        return labels

    def to_image(self, geometry: ResizeGeometry) -> Segmentation:
        """See :meth:`Prediction.to_image`."""
        return Segmentation(self.scores, geometry)

    def _plane(self, k: int) -> Tensor:
        """The resized scores of class ``k``, ``[H, W]``: one way for labels and scores, which agree to the last bit."""
        plane = self._shown[k][None, None]
        return F.interpolate(plane, size=self._size, mode="bilinear", align_corners=False)[0, 0]


class Classification(NamedTuple):
    """The class of one image: ``scores`` ``[num_classes]`` in 0 … 1, which sum to 1 where they come from a softmax."""

    scores: Tensor

    def to_image(self, geometry: ResizeGeometry) -> Classification:
        """See :meth:`Prediction.to_image`; a class has no place."""
        return self
