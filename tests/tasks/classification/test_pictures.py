"""Captions leave the picture free, sheets show what was right, and matrices of any size can be looked at."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from litmobile.tasks.classification.pictures import (
    COLUMNS,
    GAP,
    LEAST_WIDTH,
    MOST_IMAGES,
    PLAIN,
    RIGHT,
    WRONG,
    captioned,
    contact_sheet,
    draw_classes,
)
from litmobile.tasks.drawing import font, shortened
from litmobile.tasks.images import Image
from litmobile.tasks.matrices import draw_matrix

LONG = "great white shark, white shark, man-eater, man-eating shark, Carcharodon carcharias"
CLASSES = ("ant", "bee", LONG)


def noise(height: int, width: int) -> Image:
    return np.random.default_rng(0).integers(256, size=(height, width, 3), dtype=np.uint8)


def sheet(count: int, side: int = 32, names: tuple[str, ...] = CLASSES) -> Image:
    """A contact sheet of black pictures, of which every other is recognised."""
    labels = torch.arange(count) % 2
    return contact_sheet(torch.zeros(count, 3, side, side, dtype=torch.uint8), labels, torch.eye(3)[[0] * count], names)


@pytest.mark.parametrize("size", [(32, 32), (40, 400), (400, 40), (333, 500), (1200, 1600)])
@pytest.mark.parametrize("lines", [1, 3])
def test_a_caption_stands_below_the_picture_and_covers_nothing(size: tuple[int, int], lines: int) -> None:
    image = noise(*size)
    before = image.copy()
    drawn = captioned(image, [LONG] * lines)
    height, width = size
    assert drawn.dtype == np.uint8 and drawn.shape[1:] == (max(width, LEAST_WIDTH), 3)
    assert np.array_equal(drawn[:height, :width], image) and np.array_equal(image, before)
    caption = drawn[height:]
    assert 12 * lines <= len(caption) <= max(20 * lines, 0.2 * height * lines)
    written = (caption != PLAIN).any(axis=2)
    assert not written[:, -4:].any() and not written[:, :4].any(), "letters keep off the border"
    for band in np.array_split(written[2:-2], lines):
        assert band.any()


@pytest.mark.parametrize("width", [40, 100, 1000])
def test_long_names_are_cut_and_short_ones_are_not(width: int) -> None:
    letters = font(13)
    text = shortened(LONG, letters, width)
    assert letters.getlength(text) <= width
    if width == 1000:
        assert text == LONG
    else:
        assert text.endswith("…") and LONG.startswith(text[:-1])
        assert letters.getlength(LONG[: len(text)] + "…") > width, "no more of it would have fitted"
    assert shortened("ox", letters, width) == "ox"


def test_a_name_that_has_no_place_at_all_is_cut_to_nothing_but_the_sign() -> None:
    assert shortened(LONG, font(13), 1) == "…"


def test_the_most_probable_classes_are_written_and_the_least_score_keeps_their_place() -> None:
    image = noise(200, 300)
    scores = torch.tensor([0.2, 0.7, 0.1])
    every, some, none = (draw_classes(image, scores, CLASSES, least) for least in (0.0, 0.2, 0.8))
    assert every.shape == some.shape == none.shape
    assert np.array_equal(every, captioned(image, ["0.70 bee", "0.20 ant", f"0.10 {LONG}"]))
    assert np.array_equal(some, captioned(image, ["0.70 bee", "0.20 ant", ""]))
    assert np.array_equal(none, captioned(image, ["", "", ""]))


def test_two_classes_have_two_lines() -> None:
    drawn = draw_classes(noise(200, 300), torch.tensor([0.25, 0.75]), ("ant", "bee"))
    assert np.array_equal(drawn, captioned(noise(200, 300), ["0.75 bee", "0.25 ant"]))


def test_a_sheet_tells_right_from_wrong_by_colour() -> None:
    both = sheet(2)
    cell = both.shape[1] // 2
    right, wrong = both[:, :cell], both[:, cell:]
    assert (right == RIGHT).all(axis=2).any() and not (right == WRONG).all(axis=2).any()
    assert (wrong == WRONG).all(axis=2).any() and not (wrong == RIGHT).all(axis=2).any()
    assert (both[:, cell - GAP : cell] == 255).all()


@pytest.mark.parametrize("count", [1, 5, COLUMNS, COLUMNS + 1, MOST_IMAGES, MOST_IMAGES + 8])
def test_a_sheet_has_rows_of_six_and_no_more_than_24_pictures(count: int) -> None:
    one, drawn = sheet(1), sheet(count)
    shown = min(count, MOST_IMAGES)
    rows, columns = -(-shown // COLUMNS), min(shown, COLUMNS)
    assert drawn.shape == (rows * one.shape[0], columns * one.shape[1], 3)
    if count == COLUMNS + 1:
        assert (drawn[one.shape[0] :, one.shape[1] :] == 255).all()


def test_inputs_that_are_not_square_keep_their_form() -> None:
    images = torch.full((2, 3, 64, 128), 255, dtype=torch.uint8)
    drawn = contact_sheet(images, torch.tensor([0, 1]), torch.eye(3)[:2], CLASSES)
    assert (drawn[:96, :192] == 255).all() and not (drawn[96, :192] == 255).any()


@pytest.mark.parametrize(
    ("classes", "largest"), [(2, 300), (10, 700), (60, 2000), (61, 1200), (1000, 1200), (1300, 1300)]
)
def test_a_matrix_of_any_size_can_be_looked_at(classes: int, largest: int) -> None:
    matrix = np.diag(np.full(classes, 50))
    matrix[0, 1] = 10
    names = [LONG, *(f"class {k}" for k in range(1, classes))]
    drawn = draw_matrix(matrix, names)
    assert drawn.dtype == np.uint8 and drawn.shape[0] == drawn.shape[1]
    assert classes <= drawn.shape[0] <= largest


@pytest.mark.parametrize("classes", [61, 200, 1000])
def test_the_shades_of_a_large_matrix_lie_where_its_counts_do(classes: int) -> None:
    matrix = np.zeros((classes, classes), dtype=np.int64)
    matrix[0, 0], matrix[0, 5], matrix[classes - 1, 2] = 99, 1, 7  # all of the last class are taken for another
    drawn = draw_matrix(matrix, [str(k) for k in range(classes)])
    side = len(drawn) // classes
    shades = 255 - drawn[::side, ::side, 0].astype(int)
    assert np.argwhere(shades).tolist() == [[0, 0], [0, 5], [classes - 1, 2]]
    assert shades[classes - 1, 2] > shades[0, 0] > shades[0, 5] > 20, "one of a hundred can be seen"


def test_a_small_matrix_has_its_names_down_and_across() -> None:
    matrix = np.array([[5, 0, 0], [0, 5, 3], [0, 0, 0]])
    drawn = draw_matrix(matrix, ["a", "b", "c"])
    side, extent = 24, len(drawn) - 8
    margin = extent - 3 * side
    cells = [drawn[margin + side * i :][:side, margin + side * j :][:, :side] for i in range(3) for j in range(3)]
    assert [k for k, cell in enumerate(cells) if (cell != 255).any()] == [0, 4, 5]
    names = [drawn[margin + side * k :][:side, margin - 20 : margin] for k in range(3)]
    across = [drawn[margin - 20 : margin, margin + side * k :][:, :side] for k in range(3)]
    assert all((name < 100).any() for name in (*names, *across))
    assert len({name.tobytes() for name in names}) == 3
