"""Keeps label maps while a segmenter is evaluated, and draws those with the best and the worst mean IoU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..drawing import draw_pair, overlay_labels
from ..drawing.canvas import stack_images
from ..drawing.label_maps import draw_shown_classes, find_background
from ..drawing.legend import SHEET_FONT
from ..evidence import mean_defined
from ..examples import MAX_EXAMPLES, MAX_SIDE, Example, Examples, choose_examples, draw_readable, fit_example
from .colours import class_colours
from .masks import Labels, reduce_labels, resize_labels
from .split import SegmentationSplit

MAX_NAMED = 3  # classes in a caption


class Candidate(NamedTuple):
    """An image that may become an example.

    Attributes:
        iou: IoU of each class of its mask, ``[C]``; NaN for other classes.
        predicted: class indices, ``[H, W]``, with a longer side of at most 640 pixels.
    """

    iou: NDArray[np.float64]
    predicted: Labels


class CandidateKeeper:
    """Keeps the best and the worst label maps so far, at most six of each."""

    def __init__(self) -> None:
        self._scores: dict[int, float] = {}
        self.candidates: dict[int, Candidate] = {}

    def add(self, image: int, iou: NDArray[np.float64], predicted: Labels) -> None:
        """Keeps a label map if its image is among the best or the worst.

        Args:
            image: index of the image in the split.
            iou: IoU of each class of its mask, ``[C]``; NaN for other classes.
            predicted: class indices, ``[H, W]``.
        """
        score = float(mean_defined(iou))
        if np.isnan(score):
            return
        scores = self._scores | {image: score}
        order = sorted(scores, key=lambda k: (scores[k], k))  # as choose_examples
        worst, best = order[:MAX_EXAMPLES], order[-MAX_EXAMPLES:]
        if image in worst or image in best:
            self.candidates[image] = Candidate(iou, reduce_labels(predicted, MAX_SIDE))
        self._scores = {k: scores[k] for k in scores if k in worst or k in best}
        self.candidates = {k: self.candidates[k] for k in self._scores}


def draw_examples(split: SegmentationSplit, candidates: Mapping[int, Candidate]) -> Examples:
    """Draws the best and the worst images: the mask beside the prediction, above a legend.

    Args:
        split: the evaluated images.
        candidates: by index of the image, of all processes.
    """
    images = sorted(candidates)
    scores = np.array([float(mean_defined(candidates[image].iou)) for image in images])
    choice = choose_examples(scores)
    chosen = [(kind, images[k]) for kind, indices in choice._asdict().items() for k in indices]

    def draw(kind_and_image: tuple[str, int]) -> Example:
        kind, image = kind_and_image
        sample, (iou, predicted) = split.sample(image), candidates[image]
        resized = fit_example(sample.image)
        maps = [resize_labels(labels, *resized.shape[:2]) for labels in (sample.labels, predicted)]
        colours, clear = class_colours(split.classes), find_background(split.classes)
        truth, prediction = (overlay_labels(resized, labels, colours, clear) for labels in maps)
        pair = draw_pair(truth, prediction)
        legend = draw_shown_classes(maps, split.classes, colours, pair.shape[1], SHEET_FONT)
        name = str(split.names[image])
        return Example(kind, name, describe_image(iou, split.classes), stack_images(pair, legend))

    return Examples(draw_readable(chosen, draw))


def describe_image(iou: NDArray[np.float64], classes: Sequence[str]) -> str:
    """Returns the mean IoU of an image and its worst classes.

    Args:
        iou: IoU of each class of its mask, ``[C]``; NaN for other classes.
        classes: names of the classes.
    """
    present = np.flatnonzero(np.isfinite(iou))
    worst = present[np.argsort(iou[present], kind="stable")][:MAX_NAMED]
    named = ", ".join(f"{classes[k]} {iou[k]:.2f}" for k in worst.tolist())
    if len(present) == 1:
        return f"IoU {named}, the only class of the mask"
    lowest = "" if len(present) <= MAX_NAMED else "lowest: "
    return f"Mean IoU {float(mean_defined(iou)):.2f} of {len(present)} classes; {lowest}{named}"
