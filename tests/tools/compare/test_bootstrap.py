"""Intervals of differences contain the truth as often as they claim, and equal scipy's for means."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from scipy import stats

from litmobile.tasks.classification.evidence import ClassificationEvidence
from litmobile.tasks.detection.evaluation.evidence import DetectionEvidence
from litmobile.tasks.detection.evaluation.ground_truth import GroundTruth
from litmobile.tasks.evidence import Evidence
from litmobile.tasks.segmentation.evidence import SegmentationEvidence
from litmobile.tools.compare.bootstrap import (
    Difference,
    Estimate,
    add_seeds,
    compare,
    count_images_needed,
    count_seeds_needed,
    draw_deviations,
    draw_weights,
    estimate,
)
from litmobile.tools.compare.comparison import Pair
from litmobile.tools.compare.sentences import describe_need, find_better
from support.evidence import NO_BOUNDARIES

Random = np.random.Generator
Make = Callable[[int, Random], tuple[Evidence, Evidence]]


def classify(images: int, random: Random) -> tuple[Evidence, Evidence]:
    """Return evidence of two classifiers with accuracies of 0.8 and 0.75, which find the same images hard."""
    hardness = random.random(images)
    results = []
    for accuracy in (0.8, 0.75):
        # the probability of an error is 2 (1 − accuracy) × hardness, which has the mean 1 − accuracy
        is_right = random.random(images) >= 2 * (1 - accuracy) * hardness
        ranking = np.where(is_right[:, None], [[0, 1]], [[1, 0]]).astype(np.int32)
        results.append(
            ClassificationEvidence(
                classes=("a", "b"),
                names=("",) * images,
                scores=np.full((images, 2), 0.5, dtype=np.float32),
                ranking=ranking,
                labels=np.zeros(images, dtype=np.int32),
            )
        )
    return results[0], results[1]


def segment(images: int, random: Random) -> tuple[Evidence, Evidence]:
    """Return evidence of two segmenters of four classes; the second is wrong in half as many pixels again."""
    shares, hardness = random.dirichlet([0.5] * 4, images), random.beta(2, 2, images)
    results = []
    for error in (0.2, 0.3):
        wrong = 2 * error * hardness * random.uniform(0.5, 1.5, images) / 3
        kept = np.eye(4)[None] * (1 - 4 * wrong)[:, None, None] + wrong[:, None, None]
        pixels = random.multinomial(1000, shares)
        matrices = random.multinomial(pixels, kept)
        at = np.nonzero(matrices)
        results.append(
            SegmentationEvidence(
                classes=tuple("abcd"),
                names=("",) * images,
                images=at[0].astype(np.int32),
                truth=at[1].astype(np.uint8),
                predicted=at[2].astype(np.uint8),
                pixels=matrices[at],
                boundaries=NO_BOUNDARIES,
            )
        )
    return results[0], results[1]


def detect(images: int, random: Random) -> tuple[Evidence, Evidence]:
    """Return evidence of two detectors; the second misses more of the same hard objects and is less precise."""
    of_object = np.repeat(np.arange(images), random.poisson(3, images))
    count = len(of_object)
    categories, hardness = random.integers(0, 2, count), random.random(count)
    boxes = np.column_stack((random.uniform(0, 200, (count, 2)), np.full((count, 2), 40.0)))
    truth = GroundTruth(
        image_ids=np.arange(images),
        image_names=np.full(images, ""),
        category_ids=np.arange(2),
        classes=("a", "b"),
        images=of_object,
        categories=categories,
        boxes=boxes,
        areas=boxes[:, 2] * boxes[:, 3],
        is_crowd=np.zeros(count, dtype=bool),
    )
    results = []
    for missed in (0.2, 0.35):
        is_found = 0.6 * hardness + 0.4 * random.random(count) > missed
        found = boxes + np.pad(random.normal(0, 4 + 6 * missed, (count, 2)), ((0, 0), (0, 2)))
        scores = 0.5 + 0.5 * hardness * random.random(count)
        of_wrong = np.repeat(np.arange(images), random.poisson(2, images))
        wrong = len(of_wrong), 2
        rows = np.vstack(
            (
                np.column_stack((of_object, found, scores, categories))[is_found],
                np.column_stack(
                    (
                        *(of_wrong, random.uniform(0, 200, wrong), np.full(wrong, 40.0)),
                        *(0.8 * random.random(wrong[0]), random.integers(0, 2, wrong[0])),
                    )
                ),
            )
        )
        rows = rows[np.argsort(rows[:, 0], kind="stable")].astype(np.float64)
        results.append(DetectionEvidence.from_detections(truth, np.arange(images), rows))
    return results[0], results[1]


def estimate_both(evidence: tuple[Evidence, Evidence], resamples: int, seed: int = 0) -> list[Estimate]:
    """Estimate the main figure of two networks."""
    images, name = len(evidence[0].names), evidence[0].figure_names[0]
    weights, ones = draw_weights(images, resamples, seed), np.ones((1, images))
    return [
        estimate(found.figures(ones, [name])[name], found.figures(weights, [name])[name][None]) for found in evidence
    ]


def find_difference(evidence: tuple[Evidence, Evidence], resamples: int, seed: int = 0) -> Difference:
    """Compare the main figure of two networks."""
    difference = compare(*estimate_both(evidence, resamples, seed), rope=0.005, images=len(evidence[0].names))
    assert difference is not None
    return difference


def count_covered(intervals: Sequence[tuple[float, float]], truth: float) -> float:
    """Return the share of the intervals that contain ``truth``."""
    return float(np.mean([low <= truth <= high for low, high in intervals]))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "images", "of_truth"), [(classify, 200, 400_000), (segment, 200, 100_000), (detect, 100, 30_000)]
)
def test_intervals_contain_the_truth_as_often_as_claimed(make: Make, images: int, of_truth: int) -> None:
    """The truth of a figure is its mean over all trials: AP of few images is higher than that of many."""
    random = np.random.default_rng(0)
    truth = find_difference(make(of_truth, random), 1).value
    trials = [estimate_both(make(images, random), 400, seed) for seed in range(1000)]
    differences = [compare(first, second, rope=0.005, images=images) for first, second in trials]
    assert 0.93 <= count_covered([found.interval for found in differences if found], truth) <= 0.97
    figures = [first for first, _ in trials]
    mean = float(np.mean([figure.value for figure in figures]))
    assert 0.93 <= count_covered([figure.interval for figure in figures], mean) <= 0.97


def test_intervals_of_means_equal_those_of_scipy() -> None:
    random = np.random.default_rng(3)
    values = random.normal(0.5, 0.2, 150) + random.exponential(0.1, (2, 150))
    weights = draw_weights(150, 20_000, 0)
    first, second = (estimate(row.mean(keepdims=True), (weights @ row / 150)[None]) for row in values)
    found = compare(first, second, rope=0, images=150)
    assert found is not None
    expected = stats.bootstrap(
        (values[0] - values[1],), np.mean, n_resamples=20_000, method="percentile", rng=1
    ).confidence_interval
    # the standard error of such a quantile is 0.02 standard deviations
    deviation = math.sqrt(found.image_variance)
    np.testing.assert_allclose(found.interval, (expected.low, expected.high), atol=0.1 * deviation)


def make_estimate(values: list[float], spread: float, seed: int = 0, resamples: int = 2000) -> Estimate:
    """Return an estimate whose resamples spread by ``spread`` around each seed's value."""
    drawn = np.random.default_rng(seed).normal(0, spread, resamples)
    return estimate(np.array(values), np.array(values)[:, None] + drawn)


