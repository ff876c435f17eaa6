"""P-values follow from resamples, and from a t distribution where these cannot show how small they are."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from litmobile.tools.compare.significance import Spread, compute_t_tail, correct_holm, find_p_value, find_tail


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 5, 10, 71, 4999])
@pytest.mark.parametrize("t", [0, 0.3, 1, 2.5, 8])
def test_tails_equal_those_of_scipy(freedom: int, t: float) -> None:
    assert compute_t_tail(t, freedom) == pytest.approx(2 * stats.t.sf(t, freedom), abs=1e-13)


def test_many_differences_can_be_certain() -> None:
    """A bootstrap of 500 resamples has no p-value below 0.004, which Holm would multiply by 80."""
    p_value = find_p_value(np.random.default_rng(0).normal(1, 0.1, 500), 1.0, Spread(0.01, 1000))
    assert p_value * 80 < 0.001


def test_few_seeds_limit_the_p_value() -> None:
    """A difference of ten deviations between seeds, of which two choices are known, may be due to chance."""
    spread = Spread(image_variance=1e-9, images=1000, seed_variance=0.01, freedom=2)
    assert find_tail(1.0, spread) == pytest.approx(2 * stats.t.sf(10, 2), rel=0.01)


def test_the_variation_of_images_has_their_freedom() -> None:
    assert find_tail(0.3, Spread(0.01, 12)) == pytest.approx(2 * stats.t.sf(3, 11))


@pytest.mark.parametrize(("images", "least"), [(0, 1.0), (1, 1.0), (2, 0.5), (6, 0.03125)])
def test_few_images_limit_the_p_value(images: int, least: float) -> None:
    assert find_p_value(np.ones(500), 1.0, Spread(0.0, images)) == least


def test_undefined_resamples_count_for_neither_side() -> None:
    drawn = np.where(np.arange(500) < 50, np.nan, 1.0)
    assert find_p_value(drawn, 1.0, Spread(0.0, 100)) == pytest.approx(2 * 51 / 501)


@pytest.mark.parametrize(
    ("p_values", "expected"),
    [
        ([0.01], [0.01]),
        ([0.04, 0.01, 0.03], [0.06, 0.03, 0.06]),
        ([0.5, 0.9], [1.0, 1.0]),
        ([], []),
    ],
)
def test_holm_multiplies_the_smallest_most(p_values: list[float], expected: list[float]) -> None:
    np.testing.assert_allclose(correct_holm(p_values), expected)
