"""Drawn label maps: class colours over the image, clear background, a legend, truth next to prediction."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from litmobile.tasks.drawing import (
    GAP,
    IGNORED_COLOUR,
    MAX_PAIRS,
    MIN_LEGEND_FONT,
    NO_CLASS,
    SEGMENTATION_CELL,
    colour_labels,
    draw_label_map,
    draw_legend,
    draw_pair,
    draw_segmentation_sheet,
    find_background,
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


def overlay_of(label: int, size: tuple[int, int]) -> Image:
    """Draw a black image of the size in a sheet, all pixels of which have ``label``."""
    scale = SEGMENTATION_CELL / max(size)
    colour = np.asarray(0.55 * np.array(COLOURS[label])).round().astype(np.uint8)
    return np.full((round(size[0] * scale), round(size[1] * scale), 3), colour)


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (360, 480), (64, 1000), (1000, 64), (1, 500)])
def test_a_sheet_shows_truth_beside_prediction(size: tuple[int, int]) -> None:
    drawn = draw_segmentation_sheet(*batch(2, *size), CLASSES, COLOURS)
    pair = draw_pair(overlay_of(0, size), overlay_of(1, size))
    height, width = pair.shape[:2]
    assert drawn.shape[1] == 2 * (width + GAP)
    for left in (0, width + GAP):
        assert np.abs(drawn[:height, left:][:, :width].astype(int) - pair).max() <= 1
    assert (drawn[height : height + GAP] == 255).all()
    assert np.array_equal(drawn[height + GAP :], draw_legend(CLASSES[:2], COLOURS[:2], drawn.shape[1]))


@pytest.mark.parametrize(("count", "rows"), [(1, 1), (2, 1), (3, 2), (5, 3), (MAX_PAIRS, 4), (MAX_PAIRS + 3, 4)])
def test_a_sheet_has_as_many_columns_as_it_needs(count: int, rows: int) -> None:
    drawn = draw_segmentation_sheet(*batch(count), CLASSES, COLOURS)
    height, width = draw_pair(overlay_of(0, (40, 60)), overlay_of(1, (40, 60))).shape[:2]
    assert drawn.shape[1] == min(count, 2) * (width + GAP)
    legend = draw_legend(CLASSES[:2], COLOURS[:2], drawn.shape[1])
    assert len(drawn) == rows * (height + GAP) + len(legend)


def test_a_sheet_writes_names_beyond_ascii() -> None:
    drawn = draw_segmentation_sheet(*batch(1), FOREIGN, COLOURS)
    legend = draw_legend(FOREIGN[:2], COLOURS[:2], drawn.shape[1])
    assert np.array_equal(drawn[-len(legend) :], legend)


# background


@pytest.mark.parametrize("name", ["background", "Background", "BG", "_background_", "__background__"])
def test_background_is_neither_coloured_nor_listed(name: str) -> None:
    image, labels = noise(60, 200), np.zeros((60, 200), dtype=np.uint8)
    labels[:20], labels[20:40] = 1, 255
    classes = (name, "sky", "bird")
    drawn = draw_label_map(image, labels, classes, COLOURS)
    assert np.array_equal(drawn[40:60], image[40:])
    assert np.array_equal(drawn[:40], overlay_labels(image, labels, COLOURS)[:40]), "others stay coloured, or pale"
    legend = draw_legend(("sky", NO_CLASS), (COLOURS[1], IGNORED_COLOUR), 200, MIN_LEGEND_FONT)
    assert np.array_equal(drawn[60:], legend)


@pytest.mark.parametrize("name", ["backgrounds", "sky background", "big", ""])
def test_other_classes_are_coloured(name: str) -> None:
    assert find_background(("background", name)) == [0]


@pytest.mark.parametrize("number", [2, 150])
def test_background_of_a_video_is_clear(number: int) -> None:
    image = noise(360, 480)
    labels = np.random.default_rng(0).integers(number, size=(360, 480)).astype(np.uint8)
    classes, colours = ("background", *(f"class {k}" for k in range(1, number))), make_palette(number)
    first, second = (draw_label_map(image, drawn, classes, colours, is_frame=True) for drawn in (labels, labels // 2))
    assert first.shape == second.shape
    assert np.array_equal(first[:360][labels == 0], image[labels == 0])
    assert not np.array_equal(first[:360][labels == 1], image[labels == 1])
    assert colours[0] not in colours_in(first[360:]) and colours_in(first[360:]) & set(colours[1:])


def test_background_of_a_sheet_is_clear() -> None:
    images, truth, predicted = batch(2, 480, 480)
    drawn = draw_segmentation_sheet(images + 77, truth, predicted, ("background", "dog", "cat"), COLOURS)
    pair = draw_pair(np.full((480, 480, 3), 77, np.uint8), overlay_labels_of(77, 1))
    assert np.array_equal(drawn[: len(pair), : pair.shape[1]], pair)
    assert np.array_equal(drawn[len(pair) + GAP :], draw_legend(("dog",), COLOURS[1:2], drawn.shape[1]))


def overlay_labels_of(grey: int, label: int) -> Image:
    image, labels = np.full((480, 480, 3), grey, np.uint8), np.full((480, 480), label, np.uint8)
    return overlay_labels(image, labels, COLOURS)


def test_a_sheet_names_pale_pixels() -> None:
    images, truth, predicted = batch(1)
    truth[:, :10] = 255
    drawn = draw_segmentation_sheet(images, truth, predicted, CLASSES, COLOURS)
    legend = draw_legend((*CLASSES[1::-1], NO_CLASS), (*COLOURS[1::-1], IGNORED_COLOUR), drawn.shape[1])
    assert np.array_equal(drawn[-len(legend) :], legend)
