"""The parts of SSDLite: anchors, extra maps, matching, losses and decoding."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode
from torchvision.ops import box_iou, sigmoid_focal_loss

from litmobile.backbones.contract import Feature, Features
from litmobile.heads import BoxTargets, SSDLite
from litmobile.heads.ssdlite import SSDOutput
from litmobile.heads.ssdlite.anchors import AnchorGenerator, default_scales
from litmobile.heads.ssdlite.loss import FocalLoss, SigmoidLoss, SoftmaxLoss
from litmobile.heads.ssdlite.matcher import match_anchors
from support.data.boxes import boxes_in

FEATURES = Features({"fine": Feature(8, 16), "coarse": Feature(16, 32)})
NUM_CLASSES = 5
SIZES = [(320, 320), (64, 64), (97, 65), (240, 320), (500, 33)]
LOSSES = pytest.mark.parametrize("loss", ["softmax", "sigmoid", "focal"])
EXACT = {"rtol": 1e-12, "atol": 1e-12}


def grids_of(size: tuple[int, int], levels: int) -> list[tuple[int, int]]:
    return [(math.ceil(size[0] / 2**k), math.ceil(size[1] / 2**k)) for k in range(4, 4 + levels)]


def scene(counts: Sequence[int], rows: int, size: tuple[int, int] = (97, 65), seed: int = 0) -> BoxTargets:
    """Returns targets of images with ``counts`` objects, padded to ``rows``."""
    generator = torch.Generator().manual_seed(seed)
    boxes = boxes_in(size, len(counts), max(1, *counts), seed=seed)
    labels = torch.randint(NUM_CLASSES, boxes.shape[:2], generator=generator)
    padded = torch.zeros(len(counts), rows, 4, dtype=torch.float64)
    padded_labels = torch.full((len(counts), rows), -1)
    for k, count in enumerate(counts):
        padded[k, :count], padded_labels[k, :count] = boxes[k, :count], labels[k, :count]
    return BoxTargets(padded, padded_labels)


def output_of(head: SSDLite, images: int, size: tuple[int, int] = (97, 65), seed: int = 1) -> SSDOutput:
    """Returns random float64 outputs that require gradients."""
    generator = torch.Generator().manual_seed(seed)
    anchors = head.anchors(grids_of(size, len(head.anchors.per_cell)), size, torch.zeros((), dtype=torch.float64))
    logits = torch.randn(images, len(anchors), head.outputs, generator=generator, dtype=torch.float64)
    offsets = torch.randn(images, len(anchors), 4, generator=generator, dtype=torch.float64)
    return SSDOutput(logits.requires_grad_(), offsets.requires_grad_(), anchors)


def losses_and_gradients(head: SSDLite, output: SSDOutput, targets: BoxTargets) -> list[Tensor]:
    terms = list(head.loss(output, targets).values())
    return [*terms, *torch.autograd.grad(torch.stack(terms).sum(), (output.logits, output.offsets))]


# anchors


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("ratios", [(2.0, 3.0), (1.5,), ((2.0,), (2.0, 3.0), (4.0, 1.25, 5.0))], ids=str)
@pytest.mark.parametrize("layout", ["torchvision", "tensorflow"])
def test_anchors_have_cell_centres_and_relative_sides(size: tuple[int, int], ratios: Any, layout: Any) -> None:
    """Sides are relative to the shorter side of the image."""
    scales = [0.1, 0.33, 0.6, 0.9]
    grids = grids_of(size, 3)
    expected: list[list[float]] = []
    for level, (rows, columns) in enumerate(grids):
        of_level = ratios[level] if isinstance(ratios[0], tuple) else ratios
        scale, following = scales[level : level + 2]
        sides = [(scale, scale), (math.sqrt(scale * following),) * 2]
        sides += [(scale * math.sqrt(r), scale / math.sqrt(r)) for ratio in of_level for r in (ratio, 1 / ratio)]
        if layout == "tensorflow" and level == 0:
            sides = [(scale / 2, scale / 2), sides[2], sides[3]]
        for row in range(rows):
            for column in range(columns):
                x, y = (column + 0.5) * size[1] / columns, (row + 0.5) * size[0] / rows
                for share_w, share_h in sides:
                    w, h = min(size[1], share_w * min(size)), min(size[0], share_h * min(size))
                    expected.append([x - w / 2, y - h / 2, x + w / 2, y + h / 2])
    anchors = AnchorGenerator(scales, ratios, layout)(grids, size, torch.zeros(()))
    torch.testing.assert_close(anchors, torch.tensor(expected), rtol=0, atol=1e-4)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_aspect_ratios_hold_in_pixels_for_any_image_shape(size: tuple[int, int]) -> None:
    anchors = AnchorGenerator([0.1, 0.2], (2.0, 3.0))([(1, 1)], size, torch.zeros(()))
    ratios = (anchors[:, 2] - anchors[:, 0]) / (anchors[:, 3] - anchors[:, 1])
    torch.testing.assert_close(ratios, torch.tensor([1, 1, 2, 1 / 2, 3, 1 / 3]), rtol=1e-4, atol=0)


@pytest.mark.parametrize("levels", [1, 2, 6])
def test_default_scales_increase_in_equal_steps_from_0_2(levels: int) -> None:
    scales = default_scales(levels)
    assert len(scales) == levels + 1
    assert scales[0] == pytest.approx(0.2)
    if levels > 1:
        assert scales[-2:] == pytest.approx([0.95, 1.0])
        steps = [b - a for a, b in pairwise(scales[:-1])]
        assert steps == pytest.approx([0.75 / (levels - 1)] * (levels - 1))


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize(("layout", "per_cell"), [("torchvision", 6), ("tensorflow", 3)])
def test_layouts_differ_only_on_the_finest_map(size: tuple[int, int], layout: Any, per_cell: int) -> None:
    head = SSDLite(FEATURES, NUM_CLASSES, layout=layout).eval()
    assert head.anchors.per_cell == [per_cell, 6, 6, 6, 6, 6]
    grids = grids_of(size, 2)
    maps = {name: torch.rand(1, f.channels, *grid) for (name, f), grid in zip(FEATURES.items(), grids, strict=True)}
    output = head(maps, size)
    for _ in head.extras:
        grids.append((-(-grids[-1][0] // 2), -(-grids[-1][1] // 2)))
    count = sum(n * rows * columns for n, (rows, columns) in zip(head.anchors.per_cell, grids, strict=True))
    assert [len(output.anchors), output.logits.shape[1], output.offsets.shape[1]] == [count] * 3


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32], ids=str)
def test_anchors_are_at_least_float32(dtype: torch.dtype) -> None:
    generator = AnchorGenerator([0.2, 0.3], (2.0,))
    anchors = generator([(20, 20)], (320, 320), torch.zeros((), dtype=dtype))
    assert torch.equal(anchors, generator([(20, 20)], (320, 320), torch.zeros(())))


@pytest.mark.parametrize(
    ("width", "channels"),
    [
        (1.0, [512, 256, 256, 128]),
        (1.4, [716, 358, 358, 179]),
        (0.5, [256, 128, 128, 64]),
        (0.35, [179, 89, 89, 44]),
        (0.05, [25, 16, 16, 16]),
        (0.01, [16, 16, 16, 16]),
    ],
)
def test_extra_maps_scale_with_the_width_down_to_16_channels(width: float, channels: list[int]) -> None:
    extras = SSDLite(Features(FEATURES, width), NUM_CLASSES).extras
    assert [block[2].conv.out_channels for block in extras] == channels
    assert [block[0].conv.out_channels for block in extras] == [c // 2 for c in channels]


@pytest.mark.parametrize(
    ("options", "mentioned"),
    [
        ({"layout": "yolo"}, "yolo"),
        ({"loss": "hinge"}, "hinge"),
        ({"min_negatives": -1}, "min_negatives"),
        ({"box_loss_weight": 0.0}, "box_loss_weight"),
        ({"box_loss_weight": math.inf}, "finite"),
        ({"neg_pos_ratio": -1.0}, "neg_pos_ratio"),
        ({"alpha": 7.0}, "alpha"),
        ({"gamma": -2.0}, "gamma"),
        ({"extras": (512, 0)}, "extras"),
        ({"anchor_scales": [0.2, 0.9]}, "7 anchor_scales"),
        ({"anchor_scales": []}, "at least two"),
        ({"anchor_scales": [0.2, 0.3, 0.4, 0.5, 0.6, 0.7, -1.0]}, "-1.0"),
        ({"aspect_ratios": (2.0, 0.0)}, "0.0"),
        ({"aspect_ratios": [[2.0], [2.0, 3.0]]}, "2"),
        ({"aspect_ratios": (), "layout": "tensorflow"}, "ratio"),
        ({"aspect_ratios": [2.0, [3.0]], "extras": ()}, "ratio"),
        ({"num_classes": 0}, "0"),
        ({"features": {}}, "none"),
        ({"features": {"a": Feature(8, 32), "b": Feature(8, 16)}}, "a (stride 32)"),
        ({"features": {"a": Feature(8, 16), "b": Feature(8, 16)}}, "b (stride 16)"),
    ],
    ids=str,
)
def test_invalid_options_are_refused_in_one_sentence(
    options: dict[str, Any], mentioned: str, assert_one_sentence: Callable[..., None]
) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 — the message is checked below
        SSDLite(**{"features": FEATURES, "num_classes": NUM_CLASSES, **options})
    assert_one_sentence(caught.value, mentioned)


# matching


def match_slowly(boxes: Tensor, anchors: Tensor, threshold: float) -> list[int]:
    """Matches one image as the paper describes it."""
    if not len(boxes):
        return [-1] * len(anchors)
    iou = box_iou(boxes, anchors)
    result = [int(iou[:, a].argmax()) if iou[:, a].max() >= threshold else -1 for a in range(len(anchors))]
    for row in range(len(boxes)):
        result[int(iou[row].argmax())] = row
    return result


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.9])
@pytest.mark.parametrize("counts", [[7, 0, 1], [0, 0], [12]], ids=str)
@pytest.mark.parametrize("size", [(97, 65), (64, 64)], ids=str)
def test_objects_match_overlapping_and_best_anchors(size: tuple[int, int], counts: list[int], threshold: float) -> None:
    head = SSDLite(FEATURES, NUM_CLASSES)
    anchors = output_of(head, 1, size).anchors
    boxes, labels = scene(counts, 14, size)
    boxes[labels < 0] = math.nan  # padded rows may contain anything
    matched = match_anchors(boxes, labels >= 0, anchors, threshold)
    for row, count in enumerate(counts):
        assert matched[row].tolist() == match_slowly(boxes[row, :count], anchors, threshold)


def test_tiny_object_is_matched_to_an_anchor() -> None:
    anchors = AnchorGenerator([0.2, 0.3], (2.0,))([(10, 10)], (320, 320), torch.zeros(()))
    boxes = torch.tensor([[[47.0, 47, 50, 50], [300, 300, 301, 302]]])
    matched = match_anchors(boxes, torch.ones(1, 2, dtype=torch.bool), anchors, 0.5)
    assert sorted(matched[matched >= 0].tolist()) == [0, 1]


def test_last_object_gets_an_anchor_shared_by_several() -> None:
    boxes = torch.tensor([[[0.0, 0, 10, 10], [0, 0, 10, 9], [0, 0, 9, 9], [0, 0, 0, 0]]])
    anchors = torch.tensor([[0.0, 0, 10, 10], [50, 50, 60, 60]])
    valid = torch.tensor([[True, True, True, False]])
    assert match_anchors(boxes, valid, anchors, 0.5).tolist() == [[2, -1]]


# losses


def softmax_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    return -logits.log_softmax(-1).gather(2, targets.unsqueeze(-1)).squeeze(-1)


def sigmoid_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Returns TensorFlow's: the sum over all outputs, of which that of the background is one."""
    probability = logits.sigmoid()
    of_target = torch.nn.functional.one_hot(targets, logits.shape[-1]).bool()
    return -torch.where(of_target, probability.log(), (1 - probability).log()).sum(-1)


