"""Turns scores and boxes of every anchor into the detections of each image."""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

import torch
from torch import Tensor
from torchvision.ops import batched_nms, clip_boxes_to_image, nms

from ...errors import PredictionError, check_range
from ..predictions import NOT_FINITE, Detections
from .box_coder import decode_boxes
from .loss import ClassificationLoss

# up to this number of boxes, torchvision suppresses those of an image with shifts in float32, and more class by class;
# the limit is that of CPUs, on other devices it is 25,000
FEW_CANDIDATES = 1000
# how far rounding can move log odds; anchors so far below the threshold are scored as well
ROUNDING = 0.01


class PostprocessConfig(NamedTuple):
    """Thresholds and limits of postprocessing; the defaults are torchvision's for SSDLite.

    Attributes:
        score_thresh: minimum score of a detection.
        topk_candidates: maximum number of boxes per class and image before non-maximum suppression.
        nms_thresh: IoU above which the lower-scored of two boxes of one class is suppressed.
        detections_per_img: maximum number of detections per image.
    """

    score_thresh: float = 0.001
    topk_candidates: int = 300
    nms_thresh: float = 0.55
    detections_per_img: int = 300

    def check(self) -> None:
        """Raises UserError if a value is out of its range."""
        check_range("SSDLite's score_thresh", self.score_thresh, ge=0, le=1)
        check_range("SSDLite's topk_candidates", self.topk_candidates, ge=1)
        check_range("SSDLite's nms_thresh", self.nms_thresh, ge=0, le=1)
        check_range("SSDLite's detections_per_img", self.detections_per_img, ge=1)


def select_detections(
    logits: Tensor,
    offsets: Tensor,
    anchors: Tensor,
    image_size: tuple[int, int],
    config: PostprocessConfig,
    loss: ClassificationLoss,
    is_rounded: bool = False,
) -> list[Detections]:
    """Selects the detections of each image; they are those of torchvision's SSD.

    Detections are sorted by score, equal scores by class; torchvision leaves the order of equal scores of two classes
    open if an image has more than 1,000 candidates. An image whose best candidates do not give
    ``detections_per_img`` is repeated with twice as many. Whether a box is kept depends only on boxes of higher scores,
    so what is kept of the best candidates is the beginning of what is kept of all.

    Args:
        logits: ``[N, A, num_classes + 1]``.
        offsets: ``[N, A, 4]`` as the box coder encodes them.
        anchors: ``[A, 4]`` as x1, y1, x2, y2 in pixels.
        image_size: (height, width) in pixels, to which boxes are clipped.
        config: thresholds and limits.
        loss: the loss that the logits were trained with, which turns them into scores.
        is_rounded: whether the logits were computed in half precision. Equal scores of a class are then frequent, and
            their order, which otherwise is torchvision's, is that of the anchors.

    Raises:
        PredictionError: a logit is NaN or infinite, or an offset is NaN.
    """
    if len(logits) == 0:
        return []
    scores = score_anchors(logits, offsets, config.score_thresh, loss)
    results: dict[int, Detections] = {}
    floors = torch.full_like(scores.best[:, 0], config.score_thresh)
    can_be_many = (logits.shape[2] - 1) * config.topk_candidates > FEW_CANDIDATES
    depth = FEW_CANDIDATES + 1 if can_be_many else len(anchors)
    while len(results) < len(logits):
        cuts = floors.clone()
        if depth < len(anchors):  # leaves the best ``depth`` anchors
            cuts = cuts.maximum(scores.best.kthvalue(len(anchors) - depth, dim=1).values)
        cuts[list(results)] = math.inf
        is_complete = (cuts == floors).tolist()
        for image, candidates in enumerate(find_candidates(scores, offsets, anchors, cuts, image_size)):
            if image in results:
                continue
            if not is_rounded and has_equal_scores(candidates):
                boxes = clip_boxes_to_image(decode_boxes(offsets[image], anchors), image_size)
                results[image] = select_class_by_class(loss.scores(logits[image]), boxes, config)
            elif detections := select_if_enough(candidates, is_complete[image], config):
                results[image] = detections
        depth *= 2
    return [results[image] for image in range(len(logits))]


class AnchorScores(NamedTuple):
    """Scores of the anchors that can exceed the threshold.

    Attributes:
        best: highest score of each anchor, ``[N, A]``; 0 for the other anchors.
        rows: row in ``values`` of each anchor, ``[N, A]``; undefined for the other anchors.
        values: scores of all classes, ``[M, num_classes]``.
    """

    best: Tensor
    rows: Tensor
    values: Tensor


def score_anchors(logits: Tensor, offsets: Tensor, threshold: float, loss: ClassificationLoss) -> AnchorScores:
    """Computes the scores of anchors that can exceed the threshold, which are few in a trained network.

    Raises:
        PredictionError: a logit or an offset is NaN or +∞; comparisons would drop such anchors silently.
    """
    bounds = loss.bound_log_odds(logits)
    largest = torch.stack([bounds.amax(), logits[..., 0].amax(), offsets.amax()])  # NaN if one value is
    fails = (largest.isnan() | (largest == math.inf)).tolist()
    for name in itertools.compress(("scores", "scores", "box offsets"), fails):
        raise PredictionError(NOT_FINITE.format(name))
    log_odds = torch.tensor(threshold, dtype=torch.float64).logit().item()
    index = (bounds.flatten() > log_odds - ROUNDING).nonzero().squeeze(1)
    values = loss.scores(logits.flatten(0, 1).index_select(0, index))
    best = torch.zeros_like(bounds).flatten().index_copy_(0, index, values.amax(1))
    rows = torch.empty_like(best, dtype=torch.long).index_copy_(0, index, torch.arange(len(index), device=index.device))
    return AnchorScores(best.view_as(bounds), rows.view_as(bounds), values)


