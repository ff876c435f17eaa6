"""Confusion matrices are readable at every number of classes."""

from __future__ import annotations

import numpy as np
import pytest

from litmobile.tasks.drawing import draw_confusion_matrix
from litmobile.tasks.drawing.confusion_matrix import select_classes

LONG = "great white shark, white shark, man-eater, man-eating shark, Carcharodon carcharias"


@pytest.mark.parametrize(("classes", "largest"), [(2, 300), (10, 700), (60, 2000), (61, 2000), (1000, 2000)])
def test_a_matrix_is_square_and_fits_a_screen(classes: int, largest: int) -> None:
    matrix = np.diag(np.full(classes, 50))
    matrix[0, 1] = 10
    names = [LONG, *(f"class {k}" for k in range(1, classes))]
    drawn = draw_confusion_matrix(matrix, names)
    assert drawn.dtype == np.uint8 and drawn.shape[0] == drawn.shape[1]
    assert min(classes, 60) <= drawn.shape[0] <= largest


@pytest.mark.parametrize("classes", [1, 19, 150])
def test_counts_of_pixels_fit_into_their_cells(classes: int) -> None:
    matrix = np.diag(np.full(classes, 1_234_567_890))
    drawn = draw_confusion_matrix(matrix, [f"class {k}" for k in range(classes)])
    assert drawn.shape[0] == drawn.shape[1] and drawn.shape[0] < 110 * max(classes, 10)


@pytest.mark.parametrize("classes", [61, 129, 1000])
def test_only_classes_that_occur_are_drawn(classes: int) -> None:
    matrix = np.zeros((classes, classes), dtype=np.int64)
    matrix[0, 0], matrix[0, 5], matrix[classes - 1, 2] = 99, 1, 7  # the whole last class is mistaken for another
    assert select_classes(matrix).tolist() == [0, 2, 5, classes - 1]
    few = matrix[np.ix_([0, 2, 5, -1], [0, 2, 5, -1])]
    whole = draw_confusion_matrix(matrix, [f"class {k}" for k in range(classes)])
    part = draw_confusion_matrix(few, [f"class {k}" for k in (0, 2, 5, classes - 1)])
    cells = 4 * 24 + 8
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
    side, size = 24, len(drawn) - 8
    margin = size - 3 * side
    cells = [drawn[margin + side * i :][:side, margin + side * j :][:, :side] for i in range(3) for j in range(3)]
    assert [k for k, cell in enumerate(cells) if (cell != 255).any()] == [0, 4, 5]
    rows = [drawn[margin + side * k :][:side, margin - 20 : margin] for k in range(3)]
    columns = [drawn[margin - 20 : margin, margin + side * k :][:, :side] for k in range(3)]
    assert all((name < 100).any() for name in (*rows, *columns))
    assert len({name.tobytes() for name in rows}) == 3