@pytest.mark.parametrize(
    ("make_loss", "cross_entropy"),
    [(SoftmaxLoss, softmax_cross_entropy), (SigmoidLoss, sigmoid_cross_entropy)],
    ids=["softmax", "sigmoid"],
)
@pytest.mark.parametrize("least", [0, 3, 60])
@pytest.mark.parametrize("negatives", [0, 1, 3, 2.5, 1e9])
def test_loss_sums_positives_and_hardest_negatives(
    make_loss: Any, cross_entropy: Any, negatives: float, least: int
) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(4, 50, NUM_CLASSES + 1, generator=generator, dtype=torch.float64)
    targets = torch.zeros(4, 50, dtype=torch.long)
    for image, positives in enumerate([5, 0, 1, 20]):
        targets[image, torch.randperm(50, generator=generator)[:positives]] = 1 + image
    expected = 0.0
    for loss, target in zip(cross_entropy(logits, targets), targets, strict=True):
        wanted = max(least, math.ceil(negatives * int((target > 0).sum())))
        hardest = sorted(loss[target == 0].tolist(), reverse=True)[:wanted]
        expected += loss[target > 0].sum().item() + sum(hardest)
    assert make_loss(negatives, least)(logits, targets).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("weight", [0.25, 2.0])
def test_box_loss_weight_scales_the_box_loss_alone(weight: float) -> None:
    heads = [SSDLite(FEATURES, NUM_CLASSES), SSDLite(FEATURES, NUM_CLASSES, box_loss_weight=weight)]
    plain, weighted = (head.loss(output_of(head, 2), scene([3, 1], 4)) for head in heads)
    assert weighted["boxes"].item() == pytest.approx(weight * plain["boxes"].item())
    assert weighted["classification"] == plain["classification"]


