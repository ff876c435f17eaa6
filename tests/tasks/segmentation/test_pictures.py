"""Label maps as pictures: colours where labels are, a legend of every class, truth beside prediction."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from litmobile.tasks.drawing import palette
from litmobile.tasks.images import Image
from litmobile.tasks.matrices import draw_matrix
from litmobile.tasks.segmentation.colours import NO_CLASS
from litmobile.tasks.segmentation.pictures import (
    CELL,
    GAP,
    LEAST_LETTERS,
    MOST_IMAGES,
    SIDES,
    caption,
    coloured,
    contact_sheet,
    draw_labels,
    legend,
    overlaid,
)

CLASSES = ("road", "sky", "pedestrian crossing")
FOREIGN = ("Straße", "空", "дерево")


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(256, size=(height, width, 3), dtype=np.uint8)


def colours_in(picture: np.ndarray) -> set[tuple[int, ...]]:
    codes = np.unique(picture.astype(np.int64) @ np.array([1 << 16, 1 << 8, 1]))
    return {(code >> 16, code >> 8 & 255, code & 255) for code in codes.tolist()}


def batch(count: int, height: int = 40, width: int = 60) -> tuple[Tensor, Tensor, Tensor]:
    """Black pictures whose truth is class 0 and whose prediction is class 1."""
    labels = torch.zeros(count, height, width, dtype=torch.uint8)
    return torch.zeros(count, 3, height, width, dtype=torch.uint8), labels, labels.long() + 1


def test_labels_have_the_colours_of_their_classes_and_what_is_none_is_white() -> None:
    labels = np.array([[0, 1, 2, 3, 254, 255]], dtype=np.uint8)
    drawn = coloured(labels, CLASSES)
    assert [tuple(colour) for colour in drawn.reshape(-1, 3).tolist()] == [*palette(3), NO_CLASS, NO_CLASS, NO_CLASS]
    assert NO_CLASS not in palette(254)


@pytest.mark.parametrize("classes", [2, 19, 64])
def test_a_class_has_one_colour_however_many_there_are_beside_it(classes: int) -> None:
    assert palette(254)[:classes] == palette(classes)
    assert len(set(palette(classes))) == classes


def test_the_picture_shows_through_its_colours() -> None:
    image, labels = noise(20, 30), np.zeros((20, 30), dtype=np.uint8)
    before = image.copy()
    drawn = overlaid(image, labels, CLASSES)
    expected = 0.45 * image.astype(float) + 0.55 * np.array(palette(1)[0])
    assert np.abs(drawn - expected).max() <= 1 and np.array_equal(image, before)


@pytest.mark.parametrize("width", [160, 200, 480, 976, 2000])
@pytest.mark.parametrize("classes", [1, 2, 3, 19, 21, 64])
def test_a_legend_holds_every_class_in_its_width(classes: int, width: int) -> None:
    names = [f"class number {k}" for k in range(classes)]
    drawn = legend(names, width)
    assert drawn.dtype == np.uint8 and drawn.shape[1:] == (width, 3)
    assert set(palette(classes)) <= colours_in(drawn)
    assert (drawn[:, -2:] == 255).all(), "nothing is cut off"
    assert len(drawn) <= 24 * classes + 2 * GAP


def test_names_in_other_letters_are_written_too() -> None:
    drawn, plain = legend(FOREIGN, 400), legend(("", "", ""), 400)
    assert set(palette(3)) <= colours_in(drawn)
    assert (drawn < 100).sum() > (plain < 100).sum() + 100


def test_a_picture_stands_above_its_legend() -> None:
    image, labels = noise(50, 300), np.full((50, 300), 2, dtype=np.uint8)
    drawn = draw_labels(image, labels, CLASSES)
    assert np.array_equal(drawn[:50], overlaid(image, labels, CLASSES))
    assert np.array_equal(drawn[50:], legend(CLASSES, 300, LEAST_LETTERS))


def below(classes: Sequence[str], width: int) -> Image:
    """What stands below the pairs of a sheet."""
    return np.concatenate((caption(SIDES, width), legend(classes, width)))


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (360, 480), (64, 1000), (1000, 64), (1, 500)])
def test_a_sheet_shows_truth_beside_prediction_at_one_size(size: tuple[int, int]) -> None:
    drawn = contact_sheet(*batch(2, *size), CLASSES)
    scale = CELL / max(size)
    height, width = round(size[0] * scale), round(size[1] * scale)
    assert drawn.shape[1] == 2 * (2 * width + GAP)
    both = [np.asarray(0.55 * np.array(colour)).round() for colour in palette(2)]
    for column in (0, 2 * width + GAP):
        truth, found = drawn[:height, column:][:, :width], drawn[:height, column + width :][:, :width]
        assert np.abs(truth - both[0]).max() <= 1 and np.abs(found - both[1]).max() <= 1
    assert (drawn[height : height + GAP] == 255).all()
    assert np.array_equal(drawn[height + GAP :], below(CLASSES, drawn.shape[1]))


@pytest.mark.parametrize("count", [1, 2, 5, MOST_IMAGES, MOST_IMAGES + 3])
def test_a_sheet_has_two_pairs_in_a_row_and_no_more_than_eight(count: int) -> None:
    one, drawn = contact_sheet(*batch(1), CLASSES), contact_sheet(*batch(count), CLASSES)
    cell = CELL * 40 // 60 + GAP
    assert drawn.shape[1] == one.shape[1]
    assert len(drawn) - len(one) == (-(-min(count, MOST_IMAGES) // 2) - 1) * cell
    if count % 2 and count < MOST_IMAGES:
        last = drawn[len(drawn) - len(below(CLASSES, drawn.shape[1])) - cell :][:cell]
        assert (last[:, drawn.shape[1] // 2 :] == 255).all()


def test_a_sheet_takes_names_in_other_letters() -> None:
    drawn = contact_sheet(*batch(1), FOREIGN)
    assert np.array_equal(drawn[-len(legend(FOREIGN, drawn.shape[1])) :], legend(FOREIGN, drawn.shape[1]))


@pytest.mark.parametrize("classes", [1, 19, 150])
def test_counts_of_pixels_have_room_in_the_matrix(classes: int) -> None:
    matrix = np.diag(np.full(classes, 1_234_567_890))
    drawn = draw_matrix(matrix, [f"class {k}" for k in range(classes)])
    assert drawn.shape[0] == drawn.shape[1] and drawn.shape[0] < 110 * max(classes, 10)
