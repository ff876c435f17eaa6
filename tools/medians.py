"""Medians of measured times with their intervals, for `litmobile profile` and the benchmark."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence
from typing import NamedTuple


class Estimate(NamedTuple):
    """A median with the ends of its interval."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float], confidence: float) -> Estimate:
        """Estimates the median of a distribution from independent values."""
        return cls(statistics.median(values), *interval(values, confidence))

    @classmethod
    def of_ratios(cls, times: Sequence[float], reference: Sequence[float], confidence: float) -> Estimate:
        """Estimates the median ratio of times to those of a reference that was measured in the same rounds.

        Load on the machine slows neighbouring measurements alike, so it cancels out of each ratio.
        """
        return cls.of([a / b for a, b in zip(times, reference, strict=True)], confidence)


def interval(values: Sequence[float], confidence: float = 0.9) -> tuple[float, float]:
    """Computes a confidence interval of the median, for any distribution.

    It uses order statistics: the median lies below the k-th smallest of n values only if fewer than k values lie below
    the median.
    """
    ordered, n = sorted(values), len(values)
    tails = itertools.accumulate(math.comb(n, k) / 2**n for k in range(n // 2))
    k = max(1, sum(tail <= (1 - confidence) / 2 for tail in tails))
    return ordered[k - 1], ordered[n - k]
