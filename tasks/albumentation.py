"""Distorts colours and applies transforms of albumentations, for the augmentations of all tasks."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.random import Generator

from ..class_paths import import_class
from ..errors import ClassPathError, DataError, UserError
from ..heads.predictions import IGNORED
from .images import Image


class Albumentations:
    """Distorts colours and applies transforms of albumentations to an image and its targets.

    All randomness comes from the caller's generator.

    Args:
        configs: the transforms in order, each as ``{class_path: albumentations.GaussianBlur, init_args: {p: 0.1}}``.
        photometric: whether to apply SSD's photometric distortion first.
        with_boxes: whether the targets are ``bboxes`` ``[n, 4]`` as x1, y1, x2, y2 in pixels, and ``kept``, their
            indices.

    Raises:
        UserError: a transform does not exist, or it does not accept its ``init_args``.
    """

    def __init__(
        self, configs: Sequence[dict[str, Any]] | None, photometric: bool = False, with_boxes: bool = False
    ) -> None:
        self.photometric = photometric
        self.compose: Any = None
        if not configs:
            return
        import albumentations as A

        transforms = [build_transform(config) for config in configs]
        self.is_geometric = any(not isinstance(transform, A.ImageOnlyTransform) for transform in transforms)
        box_params = None
        if with_boxes and self.is_geometric:
            # boxes carry their indices, because labels would come back as rounded floats
            box_params = A.BboxParams(
                "pascal_voc", label_fields=["kept"], clip=True, filter_invalid_bboxes=True, min_width=1, min_height=1
            )
        self.compose = A.Compose(transforms, bbox_params=box_params)

    def __call__(self, random: Generator, image: Image, **targets: Any) -> dict[str, Any]:
        """Transforms the image and its targets.

        Args:
            random: seeds all transforms.
            image: ``[H, W, 3]`` uint8.
            targets: nothing, ``mask`` ``[H, W]``, or ``bboxes`` and ``kept``.

        Returns:
            The transformed ``image``, of the same size, and the targets as albumentations returns them.

        Raises:
            DataError: a transform changed the size or the type of the image, or failed, e.g. because it crops more
                than the image has.
        """
        if self.photometric:
            image = distort_colours(image, random)
        if self.compose is None:
            return {"image": image, **targets}
        # seeds each part: one seed for the whole gives all transforms the same stream, so two flips would coincide
        for part in (self.compose, *self.compose.transforms):
            part.set_random_seed(int(random.integers(2**31)))
        try:
            transformed = targets | self.compose(image=image, **(targets if self.is_geometric else {}))
        except Exception as error:  # options that suit no image, or not this one, can raise anything
            names = ", ".join(type(transform).__name__ for transform in self.compose.transforms)
            reason = str(error).partition("\n")[0].rstrip(".") or type(error).__name__
            raise DataError(f"augmentation.extra ({names}) fails on an image {list(image.shape)}: {reason}.") from error
        result = transformed["image"]
        if result.shape != image.shape or result.dtype != np.uint8:
            raise DataError(
                f"augmentation.extra turns an image {list(image.shape)} of uint8 into {list(result.shape)} of "
                f"{result.dtype}; remove transforms that change size or type, such as Normalize."
            )
        return transformed


def distort_colours(image: Image, random: Generator) -> Image:
    """Changes the colours of ``image`` ``[H, W, 3]`` uint8 in the ranges of SSD (arXiv 1512.02325, section 2.2).

    With probability ½ each: brightness by ±32 and contrast by ½ to 1½; saturation by ½ to 1½ and hue by ±18°, in random
    order. The distribution is that of albumentations' RandomBrightnessContrast and ColorJitter, which take 1.4 times as
    long.
    """
    if random.random() < 0.5:
        contrast, brightness = random.uniform(0.5, 1.5), random.uniform(-32, 32)
        table = np.clip(np.arange(256) * contrast + brightness, 0, 255).astype(np.uint8)
        image = np.asarray(cv2.LUT(image, table), dtype=np.uint8)
    if random.random() < 0.5:
        saturation, hue = random.uniform(0.5, 1.5), random.uniform(-0.05, 0.05)
        saturation_first = random.random() < 0.5
        if saturation_first:
            image = scale_saturation(image, saturation)
        image = shift_hue(image, hue)
        if not saturation_first:
            image = scale_saturation(image, saturation)
    return image


def scale_saturation(image: Image, factor: float) -> Image:
    """Blends ``image`` with its grey version; 0 gives grey, 1 the image."""
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return np.asarray(cv2.addWeighted(image, factor, grey, 1 - factor, 0), dtype=np.uint8)


def shift_hue(image: Image, turn: float) -> Image:
    """Adds ``turn``, a share of the colour circle, to the hue."""
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)  # hue in 0 … 179
    table = np.mod(np.arange(256) + 180 * turn, 180).astype(np.uint8)
    hsv = cv2.insertChannel(cv2.LUT(cv2.extractChannel(hsv, 0), table), hsv, 0)  # faster than assigning to a slice
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), dtype=np.uint8)


def build_transform(config: dict[str, Any]) -> Any:
    """Builds the albumentations transform that ``config`` names; mask pixels from outside the image are ignored.

    Args:
        config: ``class_path``, and optionally ``init_args``.

    Raises:
        UserError: the transform does not exist, or it does not accept ``init_args``.
    """
    import albumentations as A

    if not isinstance(config.get("class_path"), str):
        raise UserError(f"augmentation.extra: each transform needs a class_path, such as GaussianBlur, not {config}.")
    path, arguments = config["class_path"], config.get("init_args") or {}
    try:
        transform = import_class(path if "." in path else f"albumentations.{path}", A.BasicTransform)
    except ClassPathError as error:
        raise UserError(f"augmentation.extra {error}") from error
    signature = inspect.signature(transform.__init__)
    if "fill_mask" in signature.parameters:
        arguments = {"fill_mask": IGNORED} | arguments
    try:
        signature.bind(None, **arguments)  # albumentations only warns of unknown arguments
        return transform(**arguments)
    except (TypeError, ValueError) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise UserError(f"augmentation.extra: {path} does not accept its init_args: {reason}.") from error
