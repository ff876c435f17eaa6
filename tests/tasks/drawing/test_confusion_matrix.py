"""Confusion matrices are readable at every number of classes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from litmobile.tasks.drawing import draw_confusion_matrix
from litmobile.tasks.drawing.confusion_matrix import (
    DIAGONAL_COLOUR,
    MATRIX_SIDE,
    MAX_CELL,
    MIN_CELL,
    format_share,
    select_classes,
)
from litmobile.tasks.images import Image

LONG = "great white shark, white shark, man-eater, man-eating shark, Carcharodon carcharias"


def cells_of(drawn: Image, classes: int) -> list[list[Image]]:
    """Cut a drawn matrix into its cells, without their borders."""
    side = min(MAX_CELL, max(MIN_CELL, MATRIX_SIDE // classes))
    margin = len(drawn) - 8 - side * classes
    starts = [margin + side * k + 2 for k in range(classes)]
    return [[drawn[i:, j:][: side - 4, : side - 4] for j in starts] for i in starts]


@pytest.mark.parametrize(("classes", "largest"), [(2, 400), (10, 900), (60, 2100), (61, 2100), (1000, 2100)])
def test_a_matrix_is_square_and_fits_a_screen(classes: int, largest: int) -> None:
    matrix = np.diag(np.full(classes, 50))
    matrix[0, 1] = 10
    names = [LONG, *(f"class {k}" for k in range(1, classes))]
    drawn = draw_confusion_matrix(matrix, names)
    assert drawn.dtype == np.uint8 and drawn.shape[0] == drawn.shape[1]
    assert MIN_CELL * min(classes, 60) <= drawn.shape[0] <= largest


@pytest.mark.parametrize("classes", [1, 19, 150])
def test_size_does_not_depend_on_the_counts(classes: int) -> None:
    """Pixels are counted in billions; the table has these counts."""
    names = [f"class {k}" for k in range(classes)]
    one, many = (draw_confusion_matrix(np.diag(np.full(classes, count)), names) for count in (123_456, 1_234_567_890))
    drawn_classes = min(classes, 60)
    assert MIN_CELL * drawn_classes < len(many) <= len(one) < (MAX_CELL + 2) * drawn_classes + 200


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.0, ""), (1e-9, "<1"), (0.01, "1"), (0.0149, "1"), (0.5, "50"), (0.99, "99"), (1 - 1e-9, ">99"), (1.0, "100")],
)
def test_shares_are_rounded_but_not_to_0_or_100(share: float, text: str) -> None:
    assert format_share(share) == text


def test_cells_have_shares_of_their_row() -> None:
    """Counts beyond the width of a cell are left out, so the rows look alike."""
    one, two, other = (
        cells_of(draw_confusion_matrix(np.array(matrix) * 10**9, ["a", "b"]), 2)
        for matrix in ([[3, 1], [0, 9]], [[30, 10], [0, 9]], [[3, 2], [0, 9]])
    )
    assert np.array_equal(one[0][1], two[0][1]) and not np.array_equal(one[0][1], other[0][1])


def test_counts_are_below_their_shares_where_all_fit() -> None:
    few, more, many = (
        cells_of(draw_confusion_matrix(np.diag([5, count]), ["a", "b"]), 2)[0][0] for count in (7, 99_999, 10**12)
    )
    assert np.array_equal(few, more) and not np.array_equal(few, many)


def test_the_diagonal_has_a_border() -> None:
    drawn = draw_confusion_matrix(np.array([[0, 7], [3, 4]]), ["a", "b"])
    margin = len(drawn) - 8 - 2 * MAX_CELL
    for i, j in itertools.product(range(2), range(2)):
        cell = drawn[margin + MAX_CELL * i :, margin + MAX_CELL * j :][:MAX_CELL, :MAX_CELL]
        corners = cell[[0, 0, 1, -1, -1], [0, -1, 1, 0, -1]]
        assert (corners == DIAGONAL_COLOUR).all() if i == j else not (corners == DIAGONAL_COLOUR).all(axis=1).any()


@pytest.mark.parametrize("classes", [61, 129, 1000])
def test_only_classes_that_occur_are_drawn(classes: int) -> None:
    matrix = np.zeros((classes, classes), dtype=np.int64)
    matrix[0, 0], matrix[0, 5], matrix[classes - 1, 2] = 99, 1, 7  # the whole last class is mistaken for another
    assert select_classes(matrix).tolist() == [0, 2, 5, classes - 1]
    few = matrix[np.ix_([0, 2, 5, -1], [0, 2, 5, -1])]
    whole = draw_confusion_matrix(matrix, [f"class {k}" for k in range(classes)])
    part = draw_confusion_matrix(few, [f"class {k}" for k in (0, 2, 5, classes - 1)])
    cells = 4 * MAX_CELL + 8
    assert np.array_equal(whole[-cells:, -cells:], part[-cells:, -cells:])


def test_the_most_confused_of_many_classes_are_drawn() -> None:
    matrix = np.diag(np.full(200, 50))
    matrix[np.arange(100, 160), np.arange(101, 161)] = np.arange(60) + 3
    assert select_classes(matrix).tolist() == list(range(101, 161))


def test_a_large_matrix_without_counts_is_drawn() -> None:
    drawn = draw_confusion_matrix(np.zeros((61, 61), dtype=np.int64), [str(k) for k in range(61)])
    assert drawn.shape[0] == drawn.shape[1]


def test_a_small_matrix_has_names_at_rows_and_columns() -> None:
    matrix = np.array([[5, 0, 0], [0, 5, 3], [0, 0, 0]])
    drawn = draw_confusion_matrix(matrix, ["a", "b", "c"])
    cells = [cell for row in cells_of(drawn, 3) for cell in row]
    assert [k for k, cell in enumerate(cells) if (cell != 255).any()] == [0, 4, 5]
    side, margin = MAX_CELL, len(drawn) - 8 - 3 * MAX_CELL
    rows = [drawn[margin + side * k :][:side, margin - 20 : margin] for k in range(3)]
    columns = [drawn[margin - 20 : margin, margin + side * k :][:, :side] for k in range(3)]
    assert all((name < 100).any() for name in (*rows, *columns))
    assert len({name.tobytes() for name in rows}) == 3
