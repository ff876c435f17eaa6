"""Draws a detector's best and worst images, and those with likely label errors."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from ...errors import format_count
from ..drawing import draw_pair
from ..drawing.detections import draw_boxes
from ..examples import MAX_EXAMPLES, Example, Examples, ImageReader, choose_examples, draw_readable, fit_example
from ..images import Image
from .evaluation.evidence import DetectionEvidence
from .evaluation.ground_truth import Floats
from .evaluation.label_errors import LabelError, find_label_errors

UNCOUNTED_COLOUR = (128, 128, 128)  # of ignored boxes; white, as ignored pixels are, would not be seen
TABLE = "label-errors"
COLUMNS = ("image", "kind", "class", "score", "labelled_as", "x", "y", "width", "height")


class LabelledBoxes(NamedTuple):
    """Boxes of one image.

    Attributes:
        boxes: x, y, width and height in pixels, ``[K, 4]``.
        labels: class indices, ``[K]``.
        texts: K texts.
        is_ignored: whether a box does not count; it is drawn in grey, without its text, ``[K]``.
    """

    boxes: Floats | NDArray[np.float32]
    labels: NDArray[np.int32]
    texts: list[str]
    is_ignored: NDArray[np.bool_]


def draw_examples(evidence: DetectionEvidence, read: ImageReader) -> Examples:
    """Draws images with their objects beside the detections whose scores reach the evidence's ``score_threshold``.

    The worst and the best images are those with the lowest and the highest F1. Of equal ones, those with the most
    errors are the worst, and those with the most objects the best. Images with likely label errors show only the
    detection that suggests the error; the table ``label-errors`` lists all of them. Ignored objects (crowds and
    difficult ones) and their detections are grey, and do not count.

    Args:
        evidence: what the evaluation kept.
        read: reads an image by its file name.
    """
    found, detections, objects = evidence.image_counts
    choice = choose_examples(evidence.image_scores(), detections + objects - 2 * found, objects)
    chosen = [(kind, image) for kind, images in choice._asdict().items() for image in images]
    errors = find_label_errors(evidence)
    first_of_image = {error.image: error for error in reversed(errors)}
    shown = [error for error in errors if first_of_image[error.image] is error][:MAX_EXAMPLES]
    drawn = draw_readable(chosen, lambda pair: draw_image(evidence, read, *pair))
    drawn += draw_readable(shown, lambda error: draw_label_error(evidence, read, error))
    return Examples(drawn, {TABLE: tabulate(evidence, errors)})


def draw_image(evidence: DetectionEvidence, read: ImageReader, kind: str, image: int) -> Example:
    """Draws the objects of an image beside its detections."""
    matched, threshold = evidence.matched, evidence.score_threshold
    rows = np.flatnonzero((matched.images == image) & (matched.scores >= threshold))
    rows = rows[np.argsort(matched.scores[rows], kind="stable")]  # the last box is on top
    labels = matched.categories[rows]
    texts = [
        f"{score:.2f} {evidence.classes[k]}"
        for k, score in zip(labels.tolist(), matched.scores[rows].tolist(), strict=True)
    ]
    predicted = LabelledBoxes(evidence.boxes[rows], labels, texts, evidence.is_ignored[rows])
    drawn = draw_truth_beside(evidence, read, image, predicted, f"prediction, scores from {threshold:.2f}")
    return Example(kind, evidence.names[image], describe_image(evidence, image), drawn)


def describe_image(evidence: DetectionEvidence, image: int) -> str:
    """Returns F1 of an image, and how many objects are found and how many detections are wrong."""
    found, detections, objects = (int(counts[image]) for counts in evidence.image_counts)
    of_objects = f"{found} of {format_count(objects, 'objects')} found" if objects else "no objects"
    false = format_count(detections - found, "false detections")
    return f"F1 {2 * found / (detections + objects):.2f}: {of_objects}, {false}"


def draw_label_error(evidence: DetectionEvidence, read: ImageReader, error: LabelError) -> Example:
    """Draws the objects of an image beside the detection that suggests that its annotations are wrong."""
    name, score = evidence.classes[error.category], f"{error.score:.2f}"
    labels = np.array([error.category], dtype=np.int32)
    predicted = LabelledBoxes(error.box[None], labels, [f"{score} {name}"], np.zeros(1, dtype=bool))
    drawn = draw_truth_beside(evidence, read, error.image, predicted, "prediction in question")
    x, y, width, height = np.round(error.box).astype(int).tolist()
    place = f"the {name} detected with a score of {score} at x {x}, y {y} ({width}×{height} pixels)"
    if error.labelled_as is None:
        caption = f"Perhaps a missing object: {place} overlaps no object"
    else:
        caption = f"Perhaps a wrong class: {place} overlaps an object labelled {evidence.classes[error.labelled_as]}"
    return Example("label_error", evidence.names[error.image], caption, drawn)


def draw_truth_beside(
    evidence: DetectionEvidence, read: ImageReader, image: int, predicted: LabelledBoxes, title: str
) -> Image:
    """Draws the objects of an image beside ``predicted`` boxes, which get the ``title``."""
    matched = evidence.matched
    rows = slice(*np.searchsorted(matched.object_images, (image, image + 1)))
    labels, is_ignored = matched.object_categories[rows], matched.is_object_ignored[rows, 0]
    texts = [evidence.classes[k] for k in labels.tolist()]
    truth = LabelledBoxes(evidence.object_boxes[rows], labels, texts, is_ignored)
    original = read(evidence.names[image])
    resized = fit_example(original)
    scale = resized.shape[1] / original.shape[1]
    sides = [draw_scaled_boxes(resized, boxes, scale, evidence.classes) for boxes in (truth, predicted)]
    truth_title = "truth (grey: not counted)" if is_ignored.any() else "truth"
    return draw_pair(sides[0], sides[1], (truth_title, title))


def draw_scaled_boxes(image: Image, drawn: LabelledBoxes, scale: float, classes: tuple[str, ...]) -> Image:
    """Draws boxes in a resized ``image``; ignored ones in grey, below the others."""
    boxes = np.concatenate((drawn.boxes[:, :2], drawn.boxes[:, :2] + drawn.boxes[:, 2:]), axis=1) * scale
    canvas = image.copy()
    for x1, y1, x2, y2 in np.round(boxes[drawn.is_ignored]).astype(int).tolist():
        cv2.rectangle(canvas, (x1, y1), (x2 - 1, y2 - 1), UNCOUNTED_COLOUR, thickness=2)
    counts = np.flatnonzero(~drawn.is_ignored)
    corners, labels = torch.from_numpy(boxes[counts]).float(), torch.from_numpy(drawn.labels[counts])
    return draw_boxes(canvas, corners, labels, [drawn.texts[k] for k in counts.tolist()], classes)


def tabulate(evidence: DetectionEvidence, errors: list[LabelError]) -> list[list[object]]:
    """Returns the likely label errors as rows of a table, with a header."""
    rows: list[list[object]] = [list(COLUMNS)]
    for image, kind, category, score, box, labelled_as in errors:
        label = "" if labelled_as is None else evidence.classes[labelled_as]
        place = [round(value, 1) for value in box.tolist()]
        rows.append([evidence.names[image], kind, evidence.classes[category], round(score, 4), label, *place])
    return rows
