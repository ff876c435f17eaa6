"""Drawn detections: on a picture of any size, and contact sheets with truth on the left, prediction on the right."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import PIL.Image
import PIL.ImageDraw
import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.utils import make_grid

from ...heads.predictions import BoxTargets, Detections
from ..drawing import font, palette
from ..images import Image

MOST_IMAGES = 8
LEAST_SCORE = 0.3
CELL = 320  # pixels of the longer side of a drawn image
LUMA = (0.299, 0.587, 0.114)


def draw_boxes(image: Image, boxes: Tensor, labels: Tensor, texts: Sequence[str], classes: Sequence[str]) -> Image:
    """Draws ``boxes`` ``[K, 4]`` with their ``texts``, coloured by class, the last on top.

    Lines and letters grow with the picture, so that both can be seen when it is shown whole.

    Args:
        image: ``[H, W, 3]`` uint8, which stays as it is.
        boxes: x1, y1, x2, y2 in pixels.
        labels: ``[K]`` classes from 0.
        texts: what stands at each box.
        classes: names of all classes.
    """
    canvas = PIL.Image.fromarray(np.ascontiguousarray(image)).copy()
    pen = PIL.ImageDraw.Draw(canvas)
    line = max(2, round(max(canvas.size) / 400))
    letters = font(max(11, round(max(canvas.size) / 55)), "".join(texts))
    height = pen.textbbox((0, 0), "Äg", font=letters)[3]  # one for all texts
    colours = palette(len(classes))
    for (x1, y1, x2, y2), label, text in zip(boxes.tolist(), labels.tolist(), texts, strict=True):
        colour = colours[label]
        # a box ends with its last pixel, and one of nothing is drawn as a point
        pen.rectangle((x1, y1, max(x1, x2 - 1), max(y1, y2 - 1)), outline=colour, width=line)
        width = pen.textlength(text, font=letters)
        left = max(0, min(x1, canvas.width - width - 2 * line))
        top = y1 - height - line if y1 >= height + line else y1
        pen.rectangle((left, top, left + width + 2 * line, top + height + line), fill=colour)
        bright = sum(share * channel for share, channel in zip(LUMA, colour, strict=True)) > 128
        pen.text((left + line, top), text, fill="black" if bright else "white", font=letters)
    return np.array(canvas)


def draw_detections(image: Image, found: Detections, classes: Sequence[str], least_score: float) -> Image:
    """Draws what was ``found`` in ``image`` ``[H, W, 3]`` uint8 with a score of at least that, the best on top."""
    boxes, scores, labels = (x.cpu()[found.scores.cpu() >= least_score].flip(0) for x in found)
    texts = [f"{classes[k]} {score:.2f}" for k, score in zip(labels.tolist(), scores.tolist(), strict=True)]
    return draw_boxes(image, boxes.float(), labels, texts, classes)


def contact_sheet(
    images: Tensor, targets: BoxTargets, detections: Sequence[Detections], classes: Sequence[str]
) -> Image:
    """Pairs of pictures as one, ``[height, width, 3]`` uint8.

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
        canvas = enlarged.permute(1, 2, 0).numpy()
        real = labels >= 0
        texts = [classes[int(k)] for k in labels[real]]
        truth = draw_boxes(canvas, boxes[real] * scale, labels[real], texts, classes)
        seen = draw_detections(canvas, found._replace(boxes=found.boxes.float() * scale), classes, LEAST_SCORE)
        pairs.append(torch.from_numpy(np.concatenate((truth, seen), axis=1)).permute(2, 0, 1))
    return make_grid(pairs, nrow=2, padding=8, pad_value=255).permute(1, 2, 0).numpy()
