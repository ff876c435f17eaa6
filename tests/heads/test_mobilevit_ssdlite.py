"""MobileViT's SSDLite computes what its authors' layers and anchors compute."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from litmobile.backbones.contract import Feature, Features
from litmobile.errors import UserError
from litmobile.heads import MobileViTSSDLite
from support.paper import Paper, assert_equal_with_gradients

FEATURES = Features({"c4": Feature(24, 16), "c5": Feature(40, 32)})
CLASSES = 3
VALUES = CLASSES + 5
PER_CELL = [6, 6, 6, 6, 6, 4]
SIZE = (128, 160)


@pytest.fixture
def head() -> MobileViTSSDLite:
    torch.manual_seed(0)
    head = MobileViTSSDLite(FEATURES, CLASSES, extras=(32, 24, 16, 20), projections=(48, 40)).double()
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return head


@pytest.fixture
def maps() -> dict[str, Tensor]:
    torch.manual_seed(1)
    return {
        "c4": torch.randn(2, 24, 8, 10, dtype=torch.float64, requires_grad=True),
        "c5": torch.randn(2, 40, 4, 5, dtype=torch.float64, requires_grad=True),
    }


def compute(paper: Paper, biases: list[Tensor], maps: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Computes logits and offsets from the weights in the order of our layers: extra maps, then predictors."""

    def depthwise(x: Tensor, stride: int) -> Tensor:
        channels = x.shape[1]
        weight = paper.weight(channels, 1, 3, 3)
        return paper.norm(F.conv2d(x, weight, stride=stride, padding=1, groups=channels))

    def pointwise(x: Tensor, outputs: int) -> Tensor:
        return F.conv2d(x, paper.weight(outputs, x.shape[1], 1, 1))

    levels = [maps["c4"], maps["c5"]]
    for channels in (32, 24, 16):
        levels.append(paper.norm(pointwise(depthwise(levels[-1], 2), channels)).relu())
    levels.append(pointwise(levels[-1].mean((2, 3), keepdim=True), 20).relu())
    predictions: list[Tensor] = []
    for number, (x, anchors, bias) in enumerate(zip(levels, PER_CELL, biases, strict=True)):
        if number == 0:  # c5 already has 40 channels
            x = paper.norm(pointwise(x, 48)).relu()
        if number < 5:
            x = depthwise(x, 1)
        x = pointwise(x, anchors * VALUES) + bias[:, None, None]
        predictions += [x[:, k * VALUES : (k + 1) * VALUES].flatten(2).mT for k in range(anchors)]
    # anchors of a cell are neighbours: put the k-th anchor of every cell between those of the cell
    joint: list[Tensor] = []
    for anchors in PER_CELL:
        group, predictions = predictions[:anchors], predictions[anchors:]
        joint.append(torch.stack(group, dim=2).flatten(1, 2))
    values = torch.cat(joint, dim=1)
    return values[..., 4:], values[..., :4]


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
def test_layers_are_those_of_the_authors(head: MobileViTSSDLite, maps: dict[str, Tensor], training: bool) -> None:
    head.train(training)
    output = head(maps, SIZE)
    paper = Paper(head)
    logits, offsets = compute(paper, [block.project.bias for block in head.predictors], maps)
    assert paper.is_finished()
    found = {"logits": output.logits, "offsets": output.offsets}
    assert_equal_with_gradients(found, {"logits": logits, "offsets": offsets}, list(maps.values()))


def test_anchors_are_those_of_the_authors(head: MobileViTSSDLite, maps: dict[str, Tensor]) -> None:
    """Scales rise from 0.1 to 1.05, and the pooled map lacks the ratio 3."""
    assert head.anchors.per_cell == PER_CELL
    assert head.anchors.scales == pytest.approx([0.1 + 0.95 * k / 6 for k in range(7)])
    grids = [(8, 10), (4, 5), (2, 3), (1, 2), (1, 1), (1, 1)]
    count = sum(n * rows * columns for n, (rows, columns) in zip(PER_CELL, grids, strict=True))
    assert len(head(maps, SIZE).anchors) == count


@pytest.mark.parametrize(
    ("options", "mentioned"),
    [
        ({"projections": (512,)}, "2 projections"),
        ({"projections": (512, 0)}, "projections must be at least 1"),
        ({"extras": ()}, "at least one of extras"),
    ],
    ids=["number of projections", "projections", "extras"],
)
def test_impossible_options_are_one_sentence(options: dict[str, Any], mentioned: str, assert_one_sentence: Any) -> None:
    with pytest.raises(UserError) as caught:
        MobileViTSSDLite(FEATURES, CLASSES, **options)
    assert_one_sentence(caught.value, mentioned)
