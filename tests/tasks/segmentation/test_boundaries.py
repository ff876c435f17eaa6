"""Numbers of boundary pixels equal those of plain loops over all pairs of pixels."""

from __future__ import annotations

import math
from collections import defaultdict

import numpy as np
import pytest

from litmobile.tasks.segmentation.boundaries import MAX_SIDE, count_boundaries, find_boundaries
from litmobile.tasks.segmentation.evidence import compute_boundary_f
from litmobile.tasks.segmentation.masks import Labels

Points = dict[int, list[tuple[int, int]]]


def list_boundaries(labels: Labels) -> Points:
    """Return the boundary pixels of each class."""
    height, width = labels.shape
    found: Points = defaultdict(list)
    for y in range(height):
        for x in range(width):
            beside = [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
            others = [labels[v, u] for v, u in beside if 0 <= v < height and 0 <= u < width]
            if labels[y, x] != 255 and any(other not in (255, labels[y, x]) for other in others):
                found[int(labels[y, x])].append((y, x))
    return found


def count_slowly(predicted: Labels, truth: Labels) -> list[list[int]]:
    """Return what :func:`count_boundaries` returns, from all pairs of boundary pixels."""
    tolerance = max(1.0, 0.0075 * math.hypot(*truth.shape))
    masks, predictions = list_boundaries(truth), list_boundaries(np.where(truth == 255, truth, predicted))

    def count_near(points: list[tuple[int, int]], others: list[tuple[int, int]]) -> int:
        return sum(any(math.dist(point, other) <= tolerance for other in others) for point in points)

    rows = []
    for k in sorted(masks.keys() | predictions.keys()):
        mask, prediction = masks[k], predictions[k]
        rows.append([k, len(mask), len(prediction), count_near(mask, prediction), count_near(prediction, mask)])
    return rows


def make_maps(seed: int, classes: int, size: tuple[int, int]) -> tuple[Labels, Labels]:
    """Return a prediction that is the truth, moved and with noise; some pixels of the truth are ignored."""
    random = np.random.default_rng(seed)
    blocks = random.integers(classes, size=(size[0] // 4 + 1, size[1] // 4 + 1), dtype=np.uint8)
    truth = blocks.repeat(4, axis=0).repeat(4, axis=1)[: size[0], : size[1]]
    moved = np.roll(truth, random.integers(4, size=2), axis=(0, 1))
    noise = random.integers(classes, size=size, dtype=np.uint8)
    predicted = np.where(random.random(size) < 0.9, moved, noise)
    return predicted, np.where(random.random(size) < 0.1, np.uint8(255), truth)


@pytest.mark.parametrize("size", [(23, 31), (1, 40), (40, 1), (2, 2), (1, 1), (3, 400)])
@pytest.mark.parametrize("classes", [1, 2, 7, 40, 100, 254])
@pytest.mark.parametrize("seed", range(3))
def test_counts_equal_plain_loops(seed: int, classes: int, size: tuple[int, int]) -> None:
    predicted, truth = make_maps(seed, classes, size)
    assert count_boundaries(predicted, truth).tolist() == count_slowly(predicted, truth)


def test_the_tolerance_is_a_euclidean_distance() -> None:
    truth, predicted = (np.zeros((240, 320), dtype=np.uint8) for _ in range(2))  # the tolerance is 3 pixels
    truth[100, 100], predicted[102, 102], predicted[103, 100] = 1, 1, 1
    assert count_boundaries(predicted, truth)[1].tolist() == [1, 1, 2, 1, 2]
    predicted[103, 100], predicted[102, 103] = 0, 0
    assert count_boundaries(predicted, truth)[1].tolist() == [1, 1, 1, 1, 1]  # √8 pixels
    predicted[102, 102], predicted[101, 103] = 0, 1
    assert count_boundaries(predicted, truth)[1].tolist() == [1, 1, 1, 0, 0]  # √10 pixels


def test_ignored_pixels_neither_are_nor_create_boundaries() -> None:
    truth = np.array([[0, 0, 255, 1, 1]], dtype=np.uint8)
    predicted = np.array([[0, 0, 1, 1, 1]], dtype=np.uint8)
    assert len(count_boundaries(predicted, truth)) == 0
    assert (find_boundaries(truth) == 255).all()


def test_an_image_of_ignored_pixels_has_no_boundaries() -> None:
    predicted, truth = make_maps(0, 5, (9, 8))
    truth[:] = 255
    assert count_boundaries(predicted, truth).shape == (0, 5)


def test_large_label_maps_are_reduced() -> None:
    small = make_maps(0, 3, (8, MAX_SIDE))
    large = [labels.repeat(2, axis=0).repeat(2, axis=1) for labels in small]
    assert np.array_equal(count_boundaries(*large), count_boundaries(*small))


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [
        ((10, 10, 10, 10), 1.0),
        ((10, 20, 5, 10), 0.5),
        ((10, 20, 8, 8), 2 * 0.4 * 0.8 / 1.2),
        ((10, 0, 0, 0), 0.0),  # never predicted
        ((0, 10, 0, 0), 0.0),  # in no mask
        ((10, 10, 0, 0), 0.0),
        ((0, 0, 0, 0), np.nan),  # absent
    ],
)
def test_f_is_the_harmonic_mean(pixels: tuple[int, ...], expected: float) -> None:
    assert compute_boundary_f(np.array([pixels])) == pytest.approx([expected], nan_ok=True)
