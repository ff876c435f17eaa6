"""Confusion matrices are readable at every number of classes."""

from __future__ import annotations

import numpy as np
import pytest

from litmobile.tasks.drawing import draw_confusion_matrix

LONG = "great white shark, white shark, man-eater, man-eating shark, Carcharodon carcharias"


@pytest.mark.parametrize(
    ("classes", "largest"), [(2, 300), (10, 700), (60, 2000), (61, 1200), (1000, 1200), (1300, 1300)]
)
def test_a_matrix_is_square_and_fits_a_screen(classes: int, largest: int) -> None:
    matrix = np.diag(np.full(classes, 50))
    matrix[0, 1] = 10
    names = [LONG, *(f"class {k}" for k in range(1, classes))]
    drawn = draw_confusion_matrix(matrix, names)
    assert drawn.dtype == np.uint8 and drawn.shape[0] == drawn.shape[1]
    assert classes <= drawn.shape[0] <= largest


@pytest.mark.parametrize("classes", [1, 19, 150])
def test_counts_of_pixels_fit_into_their_cells(classes: int) -> None:
    matrix = np.diag(np.full(classes, 1_234_567_890))
    drawn = draw_confusion_matrix(matrix, [f"class {k}" for k in range(classes)])
    assert drawn.shape[0] == drawn.shape[1] and drawn.shape[0] < 110 * max(classes, 10)


@pytest.mark.parametrize("classes", [61, 200, 1000])
def test_shades_of_a_large_matrix_are_at_its_counts(classes: int) -> None:
    matrix = np.zeros((classes, classes), dtype=np.int64)
    matrix[0, 0], matrix[0, 5], matrix[classes - 1, 2] = 99, 1, 7  # the whole last class is mistaken for another
    drawn = draw_confusion_matrix(matrix, [str(k) for k in range(classes)])
    side = len(drawn) // classes
    shades = 255 - drawn[::side, ::side, 0].astype(int)
    assert np.argwhere(shades).tolist() == [[0, 0], [0, 5], [classes - 1, 2]]
    assert shades[classes - 1, 2] > shades[0, 0] > shades[0, 5] > 20, "one of a hundred is visible"


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
