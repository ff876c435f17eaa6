"""Captions do not cover the image, and contact sheets show which predictions are right."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from litmobile.tasks.drawing import (
    CAPTION_COLOUR,
    GAP,
    MAX_CELLS,
    MIN_CAPTION_WIDTH,
    RIGHT_COLOUR,
    WRONG_COLOUR,
    add_caption,
    draw_class_scores,
    draw_classification_sheet,
)
from litmobile.tasks.images import Image

LONG = "great white shark, white shark, man-eater, man-eating shark, Carcharodon carcharias"
CLASSES = ("ant", "bee", LONG)


def noise(height: int, width: int) -> Image:
    return np.random.default_rng(0).integers(256, size=(height, width, 3), dtype=np.uint8)


def sheet(count: int, side: int = 32, names: tuple[str, ...] = CLASSES) -> Image:
    """Draw a contact sheet of black images, of which every other prediction is right."""
    labels = torch.arange(count) % 2
    return draw_classification_sheet(
        torch.zeros(count, 3, side, side, dtype=torch.uint8), labels, torch.eye(3)[[0] * count], names
    )


@pytest.mark.parametrize("size", [(32, 32), (40, 400), (400, 40), (333, 500), (1200, 1600)])
@pytest.mark.parametrize("lines", [1, 3])
def test_a_caption_is_below_the_image(size: tuple[int, int], lines: int) -> None:
    image = noise(*size)
    before = image.copy()
    drawn = add_caption(image, [LONG] * lines)
    height, width = size
    assert drawn.dtype == np.uint8 and drawn.shape[1:] == (max(width, MIN_CAPTION_WIDTH), 3)
    assert np.array_equal(drawn[:height, :width], image) and np.array_equal(image, before)
    caption = drawn[height:]
    assert 12 * lines <= len(caption) <= max(20 * lines, 0.2 * height * lines)
    written = (caption != CAPTION_COLOUR).any(axis=2)
    assert not written[:, -4:].any() and not written[:, :4].any(), "text keeps a distance to the border"
    for band in np.array_split(written[2:-2], lines):
        assert band.any()


def test_lines_of_low_scores_stay_empty() -> None:
    """The best class is named whatever its score is."""
    image = noise(200, 300)
    scores = torch.tensor([0.2, 0.7, 0.1])
    every, some, one = (draw_class_scores(image, scores, CLASSES, least) for least in (0.0, 0.2, 0.8))
    assert every.shape == some.shape == one.shape
    assert np.array_equal(every, add_caption(image, ["0.70 bee", "0.20 ant", f"0.10 {LONG}"]))
    assert np.array_equal(some, add_caption(image, ["0.70 bee", "0.20 ant", ""]))
    assert np.array_equal(one, add_caption(image, ["0.70 bee", "", ""]))


def test_two_classes_have_two_lines() -> None:
    drawn = draw_class_scores(noise(200, 300), torch.tensor([0.25, 0.75]), ("ant", "bee"))
    assert np.array_equal(drawn, add_caption(noise(200, 300), ["0.75 bee", "0.25 ant"]))


def test_captions_say_what_is_right_and_wrong() -> None:
    """The sign is a word as well as a colour."""
    both = sheet(2, 192)
    cell = both.shape[1] // 2
    right, wrong = both[:-GAP, : cell - GAP], both[:-GAP, cell:-GAP]
    image = np.zeros((192, 192, 3), np.uint8)
    assert np.array_equal(right, add_caption(image, ["truth: ant", "right: 1.00 ant"], RIGHT_COLOUR))
    assert np.array_equal(wrong, add_caption(image, ["truth: bee", "wrong: 1.00 ant"], WRONG_COLOUR))
    assert (both[:, cell - GAP : cell] == 255).all()


@pytest.mark.parametrize(
    ("count", "rows", "columns"),
    [(1, 1, 1), (5, 1, 5), (6, 1, 6), (7, 2, 4), (13, 3, 5), (MAX_CELLS, 4, 6), (MAX_CELLS + 8, 4, 6)],
)
def test_columns_follow_the_number_of_images(count: int, rows: int, columns: int) -> None:
    one, drawn = sheet(1), sheet(count)
    assert drawn.shape == (rows * one.shape[0], columns * one.shape[1], 3)
    if count == 7:
        assert (drawn[one.shape[0] :, 3 * one.shape[1] :] == 255).all()


def test_images_keep_their_aspect_ratio() -> None:
    images = torch.full((2, 3, 64, 128), 255, dtype=torch.uint8)
    drawn = draw_classification_sheet(images, torch.tensor([0, 1]), torch.eye(3)[:2], CLASSES)
    assert (drawn[:96, :192] == 255).all() and not (drawn[96, :192] == 255).any()
