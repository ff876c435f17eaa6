"""Draws boxes and detections."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import PIL.Image
import PIL.ImageDraw
import torch
from torch import Tensor
from torchvision.utils import draw_bounding_boxes

from ...heads.predictions import BoxTargets, Detections
from ..images import Image, resize_image
from .box_labels import place_labels
from .canvas import MAX_PAIRS, PAIR_COLUMNS, contact_sheet, draw_pair, fit_image, images_to_arrays, stack_images
from .colours import choose_text_colour, make_palette
from .legend import MIN_LEGEND_WIDTH, SHEET_FONT, choose_legend_font, draw_legend
from .text import load_font, shorten_text

DETECTION_CELL = 480  # longer side of an image on a contact sheet
MIN_SHEET_SCORE = 0.3  # of detections on a contact sheet
MIN_LABEL_WIDTH = 120  # pixels; a label is at most this wide, or a third of the image
READABLE_SIDE = 640  # pixels; smaller images are enlarged, because labels would cover them
MAX_FRAME_CLASSES = 16  # in the legend of a video, where more would take much of each frame


def draw_boxes(image: Image, boxes: Tensor, labels: Tensor, texts: Sequence[str], classes: Sequence[str]) -> Image:
    """Draws ``boxes`` in the colours of their classes, each with its text; the last box is on top.

    Lines and text grow with the image, so that both stay visible when a large image is scaled to a screen. Texts do not
    cover each other: the last one is placed first, at most 60 are written, and a text without a free place is left out.

    Args:
        image: ``[H, W, 3]`` uint8; not modified.
        boxes: ``[K, 4]`` as x1, y1, x2, y2 in pixels.
        labels: ``[K]`` class indices.
        texts: K texts; those wider than 120 pixels and a third of the image are shortened.
        classes: names of all classes.
    """
    return draw_labelled_boxes(image, boxes, labels, texts, classes).image


class DrawnBoxes(NamedTuple):
    """An image with boxes.

    Attributes:
        image: ``[H, W, 3]`` uint8.
        is_complete: whether all boxes have their texts, none of which is shortened.
    """

    image: Image
    is_complete: bool


def draw_labelled_boxes(
    image: Image, boxes: Tensor, labels: Tensor, texts: Sequence[str], classes: Sequence[str]
) -> DrawnBoxes:
    """Draws boxes as :func:`draw_boxes` does, and says whether all texts are complete."""
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
    max_width = min(labelled.width, max(MIN_LABEL_WIDTH, labelled.width // 3)) - 2 * line
    short_texts = [shorten_text(text, font, max_width) for text in texts]
    widths = [pen.textlength(text, font=font) + 2 * line for text in short_texts]
    places = place_labels(boxes.tolist()[::-1], widths[::-1], height, image.shape[:2])[::-1]
    for place, colour, text in zip(places, colours, short_texts, strict=True):
        if place is not None:
            pen.rectangle(((place.left, place.top), (place.right - 1, place.bottom - 1)), fill=colour)
            pen.text((place.left + line, place.top), text, fill=choose_text_colour(colour), font=font)
    return DrawnBoxes(np.array(labelled), None not in places and short_texts == list(texts))


def draw_detections(image: Image, detections: Detections, classes: Sequence[str], min_score: float) -> Image:
    """Draws the ``detections`` in ``image`` ``[H, W, 3]`` whose score is at least ``min_score``, the best on top."""
    return draw_labelled_detections(image, select_detections(detections, min_score), classes).image


def select_detections(detections: Detections, min_score: float) -> Detections:
    """Returns those of the ``detections`` whose score is at least ``min_score``."""
    boxes, scores, labels = (values[detections.scores >= min_score].cpu() for values in detections)
    return Detections(boxes.float(), scores.float(), labels)


def draw_labelled_detections(image: Image, detections: Detections, classes: Sequence[str]) -> DrawnBoxes:
    """Draws all ``detections`` in ``image`` ``[H, W, 3]``, the best on top."""
    boxes, scores, labels = (values.flip(0) for values in detections)
    # the score first: the end of a long text is left out
    texts = [f"{score:.2f} {classes[k]}" for k, score in zip(labels.tolist(), scores.tolist(), strict=True)]
    return draw_labelled_boxes(image, boxes, labels, texts, classes)


def draw_detection_result(
    image: Image, detections: Detections, classes: Sequence[str], min_score: float, is_frame: bool = False
) -> Image:
    """Draws detections so that their labels can be read, in an enlarged image and with a legend where necessary.

    A small image is enlarged by the largest whole factor at which its longer side has at most 640 pixels. If several
    classes are possible and some labels are shortened or have no place, a legend below names the classes shown.

    Args:
        image: ``[H, W, 3]`` uint8; not modified.
        detections: in pixels of ``image``.
        classes: names of all classes.
        min_score: detections with lower scores are left out.
        is_frame: whether this is a frame of a video. All its frames have one size: the legend always lists all classes
            if these are two to 16, and is otherwise left out.
    """
    height, width = image.shape[:2]
    factor = max(1, READABLE_SIDE // max(height, width))
    selected = select_detections(detections, min_score)
    enlarged = resize_image(image, factor * height, factor * width)
    drawn = draw_labelled_detections(enlarged, selected._replace(boxes=factor * selected.boxes), classes)
    has_legend = len(classes) <= MAX_FRAME_CLASSES if is_frame else not drawn.is_complete
    if not has_legend or len(classes) == 1:
        return drawn.image
    listed = range(len(classes)) if is_frame else selected.labels.tolist()
    return add_class_legend(drawn.image, listed, classes, choose_legend_font(drawn.image))


def add_class_legend(image: Image, labels: Iterable[int], classes: Sequence[str], font_size: int) -> Image:
    """Adds a legend of the classes that ``labels`` contain below ``image``."""
    palette, indices = make_palette(len(classes)), sorted(set(labels))
    names, colours = [classes[k] for k in indices], [palette[k] for k in indices]
    return stack_images(image, draw_legend(names, colours, max(image.shape[1], MIN_LEGEND_WIDTH), font_size))


def draw_detection_sheet(
    images: Tensor, targets: BoxTargets, detections: Sequence[Detections], classes: Sequence[str]
) -> Image:
    """Draws the first eight images of a batch with their objects, each beside its detections.

    Each image gets a longer side of 480 pixels. If several classes are possible and some labels have no place or are
    shortened, a legend below names the classes that are shown.

    Args:
        images: ``[N, 3, H, W]`` uint8.
        targets: objects of the images.
        detections: N predictions; scores below 0.3 are left out.
        classes: names of the classes.
    """
    scale = DETECTION_CELL / max(images.shape[2:])
    pairs: list[Image] = []
    drawn: list[DrawnBoxes] = []
    shown: list[int] = []
    batch = (images_to_arrays(images[:MAX_PAIRS]), targets.boxes.cpu(), targets.labels.cpu(), detections)
    for image, boxes, labels, predicted in zip(*batch, strict=False):
        image = fit_image(image, DETECTION_CELL)
        boxes, labels = boxes[labels >= 0], labels[labels >= 0]
        truth = draw_labelled_boxes(image, boxes * scale, labels, [classes[int(k)] for k in labels], classes)
        selected = select_detections(predicted, MIN_SHEET_SCORE)
        found = draw_labelled_detections(image, selected._replace(boxes=selected.boxes * scale), classes)
        pairs.append(draw_pair(truth.image, found.image))
        drawn += truth, found
        shown += labels.tolist() + selected.labels.tolist()
    sheet = contact_sheet(pairs, PAIR_COLUMNS)
    if len(classes) == 1 or all(boxes.is_complete for boxes in drawn):
        return sheet
    return add_class_legend(sheet, shown, classes, SHEET_FONT)
