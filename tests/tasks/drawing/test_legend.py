"""A drawn label map has a legend that names every colour and fits images of all sizes."""

from __future__ import annotations

import numpy as np
import pytest

from litmobile.tasks.drawing import colour_labels, draw_label_map, draw_legend, make_palette


def colours_in(image: np.ndarray) -> set[tuple[int, ...]]:
    return {tuple(colour) for colour in np.unique(image.reshape(-1, 3), axis=0).tolist()}


def names_of(count: int) -> list[str]:
    return [f"class {k}" for k in range(count)]


def test_a_legend_counts_the_classes_beyond_64() -> None:
    drawn = draw_legend(names_of(150), make_palette(150), 640)
    assert set(make_palette(150)[:64]) <= colours_in(drawn)
    assert not set(make_palette(150)[64:]) & colours_in(drawn)
    assert not np.array_equal(drawn, draw_legend(names_of(151), make_palette(151), 640))


@pytest.mark.parametrize("name", ["x" * 300, "Käfer", ""])
def test_a_name_of_any_length_fits_the_legend(name: str) -> None:
    drawn = draw_legend([name, "b"], make_palette(2), 160)
    assert (drawn[:, -4:] == 255).all()
    assert set(make_palette(2)) <= colours_in(drawn)


@pytest.mark.parametrize("size", [(1, 1), (64, 64), (360, 480), (100, 1600), (1500, 200)], ids=str)
def test_the_legend_does_not_depend_on_the_labels(size: tuple[int, int]) -> None:
    image = np.full((*size, 3), 100, np.uint8)
    labels = np.random.default_rng(0).integers(21, size=size).astype(np.uint8)
    names, colours = names_of(21), make_palette(21)
    first, second = (draw_label_map(image, drawn, names, colours) for drawn in (labels, labels // 2))
    height, width = size
    assert first.shape == second.shape, "frames of a video keep one size"
    assert first.shape[1] == max(width, 160) and first.shape[0] > height
    assert np.array_equal(first[height:], second[height:])
    assert (first[:height, width:] == 255).all()
    nearly = 0.45 * image + 0.55 * colour_labels(labels, colours)
    assert np.abs(first[:height, :width] - nearly).max() <= 1
    assert (image == 100).all()


def test_text_grows_with_the_image() -> None:
    heights = []
    for scale in (1, 4):
        size = (360 * scale, 480 * scale)
        drawn = draw_label_map(np.zeros((*size, 3), np.uint8), np.zeros(size, np.uint8), ["a"], make_palette(1))
        heights.append(drawn.shape[0] - size[0])
    assert heights[1] > 2 * heights[0]
