"""SSD's augmentation: a random window, one warp of the image and its boxes, then flips and colours."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ...errors import UserError, check_range
from ..albumentation import Albumentations
from ..preprocessing import Preprocessing
from .split import Sample

Boxes = NDArray[np.float32]
Window = NDArray[np.float64]  # x1, y1, x2, y2 in whole pixels of the image; may extend beyond it


class Augmentation(ABC):
    """Turns a training sample, as stored, into the network's input.

    All randomness comes from ``random``, so a seed gives the same sample in any worker.
    """

    @abstractmethod
    def __call__(self, sample: Sample, preprocessing: Preprocessing, random: Generator) -> Sample:
        """Returns an augmented sample of ``preprocessing.size``."""


class Resize(Augmentation):
    """The preprocessing without augmentation, as in validation."""

    def __call__(self, sample: Sample, preprocessing: Preprocessing, random: Generator) -> Sample:
        """See :class:`Augmentation`."""
        height, width = sample.image.shape[:2]
        return warp(sample, np.array([0.0, 0.0, width, height]), preprocessing)


class SSDAugmentation(Augmentation):
    """Expansion, IoU crop, resize, flips and photometric distortion, as in SSD (arXiv 1512.02325, section 2.2).

    The default, crop and flip, is torchvision's SSDLite recipe; mmdetection's is ``expand=4, photometric=True``.

    Args:
        crop: whether to cut out a random window that overlaps an object enough.
        crop_scale: smallest and largest width of a window as a share of the image's width; the same for its height.
        expand: largest side of the canvas that half of the images are placed on, relative to the image, e.g. 4.
            Raise it if small objects are missed; 1 turns expansion off.
        flip: probability of a horizontal flip; set 0 if left and right matter, e.g. for text.
        vertical_flip: probability of a vertical flip, e.g. 0.5 for images from a microscope or from above.
        photometric: whether to change brightness, contrast, saturation and hue at random.
        extra: albumentations transforms to run last, e.g. ``{class_path: albumentations.GaussianBlur, init_args: {p:
            0.1}}``. They must keep the size of the image.

    Raises:
        UserError: a value is out of range.
    """

    def __init__(
        self,
        crop: bool = True,
        crop_scale: tuple[float, float] = (0.3, 1.0),
        expand: float = 1.0,
        flip: float = 0.5,
        vertical_flip: float = 0.0,
        photometric: bool = False,
        extra: list[dict[str, Any]] | None = None,
    ) -> None:
        check_range("expand", expand, ge=1)
        if not 0 < crop_scale[0] <= crop_scale[1] <= 1:
            raise UserError(f"crop_scale must be two increasing shares in 0 … 1, not {crop_scale}.")
        self.crop = crop
        self.crop_scale = crop_scale
        self.expand = expand
        self.flip = flip
        self.vertical_flip = vertical_flip
        self.albumentations = Albumentations(extra, photometric, with_boxes=True)

    def __call__(self, sample: Sample, preprocessing: Preprocessing, random: Generator) -> Sample:
        """See :class:`Augmentation`."""
        height, width = sample.image.shape[:2]
        window = np.array([0.0, 0.0, width, height])
        if self.expand > 1 and random.random() < 0.5:
            window = draw_canvas(window, self.expand, random)
        if self.crop:
            window = draw_iou_crop(window, sample.boxes, random, scale=self.crop_scale)
        sample = warp(sample, window, preprocessing)
        if random.random() < self.flip:
            sample = mirror(sample, axis=1)
        if random.random() < self.vertical_flip:
            sample = mirror(sample, axis=0)
        indices = np.arange(len(sample.boxes))
        result = self.albumentations(random, sample.image, bboxes=sample.boxes, kept=indices)
        boxes = np.asarray(result["bboxes"], dtype=np.float32).reshape(-1, 4)
        return Sample(result["image"], boxes, sample.labels[np.asarray(result["kept"], dtype=np.int64)])


def draw_canvas(window: Window, max_scale: float, random: Generator) -> Window:
    """Draws a canvas that contains ``window`` and is 1 to ``max_scale`` times as large, in whole pixels."""
    size = window[2:] - window[:2]
    canvas = np.round(size * random.uniform(1, max_scale))
    corner = window[:2] - np.round(random.random(2) * (canvas - size))
    return np.concatenate((corner, corner + canvas))


def draw_iou_crop(
    window: Window,
    boxes: Boxes,
    random: Generator,
    min_ious: Sequence[float] = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0),
    trials: int = 40,
    scale: tuple[float, float] = (0.3, 1.0),
    ratio: tuple[float, float] = (0.5, 2.0),
) -> Window:
    """Draws a crop of ``window`` that contains the centre of an object and overlaps it by a minimum IoU.

    The minimum is drawn from ``min_ious``; 1 selects the whole window. After ``trials`` failures, another minimum is
    drawn. Without objects, any crop is accepted.
    """
    size = window[2:] - window[:2]
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    while True:
        min_iou = min_ious[int(random.integers(len(min_ious)))]
        if min_iou >= 1:
            return window
        sizes = np.floor(size * random.uniform(*scale, (trials, 2)))
        corners = window[:2] + np.floor((size - sizes) * random.random((trials, 2)))
        crops = np.concatenate((corners, corners + sizes), axis=1)
        fits = (sizes[:, 0] >= ratio[0] * sizes[:, 1]) & (sizes[:, 0] <= ratio[1] * sizes[:, 1]) & (sizes > 0).all(1)
        if len(boxes):
            inside = ((centres > crops[:, None, :2]) & (centres < crops[:, None, 2:])).all(2)
            fits &= np.where(inside, box_iou(crops, boxes), -1).max(1) >= min_iou
        if fits.any():
            return crops[int(fits.argmax())]


def box_iou(boxes: NDArray[Any], others: NDArray[Any]) -> NDArray[np.float64]:
    """Intersection over union of ``boxes`` ``[n, 4]`` with ``others`` ``[m, 4]``, all x1, y1, x2, y2: ``[n, m]``."""
    corner = np.maximum(boxes[:, None, :2], others[None, :, :2])
    intersection = np.clip(np.minimum(boxes[:, None, 2:], others[None, :, 2:]) - corner, 0, None).prod(2)
    area, other_area = ((x[:, 2] - x[:, 0]) * (x[:, 3] - x[:, 1]) for x in (boxes, others))
    return intersection / (area[:, None] + other_area[None] - intersection)


def warp(sample: Sample, window: Window, preprocessing: Preprocessing) -> Sample:
    """Resamples ``window`` once to the network's input, and keeps the objects whose centre lies in it."""
    x1, y1, x2, y2 = window
    height, width = sample.image.shape[:2]
    geometry = preprocessing.geometry(round(y2 - y1), round(x2 - x1))
    scale = np.array([geometry.columns / (x2 - x1), geometry.rows / (y2 - y1)])
    shift = np.array([geometry.left, geometry.top]) - window[:2] * scale
    if x1 >= 0 and y1 >= 0 and x2 <= width and y2 <= height:
        # resizing a slice is the fastest warp, and the one that validation uses
        image = preprocessing.apply_geometry(sample.image[int(y1) : int(y2), int(x1) : int(x2)], geometry)
    else:
        matrix = np.array([[scale[0], 0, -x1 * scale[0]], [0, scale[1], -y1 * scale[1]]])
        matrix[:, 2] += scale / 2 - 0.5  # OpenCV counts from the centres of pixels, boxes from their edges
        size = (geometry.columns, geometry.rows)
        warped = cv2.warpAffine(sample.image, matrix, size, borderValue=preprocessing.fill)  # bilinear
        image = preprocessing.apply_geometry(np.asarray(warped, dtype=np.uint8), geometry)
    centres = (sample.boxes[:, :2] + sample.boxes[:, 2:]) / 2
    inside = ((centres > window[:2]) & (centres < window[2:])).all(1)
    boxes = np.clip(sample.boxes[inside], np.tile(window[:2], 2), np.tile(window[2:], 2)) * np.tile(scale, 2)
    boxes = (boxes + np.tile(shift, 2)).astype(np.float32)
    visible = (boxes[:, 2:] - boxes[:, :2] >= 1).all(1)  # nothing can be learned from less than a pixel
    return Sample(np.asarray(image, dtype=np.uint8), boxes[visible], sample.labels[inside][visible])


def mirror(sample: Sample, axis: int) -> Sample:
    """Mirrors horizontally (``axis`` 1) or vertically (``axis`` 0)."""
    size = sample.image.shape[axis]
    low, high = 1 - axis, 3 - axis
    boxes = sample.boxes.copy()
    boxes[:, low], boxes[:, high] = size - sample.boxes[:, high], size - sample.boxes[:, low]
    return sample._replace(image=np.ascontiguousarray(np.flip(sample.image, axis)), boxes=boxes)
