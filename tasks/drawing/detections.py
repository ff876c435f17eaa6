"""Draws boxes and detections."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import PIL.Image
import PIL.ImageDraw
import torch
from torch import Tensor
from torchvision.utils import draw_bounding_boxes

from ...heads.predictions import BoxTargets, Detections
from ..images import Image
from .canvas import MAX_PAIRS, PAIR_COLUMNS, contact_sheet, draw_pair, fit_image, images_to_arrays
from .colours import choose_text_colour, make_palette
from .text import load_font

DETECTION_CELL = 320  # longer side of an image on a contact sheet
MIN_SHEET_SCORE = 0.3  # of detections on a contact sheet


def draw_boxes(image: Image, boxes: Tensor, labels: Tensor, texts: Sequence[str], classes: Sequence[str]) -> Image:
    """Draws ``boxes`` in the colours of their classes, each with its text; the last text is on top.

    Lines and text grow with the image, so that both stay visible when a large image is scaled to a screen.

    Args:
        image: ``[H, W, 3]`` uint8; not modified.
        boxes: ``[K, 4]`` as x1, y1, x2, y2 in pixels.
        labels: ``[K]`` class indices.
        texts: K texts.
        classes: names of all classes.
    """
    line = max(2, round(max(image.shape) / 400))
    palette = make_palette(len(classes))
    colours = [palette[label] for label in labels.tolist()]
    canvas = torch.from_numpy(image.copy()).permute(2, 0, 1)
    if len(boxes):  # torchvision warns about an empty list
        # a box ends with its last pixel; a box without area is drawn as a point
        last_pixels = torch.maximum(boxes[:, 2:] - 1, boxes[:, :2])
        corners = torch.cat((boxes[:, :2], last_pixels), dim=1)
        canvas = draw_bounding_boxes(canvas, corners, colors=list(colours), width=line)
    # torchvision's own labels need a font file to grow, cover the object, and are cut off at the image border
    labelled = PIL.Image.fromarray(canvas.permute(1, 2, 0).numpy())
    pen = PIL.ImageDraw.Draw(labelled)
    font = load_font(max(11, round(max(image.shape) / 55)), "".join(texts))
    height = pen.textbbox((0, 0), "Äg", font=font)[3] + line  # one height for all texts
    for (x1, y1, _, _), colour, text in zip(boxes.tolist(), colours, texts, strict=True):
        width = pen.textlength(text, font=font) + 2 * line
        left = max(0, min(x1, labelled.width - width))
        top = y1 - height if y1 >= height else y1
        pen.rectangle((left, top, left + width, top + height), fill=colour)
        pen.text((left + line, top), text, fill=choose_text_colour(colour), font=font)
    return np.array(labelled)


def draw_detections(image: Image, detections: Detections, classes: Sequence[str], min_score: float) -> Image:
    """Draws the ``detections`` in ``image`` ``[H, W, 3]`` whose score is at least ``min_score``, the best on top."""
    boxes, scores, labels = (x.cpu()[detections.scores.cpu() >= min_score].flip(0) for x in detections)
    texts = [f"{classes[k]} {score:.2f}" for k, score in zip(labels.tolist(), scores.tolist(), strict=True)]
    return draw_boxes(image, boxes.float(), labels, texts, classes)


def draw_detection_sheet(
    images: Tensor, targets: BoxTargets, detections: Sequence[Detections], classes: Sequence[str]
) -> Image:
    """Draws the first eight images of a batch with their objects, each beside its detections.

    Args:
        images: ``[N, 3, H, W]`` uint8.
        targets: objects of the images.
        detections: N predictions; scores below 0.3 are left out.
        classes: names of the classes.
    """
    scale = DETECTION_CELL / max(images.shape[2:])

    def draw_cell(image: Image, boxes: Tensor, labels: Tensor, predicted: Detections) -> Image:
        image = fit_image(image, DETECTION_CELL)
        boxes, labels = boxes[labels >= 0], labels[labels >= 0]
        truth = draw_boxes(image, boxes * scale, labels, [classes[int(k)] for k in labels], classes)
        predicted = predicted._replace(boxes=predicted.boxes.float() * scale)
        return draw_pair(truth, draw_detections(image, predicted, classes, MIN_SHEET_SCORE))

    pairs = map(draw_cell, images_to_arrays(images[:MAX_PAIRS]), targets.boxes.cpu(), targets.labels.cpu(), detections)
    return contact_sheet(pairs, PAIR_COLUMNS)
