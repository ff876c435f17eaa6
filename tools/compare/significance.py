"""P-values of differences, and their correction for many of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Spread(NamedTuple):
    """Variance of a difference between resamples of N images and choices of seeds, and the latter's freedom."""

    image_variance: float
    images: int
    seed_variance: float = 0.0
    freedom: int = 0


def find_p_value(drawn: Floats, value: float, spread: Spread) -> float:
    """Returns the two-sided p-value of a difference of 0 from resampled differences ``[R]``.

    R resamples cannot show less than 2 / (R + 1), which is too much for a correction for many differences. So a t
    distribution replaces their tail if it is empty. A resample without a value counts for neither side. No p-value is
    below 2^(1 − images), that of as many images that all favour one side.

    Args:
        drawn: resampled differences.
        value: the difference.
        spread: how much it varies.
    """
    tail = len(drawn) - max(int((drawn > 0).sum()), int((drawn < 0).sum()))
    p_value = 2 * (tail + 1) / (len(drawn) + 1)
    if not tail:
        p_value = min(p_value, find_tail(value, spread))
    return min(1.0, max(p_value, 2.0 ** (1 - spread.images)))


def find_tail(value: float, spread: Spread) -> float:
    """Returns the two-sided p-value of a difference by a t distribution (Welch 1947).

    The degrees of freedom of the two variances are combined by Satterthwaite's formula (1946), rounded down.
    """
    variance = spread.image_variance + spread.seed_variance
    if not variance:
        return 0.0 if value else 1.0
    parts = spread.image_variance**2 / max(1, spread.images - 1) + spread.seed_variance**2 / max(1, spread.freedom)
    return compute_t_tail(abs(value) / math.sqrt(variance), max(1, math.floor(variance**2 / parts)))


def compute_t_tail(t: float, freedom: int) -> float:
    """Returns the probability that |T| exceeds ``t`` ≥ 0, for T of a t distribution (Abramowitz, Stegun 26.7.3–4)."""
    angle = math.atan(t / math.sqrt(freedom))
    is_odd = freedom % 2
    number = np.arange(1, (freedom - 1) // 2 if is_odd else freedom // 2)
    factors = 2 * number / (2 * number + 1) if is_odd else (2 * number - 1) / (2 * number)
    total = 1 + float(np.cumprod(factors * math.cos(angle) ** 2).sum())
    if not is_odd:
        return 1 - math.sin(angle) * total
    return 1 - 2 / math.pi * (angle + (math.sin(angle) * math.cos(angle) * total if freedom > 1 else 0))


def correct_holm(p_values: Sequence[float]) -> list[float]:
    """Corrects p-values for their number (Holm 1979): any of them below 0.05 is then as unlikely as one was."""
    order = np.argsort(p_values, kind="stable")
    scaled = [p_values[k] * (len(p_values) - rank) for rank, k in enumerate(order)]
    corrected = np.minimum(np.maximum.accumulate(scaled), 1) if scaled else np.zeros(0)
    return [float(corrected[rank]) for rank in np.argsort(order)]
