"""Applies transforms of albumentations, for the augmentations of all tasks."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.random import Generator

from ..errors import DataError, UserError
from ..heads.predictions import IGNORED
from .images import Image


class Albumentations:
    """Applies transforms of albumentations to an image and its targets, seeded by the caller's generator.

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
        self.compose: Any = None
        if not configs and not photometric:
            return
        import albumentations as A

        transforms = [*(photometric_distortion() if photometric else []), *map(build_transform, configs or [])]
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
            DataError: a transform changed the size or the type of the image.
        """
        if self.compose is None:
            return {"image": image, **targets}
        # seeds each part: one seed for the whole gives all transforms the same stream, so two flips would coincide
        for part in (self.compose, *self.compose.transforms):
            part.set_random_seed(int(random.integers(2**31)))
        transformed = targets | self.compose(image=image, **(targets if self.is_geometric else {}))
        result = transformed["image"]
        if result.shape != image.shape or result.dtype != np.uint8:
            raise DataError(
                f"augmentation.extra turns an image {list(image.shape)} of uint8 into {list(result.shape)} of "
                f"{result.dtype}; remove transforms that change size or type, such as Normalize."
            )
        return transformed


def photometric_distortion() -> list[Any]:
    """Builds transforms with SSD's ranges: brightness ±32 of 255, contrast and saturation ½ to 1½, hue ±18 of 360°."""
    import albumentations as A

    return [
        A.RandomBrightnessContrast(brightness_limit=32 / 255, contrast_limit=0.5, p=0.5),
        A.ColorJitter(brightness=(1, 1), contrast=(1, 1), saturation=(0.5, 1.5), hue=(-0.05, 0.05), p=0.5),
    ]


def build_transform(config: dict[str, Any]) -> Any:
    """Builds the albumentations transform that ``config`` names; mask pixels from outside the image are ignored.

    Args:
        config: ``class_path``, and optionally ``init_args``.

    Raises:
        UserError: the transform does not exist, or it does not accept ``init_args``.
    """
    import albumentations as A

    path, arguments = config.get("class_path"), config.get("init_args") or {}
    module, _, name = str(path or "").rpartition(".")
    try:
        transform = getattr(importlib.import_module(module or "albumentations"), name)
    except (ImportError, AttributeError) as error:
        raise UserError(
            f"augmentation.extra: there is no class {path!r}; give an import path such as albumentations.GaussianBlur."
        ) from error
    if not (isinstance(transform, type) and issubclass(transform, A.BasicTransform)):
        raise UserError(f"augmentation.extra: {path} is not a transform of albumentations.")
    signature = inspect.signature(transform.__init__)
    if "fill_mask" in signature.parameters:
        arguments = {"fill_mask": IGNORED} | arguments
    try:
        signature.bind(None, **arguments)  # albumentations only warns of unknown arguments
        return transform(**arguments)
    except (TypeError, ValueError) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise UserError(f"augmentation.extra: {path} does not accept its init_args: {reason}.") from error
