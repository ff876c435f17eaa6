"""Pareto fronts and probabilities of dominance equal those of a comparison of each pair."""

from __future__ import annotations

import numpy as np
import pytest

from litmobile.tools.transfer.report.statistics.dominance import dominance, front_probabilities, pareto_front

NAN = float("nan")


def dominates(first: tuple[float, float], second: tuple[float, float]) -> bool:
    """Whether the first cost and value are no worse in both and better in one."""
    is_no_worse = first[0] <= second[0] and first[1] >= second[1]
    return is_no_worse and first != second


@pytest.mark.parametrize(
    ("costs", "values", "expected"),
    [
        ([1, 2, 3], [1, 2, 3], [0, 1, 2]),
        ([3, 2, 1], [3, 2, 3], [2]),
        ([1, 1, 2], [5, 5, 5], [0, 1]),
        ([1, 1], [1, 2], [1]),
        ([2, 1], [1, 1], [1]),
        ([4, 2, 3], [9, 1, 5], [1, 2, 0]),
        ([1, 2, NAN], [NAN, 1, 2], [1]),
        ([], [], []),
    ],
    ids=["all", "one", "equal", "same cost", "same value", "by cost", "undefined", "none"],
)
def test_fronts_have_what_none_dominates(costs: list[float], values: list[float], expected: list[int]) -> None:
    assert pareto_front(np.array(costs), np.array(values)) == expected


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("are_costs_drawn", [False, True])
def test_probabilities_equal_those_of_each_pair(are_costs_drawn: bool, seed: int) -> None:
    random = np.random.default_rng(seed)
    drawn = random.integers(0, 5, (40, 7)).astype(float)
    costs = random.integers(0, 5, (40, 7) if are_costs_drawn else 7).astype(float)
    wins, fronts = np.zeros((7, 7)), np.zeros(7)
    for row, values in enumerate(drawn):
        points = list(zip((costs[row] if are_costs_drawn else costs).tolist(), values.tolist(), strict=True))
        won = np.array([[dominates(first, second) for second in points] for first in points])
        wins += won
        fronts += ~won.any(axis=0)
        assert pareto_front(np.array([x for x, _ in points]), values) == sorted(
            np.flatnonzero(~won.any(axis=0)).tolist(), key=lambda k: (points[k][0], k)
        )
    assert dominance(costs, drawn) == pytest.approx(wins / 40)
    assert front_probabilities(costs, drawn) == pytest.approx(fronts / 40)


def test_the_cheapest_of_all_values_is_always_on_the_front() -> None:
    drawn = np.random.default_rng(0).random((100, 4))
    assert front_probabilities(np.array([4.0, 1, 2, 3]), drawn)[1] == 1


def test_undefined_values_are_never_on_the_front() -> None:
    drawn = np.array([[1.0, NAN], [1.0, 2.0]])
    assert front_probabilities(np.array([2.0, 1.0]), drawn).tolist() == [0.5, 0.5]
    assert dominance(np.array([2.0, 1.0]), drawn).tolist() == [[0, 0], [0.5, 0]]
