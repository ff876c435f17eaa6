"""Pareto fronts of a cost, of which less is better, and a figure, of which more is better."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]


def pareto_front(costs: Floats, values: Floats) -> list[int]:
    """Returns the indices of those that none dominates, the cheapest first.

    One dominates another if it costs at most as much and is higher, or costs less and is at least as high. Of several
    with equal cost and value, all are on the front. One with NaN is never on it.

    Args:
        costs: ``[K]``.
        values: ``[K]``.
    """
    is_on_front = find_fronts(costs, values)
    return [k for k in np.lexsort((-values, costs)).tolist() if is_on_front[k]]


def front_probabilities(costs: Floats, drawn: Floats) -> Floats:
    """Returns the share of the resamples in which each is on the Pareto front, ``[K]``.

    Args:
        costs: ``[K]``, or resampled ``[R, K]``.
        drawn: resampled values, ``[R, K]``.
    """
    return find_fronts(costs, drawn).mean(axis=0)


def dominance(costs: Floats, drawn: Floats) -> Floats:
    """Returns the share of the resamples in which the row dominates the column, ``[K, K]``.

    Args:
        costs: ``[K]``, or resampled ``[R, K]``.
        drawn: resampled values, ``[R, K]``.
    """
    return find_dominating(costs, drawn).mean(axis=0)


def find_fronts(costs: Floats, values: Floats) -> Booleans:
    """Returns which are on the front: defined, and dominated by none, ``[…, K]``."""
    is_defined = np.isfinite(costs) & np.isfinite(values)
    return is_defined & ~find_dominating(costs, values).any(axis=-2)


def find_dominating(costs: Floats, values: Floats) -> Booleans:
    """Returns whether the row dominates the column, ``[…, K, K]``; NaN neither dominates nor is dominated."""
    cost, other_cost = costs[..., :, None], costs[..., None, :]
    value, other_value = values[..., :, None], values[..., None, :]
    return ((cost <= other_cost) & (value > other_value)) | ((cost < other_cost) & (value >= other_value))
