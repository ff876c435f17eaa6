"""Bootstrap of figures over images and seeds, and what follows from it about a difference."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LEVEL = 0.95  # of all intervals
MIN_IMAGES = 6  # of a difference with an interval; of fewer, no p-value is below 0.05 and resamples are often equal
Z = 1.959964  # its quantile of the normal distribution
TIE = 1e-12  # difference up to which two figures are equal


def draw_weights(count: int, resamples: int, seed: int) -> Floats:
    """Draws how often each of ``count`` images or seeds is in a resample, ``[R, count]``; rows sum to ``count``."""
    random = np.random.default_rng(seed)
    return random.multinomial(count, np.full(count, 1 / count), size=resamples).astype(np.float64)


def centre(drawn: Floats, value: float) -> Floats:
    """Moves resampled values ``[R]`` so that their mean is ``value``.

    Figures like AP are higher in a resample than in its images, because an image that is drawn twice adds detections
    of equal scores. Their mean would be outside the interval where images are many.
    """
    return drawn + find_shift(drawn, value)


def find_shift(drawn: Floats, value: float) -> float:
    """Returns what :func:`centre` adds to resampled values ``[R]``; 0 if none is defined."""
    defined = drawn[np.isfinite(drawn)]
    return float(value - defined.mean()) if len(defined) else 0.0


@dataclass(frozen=True)
class Estimate:
    """A figure of one configuration.

    Attributes:
        values: the figure of each seed, ``[S]``.
        resampled: the mean over the seeds in each resample of the images, ``[R]``.
        varied: the same in each resample of images and seeds, ``[R]``.
        shift: what :func:`centre` added to the resampled values; 0 with several seeds, each of which has its own.
    """

    values: Floats
    resampled: Floats
    varied: Floats
    shift: float = 0.0

    @property
    def value(self) -> float:
        """The mean over the seeds."""
        return float(self.values.mean())

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval over images and, where there are several, seeds, within 0 … 1 as all figures are."""
        return limit_interval(find_interval(self.varied), 0, 1)

    @property
    def seed_variance(self) -> float | None:
        """Variance of the figure between seeds; None with one seed."""
        return float(self.values.var(ddof=1)) if len(self.values) > 1 else None


def estimate(values: Floats, resampled: Floats, seed: int) -> Estimate:
    """Combines the seeds of a configuration; the resampled values are centred on the figure.

    The variance of the mean of S values drawn from S seeds is (S − 1) / S of that of S new seeds. So its deviation is
    scaled up by √(S / (S − 1)).

    Args:
        values: the figure of each seed, ``[S]``.
        resampled: the figure of each seed in each resample of the images, ``[S, R]``.
        seed: of the draws of seeds; configurations differ in it, because their seeds are independent.
    """
    count, shift = len(values), find_shift(resampled[0], float(values[0]))
    resampled = np.stack([centre(drawn, value) for drawn, value in zip(resampled, values.tolist(), strict=True)])
    mean = resampled.mean(axis=0)
    if count == 1:
        return Estimate(values, mean, mean, shift)
    drawn = draw_weights(count, resampled.shape[1], seed).T / count
    deviation = ((drawn - 1 / count) * resampled).sum(axis=0)
    return Estimate(values, mean, mean + math.sqrt(count / (count - 1)) * deviation)


@dataclass(frozen=True)
class Difference:
    """Difference of a figure between two configurations, the first minus the second.

    Attributes:
        value: difference of the means over the seeds.
        interval: 95 % interval, over images and, where there are several, seeds; NaN with fewer than six images.
        probability: share of the resamples in which the first is higher; equal and undefined ones count half.
        p_value: two-sided, before any correction.
        equivalence: share of the resamples in which the difference is within the region of practical equivalence.
        image_variance: variance of the difference between resamples of the images.
        seed_variance: variance of the difference between choices of seeds, of the configurations with several; None
            with one seed of both.
    """

    value: float
    interval: tuple[float, float]
    probability: float
    p_value: float
    equivalence: float
    image_variance: float
    seed_variance: float | None

    @property
    def is_zero(self) -> bool:
        """Whether the two are equal in every resample."""
        return self.value == 0 and self.image_variance == 0 and not self.seed_variance


