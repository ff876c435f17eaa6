"""The ridge probe equals least squares that is solved directly in float64, and chooses its penalty on other images."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest

from litmobile.tools.transfer.probes.accuracy import mean_recall
from litmobile.tools.transfer.probes.ridge import (
    PENALTIES,
    Spectrum,
    compute_moments,
    cross_validate,
    divide_into_folds,
    score_ridge,
)

CLASSES = 3


class Problem(NamedTuple):
    """Samples of three classes, four per image, of unequal scales and with a constant feature."""

    train: np.ndarray
    labels: np.ndarray
    images: np.ndarray
    samples: np.ndarray

    @property
    def targets(self) -> np.ndarray:
        return 2.0 * np.eye(CLASSES)[self.labels] - 1

    @property
    def folds(self) -> np.ndarray:
        return divide_into_folds(np.arange(self.images.max() + 1), self.images)


def make_problem(images: int, size: int, seed: int = 0) -> Problem:
    random = np.random.default_rng(seed)
    labels = random.choice(CLASSES, size=4 * images, p=(0.6, 0.3, 0.1))
    scale = np.exp(random.normal(0, 2, size))
    centres = random.normal(0, 0.7, (CLASSES, size))
    train = (centres[labels] + random.normal(0, 1, (len(labels), size))) * scale + 5
    train[:, 0] = 0.1
    samples = random.normal(0, 1, (9, size)) * scale + 5
    return Problem(train, labels, np.repeat(np.arange(images), 4), samples)


def solve_directly(train: np.ndarray, targets: np.ndarray, samples: np.ndarray, penalty: float) -> np.ndarray:
    """Solves the normal equations of the centred problem."""
    centre = train.mean(0)
    covariance = (train - centre).T @ (train - centre)
    unit = np.trace(covariance) / len(covariance)
    weights = np.linalg.solve(
        covariance + penalty * unit * np.eye(len(covariance)), (train - centre).T @ (targets - targets.mean(0))
    )
    return (samples - centre) @ weights + targets.mean(0)


def standardise(problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    deviation = problem.train.std(0)
    deviation[0] = 1  # of the constant feature
    train, samples = ((x - problem.train.mean(0)) / deviation for x in (problem.train, problem.samples))
    return train, samples


#: more samples than features, and fewer: each is decomposed in another way
shapes = pytest.mark.parametrize(("images", "size"), [(40, 30), (12, 100), (25, 90)], ids=["long", "wide", "mixed"])


@shapes
def test_every_penalty_equals_the_direct_solution(images: int, size: int) -> None:
    problem = make_problem(images, size)
    train, samples = standardise(problem)
    for spectrum in (
        Spectrum.of_samples(train, problem.targets),
        Spectrum.of_moments(compute_moments(train, problem.targets)),
    ):
        for penalty, found in zip(PENALTIES, spectrum.predict(samples, PENALTIES), strict=True):
            expected = solve_directly(train, problem.targets, samples, penalty)
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-7 * max(1, np.abs(expected).max()))


@shapes
def test_cross_validation_equals_direct_solutions(images: int, size: int) -> None:
    problem = make_problem(images, size)
    train, _ = standardise(problem)
    accuracy, errors = cross_validate(train, problem.targets, problem.labels, problem.folds)
    for k in range(0, len(PENALTIES), 3):
        predicted = np.empty_like(problem.targets)
        for fold in range(5):
            left_out = problem.folds == fold
            kept = ~left_out
            predicted[left_out] = solve_directly(train[kept], problem.targets[kept], train[left_out], PENALTIES[k])
        assert errors[k] == pytest.approx(np.square(predicted - problem.targets).mean(), rel=1e-6)
        assert accuracy[k] == mean_recall(problem.labels, predicted.argmax(1), CLASSES)


@shapes
def test_scores_are_those_of_the_best_penalty(images: int, size: int) -> None:
    problem = make_problem(images, size)
    train, samples = standardise(problem)
    result = score_ridge(problem.train, problem.labels, problem.folds, problem.samples, CLASSES)
    assert result.validated[np.searchsorted(PENALTIES, result.penalty)] == result.validated.max()
    expected = solve_directly(train, problem.targets, samples, result.penalty)
    np.testing.assert_allclose(result.scores, expected, rtol=0, atol=1e-7)


def test_equals_scikit_learn() -> None:
    linear_model = pytest.importorskip("sklearn.linear_model", reason="scikit-learn is not installed")
    problem = make_problem(30, 20)
    train, samples = standardise(problem)
    unit = np.square(train).sum() / train.shape[1]
    spectrum = Spectrum.of_samples(train, problem.targets)
    for penalty, found in zip(PENALTIES, spectrum.predict(samples, PENALTIES), strict=True):
        theirs = linear_model.RidgeClassifier(alpha=penalty * unit, solver="svd").fit(train, problem.labels)
        np.testing.assert_allclose(found, theirs.decision_function(samples), rtol=0, atol=1e-7)


def test_separable_classes_are_told_apart() -> None:
    problem = make_problem(30, 40)
    train = problem.train + 40 * np.eye(CLASSES, 40, k=1)[problem.labels] * problem.train.std(0)
    result = score_ridge(train, problem.labels, problem.folds, train, CLASSES)
    assert result.validated.max() == 1
    assert (result.scores.argmax(1) == problem.labels).all()


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
    problem = make_problem(1, 5)
    with pytest.raises(ValueError, match="two training images") as caught:
        score_ridge(problem.train, problem.labels, problem.folds, problem.samples, CLASSES)
    assert_one_sentence(caught.value, "penalty")


def test_mean_recall_averages_classes_that_have_samples() -> None:
    labels, predicted = np.array([0, 0, 0, 0, 2, 2]), np.array([0, 0, 0, 1, 2, 1])
    assert mean_recall(labels, predicted, 4) == (0.75 + 0.5) / 2
    assert np.isnan(mean_recall(labels[:0], predicted[:0], 4))
