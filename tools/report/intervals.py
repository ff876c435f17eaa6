"""Figures of one evaluation with their intervals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ...tasks.evidence import Evidence
from ..compare.bootstrap import MIN_IMAGES, centre, draw_weights, find_interval, limit_interval
from ..pages import Interval

RESAMPLES = 500  # of the images; a page about 5,000 images with 100 detections each takes 10 s with these


def find_intervals(names: Sequence[str], values: NDArray[np.float64], drawn: NDArray[np.float64]) -> list[Interval]:
    """Builds intervals from values ``[K]`` and the same values in resamples ``[R, K]``; NaN where undefined."""
    rows = zip(names, values.tolist(), drawn.T, strict=True)
    return [
        Interval(name, value, *limit_interval(find_interval(centre(column, value)), 0, 1))
        for name, value, column in rows
    ]


def resample(evidence: Evidence) -> NDArray[np.float64]:
    """Draws weights of the images, ``[R, N]``, always the same ones; none for one image, which has no interval."""
    count = len(evidence.names)
    return draw_weights(count, RESAMPLES if count > 1 else 0, seed=0)


def estimate_figures(evidence: Evidence, weights: NDArray[np.float64]) -> list[Interval]:
    """Computes all figures with intervals.

    Args:
        evidence: what the evaluation kept.
        weights: what :func:`resample` returned.
    """
    names = evidence.figure_names
    values = evidence.figures(np.ones((1, len(evidence.names))), names)
    drawn = evidence.figures(weights, names)
    return find_intervals(names, np.array([values[name][0] for name in names]), np.stack([drawn[n] for n in names], 1))


def estimate_per_class(evidence: Evidence, weights: NDArray[np.float64]) -> list[Interval]:
    """Computes the main figure of each class with intervals; ``weights`` as in :func:`estimate_figures`.

    A class in fewer than six images has no interval: many of its resamples would have the same images.
    """
    values = evidence.per_class(np.ones((1, len(evidence.names))))
    drawn = evidence.per_class(weights)
    drawn[:, evidence.images_per_class() < MIN_IMAGES] = np.nan
    return find_intervals(evidence.classes, values[0], drawn)
