"""Anchor recall equals brute force, and the search finds better anchors."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torchvision.ops import box_iou

from litmobile.heads.ssdlite.anchor_recall import measure_anchor_recall
from litmobile.heads.ssdlite.anchor_search import AnchorGrid, AnchorOptions, Grid, search_anchors
from litmobile.heads.ssdlite.anchors import default_scales
from litmobile.tasks.detection import VocDetection
from litmobile.tasks.detection.anchors import input_boxes, is_trainable
from litmobile.tasks.preprocessing import Preprocessing

GRIDS: list[Grid] = [(20, 20), (10, 10), (5, 5), (3, 3), (2, 2), (1, 1)]
DEFAULT = AnchorOptions(default_scales(6), [2.0, 3.0], "torchvision")
SIZE = (320, 320)


def boxes_in(size: tuple[int, int], count: int, sides: tuple[float, float] = (4, 300), seed: int = 0) -> Tensor:
    """Returns random float64 boxes inside an input of ``size``."""
    generator = torch.Generator().manual_seed(seed)
    limits = torch.tensor([size[1], size[0]], dtype=torch.float64)
    extent = sides[0] + torch.rand(count, 2, generator=generator, dtype=torch.float64) * (sides[1] - sides[0])
    extent = torch.minimum(extent, limits)
    corner = torch.rand(count, 2, generator=generator, dtype=torch.float64) * (limits - extent)
    return torch.cat((corner, corner + extent), dim=1)


def figures(options: AnchorOptions, boxes: Tensor, size: tuple[int, int] = SIZE) -> tuple[float, float]:
    """Returns recall and mean IoU of ``boxes``, from all anchors."""
    iou = box_iou(boxes, options.build_generator()(GRIDS, size, boxes)).amax(1)
    return (iou >= 0.5).double().mean().item(), iou.mean().item()


def test_anchor_recall_equals_brute_force() -> None:
    boxes, owners = boxes_in((97, 65), 40), torch.tensor([0] * 3 + [4] * 30 + [5] + [9] * 6)
    anchors = DEFAULT.build_generator()([(7, 5), (4, 3), (2, 2), (1, 1), (1, 1), (1, 1)], (97, 65), boxes)
    found = measure_anchor_recall(boxes, owners, anchors, 0.4)
    assert torch.allclose(found.iou, box_iou(boxes, anchors).amax(1), rtol=1e-12)
    positives = [0] * len(boxes)
    for image in owners.unique().tolist():
        rows = (owners == image).nonzero()[:, 0].tolist()
        iou = box_iou(boxes[rows], anchors)
        answers = {a: rows[int(iou[:, a].argmax())] for a in range(len(anchors)) if iou[:, a].max() >= 0.4}
        answers |= {int(iou[k].argmax()): row for k, row in enumerate(rows)}
        for row in answers.values():
            positives[row] += 1
    assert found.positives.tolist() == positives
    assert sum(positives) > len(boxes)


def test_anchor_recall_of_no_objects_is_empty() -> None:
    found = measure_anchor_recall(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), torch.rand(5, 4), 0.5)
    assert found.iou.shape == found.positives.shape == (0,)


@pytest.mark.parametrize("layout", ["torchvision", "tensorflow"])
@pytest.mark.parametrize("size", [(320, 320), (224, 320), (97, 65)])
def test_closest_anchor_of_a_shape_has_the_best_iou(size: tuple[int, int], layout: str) -> None:
    boxes = boxes_in(size, 200)
    options = AnchorOptions([0.05, 0.2, 0.5, 0.7, 0.9, 1.3, 1.5], [[1.5], [2, 3], [4], [], [1.1], [3]], layout)  # type: ignore[arg-type]
    generator = options.build_generator()
    anchors = generator(GRIDS, size, boxes)
    quick = AnchorGrid(boxes, GRIDS, size).best_iou(generator.shapes)
    assert torch.allclose(quick, box_iou(boxes, anchors).amax(1), atol=1e-5)  # anchors pass through float32


@pytest.mark.parametrize("sides", [(10, 60), (100, 140), (4, 300)])
def test_search_beats_the_default(sides: tuple[float, float]) -> None:
    boxes = boxes_in(SIZE, 150, sides)
    labels = torch.arange(150) % 2
    found = search_anchors(boxes, labels, GRIDS, SIZE, DEFAULT)
    assert sum(figures(found, boxes)) > sum(figures(DEFAULT, boxes))
    assert found == search_anchors(boxes, labels, GRIDS, SIZE, DEFAULT), "the same in every run"
    assert list(found.anchor_scales) == sorted(found.anchor_scales) and len(found.anchor_scales) == 7


def test_rare_class_gets_fitting_anchors() -> None:
    boxes = torch.cat((boxes_in(SIZE, 380, (150, 200)), boxes_in(SIZE, 20, (26, 34))))
    labels = torch.tensor([0] * 380 + [1] * 20)
    assert figures(DEFAULT, boxes[380:])[0] < 0.5
    found = search_anchors(boxes, labels, GRIDS, SIZE, DEFAULT)
    assert figures(found, boxes[380:])[0] > 0.8
    assert figures(found, boxes[:380])[0] > 0.95


def test_square_objects_need_no_second_ratio() -> None:
    boxes = boxes_in(SIZE, 100, (20, 200))
    boxes[:, 3] = boxes[:, 1] + boxes[:, 2] - boxes[:, 0]
    boxes = boxes[boxes[:, 3] <= 320]
    assert len(search_anchors(boxes, torch.zeros(len(boxes)), GRIDS, SIZE, DEFAULT).aspect_ratios) == 1


def test_fitting_anchors_are_kept() -> None:
    present = AnchorOptions([0.15, 0.35, 0.5, 0.65, 0.8, 0.95, 1.0], [1.7, 2.6], "tensorflow")
    anchors = present.build_generator()(GRIDS, SIZE, torch.zeros(0))
    inside = anchors[((anchors >= 0) & (anchors <= 320)).all(1)]
    assert search_anchors(inside, torch.zeros(len(inside)), GRIDS, SIZE, present) is present
    assert search_anchors(inside[:0], torch.zeros(0), GRIDS, SIZE, present) is present


def test_search_keeps_the_layout() -> None:
    present = DEFAULT._replace(layout="tensorflow")
    assert search_anchors(boxes_in(SIZE, 60, (10, 40)), torch.zeros(60), GRIDS, SIZE, present).layout == "tensorflow"


def test_search_beats_manual_anchors_on_blood_cells(real_data: Path) -> None:
    data, preprocessing = VocDetection(str(real_data / "bccd")).read_stored("train"), Preprocessing()
    boxes = input_boxes(data, preprocessing)
    kept = is_trainable(boxes)
    boxes, labels = torch.from_numpy(boxes[kept]), torch.from_numpy(data.labels[kept])
    by_hand = AnchorOptions([0.075, 0.42, 0.6, 0.75, 0.85, 0.95, 1.0], [1.3], "torchvision")
    found = search_anchors(boxes, labels, GRIDS, SIZE, DEFAULT)
    platelets = boxes[labels == 0]
    assert figures(DEFAULT, platelets)[0] < 0.01 and figures(found, platelets)[0] > 0.5
    for ours, theirs in zip(figures(found, boxes), figures(by_hand, boxes), strict=True):
        assert ours >= theirs
