"""Drawn detections are visible, stay inside the image, and do not modify the image that was passed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from litmobile.heads.predictions import BoxTargets, Detections
from litmobile.tasks.atomic import save_image
from litmobile.tasks.drawing import (
    GAP,
    MIN_LABEL_WIDTH,
    MIN_LEGEND_FONT,
    draw_boxes,
    draw_detection_result,
    draw_detection_sheet,
    draw_detections,
    draw_legend,
    draw_pair,
    make_palette,
)
from litmobile.tasks.images import Image, read_image, resize_image

CLASSES = ("dog", "cat")
LONG = "great white shark, white shark, man-eater, man-eating shark, Carcharodon carcharias"


def detections_of(*boxes: tuple[float, ...], scores: tuple[float, ...] = (0.9, 0.5)) -> Detections:
    count = len(boxes)
    return Detections(torch.tensor(boxes).view(-1, 4), torch.tensor(scores[:count]), torch.arange(count) % 2)


def test_boxes_have_the_colour_of_their_class() -> None:
    image = np.zeros((200, 300, 3), np.uint8)
    drawn = draw_detections(image, detections_of((50, 60, 150, 180), (200, 100, 300, 200)), CLASSES, 0.3)
    assert not image.any() and drawn.shape == image.shape and drawn.dtype == np.uint8
    dog, cat = make_palette(2)
    assert tuple(drawn[120, 50]) == tuple(drawn[179, 100]) == dog
    assert tuple(drawn[150, 299]) == tuple(drawn[199, 250]) == cat
    assert not drawn[120, 100].any()


def test_low_scores_are_not_drawn() -> None:
    image = np.zeros((200, 300, 3), np.uint8)
    both, one, none = (
        draw_detections(image, detections_of((0, 0, 9, 9), (50, 60, 150, 180)), CLASSES, x) for x in (0, 0.6, 1)
    )
    assert both[120, 50].any() and not one[120, 50].any() and one[0, 0].any() and not none.any()


@pytest.mark.parametrize("box", [(0, 0, 300, 200), (299, 199, 300, 200), (20, 20, 20, 20), (290, 0, 300, 5)])
def test_boxes_at_the_border_or_without_area_are_drawn(box: tuple[float, ...]) -> None:
    drawn = draw_detections(np.zeros((200, 300, 3), np.uint8), detections_of(box), CLASSES, 0.3)
    assert drawn.any()


def test_lines_grow_with_the_image() -> None:
    widths = []
    for scale in (1, 5):
        box = (100 * scale, 100 * scale, 200 * scale, 180 * scale)
        drawn = draw_detections(np.zeros((200 * scale, 300 * scale, 3), np.uint8), detections_of(box), CLASSES, 0.3)
        widths.append(int((drawn[140 * scale].any(axis=1)).sum()) / 2)
    assert widths == [2, 4]


def test_the_best_label_is_drawn_first() -> None:
    """Detections of one box compete for the places around it; boxes without a label stay."""
    image = np.zeros((200, 300, 3), np.uint8)
    boxes, scores = torch.tensor([[100.0, 100, 150, 140]] * 20), torch.linspace(0.9, 0.5, 20)
    detections = Detections(boxes, scores, torch.tensor([0, *[1] * 19]))
    drawn = draw_detections(image, detections, CLASSES, 0.3)
    alone = draw_detections(image, Detections(*(values[:1] for values in detections)), CLASSES, 0.3)
    assert np.array_equal(drawn[:100, :140], alone[:100, :140]), "above the box"
    assert not drawn[:60].any() and not drawn[180:].any(), "all labels touch the box"


def test_a_long_name_is_shortened_and_the_score_stays() -> None:
    image = np.zeros((200, 300, 3), np.uint8)
    drawn = draw_detections(image, detections_of((50, 60, 250, 180)), (LONG, "cat"), 0.3)
    written = np.flatnonzero((drawn[45:58] == make_palette(1)[0]).all(axis=2).any(axis=0))
    assert written[-1] - written[0] < MIN_LABEL_WIDTH
    other = draw_detections(image, detections_of((50, 60, 250, 180), scores=(0.8,)), (LONG, "cat"), 0.3)
    assert not np.array_equal(drawn, other)


# drawings of a prediction


@pytest.mark.parametrize(
    ("size", "factor"),
    [((32, 32), 20), ((120, 160), 4), ((300, 20), 2), ((240, 400), 1), ((480, 640), 1), ((1024, 2048), 1)],
    ids=str,
)
def test_small_images_are_enlarged(size: tuple[int, int], factor: int) -> None:
    image = np.random.default_rng(0).integers(256, size=(*size, 3), dtype=np.uint8)
    before = image.copy()
    detections = detections_of((2.0, 3, 12, 15))
    drawn = draw_detection_result(image, detections, ("dog",), 0.3)
    height, width = size[0] * factor, size[1] * factor
    enlarged = detections._replace(boxes=detections.boxes * factor)
    assert np.array_equal(drawn, draw_detections(resize_image(image, height, width), enlarged, ("dog",), 0.3))
    assert np.array_equal(image, before) and detections.boxes[0, 3] == 15


def crowd_of(count: int) -> Detections:
    """Make detections of one box, most of whose labels have no place."""
    return Detections(
        torch.tensor([[100.0, 100, 150, 140]] * count), torch.full((count,), 0.9), torch.arange(count) % 2
    )


@pytest.mark.parametrize(
    ("count", "classes", "shown"),
    [
        (2, ("dog", "cat", "bird"), None),
        (20, ("dog", "cat", "bird"), (0, 1)),
        (1, (LONG, "cat"), (0,)),
        (20, ("dog",), None),
    ],
    ids=["all labels", "labels without a place", "a shortened label", "one class"],
)
def test_a_legend_names_classes_if_labels_are_missing(
    count: int, classes: tuple[str, ...], shown: tuple[int, ...] | None
) -> None:
    image, detections = np.zeros((480, 640, 3), np.uint8), crowd_of(count)
    detections = detections._replace(labels=detections.labels.clamp(max=len(classes) - 1))
    drawn = draw_detection_result(image, detections, classes, 0.3)
    assert np.array_equal(drawn[:480], draw_detections(image, detections, classes, 0.3))
    palette = make_palette(3)
    names, colours = [classes[k] for k in shown or ()], [palette[k] for k in shown or ()]
    legend = draw_legend(names, colours, 640, MIN_LEGEND_FONT) if shown else np.zeros((0, 640, 3), np.uint8)
    assert np.array_equal(drawn[480:], legend)


@pytest.mark.parametrize("size", [(40, 46), (480, 640)], ids=str)
@pytest.mark.parametrize("classes", [1, 2, 16, 17, 200])
def test_frames_of_a_video_keep_one_size(classes: int, size: tuple[int, int]) -> None:
    names, image = [f"class {k}" for k in range(classes)], np.zeros((*size, 3), np.uint8)
    detections = [crowd_of(count) for count in (0, 1, 20)]
    limited = [one._replace(labels=one.labels.clamp(max=classes - 1)) for one in detections]
    frames = [draw_detection_result(image, one, names, 0.3, is_frame=True) for one in limited]
    assert len({frame.shape for frame in frames}) == 1
    factor = 640 // max(size)
    legends = [frame[size[0] * factor :] for frame in frames]
    assert all(np.array_equal(legend, legends[0]) for legend in legends), "the legend does not flicker"
    assert bool(legends[0].size) == (2 <= classes <= 16)


# contact sheets


def draw_sheet(count: int, detections: Detections, classes: tuple[str, ...] = CLASSES) -> Image:
    """Draw a sheet of black images with one cat each, and ``detections``."""
    images = torch.zeros(count, 3, 64, 96, dtype=torch.uint8)
    boxes, labels = torch.tensor([[[10.0, 10, 60, 60], [0, 0, 0, 0]]]), torch.tensor([[1, -1]])
    targets = BoxTargets(boxes.expand(count, -1, -1), labels.expand(count, -1))
    return draw_detection_sheet(images, targets, [detections] * count, classes)


def test_a_contact_sheet_shows_truth_beside_prediction(tmp_path: Path) -> None:
    sheet = draw_sheet(3, detections_of((20.0, 20, 80, 60)))
    image, scale = np.zeros((320, 480, 3), np.uint8), 480 / 96
    truth = draw_boxes(image, torch.tensor([[10.0, 10, 60, 60]]) * scale, torch.tensor([1]), ["cat"], CLASSES)
    found = draw_detections(image, detections_of((20 * scale, 20 * scale, 80 * scale, 60 * scale)), CLASSES, 0.3)
    pair = draw_pair(truth, found)
    assert np.array_equal(sheet[: len(pair), : pair.shape[1]], pair)
    assert sheet.shape == (2 * (len(pair) + GAP), 2 * (pair.shape[1] + GAP), 3)
    save_image(sheet, tmp_path / "sheet.png")
    assert np.array_equal(read_image(tmp_path / "sheet.png"), sheet)


def test_one_image_has_one_column() -> None:
    one, two = (draw_sheet(count, detections_of((20.0, 20, 80, 60))) for count in (1, 2))
    assert np.array_equal(one, two[:, : one.shape[1]]) and two.shape[1] == 2 * one.shape[1]


def test_a_crowded_sheet_has_a_legend() -> None:
    detections = crowd_of(20)._replace(boxes=torch.tensor([[20.0, 20, 25, 25]] * 20))
    sheet, plain = draw_sheet(2, detections), draw_sheet(2, detections_of((20.0, 20, 80, 60)))
    legend = draw_legend(CLASSES, make_palette(2), sheet.shape[1])
    assert len(sheet) == len(plain) + len(legend) and np.array_equal(sheet[len(plain) :], legend)
    assert len(draw_sheet(2, detections._replace(labels=detections.labels * 0), ("cells", "dog"))) == len(sheet)


def test_an_image_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"sheet.jpg cannot be written as an image of 70000×1 pixels\."):
        save_image(np.zeros((1, 70000, 3), np.uint8), tmp_path / "sheet.jpg")
    assert not list(tmp_path.iterdir())