def select_if_enough(candidates: Detections, is_complete: bool, config: PostprocessConfig) -> Detections | None:
    """Returns the detections of one image; None if more candidates are needed.

    Args:
        candidates: the best ones, sorted.
        is_complete: whether they are all that exceed the threshold.
        config: thresholds and limits.
    """
    candidates = limit_per_class(candidates, config.topk_candidates)
    # whether all candidates are few decides how they are suppressed, and is known only from more than few
    if not is_complete and len(candidates.scores) <= FEW_CANDIDATES:
        return None
    kept = suppress(candidates, config)
    if not is_complete and len(kept) < config.detections_per_img:
        return None
    return Detections(*(values[kept] for values in candidates))


def find_candidates(
    scores: AnchorScores, offsets: Tensor, anchors: Tensor, cuts: Tensor, image_size: tuple[int, int]
) -> list[Detections]:
    """Returns the boxes of each image with a score above its cut ``[N]``, sorted by score, then class, then anchor."""
    # index_select of flattened tensors takes a fraction of the time of indexing with several tensors
    found = (scores.best > cuts.unsqueeze(1)).flatten().nonzero().squeeze(1)
    images, columns = found // len(anchors), found % len(anchors)
    chosen = scores.values.index_select(0, scores.rows.flatten().index_select(0, found))
    chosen_offsets, chosen_anchors = offsets.flatten(0, 1).index_select(0, found), anchors.index_select(0, columns)
    boxes = clip_boxes_to_image(decode_boxes(chosen_offsets, chosen_anchors), image_size)
    pairs = (chosen > cuts.index_select(0, images).unsqueeze(1)).flatten().nonzero().squeeze(1)
    rows, labels = pairs // chosen.shape[1], pairs % chosen.shape[1]
    values, owners = chosen.flatten().index_select(0, pairs), images.index_select(0, rows)
    order = labels.argsort(stable=True)
    for keys, descending in ((values, True), (owners, False)):
        order = order.index_select(0, keys.index_select(0, order).argsort(stable=True, descending=descending))
    counts = owners.bincount(minlength=len(cuts)).tolist()
    sorted_boxes = boxes.index_select(0, rows.index_select(0, order))
    parts = (sorted_boxes, values.index_select(0, order), labels.index_select(0, order))
    return [Detections(*of_image) for of_image in zip(*(part.split(counts) for part in parts), strict=True)]


def has_equal_scores(candidates: Detections) -> bool:
    """Whether two of the sorted candidates have the same score and class."""
    _, scores, labels = candidates
    return bool(((scores[1:] == scores[:-1]) & (labels[1:] == labels[:-1])).any())


def select_class_by_class(scores: Tensor, boxes: Tensor, config: PostprocessConfig) -> Detections:
    """Selects the detections of one image with torchvision's own steps.

    Which of a class's boxes with equal scores comes first, and suppresses the others, is up to ``topk``, and depends on
    all scores of the class. Equal scores are rare in a trained network.

    Args:
        scores: ``[A, num_classes]``.
        boxes: ``[A, 4]``, inside the image.
        config: thresholds and limits.
    """
    found: list[Detections] = []
    for label, of_class in enumerate(scores.unbind(1)):
        anchors = (of_class > config.score_thresh).nonzero().squeeze(1)
        best, order = of_class[anchors].topk(min(config.topk_candidates, len(anchors)))
        found.append(Detections(boxes[anchors[order]], best, torch.full_like(order, label)))
    candidates = Detections(*(torch.cat(values) for values in zip(*found, strict=True)))
    kept = batched_nms(candidates.boxes, candidates.scores, candidates.labels + 1, config.nms_thresh)
    return Detections(*(values[kept[: config.detections_per_img]] for values in candidates))


def limit_per_class(candidates: Detections, most: int) -> Detections:
    """Returns the best ``most`` candidates of each class."""
    labels = candidates.labels
    if len(labels) <= most or labels.bincount().max() <= most:
        return candidates
    by_class, order = labels.sort(stable=True)
    rank = torch.arange(len(labels), device=labels.device) - torch.searchsorted(by_class, by_class)
    allowed = order[rank < most].sort().values
    return Detections(*(values[allowed] for values in candidates))


def suppress(candidates: Detections, config: PostprocessConfig) -> Tensor:
    """Returns the indices of the first ``detections_per_img`` boxes that no better box of their class suppresses.

    Classes are shifted so that their boxes do not overlap. torchvision does so in float32, which rounds to up to
    1/512 pixel, unless there are many boxes. This function rounds the same boxes, and shifts many boxes in float64.

    Args:
        candidates: sorted by score; all of an image or more than ``FEW_CANDIDATES``.
        config: thresholds and limits.
    """
    boxes, scores, labels = candidates
    if len(boxes) == 0:
        return labels
    if len(boxes) > FEW_CANDIDATES:
        boxes = boxes.double()
    shifted = boxes + (labels + 1).to(boxes).unsqueeze(1) * (boxes.max() + 1)
    scores = scores.to(boxes)
    ranks = torch.arange(len(boxes), device=boxes.device)
    kept = ranks[:0]
    # in steps, because the time of nms is quadratic, and boxes that were suppressed suppress no others
    for step in ranks.split(config.detections_per_img * 5 // 4):
        pool = torch.cat((kept, step))
        kept = pool[nms(shifted.index_select(0, pool), scores.index_select(0, pool), config.nms_thresh)]
        if len(kept) >= config.detections_per_img:
            break
    return kept[: config.detections_per_img]
