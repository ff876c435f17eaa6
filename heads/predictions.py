"""Targets and predictions of heads, and the geometry that maps predictions back to the original image."""

from __future__ import annotations

import functools
from typing import NamedTuple, Protocol, Self

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import PredictionError

#: label of pixels that loss and metrics ignore
IGNORED = 255
#: message of a PredictionError
NOT_FINITE = "The network's {} are NaN or infinite; lower the learning rate or load other weights."


def check_scores(scores: Tensor) -> None:
    """Raises PredictionError if a score is NaN or infinite: the highest of NaN is a class, which would be wrong.

    The CPU waits for the accelerator.
    """
    if not scores.isfinite().all():
        raise PredictionError(NOT_FINITE.format("scores"))


class ResizeGeometry(NamedTuple):
    """Position of a resized image in the network's input.

    Attributes:
        height: height of the original image in pixels.
        width: width of the original image in pixels.
        top: first row of the input that shows the image.
        left: first column of the input that shows the image.
        rows: number of rows of the input that show the image.
        columns: number of columns of the input that show the image.
    """

    height: int
    width: int
    top: int
    left: int
    rows: int
    columns: int

    def to_image(self, boxes: Tensor) -> Tensor:
        """Maps boxes ``[…, 4]`` from pixels of the input to pixels of the image, and clips them to the image."""
        x, y = self.columns / self.width, self.rows / self.height
        scale, shift = boxes.new_tensor([x, y, x, y]), boxes.new_tensor([self.left, self.top, self.left, self.top])
        limit = boxes.new_tensor([self.width, self.height, self.width, self.height])
        return torch.minimum(((boxes - shift) / scale).clamp(min=0), limit)


class Prediction(Protocol):
    """A head's prediction for one image."""

    def to_image(self, geometry: ResizeGeometry) -> Self:
        """Converts pixels of the network's input to pixels of the original image."""
        ...


class BoxTargets(NamedTuple):
    """Objects of a batch, padded to the same number of boxes per image.

    Attributes:
        boxes: ``[N, M, 4]`` as x1, y1, x2, y2 in pixels of the network's input.
        labels: ``[N, M]`` foreground classes from 0; −1 for padding.
    """

    boxes: Tensor
    labels: Tensor


class Detections(NamedTuple):
    """Objects detected in one image, highest score first.

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
    """The class of every pixel of one image.

    Scores are resized only on access, because 21 classes of a 12-megapixel photo take a gigabyte. Resizing scores
    bilinearly gives finer edges than resizing labels.

    Args:
        scores: ``[num_classes, h, w]``; the highest gives the class.
        geometry: the part of the scores that shows the image, and the image's size; None uses the scores unchanged.
    """

    def __init__(self, scores: Tensor, geometry: ResizeGeometry | None = None) -> None:
        if geometry is not None:
            scores = scores[
                :, geometry.top : geometry.top + geometry.rows, geometry.left : geometry.left + geometry.columns
            ]
        self._scores = scores
        self._size = tuple(scores.shape[1:]) if geometry is None else (geometry.height, geometry.width)

    @property
    def needs_resizing(self) -> bool:
        """Whether the stored scores have another size than the image."""
        return self._scores.shape[1:] != self._size

    @property
    def scores(self) -> Tensor:
        """The scores of every pixel, ``[num_classes, H, W]``."""
        if not self.needs_resizing:
            return self._scores
        return torch.stack([self._resize_class(k) for k in range(len(self._scores))])

    @functools.cached_property
    def labels(self) -> Tensor:
        """The class of every pixel, ``[H, W]`` int64, the first of equal scores; resizes one class at a time."""
        if not self.needs_resizing:
            return self._scores.max(0).indices  # equals argmax, in half the time on a CPU
        best = self._resize_class(0)
        labels = torch.zeros(best.shape, dtype=torch.int64, device=best.device)
        for k in range(1, len(self._scores)):
            plane = self._resize_class(k)
            labels.masked_fill_(plane > best, k)
            best = torch.maximum(best, plane)
        return labels

    def to_image(self, geometry: ResizeGeometry) -> Segmentation:
        """See :meth:`Prediction.to_image`."""
        return Segmentation(self.scores, geometry)

    def cpu(self) -> Segmentation:
        """Returns the segmentation on the CPU; labels are computed before, on the device of the scores."""
        if self._scores.device.type == "cpu":
            return self
        moved = Segmentation(self._scores.cpu())
        moved._size, moved.labels = self._size, self.labels.cpu()
        return moved

    def _resize_class(self, k: int) -> Tensor:
        """Resizes the scores of class ``k`` to ``[H, W]``; labels and scores share this, so that they agree exactly."""
        plane = self._scores[k][None, None]
        return F.interpolate(plane, size=self._size, mode="bilinear", align_corners=False)[0, 0]


class Classification(NamedTuple):
    """The class of one image: ``scores`` ``[num_classes]`` in 0 … 1; softmax scores sum to 1."""

    scores: Tensor

    def to_image(self, geometry: ResizeGeometry) -> Classification:
        """See :meth:`Prediction.to_image`; a class has no position, so nothing changes."""
        return self
