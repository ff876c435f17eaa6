"""Draws the classes of images."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ..images import Image
from .canvas import add_caption, contact_sheet, fit_image, images_to_arrays
from .colours import Colour

RIGHT_COLOUR: Colour = (0, 114, 178)  # blue and vermilion, which all eyes tell apart
WRONG_COLOUR: Colour = (213, 94, 0)
CLASSIFICATION_CELL = 192  # longer side of an image on a contact sheet
MAX_CELLS, CELL_COLUMNS = 24, 6


def draw_class_scores(
    image: Image, scores: Tensor, classes: Sequence[str], min_score: float = 0.0, number: int = 3
) -> Image:
    """Adds the most probable classes and their scores below ``image``.

    Args:
        image: ``[H, W, 3]`` uint8.
        scores: ``[C]`` in 0 … 1.
        classes: names of the classes.
        min_score: lines of classes with lower scores stay empty, so that all frames of a video have one size. The first
            line names the best class whatever its score is.
        number: number of lines.
    """
    best = scores.topk(min(number, len(classes)))
    lines = [f"{score:.2f} {classes[k]}" for k, score in zip(best.indices.tolist(), best.values.tolist(), strict=True)]
    number_shown = max(1, int((best.values >= min_score).sum()))
    return add_caption(image, [line if rank < number_shown else "" for rank, line in enumerate(lines)])


def draw_classification_sheet(images: Tensor, labels: Tensor, scores: Tensor, classes: Sequence[str]) -> Image:
    """Draws the first 24 images of a batch, each above its true and its predicted class.

    The caption says "right" on blue, or "wrong" on vermilion.

    Args:
        images: ``[N, 3, H, W]`` uint8.
        labels: ``[N]`` class indices.
        scores: ``[N, C]``.
        classes: names of the classes.
    """

    def draw_cell(image: Image, label: int, row: Tensor) -> Image:
        predicted = int(row.argmax())
        verdict, background = ("right", RIGHT_COLOUR) if predicted == label else ("wrong", WRONG_COLOUR)
        lines = [f"truth: {classes[label]}", f"{verdict}: {float(row.max()):.2f} {classes[predicted]}"]
        return add_caption(fit_image(image, CLASSIFICATION_CELL), lines, background)

    cells = map(draw_cell, images_to_arrays(images[:MAX_CELLS]), labels.tolist(), scores.cpu())
    return contact_sheet(cells, CELL_COLUMNS)