@pytest.mark.parametrize("alpha", [0.75, 0.25, 0.5])
@pytest.mark.parametrize("gamma", [2.0, 0.0, 1.5])
def test_focal_loss_is_the_published_one(alpha: float, gamma: float) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = 4 * torch.randn(2, 30, NUM_CLASSES + 1, generator=generator, dtype=torch.float64)
    targets = torch.randint(NUM_CLASSES + 1, (2, 30), generator=generator)
    truth = torch.nn.functional.one_hot(targets, NUM_CLASSES + 1).double()
    truth[..., 0] = 0  # TensorFlow encodes the background as zeros
    expected = sigmoid_focal_loss(logits, truth, alpha, gamma, reduction="sum")
    torch.testing.assert_close(FocalLoss(alpha, gamma)(logits, targets), expected, rtol=1e-10, atol=0)


def test_untrained_focal_head_predicts_background() -> None:
    head = SSDLite(FEATURES, NUM_CLASSES, loss="focal").eval()
    maps = {"fine": torch.zeros(1, 8, 4, 4), "coarse": torch.zeros(1, 16, 2, 2)}
    scores = head.classification.scores(head(maps, (64, 64)).logits)
    torch.testing.assert_close(scores, torch.full_like(scores, 0.01), rtol=0.05, atol=0)


