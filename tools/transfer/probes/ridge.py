"""Ridge classifier on features: least squares on targets of ±1, with the penalty chosen by cross-validation.

Samples are weighted so that all classes count the same, because the figure is the mean over classes. Without weights,
rare classes are hardly ever predicted: with MobileNetV2 on CamVid, the mean accuracy of classes was 0.38 instead of
0.64, and that of cells 0.73 instead of 0.70.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ....errors import UserError
from .accuracy import mean_recall

Array = NDArray[np.float64]
#: penalties relative to the mean eigenvalue of the features' covariance
PENALTIES = np.logspace(-6, 6, 25)
RANK_TOLERANCE = 1e-12  # eigenvalues below this share of the largest are rounding errors


class Problem(NamedTuple):
    """Weighted least squares.

    Attributes:
        features: ``[S, D]``.
        targets: ``[S, C]``.
        weights: of the samples, ``[S]``.
    """

    features: Array
    targets: Array
    weights: Array

    def take(self, rows: NDArray[np.bool_]) -> Problem:
        """Returns the samples that the mask ``[S]`` selects."""
        return Problem(*(values[rows] for values in self))

    def moments(self) -> Array:
        """Returns the sums over samples from which the solution follows; sums over a part can be subtracted.

        Returns:
            ``[D + 1, D + 1 + C]``: weighted products of features and a 1 with features, a 1 and targets.
        """
        extended = np.column_stack((self.features, np.ones(len(self.features))))
        return (extended * self.weights[:, None]).T @ np.column_stack((extended, self.targets))


class Spectrum(NamedTuple):
    """Least squares in the eigenvectors of the centred features' covariance, which gives the solution of any penalty.

    Attributes:
        centre: weighted mean of the features, ``[D]``.
        offset: weighted mean of the targets, ``[C]``, which is not penalised.
        vectors: eigenvectors, ``[D, R]``.
        values: eigenvalues of the centred features' squares, ``[R]``; their mean over D dimensions is the unit of
            penalties.
        products: of eigenvectors and targets, ``[R, C]``.
    """

    centre: Array
    offset: Array
    vectors: Array
    values: Array
    products: Array

    @classmethod
    def of_moments(cls, moments: Array) -> Spectrum:
        """Decomposes the covariance, ``[D, D]``; see :meth:`Problem.moments`."""
        size = len(moments) - 1
        total, sums, sums_of_targets = moments[size, size], moments[size, :size], moments[size, size + 1 :]
        centre, offset = sums / total, sums_of_targets / total
        covariance = moments[:size, :size] - centre[:, None] * sums
        products = moments[:size, size + 1 :] - sums[:, None] * offset
        values, vectors = np.linalg.eigh(covariance)
        return cls(centre, offset, *cls._drop_rounding(vectors, values, vectors.T @ products))

    @classmethod
    def of_samples(cls, problem: Problem) -> Spectrum:
        """Decomposes the products of all pairs of samples, ``[S, S]``, which is faster with fewer samples than D."""
        total, roots = problem.weights.sum(), np.sqrt(problem.weights)[:, None]
        centre, offset = problem.weights @ problem.features / total, problem.weights @ problem.targets / total
        features, targets = (problem.features - centre) * roots, (problem.targets - offset) * roots
        values, vectors = np.linalg.eigh(features @ features.T)
        vectors, values, projected = cls._drop_rounding(vectors, values, vectors.T @ targets)
        lengths = np.sqrt(values)
        return cls(centre, offset, features.T @ vectors / lengths, values, projected * lengths[:, None])

    @classmethod
    def of(cls, problem: Problem) -> Spectrum:
        """Decomposes the smaller of both matrices."""
        if problem.features.shape[0] < problem.features.shape[1]:
            return cls.of_samples(problem)
        return cls.of_moments(problem.moments())

    @staticmethod
    def _drop_rounding(vectors: Array, values: Array, products: Array) -> tuple[Array, Array, Array]:
        kept = values > RANK_TOLERANCE * max(values.max(), np.finfo(np.float64).tiny)
        return vectors[:, kept], values[kept], products[kept]

    def predict(self, features: Array, penalties: Array) -> Iterator[Array]:
        """Yields the predicted targets ``[S, C]`` of ``features`` ``[S, D]`` for each of the relative ``penalties``."""
        projected = (features - self.centre) @ self.vectors
        unit = self.values.sum() / len(self.centre)
        for penalty in penalties:
            yield projected @ (self.products / (self.values + penalty * unit)[:, None]) + self.offset


class RidgeResult(NamedTuple):
    """Result of :func:`score_ridge`.

    Attributes:
        scores: predicted targets of the samples, ``[S, C]``, about −1 for no and 1 for yes.
        penalty: the chosen penalty, relative to the mean eigenvalue.
        validated: mean per-class accuracy of each of ``PENALTIES`` in cross-validation.
    """

    scores: Array
    penalty: float
    validated: Array


def score_ridge(
    train: Array, labels: NDArray[np.int64], folds: NDArray[np.int64], samples: Array, classes: int
) -> RidgeResult:
    """Scores classes by ridge regression on the targets of the training samples, 1 for their class and −1 for others.

    Features are standardised by mean and standard deviation of the training samples. All classes have the same weight
    in the fit. The penalty has the highest mean
    per-class accuracy in cross-validation; of equal ones, that with the least squared error. One eigendecomposition
    serves all penalties.

    Args:
        train: features of the training samples, ``[T, D]``.
        labels: their classes, ``[T]``.
        folds: their fold, ``[T]``; all samples of an image have to be in the same.
        samples: features of the samples to classify, ``[S, D]``.
        classes: number of classes C.

    Raises:
        UserError: all training samples are in one fold.
    """
    centre, scale = train.mean(0), train.std(0)
    scale[scale <= 1e-7 * np.abs(centre)] = 1.0  # of constant features, which rounding would blow up
    train, samples = (train - centre) / scale, (samples - centre) / scale
    problem = Problem(train, 2.0 * np.eye(classes)[labels] - 1, weigh_classes(labels))
    validated, errors = cross_validate(problem, labels, folds)
    best = max(range(len(PENALTIES)), key=lambda k: (validated[k], -errors[k]))
    (scores,) = Spectrum.of(problem).predict(samples, PENALTIES[best : best + 1])
    return RidgeResult(scores, float(PENALTIES[best]), validated)


def weigh_classes(labels: NDArray[np.int64]) -> Array:
    """Returns weights of the samples, ``[S]``, with the mean 1 and the same sum for each class that has samples."""
    counts = np.bincount(labels)
    return len(labels) / (np.count_nonzero(counts) * counts[labels])


def cross_validate(problem: Problem, labels: NDArray[np.int64], folds: NDArray[np.int64]) -> tuple[Array, Array]:
    """Returns mean per-class accuracy and mean squared error of each penalty on samples that were left out.

    With more samples than features, the moments of each fold are subtracted from those of all.
    """
    parts = [folds == fold for fold in np.unique(folds)]
    if len(parts) < 2:
        raise UserError("The ridge probe needs at least two training images, to choose its penalty on the others.")
    samples, size = problem.features.shape
    is_long = samples - max(part.sum() for part in parts) >= size
    moments = np.stack([problem.take(part).moments() for part in parts]) if is_long else None
    predicted, errors = np.empty((len(PENALTIES), samples), dtype=np.int64), np.zeros(len(PENALTIES))
    for number, part in enumerate(parts):
        if moments is None:
            spectrum = Spectrum.of_samples(problem.take(~part))
        else:
            spectrum = Spectrum.of_moments(moments.sum(0) - moments[number])
        left_out = problem.take(part)
        for k, scores in enumerate(spectrum.predict(left_out.features, PENALTIES)):
            predicted[k, part] = scores.argmax(1)
            errors[k] += left_out.weights @ np.square(scores - left_out.targets).sum(1)
    classes = problem.targets.shape[1]
    return np.array([mean_recall(labels, row, classes) for row in predicted]), errors / problem.targets.size


def divide_into_folds(order: NDArray[np.intp], images: NDArray[np.int64], folds: int = 5) -> NDArray[np.int64]:
    """Returns the fold of each sample, so that all samples of an image are in the same.

    Args:
        order: all images in an order of which every part has about the same kinds of images, ``[I]``.
        images: image of each sample, ``[S]``.
        folds: number of folds; at most as many as images with samples.
    """
    with_samples = np.unique(images)
    ranks = np.empty(len(order), dtype=np.int64)
    ranks[order[np.isin(order, with_samples)]] = np.arange(len(with_samples))
    return ranks[images] * min(folds, len(with_samples)) // len(with_samples)