def compare(first: Estimate, second: Estimate, rope: float, images: int) -> Difference | None:
    """Returns the difference of two estimates on the same resamples; None if a figure is undefined.

    Args:
        first: a figure of one configuration.
        second: the same figure of another one.
        rope: differences up to this one do not matter.
        images: number of images that the figure is about.
    """
    value = first.value - second.value
    drawn = first.varied - second.varied
    # resamples without an image in which the two differ are ties, which centring must not turn into wins of one
    drawn[np.abs(drawn - (first.shift - second.shift)) < TIE] = 0
    if not math.isfinite(value) or not np.isfinite(drawn).any():
        return None
    above, below = (drawn > 0).mean(), (drawn < 0).mean()
    variances = [estimate.seed_variance for estimate in (first, second)]
    known = [v / len(e.values) for v, e in zip(variances, (first, second), strict=True) if v is not None]
    return Difference(
        value=value,
        interval=limit_interval(find_interval(drawn), -1, 1) if images >= MIN_IMAGES else (math.nan, math.nan),
        probability=float(above + (1 - above - below) / 2),
        p_value=find_p_value(drawn, images),
        equivalence=float((np.abs(drawn) <= rope).mean()),
        image_variance=float(np.nanvar(first.resampled - second.resampled)),
        seed_variance=sum(known) if known else None,
    )


def find_interval(drawn: Floats) -> tuple[float, float]:
    """Returns the interval that contains 95 % of the resampled values ``[R]`` that are defined; NaN without any."""
    defined = drawn[np.isfinite(drawn)]
    if not len(defined):
        return math.nan, math.nan
    low, high = np.quantile(defined, ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return float(low), float(high)


def limit_interval(interval: tuple[float, float], low: float, high: float) -> tuple[float, float]:
    """Cuts an interval at the lowest and the highest value that are possible; centring can move it beyond them."""
    return min(max(interval[0], low), high), min(max(interval[1], low), high)


def find_p_value(drawn: Floats, images: int) -> float:
    """Returns the two-sided p-value of a difference of 0 from resampled differences ``[R]``.

    R resamples cannot show less than 2 / (R + 1), which is too much for a correction for many differences. So a normal
    distribution replaces their tail if it is empty. A resample without a value counts for neither side. No p-value is
    below 2^(1 − images), that of as many images that all favour one side.
    """
    tail = len(drawn) - max(int((drawn > 0).sum()), int((drawn < 0).sum()))
    p_value = 2 * (tail + 1) / (len(drawn) + 1)
    if not tail:
        deviations = abs(drawn.mean()) / max(drawn.std(), np.finfo(np.float64).tiny)
        p_value = min(p_value, math.erfc(deviations / math.sqrt(2)))
    return min(1.0, max(p_value, 2.0 ** (1 - images)))


def correct_holm(p_values: Sequence[float]) -> list[float]:
    """Corrects p-values for their number (Holm 1979): any of them below 0.05 is then as unlikely as one was."""
    order = np.argsort(p_values, kind="stable")
    scaled = [p_values[k] * (len(p_values) - rank) for rank, k in enumerate(order)]
    corrected = np.minimum(np.maximum.accumulate(scaled), 1) if scaled else np.zeros(0)
    return [float(corrected[rank]) for rank in np.argsort(order)]


def count_images_needed(difference: Difference, images: int, resolution: float) -> int | None:
    """Returns how many images would tell apart a difference of ``resolution``; None if seeds alone vary more."""
    variance = (resolution / Z) ** 2 - (difference.seed_variance or 0)
    return math.ceil(images * difference.image_variance / variance) if variance > 0 else None


def count_seeds_needed(difference: Difference, seeds: int, resolution: float) -> int | None:
    """Returns how many seeds of each would tell apart ``resolution`` with these images; None if none would, or unknown.

    Args:
        difference: of two configurations.
        seeds: number of seeds of each, the lower one; with one, its variance is unknown.
        resolution: difference to tell apart.
    """
    variance = (resolution / Z) ** 2 - difference.image_variance
    if variance <= 0 or difference.seed_variance is None or seeds == 1:
        return None
    return max(1, math.ceil(seeds * difference.seed_variance / variance))