@LOSSES
def test_batch_loss_is_the_sum_over_images(loss: Any) -> None:
    head = SSDLite(FEATURES, NUM_CLASSES, loss=loss)
    counts = [6, 0, 1, 3]
    output, targets = output_of(head, len(counts)), scene(counts, 8)
    positives = (match_anchors(targets.boxes, targets.labels >= 0, output.anchors, 0.5) >= 0).sum(1)
    whole = head.loss(output, targets)
    for name, term in whole.items():
        parts = [
            head.loss(
                SSDOutput(output.logits[k : k + 1], output.offsets[k : k + 1], output.anchors),
                BoxTargets(targets.boxes[k : k + 1], targets.labels[k : k + 1]),
            )[name]
            * positives[k].clamp(min=1)
            for k in range(len(counts))
        ]
        torch.testing.assert_close(term, torch.stack(parts).sum() / positives.sum(), **EXACT)


@LOSSES
@pytest.mark.parametrize("rows", [6, 7, 16, 100])
@pytest.mark.parametrize("junk", [0.0, math.nan, -1e30], ids=str)
def test_padded_rows_change_nothing(loss: Any, rows: int, junk: float) -> None:
    head = SSDLite(FEATURES, NUM_CLASSES, loss=loss)
    output, counts = output_of(head, 3), [6, 0, 2]
    expected = losses_and_gradients(head, output, scene(counts, 6))
    padded = scene(counts, rows)
    padded.boxes[padded.labels < 0] = junk
    for ours, theirs in zip(losses_and_gradients(head, output, padded), expected, strict=True):
        torch.testing.assert_close(ours, theirs, **EXACT)


