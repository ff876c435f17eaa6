"""The objects of a split in the network's input, and anchors that fit them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from lightning.pytorch.utilities import rank_zero_info
from numpy.typing import NDArray
from torch import Tensor

from ...errors import DataError, TaskError
from ...heads.contract import HeadFactory
from ...heads.ssdlite import SSDHead
from ...heads.ssdlite.anchor_search import AnchorGrid, AnchorOptions, Grid, search_anchors
from ..network import Network
from ..preprocessing import Preprocessing
from .split import DetectionSplit
from .transforms import Boxes

MAX_OBJECTS = 20_000  # with more, only every second, third, … image is taken


class InputObjects(NamedTuple):
    """Objects of a split in pixels of the network's input, without those that training leaves out.

    Attributes:
        boxes: ``[B, 4]`` as x1, y1, x2, y2.
        labels: ``[B]``.
        owners: ``[B]``, index of the image of every object.
        image_step: every ``image_step``-th image was taken.
    """

    boxes: Tensor
    labels: Tensor
    owners: Tensor
    image_step: int


def input_boxes(split: DetectionSplit, preprocessing: Preprocessing) -> Boxes:
    """Boxes ``[B, 4]`` in pixels of the network's input without augmentation."""
    sizes, which = np.unique(split.sizes[split.owners], axis=0, return_inverse=True)
    frames = [preprocessing.geometry(int(height), int(width)) for height, width in sizes]
    scales = np.array([(f.columns / f.width, f.rows / f.height) for f in frames]).reshape(-1, 2)
    shifts = np.array([(f.left, f.top) for f in frames]).reshape(-1, 2)
    geometry = which.reshape(-1)  # NumPy 2.0 returns another shape than other versions
    return (split.boxes * np.tile(scales, 2)[geometry] + np.tile(shifts, 2)[geometry]).astype(np.float32)


def is_trainable(boxes: Boxes) -> NDArray[np.bool_]:
    """Whether training keeps each of ``boxes`` ``[B, 4]``, i.e. both sides are at least a pixel in the input."""
    return np.asarray((boxes[:, 2:] - boxes[:, :2] >= 1).all(1))


def select_objects(split: DetectionSplit, preprocessing: Preprocessing) -> InputObjects:
    """Returns the objects of ``split`` without augmentation; of more than 20,000, an even part."""
    step = max(1, -(-len(split.labels) // MAX_OBJECTS))
    boxes = input_boxes(split, preprocessing)
    kept = is_trainable(boxes) & (split.owners % step == 0)
    return InputObjects(*(torch.from_numpy(x[kept]) for x in (boxes, split.labels, split.owners)), image_step=step)


def measure_grids(head: SSDHead, maps: dict[str, Tensor]) -> list[Grid]:
    """Returns (rows, columns) of each map that has anchors, finest first."""
    with torch.inference_mode():
        return [(level.shape[2], level.shape[3]) for level in head.pyramid(maps)]


def read_options(head: SSDHead) -> AnchorOptions:
    """Returns the anchor options that ``head`` was built with, or their defaults."""
    return AnchorOptions(head.anchors.scales, head.anchors.ratios, head.anchors.layout)


def choose_anchors(network: Network, split: DetectionSplit, preprocessing: Preprocessing) -> dict[str, list[Any]]:
    """Returns the options of the network's head for anchors that fit the objects of ``split``, and logs them.

    The choice depends on nothing but the arguments. It is empty if no better anchors are found.

    Raises:
        TaskError: the head has no anchors.
        DataError: the split has no objects.
    """
    head = network.head
    if not isinstance(head, SSDHead):
        raise TaskError(f"{type(head).__name__} has no anchors to choose: set --model.anchors=null.")
    objects = select_objects(split, preprocessing)
    if not len(objects.boxes):
        raise DataError(f"{split.source} has no objects to choose anchors for: set --model.anchors=null.")
    network.eval()
    with torch.inference_mode():
        maps = network.backbone(torch.zeros(1, 3, *preprocessing.size))
    grids, own = measure_grids(head, maps), read_options(head)
    network.train()
    better = search_anchors(objects.boxes, objects.labels, grids, preprocessing.size, own, head.iou_thresh)
    grid = AnchorGrid(objects.boxes, grids, preprocessing.size)
    ious = [grid.best_iou(options.build_generator().shapes) for options in (own, better)]
    before, after = ((iou >= head.iou_thresh).double().mean() for iou in ious)
    share = f"{after:.1%} of {len(objects.boxes):,} objects have an IoU of at least {head.iou_thresh:g} with an anchor"
    if better is own:
        rank_zero_info(f"Anchors: no better ones than the head's own were found; {share}.")
        return {}
    options: dict[str, list[Any]] = {name: list(getattr(better, name)) for name in ("anchor_scales", "aspect_ratios")}
    text = ", ".join(f"{name} {values}" for name, values in options.items())
    rank_zero_info(f"Anchors: {text}; {share}, {before:.1%} with the head's own.")
    return options


def replace_head(network: Network, factory: HeadFactory, options: dict[str, list[Any]]) -> None:
    """Replaces the network's head by one with other ``options``."""
    features = network.backbone.head_features(network.feature_maps)
    network.head = factory(features, len(network.classes), **options)
