"""Drawing of validation images: fractions of all kinds, whole groups, and what happens where both contradict."""

from __future__ import annotations

import numpy as np
import pytest

from litmobile.tasks.data.stratified import StratifiedDraw, Stratum, divide_large_groups


def draw(strata: list[Stratum], groups: np.ndarray, fraction: float = 0.1, seed: int = 0) -> np.ndarray:
    groups, _ = divide_large_groups(groups, strata, fraction)
    drawing = StratifiedDraw(strata, groups)
    drawing.run(fraction, np.random.default_rng(seed))
    return drawing.is_drawn


def number_groups(*sizes: int) -> np.ndarray:
    """Numbers consecutive groups by their first image."""
    return np.repeat(np.cumsum(sizes) - sizes, sizes)


def test_single_images_are_the_first_of_a_permutation() -> None:
    strata = [Stratum("a", np.arange(30)), Stratum("b", np.arange(30, 50))]
    random, expected = np.random.default_rng(7), []
    for stratum, count in zip(strata, (3, 2), strict=True):
        expected += random.permutation(stratum.images)[:count].tolist()
    assert np.flatnonzero(draw(strata, np.arange(50), seed=7)).tolist() == sorted(expected)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("sizes", [(3,) * 40, (1, 2, 3, 4, 5) * 8, (40, 30, 10, *(1,) * 40)])
def test_groups_stay_together(sizes: tuple[int, ...], seed: int) -> None:
    groups = number_groups(*sizes)
    drawn = draw([Stratum("", np.arange(120))], groups, 0.2, seed)
    assert abs(drawn.sum() - 24) <= 3
    assert not np.intersect1d(groups[drawn], groups[~drawn]).size


@pytest.mark.parametrize(("sizes", "divided"), [((100,), 1), ((70, *(1,) * 30), 1), ((40, 40, 20), 0), ((1,) * 100, 0)])
def test_groups_of_more_than_half_are_divided(sizes: tuple[int, ...], divided: int) -> None:
    strata = [Stratum("", np.arange(100))]
    groups, number = divide_large_groups(number_groups(*sizes), strata, 0.1)
    assert number == divided
    assert 10 <= draw(strata, groups).sum() <= 20


@pytest.mark.parametrize("seed", range(5))
def test_a_group_does_not_take_the_last_images_of_a_class(seed: int) -> None:
    """Two images of "b" look like images of "a"; one of each is drawn, and the other is left."""
    strata = [Stratum("a", np.arange(20)), Stratum("b", np.array([20, 21]))]
    groups = np.arange(22)
    groups[[20, 21]] = 0, 1
    drawn = draw(strata, groups, 0.1, seed)
    assert drawn[20:].sum() == 1 and drawn[:20].sum() in (2, 3)


@pytest.mark.parametrize("seed", range(5))
def test_optional_kinds_are_never_exhausted(seed: int) -> None:
    """Every class of detections is left for training, even where an image is its only one."""
    rare = [Stratum(str(k), np.array([k, k + 1]), is_required=False) for k in range(0, 10, 2)]
    strata = [Stratum("one", np.array([11]), is_required=False), *rare, Stratum("", np.arange(12))]
    drawn = draw(strata, np.arange(12), 0.4, seed)
    assert drawn.sum() == 5 and not drawn[11]
    assert all(not drawn[stratum.images].all() for stratum in strata)


def test_two_images_of_different_classes_are_divided() -> None:
    strata = [Stratum("a", np.array([0]), False), Stratum("b", np.array([1]), False), Stratum("", np.arange(2))]
    assert draw(strata, np.arange(2)).sum() == 1
