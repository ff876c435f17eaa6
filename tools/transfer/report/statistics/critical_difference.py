"""Mean ranks over blocks, and which of them cannot be told apart (Friedman 1937, Nemenyi 1963, Demšar 2006)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]

ALPHA = 0.05  # probability of a difference beyond the critical distance if all are equal
MIN_NAMES, MIN_BLOCKS = 3, 2


@dataclass(frozen=True)
class Ranking:
    """Mean ranks with their tests.

    Attributes:
        ranks: mean rank by name; 1 is best.
        p_value: of Friedman's test that all ranks are equal.
        distance: critical distance of Nemenyi's test at 5 %: mean ranks that differ by less cannot be told apart.
        groups: lowest and highest mean rank of each largest set of neighbours that cannot be told apart.
        count: number of blocks.
    """

    ranks: dict[str, float]
    p_value: float
    distance: float
    groups: list[tuple[float, float]]
    count: int


def rank_blocks(values: Floats, names: Sequence[str]) -> Ranking | None:
    """Ranks ``names`` in each block, e.g. in each task and seed, where the highest value is best.

    Args:
        values: ``[N, K]``, a row for each block; rows with NaN are left out, equal values share their mean rank.
        names: of the columns, ``[K]``.

    Returns:
        The ranking; None with fewer than three names or two complete blocks.
    """
    complete = values[np.isfinite(values).all(axis=1)]
    count, size = complete.shape
    if size < MIN_NAMES or count < MIN_BLOCKS:
        return None
    ranks = stats.rankdata(-complete, axis=1).mean(axis=0)
    is_constant = bool((complete == complete[:, :1]).all())
    p_value = 1.0 if is_constant else float(stats.friedmanchisquare(*complete.T).pvalue)  # all tied is 0 / 0
    distance = find_critical_distance(size, count)
    return Ranking(
        dict(zip(names, ranks.tolist(), strict=True)), p_value, distance, find_groups(ranks.tolist(), distance), count
    )


def find_critical_distance(size: int, count: int) -> float:
    """Returns the critical distance of Nemenyi's test of ``size`` mean ranks over ``count`` blocks."""
    quantile = float(stats.studentized_range.ppf(1 - ALPHA, size, math.inf)) / math.sqrt(2)
    return quantile * math.sqrt(size * (size + 1) / (6 * count))


def find_groups(ranks: Sequence[float], distance: float) -> list[tuple[float, float]]:
    """Returns the ends of the largest ranges of at least two ``ranks`` that differ by less than ``distance``."""
    ordered = sorted(ranks)
    groups: list[tuple[float, float]] = []
    reached = 0  # last rank of the previous group
    for first, low in enumerate(ordered):
        last = max(k for k in range(first, len(ordered)) if ordered[k] - low < distance)
        if last > max(first, reached):
            groups.append((low, ordered[last]))
            reached = last
    return groups
