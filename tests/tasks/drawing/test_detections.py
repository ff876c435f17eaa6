"""Drawn detections are visible, stay inside the image, and do not modify the image that was passed."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from litmobile.heads.predictions import BoxTargets, Detections
from litmobile.tasks.atomic import save_image
from litmobile.tasks.drawing import draw_detection_sheet, draw_detections, make_palette

CLASSES = ("dog", "cat")


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


def test_a_contact_sheet_shows_truth_beside_prediction(tmp_path: Path) -> None:
    images = torch.zeros(3, 3, 64, 96, dtype=torch.uint8)
    boxes, labels = torch.tensor([[[10.0, 10, 60, 60], [0, 0, 0, 0]]]), torch.tensor([[1, -1]])
    targets = BoxTargets(boxes.expand(3, -1, -1), labels.expand(3, -1))
    sheet = draw_detection_sheet(images, targets, [detections_of((20.0, 20, 80, 60))] * 3, CLASSES)
    assert sheet.dtype == np.uint8 and sheet.shape[2] == 3
    dog, cat = make_palette(2)
    left, right = sheet[:213, :320], sheet[:213, 320:640]
    assert (left == cat).all(axis=2).any() and not (left == dog).all(axis=2).any()
    assert (right == dog).all(axis=2).any() and not (right == cat).all(axis=2).any()
    save_image(sheet, tmp_path / "sheet.png")
    assert np.array_equal(cv2.imread(str(tmp_path / "sheet.png"))[:, :, ::-1], sheet)


def test_an_image_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"sheet.jpg cannot be written as an image of 70000×1 pixels\."):
        save_image(np.zeros((1, 70000, 3), np.uint8), tmp_path / "sheet.jpg")
    assert not list(tmp_path.iterdir())