def compare_seeds(*estimates: Estimate, seed: int = 0) -> Difference:
    """Compare the first two of several configurations, whose variation between seeds is pooled."""
    first, second, *_ = add_seeds({str(k): found for k, found in enumerate(estimates)}, seed).values()
    difference = compare(first, second, rope=0, images=100)
    assert difference is not None
    return difference


@pytest.mark.parametrize("image_spread", [0.0, 0.02])
@pytest.mark.parametrize(
    ("seeds", "configurations"),
    [(2, 2), *(pytest.param(*numbers, marks=pytest.mark.slow) for numbers in [(3, 2), (5, 2), (3, 8)])],
)
def test_intervals_over_few_seeds_are_wide_enough(seeds: int, configurations: int, image_spread: float) -> None:
    """Where seeds and images both vary, intervals may be a little too wide."""
    random = np.random.default_rng(0)
    found: list[tuple[float, float]] = []
    for trial in range(1500):
        errors = image_spread * random.normal(size=2)  # of the images at hand, for two configurations
        values = 0.5 + random.normal(0, 0.02, (configurations, seeds))
        values[:2] += errors[:, None]
        estimates = [make_estimate(row, image_spread, 10 * trial + k, 1000) for k, row in enumerate(values.tolist())]
        found.append(compare_seeds(*estimates, seed=trial).interval)
    assert 0.93 <= count_covered(found, 0.0) <= (0.97 if image_spread == 0 else 0.995)


def test_one_seed_does_not_vary() -> None:
    several, single = make_estimate([0.4, 0.5], 0.0), make_estimate([0.6], 0.0)
    varied = add_seeds({"several": several, "single": single}, 0)
    assert varied["single"] is single
    assert varied["several"].seed_variance == pytest.approx(0.1**2 / 2 / 2)


def test_an_undefined_figure_does_not_spoil_the_others() -> None:
    estimates = {"defined": make_estimate([0.4, 0.5], 0.0), "undefined": make_estimate([math.nan, math.nan], 0.0)}
    varied = add_seeds(estimates, 0)
    assert math.isfinite(varied["defined"].seed_variance)
    assert varied["undefined"] is estimates["undefined"]


