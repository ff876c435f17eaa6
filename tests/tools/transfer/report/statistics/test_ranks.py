"""Rank correlations equal scipy's, and their intervals contain the truth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from litmobile.tools.transfer.report.statistics.ranks import compare_pairs, correlate, rank_correlation

NAN = float("nan")


def draw_values(count: int, levels: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw two figures of ``count`` backbones; with few ``levels`` many are equal."""
    first, second = np.random.default_rng(seed).integers(0, levels, (2, count)).astype(float)
    return first, second


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("count", "levels"), [(4, 100), (7, 3), (20, 100), (20, 4)])
def test_values_equal_those_of_scipy(count: int, levels: int, seed: int) -> None:
    first, second = draw_values(count, levels, seed)
    found = rank_correlation(first, second)
    assert found is not None
    assert found.value == pytest.approx(stats.kendalltau(first, second)[0], abs=1e-12)
    assert -1 <= found.low <= found.value <= found.high <= 1
    assert found.count == count


@pytest.mark.parametrize("levels", [100, 3])
def test_resamples_equal_those_of_scipy(levels: int) -> None:
    first, second = draw_values(9, levels, 0)
    times = np.random.default_rng(1).multinomial(9, np.full(9, 1 / 9), size=50)
    pairs = np.triu_indices(9, 1)
    weights = (times[:, pairs[0]] * times[:, pairs[1]]).astype(float)
    found = correlate(compare_pairs(first, pairs), compare_pairs(second, pairs), weights)
    expected = [stats.kendalltau(np.repeat(first, row), np.repeat(second, row))[0] for row in times]
    assert found == pytest.approx(np.array(expected), abs=1e-12, nan_ok=True)


@pytest.mark.parametrize("noise", [0.0, 0.3])
@pytest.mark.parametrize("correlation", [0.0, 0.95])
def test_intervals_contain_the_true_correlation(correlation: float, noise: float) -> None:
    """Of 13 backbones with normal figures, τ without noise is 2 / π · arcsin of their correlation."""
    random = np.random.default_rng(0)
    truth, hits = 2 / np.pi * np.arcsin(correlation), 0
    for _ in range(100):
        first = random.standard_normal(13)
        second = correlation * first + np.sqrt(1 - correlation**2) * random.standard_normal(13)
        seen = [values + noise * random.standard_normal(13) for values in (first, second)]
        drawn = [values + noise * random.standard_normal((200, 13)) if noise else None for values in seen]
        found = rank_correlation(seen[0], seen[1], drawn[0], drawn[1])
        assert found is not None
        hits += found.low <= truth <= found.high
    assert hits >= 89  # 95 ± 2.2


def test_noise_widens_intervals() -> None:
    values = np.arange(12.0)
    noise = 2 * np.random.default_rng(0).standard_normal((500, 12))
    exact, noisy = rank_correlation(values, values), rank_correlation(values, values, values + noise)
    assert exact is not None and noisy is not None
    assert noisy.low < exact.low - 0.1


@pytest.mark.parametrize(
    ("order", "value"), [([0, 1, 2, 3, 4, 5], 1), ([5, 4, 3, 2, 1, 0], -1), ([0, 1, 1, 1, 1, 2], 1)]
)
def test_equal_orders_have_an_interval_nevertheless(order: list[float], value: int) -> None:
    values = np.array(order, dtype=float)
    found = rank_correlation(np.sort(values), values)
    assert found is not None and found.value == value
    assert found.high - found.low > 0.1


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ([1, 2], [1, 2]),
        ([1, 2, NAN], [1, 2, 3]),
        ([1, 2, 3, 4], [NAN, NAN, NAN, NAN]),
        ([1, 1, 1, 1], [1, 2, 3, 4]),
        ([], []),
    ],
    ids=["two", "one undefined", "undefined", "all equal", "none"],
)
def test_undefined_correlations_are_none(first: list[float], second: list[float]) -> None:
    assert rank_correlation(np.array(first), np.array(second)) is None


def test_undefined_backbones_are_left_out() -> None:
    first, second = draw_values(8, 100, 0)
    drawn = np.tile(first, (10, 1))
    expected = rank_correlation(first, second, drawn)
    assert rank_correlation(np.append(first, NAN), np.append(second, 1), np.c_[drawn, drawn[:, 0]]) == expected


def test_undefined_resamples_of_a_backbone_are_left_out() -> None:
    first, second = draw_values(8, 100, 0)
    drawn = np.tile(first, (100, 1))
    drawn[:50, 3] = NAN
    found = rank_correlation(first, second, drawn)
    assert found is not None and np.isfinite([found.low, found.high]).all()


def test_the_seed_alone_decides_the_interval() -> None:
    first, second = draw_values(10, 100, 3)
    assert rank_correlation(first, second, seed=1) == rank_correlation(first, second, seed=1)
    assert rank_correlation(first, second, seed=1) != rank_correlation(first, second, seed=2)
