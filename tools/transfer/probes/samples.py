"""What a probe classifies in each task: images, objects or cells of a map."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision.ops import roi_align

from ....backbones.blocks import global_avg_pool
from ....backbones.contract import Feature
from ....errors import UserError
from ....heads.predictions import IGNORED

#: stride of the maps that objects and cells are taken from, unless the network has no such map
STRIDE = 16
#: cells of a training image, evenly spaced: neighbouring cells are much alike
MAX_CELLS = 64


class Samples(NamedTuple):
    """Samples of a batch.

    Attributes:
        features: ``[S, D]``.
        labels: class indices, ``[S]`` int64.
        images: index of the image in the split, ``[S]`` int64, in the order of the batch.
    """

    features: Tensor
    labels: Tensor
    images: Tensor


#: takes a map, its stride, a batch, and whether it is for training, and returns samples
Cut = Callable[[Tensor, int, Any, bool], Samples]


def pool_images(values: Tensor, stride: int, batch: Any, is_training: bool) -> Samples:
    """Averages the map ``[N, D, h, w]`` of each image, as :class:`litmobile.heads.Classifier` does."""
    return Samples(global_avg_pool(values), batch.targets, batch.indices)


def pool_objects(values: Tensor, stride: int, batch: Any, is_training: bool) -> Samples:
    """Averages the map ``[N, D, h, w]`` over each annotated object that is not a crowd, with RoIAlign."""
    boxes, labels = batch.targets
    images, rows = torch.nonzero(labels >= 0, as_tuple=True)
    regions = torch.cat((images[:, None].to(boxes.dtype), boxes[images, rows]), dim=1).to(values)
    pooled = roi_align(values, regions, output_size=1, spatial_scale=1 / stride, sampling_ratio=-1, aligned=True)
    return Samples(pooled.flatten(1), labels[images, rows], batch.indices[images])


def take_cells(values: Tensor, stride: int, batch: Any, is_training: bool) -> Samples:
    """Takes the cells of the map ``[N, D, h, w]`` in which more than half of the pixels with a class have the same.

    Training images give at most ``MAX_CELLS`` cells.
    """
    labels = label_cells(batch.targets.numpy(), stride, (values.shape[2], values.shape[3]))
    cells = [np.flatnonzero(of_image >= 0) for of_image in labels.reshape(len(labels), -1)]
    if is_training:
        cells = [take_evenly(of_image, MAX_CELLS) for of_image in cells]
    images = np.repeat(np.arange(len(cells)), [len(of_image) for of_image in cells])
    places = np.concatenate(cells)
    features = values.permute(0, 2, 3, 1).flatten(1, 2)[torch.from_numpy(images), torch.from_numpy(places)]
    chosen = labels.reshape(len(labels), -1)[images, places]
    return Samples(features, torch.from_numpy(chosen), batch.indices[torch.from_numpy(images)])


def label_cells(labels: NDArray[np.uint8], stride: int, size: tuple[int, int]) -> NDArray[np.int64]:
    """Returns the class that more than half of a cell's pixels with a class have; −1 if none has.

    Args:
        labels: class indices of the pixels, ``[N, H, W]``, 255 for pixels without class.
        stride: pixels per cell.
        size: (rows, columns) of the map; pixels beyond it are ignored.

    Returns:
        ``[N, rows, columns]``.
    """
    count, height, width = labels.shape
    rows, columns = np.arange(height) // stride, np.arange(width) // stride
    is_counted = (labels != IGNORED) & (rows[:, None] < size[0]) & (columns < size[1])
    cells = (np.arange(count)[:, None, None] * size[0] + rows[:, None]) * size[1] + columns
    codes = cells[is_counted] * (IGNORED + 1) + labels[is_counted]
    total = count * size[0] * size[1]
    pixels = np.bincount(codes, minlength=total * (IGNORED + 1)).reshape(total, IGNORED + 1)
    majority = np.where(2 * pixels.max(1) > pixels.sum(1), pixels.argmax(1), -1)
    return majority.reshape(count, *size)


def take_evenly(values: NDArray[np.intp], most: int) -> NDArray[np.intp]:
    """Returns at most ``most`` of the values, evenly spaced, the first and the last included."""
    if len(values) <= most:
        return values
    return values[np.linspace(0, len(values) - 1, most).round().astype(np.intp)]


#: by ``Task.role``
CUTS: dict[str, Cut] = {"classification": pool_images, "detection": pool_objects, "segmentation": take_cells}


def find_cut(role: str) -> Cut:
    """Returns what cuts samples for tasks of ``role``.

    Raises:
        UserError: probes do not support these tasks.
    """
    if role not in CUTS:
        raise UserError(f"Probes support {', '.join(CUTS)}, but the task is for {role}.")
    return CUTS[role]


def choose_map(role: str, names: Sequence[str], features: Sequence[Feature]) -> str:
    """Returns the map that samples are taken from, among those of the head, finest first.

    It is the coarsest, which classifiers take. For objects and cells, whose position matters, it is the coarsest with a
    stride of at most 16, or else the finest.
    """
    if role == "classification":
        return names[-1]
    fine = [name for name, feature in zip(names, features, strict=True) if feature.stride <= STRIDE]
    return fine[-1] if fine else names[0]
