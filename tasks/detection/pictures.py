"""Contact sheets of a detector's work: truth on the left, prediction on the right."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from pathlib import Path

import cv2
import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.utils import draw_bounding_boxes, make_grid

from ...heads.predictions import BoxTargets, Detections

MOST_IMAGES = 8
LEAST_SCORE = 0.3
CELL = 320  # pixels of the longer side of a drawn image


def palette(count: int) -> list[tuple[int, int, int]]:
    """That many colours, told apart by hue."""
    # the checker takes a tuple of a generator for one of any length
    hues = [(0.05 + k * 0.61803) % 1 for k in range(count)]  # the golden ratio keeps neighbours apart
    return [tuple(round(255 * c) for c in colorsys.hsv_to_rgb(hue, 0.85, 1.0)) for hue in hues]  # pyright: ignore[reportReturnType]


def draw_boxes(image: Tensor, boxes: Tensor, labels: Tensor, texts: Sequence[str], classes: Sequence[str]) -> Tensor:
    """Draws ``boxes`` ``[K, 4]`` with their ``texts`` on ``image`` ``[3, H, W]`` uint8, coloured by class."""
    if not len(boxes):
        return image
    colours = palette(len(classes))
    x1, y1, x2, y2 = boxes.unbind(-1)
    # a box of nothing cannot be drawn, and torchvision says so by raising
    solid = torch.stack((x1, y1, torch.maximum(x2, x1 + 1), torch.maximum(y2, y1 + 1)), dim=-1)
    return draw_bounding_boxes(
        image,
        solid,
        labels=list(texts),
        colors=[colours[k] for k in labels.tolist()],
        width=2,
        label_colors="white",
        fill_labels=True,
    )


def contact_sheet(
    images: Tensor, targets: BoxTargets, detections: Sequence[Detections], classes: Sequence[str]
) -> Tensor:
    """Pairs of pictures as one, ``[3, height, width]`` uint8.

    Args:
        images: ``[N, 3, H, W]`` uint8; the first eight are drawn.
        targets: their objects.
        detections: what was found; scores below 0.3 are not drawn.
        classes: names of the classes.
    """
    pairs: list[Tensor] = []
    scale = CELL / max(images.shape[2:])
    for image, boxes, labels, found in list(
        zip(images.cpu(), targets.boxes.cpu(), targets.labels.cpu(), detections, strict=True)
    )[:MOST_IMAGES]:
        size = [round(side * scale) for side in image.shape[1:]]
        enlarged = F.interpolate(image[None].float(), size=size, mode="bilinear")[0].round().to(torch.uint8)
        real = labels >= 0
        sure = found.scores.cpu() >= LEAST_SCORE
        found_labels = found.labels.cpu()[sure]
        texts = [classes[int(k)] for k in labels[real]]
        truth = draw_boxes(enlarged, boxes[real] * scale, labels[real], texts, classes)
        scores = found.scores.cpu()[sure]
        texts = [f"{classes[int(k)]} {score:.2f}" for k, score in zip(found_labels, scores, strict=True)]
        seen = draw_boxes(enlarged, found.boxes.cpu()[sure].float() * scale, found_labels, texts, classes)
        pairs.append(torch.cat((truth, seen), dim=2))
    return make_grid(pairs, nrow=2, padding=8, pad_value=255)


def save_picture(picture: Tensor, path: Path) -> None:
    """Writes ``picture`` ``[3, H, W]`` uint8 RGB as a file."""
    cv2.imwrite(str(path), cv2.cvtColor(picture.permute(1, 2, 0).contiguous().numpy(), cv2.COLOR_RGB2BGR))
