"""The way albumentations is let in: transforms by name, SSD's colours, and this project's randomness."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.random import Generator

from ..errors import DataError, UserError
from .images import Image


def photometric_distortion() -> list[Any]:
    """SSD's ranges: brightness ±32 of 255, contrast and saturation ½ to 1½, hue ±18 of 360 degrees."""
    import albumentations as A

    return [
        A.RandomBrightnessContrast(brightness_limit=32 / 255, contrast_limit=0.5, p=0.5),
        A.ColorJitter(brightness=(1, 1), contrast=(1, 1), saturation=(0.5, 1.5), hue=(-0.05, 0.05), p=0.5),
    ]


def albumentation(spec: dict[str, Any], defaults: Mapping[str, Any] | None = None) -> Any:
    """Builds the transform that ``config`` names by ``class_path`` and ``init_args``.

    Args:
        spec: the transform.
        defaults: arguments for transforms that have such, where ``init_args`` does not give them.

    Raises:
        ValueError: there is no such transform.
    """
    import albumentations as A

    module, _, name = str(spec.get("class_path", "")).rpartition(".")
    try:
        found = getattr(importlib.import_module(module or "albumentations"), name)
    except (ImportError, AttributeError) as error:
        raise UserError(f"augmentation.extra: there is no {spec.get('class_path')!r}.") from error
    if not (isinstance(found, type) and issubclass(found, A.BasicTransform)):
        raise UserError(f"augmentation.extra: {spec['class_path']} is no transform of albumentations.")
    taken = inspect.signature(found.__init__).parameters
    known = {name: value for name, value in (defaults or {}).items() if name in taken}
    return found(**known | spec.get("init_args", {}))


def check_made(made: Image, image: Image) -> None:
    """Raises DataError unless transforms made of ``image`` one of the same size and bytes, which a step expects."""
    if made.shape != image.shape or made.dtype != np.uint8:
        raise DataError(
            f"augmentation.extra made an image {list(made.shape)} of {made.dtype} of one {list(image.shape)} of uint8: "
            "leave transforms out that change size or type, normalisation among them."
        )


def seed(compose: Any, random: Generator) -> None:
    """Seeds the transforms of a Compose from ``random``; albumentations' own generators are alike in every worker.

    Seeding the whole would give each transform the same stream: two flips would go together or not at all.
    """
    for part in (compose, *compose.transforms):
        part.set_random_seed(int(random.integers(2**31)))
