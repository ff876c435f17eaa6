"""Checks and converts batches of a user's own DataLoader: pairs of images and targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ...errors import TaskError
from ...heads.predictions import IGNORED, BoxTargets


class Pair(NamedTuple):
    """Images ``[N, 3, H, W]`` and their targets, whose form depends on the task."""

    images: Tensor
    targets: Any


def unpack_pair(batch: Any, task: str, targets: str) -> Pair:
    """Returns the images and the targets of a batch; images in a list are stacked.

    Args:
        batch: of a user's DataLoader.
        task: name of the task, for messages.
        targets: what the second part has to be, for messages.

    Raises:
        TaskError: it is not a pair, or its images are not of one size.
    """
    if not isinstance(batch, tuple | list) or len(batch) != 2:
        raise TaskError(
            f"{task} takes batches (images [N, 3, H, W], {targets}) of your DataLoader, not a {type(batch).__name__}"
            f"{f' of {len(batch)} parts' if isinstance(batch, Sequence) else ''}."
        )
    images, found = batch
    if isinstance(images, tuple | list) and all(isinstance(image, Tensor) for image in images):
        shapes = {tuple(image.shape) for image in images}
        if len(shapes) != 1:
            sizes = " and ".join(str(list(shape)) for shape in sorted(shapes)[:2])
            raise TaskError(f"Images of a batch must have one size, not {sizes}; resize them in your dataset.")
        images = torch.stack(tuple(images))
    if not isinstance(images, Tensor) or images.dim() != 4 or images.shape[1] != 3:
        what = list(images.shape) if isinstance(images, Tensor) else type(images).__name__
        raise TaskError(f"{task} takes images [N, 3, H, W] from your DataLoader, not {what}.")
    return Pair(images, found)


def check_values(images: Tensor) -> None:
    """Raises TaskError unless ``images`` are uint8, or floats in 0 … 1; it waits for the device."""
    if images.dtype == torch.uint8:
        return
    low, high = (float(value) for value in images.aminmax())
    if not images.is_floating_point() or not (low >= 0 and high <= 1):
        raise TaskError(
            f"Images of your DataLoader must be uint8, or floats in 0 … 1, not {images.dtype} from {low:g} to "
            f"{high:g}; leave out Normalize, because the network normalises them."
        )


def check_labels(labels: Tensor, num_classes: int, is_mask: bool = False) -> None:
    """Raises TaskError unless labels are whole numbers in 0 … C−1, or 255 in masks; it waits for the device."""
    if labels.is_floating_point() or labels.is_complex():
        raise TaskError(f"Labels of your DataLoader must be whole numbers, not {labels.dtype}.")
    known = labels[labels != IGNORED] if is_mask else labels
    if known.numel() and not (int(known.min()) >= 0 and int(known.max()) < num_classes):
        raise TaskError(
            f"Labels of your DataLoader must be in 0 … {num_classes - 1}, without a background class, "
            f"but are from {int(known.min())} to {int(known.max())}; set classes, or shift the labels."
        )


def pad_boxes(targets: Any, images: Tensor) -> BoxTargets:
    """Pads the objects of images to one number of boxes.

    Args:
        targets: a dictionary with "boxes" ``[M, 4]`` as x1, y1, x2, y2 in pixels and "labels" ``[M]`` for each image,
            as torchvision's detectors take them, but with labels from 0.
        images: ``[N, 3, H, W]``.

    Raises:
        TaskError: the targets are something else.
    """
    if not isinstance(targets, tuple | list) or len(targets) != len(images):
        raise TaskError(
            "Targets of your DataLoader must be a list with a dictionary for each image; pass "
            "collate_fn=lambda samples: tuple(zip(*samples)) to the DataLoader."
        )
    boxes = images.new_zeros((len(targets), max(1, *map(count_boxes, targets)), 4), dtype=torch.float32)
    labels = images.new_full(boxes.shape[:2], -1, dtype=torch.int64)
    for row, target in enumerate(targets):
        count = count_boxes(target)
        boxes[row, :count], labels[row, :count] = target["boxes"], target["labels"]
    return BoxTargets(boxes, labels)


def count_boxes(target: Any) -> int:
    """Returns the number of objects of an image.

    Raises:
        TaskError: it is not a dictionary with "boxes" and "labels" of one length.
    """
    boxes, labels = (target.get(key) if isinstance(target, Mapping) else None for key in ("boxes", "labels"))
    if not isinstance(boxes, Tensor) or not isinstance(labels, Tensor):
        raise TaskError('Targets of your DataLoader must be dictionaries with the tensors "boxes" and "labels".')
    if labels.dim() != 1 or tuple(boxes.shape) != (len(labels), 4):
        found = f"{list(boxes.shape)} and {list(labels.shape)}"
        raise TaskError(f'"boxes" and "labels" of an image must be [M, 4] and [M], not {found}.')
    return len(labels)
