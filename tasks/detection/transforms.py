"""SSD's augmentation: one window chosen, one warp made of it, colours last; and the way albumentations is let in."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ...errors import UserError
from ..albumentation import albumentation, check_made, photometric_distortion, seed
from ..preprocessing import Preprocessing
from .split import Sample

Boxes = NDArray[np.float32]
Window = NDArray[np.float64]  # x1, y1, x2, y2 in whole pixels of the image; may reach beyond it


class Augmentation(ABC):
    """What a data set does to a sample while training: from the image as read to the network's input.

    All randomness comes from ``random``, so that a seed repeats and workers differ.
    """

    @abstractmethod
    def __call__(self, sample: Sample, preprocessing: Preprocessing, random: Generator) -> Sample:
        """Gives a sample of ``preprocessing.size``."""


class Resize(Augmentation):
    """No augmentation: the preprocessing alone, as in validation."""

    def __call__(self, sample: Sample, preprocessing: Preprocessing, random: Generator) -> Sample:
        """See :class:`Augmentation`."""
        height, width = sample.image.shape[:2]
        return warp(sample, np.array([0.0, 0.0, width, height]), preprocessing)


class SSDAugmentation(Augmentation):
    """Expansion, IoU crop, resize, flip and photometric distortion, in this order (SSD, arXiv 1512.02325, section 2.2).

    torchvision's SSDLite recipe is the default (crop and flip); mmdetection's is ``expand=4, photometric=True``.

    Args:
        crop: cut out a random window that some object overlaps enough.
        crop_scale: least and greatest share of the image's width, and of its height, that a window has.
        expand: half of the images are laid into a canvas of up to so many times their sides; 1 for none.
        flip: probability of mirroring left and right.
        vertical_flip: probability of mirroring up and down.
        photometric: random brightness, contrast, saturation and hue.
        extra: transforms of albumentations that run last, each as ``{class_path: albumentations.GaussianBlur,
            init_args: {p: 0.1}}``.
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
        if expand < 1:
            raise UserError(f"expand must be at least 1, not {expand}.")
        if not 0 < crop_scale[0] <= crop_scale[1] <= 1:
            raise UserError(f"crop_scale must be two rising shares in 0 … 1, not {crop_scale}.")
        self.crop = crop
        self.crop_scale = crop_scale
        self.expand = expand
        self.flip = flip
        self.vertical_flip = vertical_flip
        transforms = [*(photometric_distortion() if photometric else []), *map(albumentation, extra or [])]
        self.colours = Albumentations(transforms) if transforms else None

    def __call__(self, sample: Sample, preprocessing: Preprocessing, random: Generator) -> Sample:
        """See :class:`Augmentation`."""
        height, width = sample.image.shape[:2]
        window = np.array([0.0, 0.0, width, height])
        if self.expand > 1 and random.random() < 0.5:
            window = expand(window, self.expand, random)
        if self.crop:
            window = iou_crop(window, sample.boxes, random, scale=self.crop_scale)
        sample = warp(sample, window, preprocessing)
        if random.random() < self.flip:
            sample = mirror(sample, axis=1)
        if random.random() < self.vertical_flip:
            sample = mirror(sample, axis=0)
        return sample if self.colours is None else self.colours(sample, random)


def expand(window: Window, most: float, random: Generator) -> Window:
    """A canvas 1 to ``most`` times as large, in whole pixels, with ``window`` somewhere in it."""
    size = window[2:] - window[:2]
    canvas = np.round(size * random.uniform(1, most))
    corner = window[:2] - np.round(random.random(2) * (canvas - size))
    return np.concatenate((corner, corner + canvas))


def iou_crop(
    window: Window,
    boxes: Boxes,
    random: Generator,
    least_ious: Sequence[float] = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0),
    trials: int = 40,
    scale: tuple[float, float] = (0.3, 1.0),
    ratio: tuple[float, float] = (0.5, 2.0),
) -> Window:
    """A part of ``window`` that holds an object's centre and overlaps such an object by a least IoU.

    The IoU is drawn from ``least_ious``; 1 stands for the whole window. After ``trials`` failures another IoU is drawn.
    Without objects any part will do.
    """
    size = window[2:] - window[:2]
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    while True:
        least = least_ious[int(random.integers(len(least_ious)))]
        if least >= 1:
            return window
        sizes = np.floor(size * random.uniform(*scale, (trials, 2)))
        corners = window[:2] + np.floor((size - sizes) * random.random((trials, 2)))
        parts = np.concatenate((corners, corners + sizes), axis=1)
        fits = (sizes[:, 0] >= ratio[0] * sizes[:, 1]) & (sizes[:, 0] <= ratio[1] * sizes[:, 1]) & (sizes > 0).all(1)
        if len(boxes):
            inside = ((centres > parts[:, None, :2]) & (centres < parts[:, None, 2:])).all(2)
            fits &= np.where(inside, iou(parts, boxes), -1).max(1) >= least
        if fits.any():
            return parts[int(fits.argmax())]


