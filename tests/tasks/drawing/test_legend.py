"""A drawn label map has a legend that names every colour and fits images of all sizes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from litmobile.tasks.drawing import (
    IGNORED_COLOUR,
    MIN_LEGEND_FONT,
    NO_CLASS,
    colour_labels,
    draw_label_map,
    draw_legend,
    draw_segmentation_sheet,
    make_palette,
)
from litmobile.tasks.drawing.legend import rank_classes


def colours_in(image: np.ndarray) -> set[tuple[int, ...]]:
    return {tuple(colour) for colour in np.unique(image.reshape(-1, 3), axis=0).tolist()}


def names_of(count: int) -> list[str]:
    return [f"class {k}" for k in range(count)]


def test_a_legend_counts_the_classes_beyond_64() -> None:
    drawn = draw_legend(names_of(150), make_palette(150), 640)
    assert set(make_palette(150)[:64]) <= colours_in(drawn)
    others = {colour for colour in make_palette(150)[64:] if len(set(colour)) > 1}  # borders of letters are grey
    assert not others & colours_in(drawn)
    assert not np.array_equal(drawn, draw_legend(names_of(151), make_palette(151), 640))


@pytest.mark.parametrize("name", ["x" * 300, "Käfer", ""])
def test_a_name_of_any_length_fits_the_legend(name: str) -> None:
    drawn = draw_legend([name, "b"], make_palette(2), 160)
    assert (drawn[:, -4:] == 255).all()
    assert set(make_palette(2)) <= colours_in(drawn)


SIZES = pytest.mark.parametrize("size", [(1, 1), (64, 64), (360, 480), (100, 1600), (1500, 200)], ids=str)


@SIZES
@pytest.mark.parametrize("classes", [21, 150])
def test_frames_of_a_video_keep_one_size(classes: int, size: tuple[int, int]) -> None:
    image = np.full((*size, 3), 100, np.uint8)
    labels = np.random.default_rng(0).integers(classes, size=size).astype(np.uint8)
    names, colours = names_of(classes), make_palette(classes)
    first, second = (draw_label_map(image, drawn, names, colours, is_frame=True) for drawn in (labels, labels // 40))
    height, width = size
    assert first.shape == second.shape
    assert first.shape[1] == max(width, 160) and first.shape[0] > height
    if classes == 21:
        assert np.array_equal(first[height:], second[height:]), "the legend does not flicker"
    assert (first[:height, width:] == 255).all()
    nearly = 0.45 * image + 0.55 * colour_labels(labels, colours)
    assert np.abs(first[:height, :width] - nearly).max() <= 1
    assert (image == 100).all()


@SIZES
def test_a_legend_lists_the_classes_shown(size: tuple[int, int]) -> None:
    names, colours = names_of(130), make_palette(130)
    labels = np.random.default_rng(1).choice([70, 129, 255], size=size).astype(np.uint8)
    drawn = draw_label_map(np.zeros((*size, 3), np.uint8), labels, names, colours)
    shown = rank_classes([labels], 130)
    assert set(shown) == set(np.unique(labels).tolist()) - {255}
    legend = drawn[size[0] :]
    assert colours_in(legend) & set(colours) == {colours[k] for k in shown}


def test_classes_with_most_pixels_are_first() -> None:
    one, two = np.array([[3, 3, 3, 7]], np.uint8), np.array([[7, 7, 7, 0], [255, 255, 255, 255]], np.uint8)
    assert rank_classes([one, two], 9) == [7, 3, 0]
    assert rank_classes([one, two], 5) == [3, 0], "a value that is no class is not named"
    assert rank_classes([np.full((2, 2), 255, np.uint8)], 9) == []


def test_a_sheet_lists_classes_of_masks_and_predictions() -> None:
    names, colours = names_of(129), make_palette(129)
    images, truth = torch.zeros(3, 3, 40, 60, dtype=torch.uint8), torch.full((3, 40, 60), 255)
    predicted = truth.clone()
    truth[0, :5], predicted[2, :9] = 128, 77
    sheet = draw_segmentation_sheet(images, truth, predicted, names, colours)
    listed = [names[77], names[128], NO_CLASS], [colours[77], colours[128], IGNORED_COLOUR]
    legend = draw_legend(*listed, sheet.shape[1])
    assert np.array_equal(sheet[-len(legend) :], legend)


def test_an_image_without_classes_says_so() -> None:
    drawn = draw_label_map(np.zeros((50, 300, 3), np.uint8), np.full((50, 300), 255, np.uint8), ["a"], make_palette(1))
    assert np.array_equal(drawn[50:], draw_legend([NO_CLASS], [IGNORED_COLOUR], 300, MIN_LEGEND_FONT))


def test_text_grows_with_the_image() -> None:
    heights = []
    for scale in (1, 4):
        size = (360 * scale, 480 * scale)
        drawn = draw_label_map(np.zeros((*size, 3), np.uint8), np.zeros(size, np.uint8), ["a"], make_palette(1))
        heights.append(drawn.shape[0] - size[0])
    assert heights[1] > 2 * heights[0]
