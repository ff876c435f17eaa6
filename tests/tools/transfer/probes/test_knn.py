"""The k-NN probe equals a direct computation in float64, and scikit-learn."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from litmobile.tools.transfer.probes import knn
from litmobile.tools.transfer.probes.knn import TEMPERATURE, score_neighbours

CLASSES = 4


def make_features(train: int = 60, samples: int = 25, size: int = 12) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    centres, labels = random.normal(0, 1, (CLASSES, size)), random.integers(CLASSES, size=train)
    near = centres[labels] + random.normal(0, 1, (train, size))
    return near, labels, centres[random.integers(CLASSES, size=samples)] + random.normal(0, 1, (samples, size))


def vote_directly(train: np.ndarray, labels: np.ndarray, sample: np.ndarray, neighbours: int) -> np.ndarray:
    similarity = train @ sample / np.linalg.norm(train, axis=1) / np.linalg.norm(sample)
    votes = np.zeros(CLASSES)
    for index in np.argsort(-similarity)[:neighbours]:
        votes[labels[index]] += np.exp(similarity[index] / 0.07)
    return votes / votes.sum()


@pytest.mark.parametrize("chunk", [7, 1024])
def test_equals_a_direct_computation(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(knn, "CHUNK", chunk)
    train, labels, samples = make_features()
    tensors = (torch.from_numpy(array) for array in (train, labels, samples))
    found = score_neighbours(*tensors, CLASSES, (5, 20, 1))
    for scores, neighbours in zip(found, (5, 20, 1), strict=True):
        expected = [vote_directly(train, labels, sample, neighbours) for sample in samples]
        np.testing.assert_allclose(scores.numpy(), expected, rtol=0, atol=1e-10)


def test_single_precision_gives_the_same_classes() -> None:
    train, labels, samples = make_features(200, 100)
    double, single = (
        score_neighbours(
            torch.tensor(train, dtype=kind), torch.tensor(labels), torch.tensor(samples, dtype=kind), 4, [20]
        )
        for kind in (torch.float64, torch.float32)
    )
    assert single[0].dtype == torch.float64
    torch.testing.assert_close(single, double, rtol=0, atol=1e-4)
    assert torch.equal(single[0].argmax(1), double[0].argmax(1))


def test_equals_scikit_learn() -> None:
    neighbors = pytest.importorskip("sklearn.neighbors", reason="scikit-learn is not installed")
    train, labels, samples = make_features()
    found = score_neighbours(*map(torch.from_numpy, (train, labels, samples)), CLASSES, (5, 20))
    for scores, neighbours in zip(found, (5, 20), strict=True):
        theirs = neighbors.KNeighborsClassifier(
            neighbours, metric="cosine", weights=lambda distance: np.exp((1 - distance) / TEMPERATURE)
        ).fit(train, labels)
        np.testing.assert_allclose(scores.numpy(), theirs.predict_proba(samples), rtol=0, atol=1e-10)


def test_scale_of_features_does_not_matter() -> None:
    train, labels, samples = map(torch.from_numpy, make_features())
    plain = score_neighbours(train, labels, samples, CLASSES, [5])
    scaled = score_neighbours(train * 1e3, labels, samples * 1e-3, CLASSES, [5])
    torch.testing.assert_close(scaled, plain, rtol=0, atol=1e-10)


def test_all_vote_if_neighbours_are_too_few() -> None:
    train, labels, samples = map(torch.from_numpy, make_features(train=8))
    few, many = score_neighbours(train, labels, samples, CLASSES, (8, 20))
    assert torch.equal(few, many)


def test_no_neighbours_are_refused(assert_one_sentence: Callable[..., None]) -> None:
    with pytest.raises(ValueError, match="neighbours") as caught:
        score_neighbours(*map(torch.from_numpy, make_features()), CLASSES, [0])
    assert_one_sentence(caught.value, "0")
