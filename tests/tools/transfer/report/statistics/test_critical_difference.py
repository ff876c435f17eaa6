"""Mean ranks, tests and critical distances equal those of autorank and of published tables."""

from __future__ import annotations

import warnings
from itertools import combinations

import numpy as np
import pytest

from litmobile.tools.transfer.report.statistics.critical_difference import (
    find_critical_distance,
    find_groups,
    rank_blocks,
)

NAN = float("nan")


def draw_blocks(blocks: int, size: int, seed: int, decimals: int = 8) -> np.ndarray:
    random = np.random.default_rng(seed)
    return np.round(random.random((blocks, size)) + np.linspace(0, 0.5, size), decimals)


@pytest.mark.parametrize("decimals", [8, 1], ids=["distinct", "ties"])
@pytest.mark.parametrize(("blocks", "size"), [(5, 3), (12, 6), (30, 13)])
def test_rankings_equal_those_of_autorank(blocks: int, size: int, decimals: int) -> None:
    autorank = pytest.importorskip("autorank", reason="autorank is the reference: pip install autorank")
    pandas = pytest.importorskip("pandas")
    values = draw_blocks(blocks, size, blocks, decimals)
    names = [f"network {k}" for k in range(size)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about effect sizes, which are not compared
        expected = autorank.autorank(pandas.DataFrame(values, columns=names), force_mode="nonparametric", alpha=0.05)
    found = rank_blocks(values, names)
    assert found is not None
    assert found.ranks == pytest.approx(expected.rankdf["meanrank"].to_dict())
    assert found.p_value == pytest.approx(expected.pvalue)
    assert found.distance == pytest.approx(expected.cd, rel=1e-4)  # whose quantile is an approximation


@pytest.mark.parametrize(("size", "quantile"), [(3, 2.343), (4, 2.569), (5, 2.728), (7, 2.949), (10, 3.164)])
def test_critical_distances_equal_those_of_the_paper(size: int, quantile: float) -> None:
    """Demšar 2006, table 5a."""
    expected = quantile * np.sqrt(size * (size + 1) / (6 * 20))
    assert find_critical_distance(size, 20) == pytest.approx(expected, rel=3e-4)


def test_the_highest_value_has_rank_1() -> None:
    found = rank_blocks(np.array([[3, 1, 2], [9, 9, 8]]), ["a", "b", "c"])
    assert found is not None
    assert found.ranks == {"a": 1.25, "b": 2.25, "c": 2.5}
    assert found.count == 2


def test_blocks_with_a_missing_value_are_left_out() -> None:
    values = draw_blocks(6, 4, 0)
    with_gap = np.vstack((values, [0, 1, NAN, 2]))
    assert rank_blocks(with_gap, list("abcd")) == rank_blocks(values, list("abcd"))


@pytest.mark.parametrize(
    "values",
    [np.ones((5, 2)), np.ones((1, 5)), np.ones((0, 4)), np.array([[1, 2, 3], [1, NAN, 2]])],
    ids=["two names", "one block", "no block", "one complete block"],
)
def test_too_few_names_or_blocks_have_no_ranking(values: np.ndarray) -> None:
    assert rank_blocks(values, list("abcdefgh"[: values.shape[1]])) is None


def test_equal_values_cannot_be_told_apart() -> None:
    found = rank_blocks(np.ones((4, 3)), list("abc"))
    assert found is not None
    assert found.p_value == 1 and found.groups == [(2, 2)]


@pytest.mark.parametrize("seed", range(20))
def test_groups_are_the_largest_ranges_below_the_distance(seed: int) -> None:
    random = np.random.default_rng(seed)
    ranks = sorted(random.integers(4, 40, 9) / 4)
    distance = random.uniform(0.2, 5)
    ranges = {(low, high) for low, high in combinations(ranks, 2) if high - low < distance}
    inner = {x for x in ranges if any(y != x and y[0] <= x[0] and x[1] <= y[1] for y in ranges)}
    assert find_groups(ranks, distance) == sorted(ranges - inner)


def test_ranks_that_differ_by_the_distance_are_told_apart() -> None:
    assert find_groups([1, 2, 3], 1) == []
