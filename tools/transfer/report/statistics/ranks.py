"""Rank correlation between two orders of backbones, with its interval."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ....compare.bootstrap import centre, find_interval, limit_interval

Floats = NDArray[np.float64]
Pairs = tuple[NDArray[np.intp], NDArray[np.intp]]  # indices of the first and the second of each pair

MIN_COUNT = 3  # backbones of a correlation; two have only two orders
RESAMPLES = 1000  # of the backbones where both orders are exact


@dataclass(frozen=True)
class Correlation:
    """Kendall's τ-b of two orders.

    Attributes:
        value: −1 … 1.
        low: lower end of its 95 % interval.
        high: upper end of its 95 % interval.
        count: number of backbones.
    """

    value: float
    low: float
    high: float
    count: int


def rank_correlation(
    first: Floats,
    second: Floats,
    drawn_first: Floats | None = None,
    drawn_second: Floats | None = None,
    seed: int = 0,
) -> Correlation | None:
    """Computes Kendall's τ-b between two figures of the same backbones.

    The 95 % interval covers what the drawn values vary over (images and seeds), and the choice of the backbones: each
    resample draws as many of them with replacement. A backbone that is drawn twice is no tie with itself. Resamples
    are moved so that their mean is the value (see :func:`~litmobile.tools.compare.bootstrap.centre`): noise is in
    them twice and brings τ nearer to 0. Where both orders are equal or opposite, resamples of backbones cannot show
    how they might differ; so one swap of neighbours is assumed for the interval.

    Args:
        first: figure of each backbone, ``[B]``; a backbone with NaN is left out.
        second: another figure, or the same of another task, ``[B]``.
        drawn_first: resampled values of the first figure, ``[R, B]``; None if it is exact.
        drawn_second: resampled values of the second figure, ``[R, B]``; None if it is exact.
        seed: of the choice of backbones.

    Returns:
        The correlation; None with fewer than three backbones, or where all values of an order are equal.
    """
    is_defined = np.isfinite(first) & np.isfinite(second)
    count = int(is_defined.sum())
    if count < MIN_COUNT:
        return None
    pairs = np.triu_indices(count, 1)
    signs = [compare_pairs(values[is_defined], pairs) for values in (first, second)]
    once = np.ones(len(pairs[0]))
    value = float(correlate(signs[0], signs[1], once))
    if not math.isfinite(value):
        return None
    drawn_signs = [
        exact if drawn is None else compare_pairs(drawn[:, is_defined], pairs)
        for exact, drawn in zip(signs, (drawn_first, drawn_second), strict=True)
    ]
    resamples = next((len(drawn) for drawn in (drawn_first, drawn_second) if drawn is not None), RESAMPLES)
    assumed = value
    if abs(value) > 1 - 1e-9:
        swap = swap_neighbours(first[is_defined], pairs)
        assumed = float(correlate(signs[0], signs[1] * swap, once))
        drawn_signs[1] = drawn_signs[1] * swap
    times = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=resamples)
    weights = (times[:, pairs[0]] * times[:, pairs[1]]).astype(np.float64)
    resampled = correlate(drawn_signs[0], drawn_signs[1], weights)
    low, high = limit_interval(find_interval(centre(resampled, assumed)), -1, 1)
    return Correlation(value, min(low, value), max(high, value), count)


def compare_pairs(values: Floats, pairs: Pairs) -> Floats:
    """Returns 1, 0 or −1 for each pair of ``[…, B]`` whose first is above, equal to or below its second, ``[…, P]``."""
    return np.sign(values[..., pairs[0]] - values[..., pairs[1]])


def correlate(first: Floats, second: Floats, weights: Floats) -> Floats:
    """Computes τ-b (Kendall 1945) from the signs of pairs and how often each pair occurs; NaN where it is undefined.

    Args:
        first: of one order, ``[P]`` or ``[R, P]``; a pair with NaN is left out.
        second: of the other order, ``[P]`` or ``[R, P]``.
        weights: ``[P]`` or ``[R, P]``.

    Returns:
        ``[R]`` or a scalar.
    """
    used = np.where(np.isnan(first) | np.isnan(second), 0, weights)
    first, second = np.nan_to_num(first), np.nan_to_num(second)
    untied = (used * np.abs(first)).sum(axis=-1) * (used * np.abs(second)).sum(axis=-1)
    agreement = (used * first * second).sum(axis=-1)
    return np.divide(agreement, np.sqrt(untied), out=np.full(np.shape(untied), np.nan), where=untied > 0)


def swap_neighbours(values: Floats, pairs: Pairs) -> Floats:
    """Returns −1 for the pair of different neighbours in the middle of the order, 1 for all other pairs, ``[P]``."""
    order = np.argsort(values, kind="stable")
    steps = np.flatnonzero(np.diff(values[order]))
    middle = steps[len(steps) // 2]
    low, high = sorted(order[middle : middle + 2].tolist())
    return np.where((pairs[0] == low) & (pairs[1] == high), -1.0, 1.0)
