"""Bootstrap of figures over images, variation between seeds, and what follows about a difference."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from .significance import Spread, find_p_value

Floats = NDArray[np.float64]

LEVEL = 0.95  # of all intervals
Z = 1.959964  # its quantile of the normal distribution
MIN_IMAGES = 6  # of a difference with an interval; of fewer, no p-value is below 0.05 and resamples are often equal
DRAWS = 200  # from a t distribution for each of its quantiles
TIE = 1e-12  # difference up to which two figures are equal


def draw_weights(count: int, resamples: int, seed: int) -> Floats:
    """Draws how often each of ``count`` images is in a resample, ``[R, count]``; rows sum to ``count``."""
    random = np.random.default_rng(seed)
    return random.multinomial(count, np.full(count, 1 / count), size=resamples).astype(np.float64)


def centre(drawn: Floats, value: float) -> Floats:
    """Moves resampled values ``[R]`` so that their mean is ``value``.

    Figures like AP are higher in a resample than in its images, because an image that is drawn twice adds detections
    of equal scores. Their mean would be outside the interval where images are many.
    """
    defined = drawn[np.isfinite(drawn)]
    return drawn + (value - defined.mean()) if len(defined) else drawn


@dataclass(frozen=True)
class Estimate:
    """A figure of one configuration.

    Attributes:
        values: the figure of each seed, ``[S]``.
        resampled: the mean over the seeds in each resample of the images, ``[R]``.
        seed_variance: variance of the mean between choices of seeds; 0 with one seed.
        deviations: between seeds in units of its root, ``[R]``, the same for all configurations.
        freedom: degrees of freedom of the variance; 0 with one seed.
    """

    values: Floats
    resampled: Floats
    seed_variance: float = 0.0
    deviations: Floats | float = 0.0
    freedom: int = 0

    @property
    def value(self) -> float:
        """The mean over the seeds."""
        return float(self.values.mean())

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval over images and, where there are several, seeds, within 0 … 1 as all figures are."""
        drawn = centre(self.resampled, self.value) + math.sqrt(self.seed_variance) * self.deviations
        return limit_interval(find_interval(drawn), 0, 1)


def estimate(values: Floats, resampled: Floats) -> Estimate:
    """Estimates the mean over the seeds of a configuration.

    Args:
        values: the figure of each seed, ``[S]``.
        resampled: the figure of each seed in each resample of the images, ``[S, R]``.
    """
    return Estimate(values, resampled.mean(axis=0))


def add_seeds(estimates: Mapping[str, Estimate], seed: int) -> dict[str, Estimate]:
    """Adds the variation between seeds to configurations that have several.

    Two to five seeds are too few to be resampled: intervals would be too narrow. Instead, deviations follow a t
    distribution, whose variance and degrees of freedom are pooled over the configurations.

    Args:
        estimates: one figure of each configuration.
        seed: of the order of the deviations.
    """
    varying = {name: found for name, found in estimates.items() if len(found.values) > 1 and math.isfinite(found.value)}
    freedom = sum(len(found.values) - 1 for found in varying.values())
    if not freedom:
        return dict(estimates)
    pooled = sum(float(((found.values - found.value) ** 2).sum()) for found in varying.values()) / freedom
    deviations = draw_deviations(freedom, len(next(iter(varying.values())).resampled), seed)
    changed = {
        name: replace(found, seed_variance=pooled / len(found.values), deviations=deviations, freedom=freedom)
        for name, found in varying.items()
    }
    return {**estimates, **changed}


@cache
def draw_deviations(freedom: int, count: int, seed: int) -> Floats:
    """Returns evenly spaced quantiles of a t distribution in random order, ``[count]``.

    Independent draws would make intervals of few seeds depend on chance: one degree of freedom has heavy tails.
    """
    random = np.random.default_rng((seed, 1))  # another stream than that of the images
    draws = np.sort(random.standard_t(freedom, count * DRAWS)).reshape(count, DRAWS)
    quantiles = np.median(draws, axis=1)
    return random.permutation((quantiles - quantiles[::-1]) / 2)  # symmetric, as the distribution is


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
    value, resampled = first.value - second.value, first.resampled - second.resampled
    if not math.isfinite(value) or not np.isfinite(resampled).any():
        return None
    seed_variance = first.seed_variance + second.seed_variance
    deviations, freedom = combine_deviations(first, second)
    # resamples without an image in which the two differ are ties, which centring must not turn into wins of one
    drawn = np.where(np.abs(resampled) < TIE, 0, centre(resampled, value)) + math.sqrt(seed_variance) * deviations
    above, below = (drawn > 0).mean(), (drawn < 0).mean()
    image_variance = float(np.nanvar(resampled))
    spread = Spread(image_variance, images, seed_variance, freedom)
    return Difference(
        value=value,
        interval=limit_interval(find_interval(drawn), -1, 1) if images >= MIN_IMAGES else (math.nan, math.nan),
        probability=float(above + (1 - above - below) / 2),
        p_value=find_p_value(drawn, value, spread),
        equivalence=float((np.abs(drawn) <= rope).mean()),
        image_variance=image_variance,
        seed_variance=seed_variance or None,
    )


def combine_deviations(first: Estimate, second: Estimate) -> tuple[Floats | float, int]:
    """Returns the deviations between seeds of a difference, and their degrees of freedom.

    Two estimates whose variances were pooled together share both. Otherwise the degrees of freedom are combined by
    Satterthwaite's formula (1946), rounded down, so that the order of the two does not matter.
    """
    if first.deviations is second.deviations or not second.seed_variance:
        return first.deviations, first.freedom
    if not first.seed_variance:
        return second.deviations, second.freedom
    parts = first.seed_variance**2 / first.freedom + second.seed_variance**2 / second.freedom
    freedom = max(1, math.floor((first.seed_variance + second.seed_variance) ** 2 / parts))
    return draw_deviations(freedom, len(first.resampled), seed=0), freedom


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
