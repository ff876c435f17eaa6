"""Drawn label maps: class colours over the image, a legend of every class, truth next to prediction."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from litmobile.tasks.drawing import (
    GAP,
    IGNORED_COLOUR,
    MAX_PAIRS,
    MIN_LEGEND_FONT,
    PAIR_CAPTION,
    SEGMENTATION_CELL,
    SHEET_FONT,
    colour_labels,
    draw_label_map,
    draw_legend,
    draw_segmentation_sheet,
    draw_text_lines,
    make_palette,
    overlay_labels,
)
from litmobile.tasks.images import Image

CLASSES = ("road", "sky", "pedestrian crossing")
COLOURS = make_palette(3)
FOREIGN = ("Straße", "空", "дерево")


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(256, size=(height, width, 3), dtype=np.uint8)


def colours_in(image: np.ndarray) -> set[tuple[int, ...]]:
    codes = np.unique(image.astype(np.int64) @ np.array([1 << 16, 1 << 8, 1]))
    return {(code >> 16, code >> 8 & 255, code & 255) for code in codes.tolist()}


def batch(count: int, height: int = 40, width: int = 60) -> tuple[Tensor, Tensor, Tensor]:
    """Make black images whose truth is class 0 and whose prediction is class 1."""
    labels = torch.zeros(count, height, width, dtype=torch.uint8)
    return torch.zeros(count, 3, height, width, dtype=torch.uint8), labels, labels.long() + 1


def test_labels_have_class_colours_and_ignored_pixels_are_white() -> None:
    labels = np.array([[0, 1, 2, 3, 254, 255]], dtype=np.uint8)
    drawn = colour_labels(labels, COLOURS)
    assert [tuple(colour) for colour in drawn.reshape(-1, 3).tolist()] == [*COLOURS, *[IGNORED_COLOUR] * 3]
    assert IGNORED_COLOUR not in make_palette(254)


def test_the_image_is_visible_through_the_colours() -> None:
    image, labels = noise(20, 30), np.zeros((20, 30), dtype=np.uint8)
    before = image.copy()
    drawn = overlay_labels(image, labels, COLOURS)
    expected = 0.45 * image.astype(float) + 0.55 * np.array(make_palette(1)[0])
    assert np.abs(drawn - expected).max() <= 1 and np.array_equal(image, before)


@pytest.mark.parametrize("width", [160, 200, 480, 976, 2000])
@pytest.mark.parametrize("classes", [1, 2, 3, 19, 21, 64])
def test_a_legend_names_every_class_at_any_width(classes: int, width: int) -> None:
    names = [f"class number {k}" for k in range(classes)]
    drawn = draw_legend(names, make_palette(classes), width)
    assert drawn.dtype == np.uint8 and drawn.shape[1:] == (width, 3)
    assert set(make_palette(classes)) <= colours_in(drawn)
    assert (drawn[:, -2:] == 255).all(), "nothing is cut off"
    assert len(drawn) <= 24 * classes + 2 * GAP


def test_names_beyond_ascii_are_written() -> None:
    drawn, plain = draw_legend(FOREIGN, COLOURS, 400), draw_legend(("", "", ""), COLOURS, 400)
    assert set(make_palette(3)) <= colours_in(drawn)
    assert (drawn < 100).sum() > (plain < 100).sum() + 100


def test_an_image_is_above_its_legend() -> None:
    image, labels = noise(50, 300), np.full((50, 300), 2, dtype=np.uint8)
    drawn = draw_label_map(image, labels, CLASSES, COLOURS)
    assert np.array_equal(drawn[:50], overlay_labels(image, labels, COLOURS))
    assert np.array_equal(drawn[50:], draw_legend(CLASSES[2:], COLOURS[2:], 300, MIN_LEGEND_FONT))


def draw_text_below(classes: Sequence[str], width: int) -> Image:
    """Draw the caption and the legend that are below the pairs of a sheet."""
    caption = draw_text_lines([PAIR_CAPTION], width, SHEET_FONT, IGNORED_COLOUR)
    return np.concatenate((caption, draw_legend(classes, COLOURS, width)))


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (360, 480), (64, 1000), (1000, 64), (1, 500)])
def test_a_sheet_shows_truth_beside_prediction(size: tuple[int, int]) -> None:
    drawn = draw_segmentation_sheet(*batch(2, *size), CLASSES, COLOURS)
    scale = SEGMENTATION_CELL / max(size)
    height, width = round(size[0] * scale), round(size[1] * scale)
    assert drawn.shape[1] == 2 * (2 * width + GAP)
    both = [np.asarray(0.55 * np.array(colour)).round() for colour in make_palette(2)]
    for column in (0, 2 * width + GAP):
        truth, found = drawn[:height, column:][:, :width], drawn[:height, column + width :][:, :width]
        assert np.abs(truth - both[0]).max() <= 1 and np.abs(found - both[1]).max() <= 1
    assert (drawn[height : height + GAP] == 255).all()
    assert np.array_equal(drawn[height + GAP :], draw_text_below(CLASSES[:2], drawn.shape[1]))


@pytest.mark.parametrize("count", [1, 2, 5, MAX_PAIRS, MAX_PAIRS + 3])
def test_a_sheet_has_rows_of_two_pairs_and_at_most_eight(count: int) -> None:
    one, drawn = (draw_segmentation_sheet(*batch(number), CLASSES, COLOURS) for number in (1, count))
    cell = SEGMENTATION_CELL * 40 // 60 + GAP
    assert drawn.shape[1] == one.shape[1]
    assert len(drawn) - len(one) == (-(-min(count, MAX_PAIRS) // 2) - 1) * cell
    if count % 2 and count < MAX_PAIRS:
        last = drawn[len(drawn) - len(draw_text_below(CLASSES[:2], drawn.shape[1])) - cell :][:cell]
        assert (last[:, drawn.shape[1] // 2 :] == 255).all()


def test_a_sheet_writes_names_beyond_ascii() -> None:
    drawn = draw_segmentation_sheet(*batch(1), FOREIGN, COLOURS)
    legend = draw_legend(FOREIGN[:2], COLOURS[:2], drawn.shape[1])
    assert np.array_equal(drawn[-len(legend) :], legend)
