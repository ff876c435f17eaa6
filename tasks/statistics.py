"""Counts and measures that are taken of the splits of all tasks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

PERCENTILES = (1, 10, 50, 90, 99)

Percentiles = dict[str, float]  # by "1" … "99"; nothing where there is nothing to measure


@dataclass(frozen=True)
class ImageSize:
    """How many images have this height and width in pixels."""

    height: int
    width: int
    images: int


def share(part: int, whole: int) -> float:
    """``part`` by ``whole``, 0 where there is nothing."""
    return part / whole if whole else 0.0


def percentiles(values: NDArray[Any]) -> Percentiles:
    """The percentiles of ``values`` that are reported."""
    if not len(values):
        return {}
    found = np.percentile(values, PERCENTILES).tolist()
    return {str(name): value for name, value in zip(PERCENTILES, found, strict=True)}


def image_sizes(sizes: NDArray[Any]) -> list[ImageSize]:
    """Distinct ``sizes`` ``[I, 2]``, height and width, the commonest first."""
    distinct, counts = np.unique(sizes, axis=0, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return [ImageSize(*distinct[k].tolist(), images=int(counts[k])) for k in order]