@pytest.mark.parametrize("freedom", [1, 2, 8])
def test_deviations_have_the_quantiles_of_a_t_distribution(freedom: int) -> None:
    deviations = draw_deviations(freedom, 1000, 0)
    shares = np.array([0.025, 0.25, 0.5, 0.75, 0.975])
    np.testing.assert_allclose(np.quantile(deviations, shares), stats.t.ppf(shares, freedom), rtol=0.03, atol=0.01)


def test_equal_networks_differ_by_exactly_nothing() -> None:
    first, _ = segment(30, np.random.default_rng(0))
    difference = find_difference((first, first), 200)
    assert difference.is_zero
    assert difference.p_value == 1
    assert difference.probability == 0.5
    assert difference.equivalence == 1


def test_swapping_two_networks_mirrors_their_difference() -> None:
    first, second = segment(50, np.random.default_rng(0))
    there, back = find_difference((first, second), 500), find_difference((second, first), 500)
    assert there.value == -back.value
    np.testing.assert_allclose(there.interval, (-back.interval[1], -back.interval[0]), atol=1e-12)
    assert there.probability == pytest.approx(1 - back.probability)
    assert there.p_value == back.p_value


def test_needed_images_would_give_the_asked_resolution() -> None:
    random = np.random.default_rng(0)
    difference = find_difference(classify(200, random), 2000)
    needed = count_images_needed(difference, 200, 0.03)
    assert needed is not None
    low, high = find_difference(classify(needed, random), 2000).interval
    assert (high - low) / 2 == pytest.approx(0.03, rel=0.15)


def test_needed_seeds_are_named_only_if_seeds_can_help() -> None:
    noisy_images = compare_seeds(make_estimate([0.5, 0.6], 0.1), make_estimate([0.5, 0.6], 0.1, 1))
    noisy_seeds = compare_seeds(make_estimate([0.5, 0.6], 0.0), make_estimate([0.5, 0.6], 0.0, 1))
    one_seed = compare_seeds(make_estimate([0.5], 0.0), make_estimate([0.6], 0.0))
    assert count_seeds_needed(noisy_images, 2, 0.01) is None
    assert count_images_needed(noisy_seeds, 100, 0.01) is None
    assert count_seeds_needed(one_seed, 1, 0.01) is None
    # two seeds of each spread by 0.07, and the mean of n differs by 0.07 √(2 / n) from that of n others
    assert count_seeds_needed(noisy_seeds, 2, 0.01) == pytest.approx(2 * 0.005 * (1.96 / 0.01) ** 2, abs=1)


def test_images_do_not_replace_seeds_of_either() -> None:
    """The interval contains what the seeds of one configuration vary, also where the other has one seed."""
    difference = compare_seeds(make_estimate([0.5, 0.6], 0.01), make_estimate([0.5], 0.01, 1))
    assert count_images_needed(difference, 100, 0.01) is None
    assert count_seeds_needed(difference, 1, 0.01) is None
    assert describe_need(difference, 100, 1, 0.01) == "; it takes more seeds to resolve 0.01."


@pytest.mark.parametrize("seed", range(8))
def test_one_image_makes_no_network_better(seed: int) -> None:
    """A third of the resamples lack the only image in which the two differ."""
    figures, weights = np.ones((2, 20)), draw_weights(20, 1000, seed)
    figures[1, 3] = 0
    first, second = (estimate(row.mean(keepdims=True), (weights @ row / 20)[None]) for row in figures)
    difference = compare(first, second, rope=0.005, images=20)
    assert difference is not None
    assert difference.p_value > 0.5 and difference.interval[0] == 0
    assert difference.probability == pytest.approx(1 - (1 - 1 / 20) ** 20 / 2, abs=0.03)


@pytest.mark.parametrize(("images", "has_interval"), [(5, False), (6, True)])
def test_few_images_give_no_interval(images: int, has_interval: bool) -> None:
    difference = compare(make_estimate([0.5], 0.01), make_estimate([0.9], 0.01, 1), 0, images)
    assert difference is not None
    assert math.isfinite(difference.interval[0]) == has_interval
    pair = Pair("A", "B", difference, difference.p_value, better=None, sentence="")
    assert find_better(pair, "AP") == ("B" if has_interval else None)


def test_intervals_contain_possible_values_only() -> None:
    """Centring moves resampled values, and deviations between seeds are added."""
    high = add_seeds({"": make_estimate([0.97, 1.0], 0.1)}, 0)[""]
    low = Estimate(np.zeros(1), np.array([-0.4, 0.0, 0.4]))
    one = Estimate(np.ones(1), np.array([0.5, 1.4, 1.1]))
    assert 0 <= high.interval[0] < high.interval[1] <= 1
    assert low.interval == (0, pytest.approx(0.38))
    difference = compare(one, low, rope=0.005, images=9)
    assert difference is not None and -1 <= difference.interval[0] < difference.interval[1] <= 1