@LOSSES
@pytest.mark.parametrize("rows", [0, 1, 16])
@pytest.mark.parametrize("counts", [[0], [0, 0, 0], [0, 1]], ids=str)
def test_images_without_objects_give_finite_losses_and_gradients(loss: Any, counts: list[int], rows: int) -> None:
    head = SSDLite(FEATURES, NUM_CLASSES, loss=loss)
    output = output_of(head, len(counts))
    targets = scene(counts, max(rows, *counts, 0))
    terms = head.loss(output, targets)
    assert all(x.isfinite().all() for x in losses_and_gradients(head, output, targets))
    if not any(counts):
        assert terms["boxes"] == 0
        assert (terms["classification"] > 0) == (loss == "focal")


@LOSSES
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("magnitude", [1.0, 100.0, 6e4])
def test_half_precision_is_finite_in_loss_and_detections(loss: Any, dtype: torch.dtype, magnitude: float) -> None:
    head = SSDLite(FEATURES, NUM_CLASSES, loss=loss, score_thresh=0.0)
    full = output_of(head, 2)
    logits, offsets = ((magnitude * x.detach().clamp(-1, 1)).to(dtype).requires_grad_() for x in full[:2])
    output = SSDOutput(logits, offsets, full.anchors.float())
    boxes, labels = scene([3, 0], 4)
    assert all(x.isfinite().all() for x in losses_and_gradients(head, output, BoxTargets(boxes.float(), labels)))
    for detections in head.decode(SSDOutput(logits.detach(), offsets.detach(), output.anchors), (97, 65)):
        assert detections.boxes.isfinite().all() and detections.scores.isfinite().all()


# detections


@LOSSES
@pytest.mark.parametrize("most", [1, 20, 300])
@pytest.mark.parametrize("threshold", [0.001, 0.3, 1.0])
def test_detections_are_sorted_clipped_and_suppressed(loss: Any, most: int, threshold: float) -> None:
    head = SSDLite(FEATURES, NUM_CLASSES, loss=loss, detections_per_img=most, score_thresh=threshold, nms_thresh=0.4)
    with torch.no_grad():
        found = head.decode(output_of(head, 2), (97, 65))
    assert len(found) == 2
    for boxes, scores, labels in found:
        assert len(boxes) <= most
        assert len(boxes) > 0 or threshold == 1.0
        assert torch.equal(scores, scores.sort(descending=True).values)
        assert ((scores > threshold) & (labels >= 0) & (labels < NUM_CLASSES)).all()
        assert (boxes >= 0).all() and (boxes <= torch.tensor([65, 97, 65, 97])).all()
        overlap = box_iou(boxes, boxes).fill_diagonal_(0) * (labels[:, None] == labels)
        assert (overlap <= 0.4 + 1e-9).all()


@LOSSES
def test_loss_never_synchronises_with_the_device(loss: str) -> None:
    """Fake tensors raise an error on every access to values, which would be a synchronisation on a GPU."""
    with FakeTensorMode(allow_non_fake_inputs=True):
        head = SSDLite(Features({"a": Feature(8, 16), "b": Feature(16, 32)}), 3, loss=loss)
        output = head({"a": torch.rand(2, 8, 20, 20), "b": torch.rand(2, 16, 10, 10)}, (320, 320))
        targets = BoxTargets(torch.rand(2, 16, 4), torch.randint(-1, 3, (2, 16)))
        total = torch.stack(list(head.loss(output, targets).values())).sum()
        total.backward()
        with pytest.raises(DataDependentOutputException):
            total.item()
