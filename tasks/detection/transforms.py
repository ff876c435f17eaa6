"""SSD's augmentation: a random window, one warp of the image and its boxes, then flips and colours."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ...errors import UserError, check_range
from ...heads.predictions import ResizeGeometry
from ..albumentation import Albumentations
from ..images import Image, ImageSource, Region, get_size
from ..preprocessing import Preprocessing
from .split import Sample

Boxes = NDArray[np.float32]
Window = NDArray[np.float64]  # x1, y1, x2, y2 in whole pixels of the image; may extend beyond it


class Augmentation(ABC):
    """Turns a training sample, as stored, into the network's input.

    All randomness comes from ``random``, so a seed gives the same sample in any worker.
    """

    #: whether images may be files that are not decoded yet (:class:`..images.EncodedImage`)
    accepts_encoded: ClassVar[bool] = False

    @abstractmethod
    def __call__(self, sample: Sample[Any], preprocessing: Preprocessing, random: Generator) -> Sample[Image]:
        """Returns an augmented sample of ``preprocessing.size``."""


class Resize(Augmentation):
    """The preprocessing without augmentation, as in validation."""

    def __call__(self, sample: Sample[Image], preprocessing: Preprocessing, random: Generator) -> Sample[Image]:
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

    accepts_encoded = True

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
        check_range("flip", flip, ge=0, le=1)
        check_range("vertical_flip", vertical_flip, ge=0, le=1)
        if not 0 < crop_scale[0] <= crop_scale[1] <= 1:
            raise UserError(f"crop_scale must be two increasing shares in 0 … 1, not {crop_scale}.")
        self.crop = crop
        self.crop_scale = crop_scale
        self.expand = expand
        self.flip = flip
        self.vertical_flip = vertical_flip
        self.albumentations = Albumentations(extra, photometric, with_boxes=True)

    def __call__(self, sample: Sample[ImageSource], preprocessing: Preprocessing, random: Generator) -> Sample[Image]:
        """See :class:`Augmentation`."""
        height, width = get_size(sample.image)
        window = np.array([0.0, 0.0, width, height])
        if self.expand > 1 and random.random() < 0.5:
            window = draw_canvas(window, self.expand, random)
        if self.crop:
            window = draw_iou_crop(window, sample.boxes, random, scale=self.crop_scale)
        view = warp(sample, window, preprocessing)
        if random.random() < self.flip:
            view = mirror(view, axis=1)
        if random.random() < self.vertical_flip:
            view = mirror(view, axis=0)
        result = self.albumentations(random, view.image, bboxes=view.boxes, kept=np.arange(len(view.boxes)))
        boxes = np.asarray(result["bboxes"], dtype=np.float32).reshape(-1, 4)
        return Sample(result["image"], boxes, view.labels[np.asarray(result["kept"], dtype=np.int64)])


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
    while True:
        min_iou = min_ious[int(random.integers(len(min_ious)))]
        if min_iou >= 1:
            return window
        shares, shifts = random.random((2, trials, 2))
        sizes = np.floor(size * (scale[0] + (scale[1] - scale[0]) * shares))
        corners = window[:2] + np.floor((size - sizes) * shifts)
        width, height = sizes.T
        fits = (width >= ratio[0] * height) & (width <= ratio[1] * height) & (width > 0)
        crops = np.concatenate((corners, corners + sizes), axis=1)
        if len(boxes):
            fits &= (contain_centres(crops, boxes) & (box_iou(crops, boxes) >= min_iou)).any(1)
        if fits.any():
            return crops[fits.argmax()]


def contain_centres(windows: NDArray[Any], boxes: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether each of ``windows`` ``[n, 4]`` contains the centre of each of ``boxes`` ``[m, 4]``: ``[n, m]``."""
    x1, y1, x2, y2 = windows.T[:, :, None]
    x, y = (boxes[:, :2] + boxes[:, 2:]).T / 2
    return (x > x1) & (x < x2) & (y > y1) & (y < y2)


