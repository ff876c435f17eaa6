"""Samples of probes: pooled images, objects and cells, and the map that they come from."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from litmobile.backbones.contract import Feature
from litmobile.heads.predictions import BoxTargets
from litmobile.tasks.detection.batch import DetectionBatch
from litmobile.tools.transfer.probes.samples import (
    MAX_CELLS,
    choose_map,
    find_cut,
    label_cells,
    pool_images,
    pool_objects,
    take_cells,
    take_evenly,
)


def draw_map(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def test_images_are_averaged_over_the_map() -> None:
    values, targets, indices = draw_map(3, 5, 2, 4), torch.tensor([1, 0, 2]), torch.tensor([7, 8, 9])
    samples = pool_images(values, 32, SimpleNamespace(targets=targets, indices=indices), True)
    torch.testing.assert_close(samples.features, values.mean((2, 3)))
    assert torch.equal(samples.labels, targets) and torch.equal(samples.images, indices)


def test_objects_are_averaged_over_their_cells() -> None:
    """Boxes that end where cells end, in images with two, no and one objects."""
    values = draw_map(3, 6, 5, 7)
    boxes, labels = torch.zeros(3, 16, 4), torch.full((3, 16), -1)
    boxes[0, :2] = torch.tensor([[16.0, 0, 48, 32], [0, 0, 112, 80]])
    boxes[2, 0] = torch.tensor([64.0, 48, 80, 64])
    labels[0, :2], labels[2, 0] = torch.tensor([4, 1]), 2
    batch = DetectionBatch(torch.zeros(3, 3, 80, 112), BoxTargets(boxes, labels), torch.tensor([5, 6, 7]))
    samples = pool_objects(values, 16, batch, True)
    expected = [values[0, :, 0:2, 1:3].mean((1, 2)), values[0].mean((1, 2)), values[2, :, 3, 4]]
    torch.testing.assert_close(samples.features, torch.stack(expected))
    assert samples.labels.tolist() == [4, 1, 2] and samples.images.tolist() == [5, 5, 7]


@pytest.mark.parametrize(("stride", "size"), [(4, (3, 4)), (4, (2, 3)), (16, (1, 1)), (5, (3, 3))])
def test_cells_have_the_class_of_most_of_their_pixels(stride: int, size: tuple[int, int]) -> None:
    random = np.random.default_rng(0)
    labels = random.choice([0, 3, 255], size=(4, 11, 14), p=(0.35, 0.35, 0.3)).astype(np.uint8)
    labels[1] = 255
    found = label_cells(labels, stride, size)
    for (image, row, column), label in np.ndenumerate(found):
        cell = labels[image, row * stride : (row + 1) * stride, column * stride : (column + 1) * stride]
        counts = np.bincount(cell.ravel(), minlength=256)[:255]
        expected = counts.argmax() if 2 * counts.max() > counts.sum() else -1
        assert label == expected
    assert (found[1] == -1).all() and (found >= 0).any()


def test_few_evenly_spaced_cells_of_training_images_are_taken() -> None:
    labels = torch.zeros(2, 96, 128, dtype=torch.uint8)
    labels[1, :, 64:] = 255
    batch = SimpleNamespace(targets=labels, indices=torch.tensor([3, 4]))
    values = torch.arange(2 * 12 * 16).reshape(2, 1, 12, 16).float()
    train, samples = (take_cells(values, 8, batch, is_training) for is_training in (True, False))
    assert torch.bincount(samples.images).tolist() == [0, 0, 0, 192, 96]
    assert torch.bincount(train.images).tolist() == [0, 0, 0, MAX_CELLS, MAX_CELLS]
    assert samples.features[192:, 0].tolist() == values[1, 0, :, :8].flatten().tolist()
    taken = train.features[:MAX_CELLS, 0]
    assert taken[0] == 0 and taken[-1] == 191 and set(taken.diff().tolist()) == {3.0, 4.0}


def test_take_evenly_keeps_few_values() -> None:
    assert take_evenly(np.arange(5), 5).tolist() == [0, 1, 2, 3, 4]
    assert take_evenly(np.arange(5), 3).tolist() == [0, 2, 4]


MAPS = {"c3": Feature(40, 8), "c4": Feature(112, 16), "c4_expansion": Feature(672, 16), "final": Feature(960, 32)}


@pytest.mark.parametrize(
    ("role", "names", "chosen"),
    [
        ("classification", ["c4", "final"], "final"),
        ("detection", ["c4", "c4_expansion", "final"], "c4_expansion"),
        ("segmentation", ["c3", "final"], "c3"),
        ("segmentation", ["final"], "final"),
    ],
)
def test_map_suits_the_task(role: str, names: list[str], chosen: str) -> None:
    assert choose_map(role, names, [MAPS[name] for name in names]) == chosen


def test_unknown_tasks_are_refused(assert_one_sentence: Callable[..., None]) -> None:
    with pytest.raises(ValueError, match="depth") as caught:
        find_cut("depth")
    assert_one_sentence(caught.value, "classification, detection, segmentation")
