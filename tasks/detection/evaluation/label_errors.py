"""Finds objects that annotations perhaps lack, or name wrongly: where confident detections contradict them.

The rule needs nothing but an evaluation's evidence, so its result does not depend on the packages that are installed.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from .evidence import DetectionEvidence
from .ground_truth import Floats, Integers
from .matching import compute_overlaps

MIN_SCORE = 0.5  # of a confident detection
MAX_OVERLAP = 0.1  # IoU with any object of a detection that perhaps shows a missing one
MIN_OVERLAP = 0.5  # IoU with an object that perhaps has a wrong class
MAX_ERRORS = 100

ErrorKind = Literal["missing_object", "wrong_class"]


class LabelError(NamedTuple):
    """A detection that suggests that the annotations are wrong.

    Attributes:
        image: index of the image.
        kind: "missing_object" or "wrong_class".
        category: class of the detection.
        score: of the detection.
        box: x, y, width and height of the detection in pixels, ``[4]``.
        labelled_as: class of the object that it overlaps; None for a missing object.
    """

    image: int
    kind: ErrorKind
    category: int
    score: float
    box: Floats
    labelled_as: int | None


class Pairs(NamedTuple):
    """Pairs of a detection and an object of its image: indices and IoU, ``[P]`` each."""

    detections: Integers
    objects: Integers
    overlaps: Floats


def find_label_errors(evidence: DetectionEvidence) -> list[LabelError]:
    """Returns at most 100 likely label errors, those with the highest scores first.

    A confident detection has a score of at least 0.5 and of at least the evidence's ``score_threshold``. It suggests

    - a missing object if its IoU with every object of any class is less than 0.1.
    - a wrong class if its IoU with an object of another class is at least 0.5, and less with every one of its own
      class. A confident detection of the object's class confirms that object, whose class is then right.

    A detection inside an ignored object (a crowd or a difficult one) suggests nothing.

    Raises:
        EvaluationError: the evidence is compact, without boxes.
    """
    evidence.check_boxes()
    matched = evidence.matched
    confident = np.flatnonzero(matched.scores >= max(MIN_SCORE, evidence.score_threshold))
    pairs = pair_with_objects(evidence, confident)
    same_class = matched.categories[pairs.detections] == matched.object_categories[pairs.objects]
    close = pairs.overlaps >= MIN_OVERLAP
    best, best_own = np.zeros((2, len(matched.scores)))
    np.maximum.at(best, pairs.detections, pairs.overlaps)
    np.maximum.at(best_own, pairs.detections[same_class], pairs.overlaps[same_class])
    is_confirmed = np.zeros(len(matched.object_categories), dtype=bool)
    is_confirmed[pairs.objects[close & same_class]] = True

    may_be_wrong = close & ~same_class & ~evidence.is_crowd[pairs.objects] & ~is_confirmed[pairs.objects]
    may_be_wrong &= best_own[pairs.detections] < MIN_OVERLAP
    order = np.argsort(pairs.overlaps[may_be_wrong], kind="stable")  # of several objects, the closest stays
    detections, objects = pairs.detections[may_be_wrong][order], pairs.objects[may_be_wrong][order]
    labelled_as: dict[int, int | None] = dict.fromkeys(confident[best[confident] < MAX_OVERLAP].tolist())
    labelled_as |= zip(detections.tolist(), matched.object_categories[objects].tolist(), strict=True)
    ranked = sorted(labelled_as, key=lambda row: (-matched.scores[row], row))[:MAX_ERRORS]
    return [
        LabelError(
            int(matched.images[row]),
            "missing_object" if labelled_as[row] is None else "wrong_class",
            int(matched.categories[row]),
            float(matched.scores[row]),
            evidence.boxes[row].astype(np.float64),
            labelled_as[row],
        )
        for row in ranked
    ]


def pair_with_objects(evidence: DetectionEvidence, detections: Integers) -> Pairs:
    """Pairs ``detections`` with all objects of their images, of any class."""
    matched = evidence.matched
    images = matched.images[detections]
    first, last = (np.searchsorted(matched.object_images, images, side=side) for side in ("left", "right"))
    counts = last - first
    rows = np.repeat(detections, counts)
    objects = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts) + np.repeat(first, counts)
    boxes, is_crowd = evidence.boxes[rows].astype(np.float64), evidence.is_crowd[objects]
    return Pairs(rows, objects, compute_overlaps(boxes, evidence.object_boxes[objects], is_crowd))
