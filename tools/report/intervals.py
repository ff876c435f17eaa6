"""Figures of one evaluation with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...tasks.evidence import Evidence
from ..compare.bootstrap import MIN_IMAGES, centre, draw_weights, find_interval, limit_interval
from ..pages import Interval

RESAMPLES = 300  # of the images: the page of 5,000 images with 100 detections each takes 14 s


class Estimates(NamedTuple):
    """Figures with intervals.

    Attributes:
        figures: of the whole split, the main one first.
        classes: main figure of each class.
    """

    figures: Sequence[Interval]
    classes: Sequence[Interval]


def estimate_evaluation(evidence: Evidence) -> Estimates:
    """Computes all figures, and the main figure of each class, on the same resamples of the images.

    A single image has no interval. A class in fewer than six images has none either: many of its resamples would have
    the same images.
    """
    count, names = len(evidence.names), evidence.figure_names
    values, class_values = evidence.figures_and_classes(np.ones((1, count)), names)
    weights = draw_weights(count, RESAMPLES if count > 1 else 0, seed=0)
    drawn, drawn_classes = evidence.figures_and_classes(weights, names)
    drawn_classes[:, evidence.images_per_class() < MIN_IMAGES] = np.nan
    return Estimates(
        find_intervals(names, *(np.stack([found[name] for name in names], axis=1) for found in (values, drawn))),
        find_intervals(evidence.classes, class_values, drawn_classes),
    )


def find_intervals(names: Sequence[str], values: NDArray[np.float64], drawn: NDArray[np.float64]) -> list[Interval]:
    """Builds intervals from values ``[1, K]`` and the same values in resamples ``[R, K]``; NaN where undefined."""
    rows = zip(names, values[0].tolist(), drawn.T, strict=True)
    return [
        Interval(name, value, *limit_interval(find_interval(centre(column, value)), 0, 1))
        for name, value, column in rows
    ]