def iou(windows: Window, boxes: Boxes) -> NDArray[np.float64]:
    """Intersection over union of ``windows`` ``[n, 4]`` with ``boxes`` ``[m, 4]``: ``[n, m]``."""
    corner = np.maximum(windows[:, None, :2], boxes[None, :, :2])
    size = np.clip(np.minimum(windows[:, None, 2:], boxes[None, :, 2:]) - corner, 0, None)
    both = size.prod(2)
    return both / (area(windows)[:, None] + area(boxes)[None] - both)


def area(boxes: NDArray[Any]) -> NDArray[Any]:
    """Areas ``[n]`` of boxes ``[n, 4]``."""
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def warp(sample: Sample, window: Window, preprocessing: Preprocessing) -> Sample:
    """What ``window`` shows, in the network's input: one resampling, and the objects whose centre lies in it."""
    x1, y1, x2, y2 = window
    height, width = sample.image.shape[:2]
    geometry = preprocessing.geometry(round(y2 - y1), round(x2 - x1))
    scale = np.array([geometry.columns / (x2 - x1), geometry.rows / (y2 - y1)])
    shift = np.array([geometry.left, geometry.top]) - window[:2] * scale
    if x1 >= 0 and y1 >= 0 and x2 <= width and y2 <= height:
        # a slice resized is the quickest warp, and the one that validation makes
        image = preprocessing.apply_geometry(sample.image[int(y1) : int(y2), int(x1) : int(x2)], geometry)
    else:
        matrix = np.array([[scale[0], 0, -x1 * scale[0]], [0, scale[1], -y1 * scale[1]]])
        matrix[:, 2] += scale / 2 - 0.5  # OpenCV counts from the centres of pixels, boxes from their edges
        shown = cv2.warpAffine(
            sample.image,
            matrix,
            (geometry.columns, geometry.rows),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=preprocessing.fill,
        )
        image = preprocessing.apply_geometry(np.asarray(shown, dtype=np.uint8), geometry)
    centres = (sample.boxes[:, :2] + sample.boxes[:, 2:]) / 2
    kept = ((centres > window[:2]) & (centres < window[2:])).all(1)
    boxes = np.clip(sample.boxes[kept], np.tile(window[:2], 2), np.tile(window[2:], 2)) * np.tile(scale, 2)
    boxes = (boxes + np.tile(shift, 2)).astype(np.float32)
    visible = (boxes[:, 2:] - boxes[:, :2] >= 1).all(1)  # of less than a pixel nothing can be learnt
    return Sample(np.asarray(image, dtype=np.uint8), boxes[visible], sample.labels[kept][visible])


def mirror(sample: Sample, axis: int) -> Sample:
    """Mirrors left and right (``axis`` 1) or up and down (0)."""
    size = sample.image.shape[axis]
    low, high = 1 - axis, 3 - axis
    boxes = sample.boxes.copy()
    boxes[:, low], boxes[:, high] = size - sample.boxes[:, high], size - sample.boxes[:, low]
    return sample._replace(image=np.ascontiguousarray(np.flip(sample.image, axis)), boxes=boxes)


class Albumentations:
    """Runs transforms of albumentations on a sample, with this project's randomness.

    Args:
        transforms: albumentations transforms, in order.
    """

    def __init__(self, transforms: Sequence[Any]) -> None:
        import albumentations as A

        geometric = any(not isinstance(transform, A.ImageOnlyTransform) for transform in transforms)
        # labels come back from albumentations as rounded floats, so rows are sent and the labels looked up
        boxes = A.BboxParams(
            "pascal_voc", label_fields=["rows"], clip=True, filter_invalid_bboxes=True, min_width=1, min_height=1
        )
        self.geometric = geometric
        self.compose = A.Compose(list(transforms), bbox_params=boxes if geometric else None)

    def __call__(self, sample: Sample, random: Generator) -> Sample:
        """Transforms ``sample``; geometric transforms must keep the size of the image."""
        seed(self.compose, random)
        if not self.geometric:
            return sample._replace(image=self.compose(image=sample.image)["image"])
        done = self.compose(image=sample.image, bboxes=sample.boxes, rows=np.arange(len(sample.boxes)))
        check_made(done["image"], sample.image)
        rows = np.asarray(done["rows"], dtype=np.int64)
        boxes = np.asarray(done["bboxes"], dtype=np.float32).reshape(-1, 4)
        return Sample(done["image"], boxes, sample.labels[rows])