def box_iou(boxes: NDArray[Any], others: NDArray[Any]) -> NDArray[np.float64]:
    """Intersection over union of ``boxes`` ``[n, 4]`` with ``others`` ``[m, 4]``, all x1, y1, x2, y2: ``[n, m]``."""
    # by column, because NumPy is slow in reducing an axis of two
    (x1, y1, x2, y2), (left, top, right, bottom) = boxes.T[:, :, None], others.T
    width = np.minimum(x2, right) - np.maximum(x1, left)
    height = np.minimum(y2, bottom) - np.maximum(y1, top)
    intersection = np.maximum(width, 0) * np.maximum(height, 0)
    return intersection / ((x2 - x1) * (y2 - y1) + (right - left) * (bottom - top) - intersection)


def warp(sample: Sample[ImageSource], window: Window, preprocessing: Preprocessing) -> Sample[Image]:
    """Resizes ``window`` to the network's input, and keeps the objects whose centre lies in it.

    The part of the window inside the image covers whole pixels of the input; boxes move with it.
    """
    inside = contain_centres(window[None], sample.boxes)[0]
    region, place = locate(window, get_size(sample.image), preprocessing)
    if not (region.height and region.width):
        empty = np.full((*preprocessing.size, 3), preprocessing.fill, dtype=np.uint8)
        return Sample(empty, sample.boxes[inside], sample.labels[inside])  # a box in the image cannot be inside
    image, shown = preprocessing.crop(sample.image, region, place)
    start, end = np.array([[shown.left, shown.top] * 2, [*shown.ends[::-1]] * 2])
    scale = np.array([place.columns / shown.width, place.rows / shown.height] * 2)
    boxes = np.minimum(np.maximum(sample.boxes, start), end)
    boxes = ((boxes - start) * scale + np.array([place.left, place.top] * 2)).astype(np.float32)
    kept = inside & (boxes[:, 2:] - boxes[:, :2] >= 1).all(1)  # nothing can be learned from less than a pixel
    return Sample(image, boxes[kept], sample.labels[kept])


def locate(window: Window, size: tuple[int, int], preprocessing: Preprocessing) -> tuple[Region, ResizeGeometry]:
    """Returns the part of ``window`` that lies in an image of ``size`` (height, width), and its place in the input."""
    x1, y1, x2, y2 = map(int, window.tolist())
    whole = preprocessing.geometry(y2 - y1, x2 - x1)
    top, rows_top, height, rows = locate_side(y1, y2, size[0], whole.rows)
    left, columns_left, width, columns = locate_side(x1, x2, size[1], whole.columns)
    place = ResizeGeometry(height, width, whole.top + rows_top, whole.left + columns_left, rows, columns)
    return Region(top, left, height, width), place


def locate_side(start: int, end: int, image: int, length: int) -> tuple[int, int, int, int]:
    """Locates one side of a window from ``start`` to ``end``, which fills ``length`` pixels of the input.

    Returns:
        First pixel in ``image`` pixels, first pixel in the input, number of pixels in the image and in the input.
    """
    first, last = max(0, start), min(image, end)
    scale = length / (end - start)
    shown_first = min(round((first - start) * scale), length - 1)
    shown = max(1, round((last - start) * scale) - shown_first)
    return first, shown_first, max(0, last - first), shown


def mirror(sample: Sample[Image], axis: int) -> Sample[Image]:
    """Mirrors horizontally (``axis`` 1) or vertically (``axis`` 0)."""
    size = sample.image.shape[axis]
    image = np.asarray(cv2.flip(sample.image, axis), dtype=np.uint8)  # forty times as fast as copying a view
    low, high = 1 - axis, 3 - axis
    boxes = sample.boxes.copy()
    boxes[:, low], boxes[:, high] = size - sample.boxes[:, high], size - sample.boxes[:, low]
    return Sample(image, boxes, sample.labels)
