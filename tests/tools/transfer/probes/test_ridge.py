"""The ridge probe equals least squares that is solved directly in float64, and chooses its penalty on other images."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest

from litmobile.tools.transfer.probes.accuracy import mean_recall
from litmobile.tools.transfer.probes.ridge import (
    PENALTIES,
    Problem,
    Spectrum,
    cross_validate,
    divide_into_folds,
    score_ridge,
    weigh_classes,
)

CLASSES = 3


class Data(NamedTuple):
    """Samples of three classes, four per image, of unequal scales and with a constant feature."""

    train: np.ndarray
    labels: np.ndarray
    images: np.ndarray
    samples: np.ndarray

    @property
    def folds(self) -> np.ndarray:
        return divide_into_folds(np.arange(self.images.max() + 1), self.images)

    def standardise(self) -> tuple[Problem, np.ndarray]:
        deviation = self.train.std(0)
        deviation[0] = 1  # of the constant feature
        train, samples = ((x - self.train.mean(0)) / deviation for x in (self.train, self.samples))
        return Problem(train, 2.0 * np.eye(CLASSES)[self.labels] - 1, weigh_classes(self.labels)), samples


def make_data(images: int, size: int, seed: int = 0) -> Data:
    random = np.random.default_rng(seed)
    labels = random.choice(CLASSES, size=4 * images, p=(0.6, 0.3, 0.1))
    scale = np.exp(random.normal(0, 2, size))
    centres = random.normal(0, 0.7, (CLASSES, size))
    train = (centres[labels] + random.normal(0, 1, (len(labels), size))) * scale + 5
    train[:, 0] = 0.1
    samples = random.normal(0, 1, (9, size)) * scale + 5
    return Data(train, labels, np.repeat(np.arange(images), 4), samples)


def solve_directly(problem: Problem, samples: np.ndarray, penalty: float) -> np.ndarray:
    """Solves the normal equations of the centred problem."""
    train, targets, weights = problem
    centre, offset = (np.average(x, axis=0, weights=weights) for x in (train, targets))
    covariance = (train - centre).T @ np.diag(weights) @ (train - centre)
    unit = np.trace(covariance) / len(covariance)
    products = (train - centre).T @ np.diag(weights) @ (targets - offset)
    return (samples - centre) @ np.linalg.solve(
        covariance + penalty * unit * np.eye(len(covariance)), products
    ) + offset


#: more samples than features, and fewer: each is decomposed in another way
shapes = pytest.mark.parametrize(("images", "size"), [(40, 30), (12, 100), (25, 90)], ids=["long", "wide", "mixed"])


@shapes
def test_every_penalty_equals_the_direct_solution(images: int, size: int) -> None:
    problem, samples = make_data(images, size).standardise()
    for spectrum in (Spectrum.of_samples(problem), Spectrum.of_moments(problem.moments())):
        for penalty, found in zip(PENALTIES, spectrum.predict(samples, PENALTIES), strict=True):
            expected = solve_directly(problem, samples, penalty)
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-7 * max(1, np.abs(expected).max()))


@shapes
def test_cross_validation_equals_direct_solutions(images: int, size: int) -> None:
    data = make_data(images, size)
    problem, _ = data.standardise()
    accuracy, errors = cross_validate(problem, data.labels, data.folds)
    for k in range(0, len(PENALTIES), 3):
        predicted = np.empty_like(problem.targets)
        for fold in range(5):
            is_left_out = data.folds == fold
            kept, left_out = problem.take(~is_left_out), problem.features[is_left_out]
            predicted[is_left_out] = solve_directly(kept, left_out, PENALTIES[k])
        squared = np.square(predicted - problem.targets) * problem.weights[:, None]
        assert errors[k] == pytest.approx(squared.mean(), rel=1e-6)
        assert accuracy[k] == mean_recall(data.labels, predicted.argmax(1), CLASSES)


@shapes
def test_scores_are_those_of_the_best_penalty(images: int, size: int) -> None:
    data = make_data(images, size)
    problem, samples = data.standardise()
    result = score_ridge(data.train, data.labels, data.folds, data.samples, CLASSES)
    assert result.validated[np.searchsorted(PENALTIES, result.penalty)] == result.validated.max()
    expected = solve_directly(problem, samples, result.penalty)
    np.testing.assert_allclose(result.scores, expected, rtol=0, atol=1e-7)


def test_equals_scikit_learn() -> None:
    linear_model = pytest.importorskip("sklearn.linear_model", reason="scikit-learn is not installed")
    data = make_data(30, 20)
    problem, samples = data.standardise()
    centred = problem.features - np.average(problem.features, axis=0, weights=problem.weights)
    unit = problem.weights @ np.square(centred).mean(1)
    for penalty, found in zip(PENALTIES, Spectrum.of(problem).predict(samples, PENALTIES), strict=True):
        theirs = linear_model.RidgeClassifier(alpha=penalty * unit, solver="svd", class_weight="balanced")
        expected = theirs.fit(problem.features, data.labels).decision_function(samples)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-7)


def test_all_classes_have_the_same_weight() -> None:
    weights = weigh_classes(np.array([0, 0, 0, 3, 0, 3]))
    np.testing.assert_allclose(weights, [0.75, 0.75, 0.75, 1.5, 0.75, 1.5])


def test_separable_classes_are_told_apart() -> None:
    data = make_data(30, 40)
    train = data.train + 40 * np.eye(CLASSES, 40, k=1)[data.labels] * data.train.std(0)
    result = score_ridge(train, data.labels, data.folds, train, CLASSES)
    assert result.validated.max() == 1
    assert (result.scores.argmax(1) == data.labels).all()


@pytest.mark.parametrize("images", [2, 3, 5, 23])
def test_images_are_never_divided_between_folds(images: int) -> None:
    random = np.random.default_rng(0)
    with_samples = np.sort(random.choice(40, images, replace=False))
    owners = np.repeat(with_samples, random.integers(1, 9, images))
    folds = divide_into_folds(random.permutation(40), owners)
    by_image = [set(folds[owners == image]) for image in with_samples]
    assert all(len(of_image) == 1 for of_image in by_image)
    counts = np.bincount([of_image.pop() for of_image in by_image])
    assert len(counts) == min(5, images) and counts.max() - counts.min() <= 1


def test_a_single_image_is_refused(assert_one_sentence: Callable[..., None]) -> None:
    data = make_data(1, 5)
    with pytest.raises(ValueError, match="two training images") as caught:
        score_ridge(data.train, data.labels, data.folds, data.samples, CLASSES)
    assert_one_sentence(caught.value, "penalty")


def test_mean_recall_averages_classes_that_have_samples() -> None:
    labels, predicted = np.array([0, 0, 0, 0, 2, 2]), np.array([0, 0, 0, 1, 2, 1])
    assert mean_recall(labels, predicted, 4) == (0.75 + 0.5) / 2
    assert np.isnan(mean_recall(labels[:0], predicted[:0], 4))
