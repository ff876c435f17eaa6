"""Postprocessing selects torchvision's detections: the same boxes, scores and labels in the same order."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from torchvision.models.detection._utils import BoxCoder
from torchvision.models.detection.ssd import SSD

from litmobile.backbones.contract import Feature, Features
from litmobile.errors import PredictionError, UserError
from litmobile.heads import BoxTargets, SSDLite
from litmobile.heads.predictions import Detections
from litmobile.heads.ssdlite import SSDOutput

FEATURES = Features({"fine": Feature(8, 16), "coarse": Feature(16, 32)})
SIZE = (240, 320)
#: scale of the logits, and what is added to that of background
DENSE, HALF, SPARSE = (1.0, 0.0), (2.0, 9.0), (2.0, 13.0)


def make_head(num_classes: int = 20, **options: Any) -> SSDLite:
    return SSDLite(FEATURES, num_classes, **options)


def make_output(
    *kinds: tuple[float, float],
    anchors: int = 1500,
    num_classes: int = 20,
    size: tuple[int, int] = SIZE,
    dtype: torch.dtype = torch.float32,
    seed: int = 0,
) -> SSDOutput:
    """Makes one image of each kind, with boxes that overlap and reach beyond the image."""
    generator = torch.Generator().manual_seed(seed)
    limits = torch.tensor([size[1], size[0]])
    centres, sides = torch.rand(2, anchors, 2, generator=generator) * limits
    sides = 1 + sides * torch.rand(anchors, 1, generator=generator)
    logits = torch.randn(len(kinds), anchors, num_classes + 1, generator=generator)
    for image, (scale, background) in zip(logits, kinds, strict=True):
        image.mul_(scale)[:, 0] += background
    offsets = torch.randn(len(kinds), anchors, 4, generator=generator)
    boxes = torch.cat((centres - sides / 2, centres + sides / 2), dim=1)
    return SSDOutput(logits.to(dtype), offsets.to(dtype), boxes.to(torch.promote_types(dtype, torch.float32)))


def peer_detections(head: SSDLite, output: SSDOutput, size: tuple[int, int]) -> list[Detections]:
    """Runs torchvision's own function, in float32 for half precision."""
    model = SimpleNamespace(box_coder=BoxCoder(weights=(10.0, 10.0, 5.0, 5.0)), **head.postprocess._asdict())
    dtype = output.anchors.dtype
    outputs = {"cls_logits": output.logits.to(dtype), "bbox_regression": output.offsets.to(dtype)}
    images = len(output.logits)
    found = SSD.postprocess_detections(model, outputs, [output.anchors] * images, [size] * images)  # pyright: ignore
    return [Detections(image["boxes"], image["scores"], image["labels"] - 1) for image in found]


def assert_equals_peer(head: SSDLite, output: SSDOutput, size: tuple[int, int] = SIZE) -> list[Detections]:
    found = head.decode(output, size)
    for ours, theirs in zip(found, peer_detections(head, output, size), strict=True):
        for a, b in zip(ours, theirs, strict=True):
            assert a.dtype == b.dtype
            assert torch.equal(a, b)
    return found


@pytest.fixture
def stable_peer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes torchvision order equal scores by class; its sort of more than 1,000 candidates is not stable."""
    sort = Tensor.sort
    monkeypatch.setattr(Tensor, "sort", lambda x, descending=False, **_: sort(x, descending=descending, stable=True))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kinds", [(DENSE,), (SPARSE, DENSE, HALF, SPARSE), (SPARSE,) * 4, (HALF,) * 2], ids=str)
def test_detections_are_torchvisions(kinds: tuple[tuple[float, float], ...], seed: int) -> None:
    found = assert_equals_peer(make_head(), make_output(*kinds, seed=seed))
    assert all(len(image.scores) > 0 for image in found)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("size", [(240, 320), (97, 65), (33, 500)], ids=str)
@pytest.mark.usefixtures("stable_peer")  # half precision has many equal logits
def test_types_and_shapes_are_torchvisions(dtype: torch.dtype, size: tuple[int, int]) -> None:
    output = make_output(DENSE, HALF, dtype=dtype, size=size)
    assert_equals_peer(make_head(), output, size)


@pytest.mark.parametrize("kinds", [(DENSE, DENSE), (DENSE, SPARSE)], ids=["dense", "mixed"])
@pytest.mark.parametrize(
    "options",
    [
        {"score_thresh": 0.0},
        {"score_thresh": 0.05},
        {"score_thresh": 1.0},
        {"nms_thresh": 0.0},
        {"nms_thresh": 0.3},
        {"nms_thresh": 1.0},
        {"topk_candidates": 1},
        {"topk_candidates": 10},
        {"topk_candidates": 60},
        {"topk_candidates": 10_000},
        {"detections_per_img": 1},
        {"detections_per_img": 7},
        {"detections_per_img": 3000},
        {"detections_per_img": 100_000, "nms_thresh": 0.9},
        {"num_classes": 1},
        {"num_classes": 3},
        {"num_classes": 4, "topk_candidates": 251},  # at the limit of few candidates
        {"num_classes": 2, "topk_candidates": 501},
    ],
    ids=str,
)
@pytest.mark.usefixtures("stable_peer")  # equal scores are likely among 6,000
def test_options_act_as_in_torchvision(options: dict[str, Any], kinds: Any) -> None:
    num_classes = options.get("num_classes", 20)
    assert_equals_peer(make_head(**options), make_output(*kinds, num_classes=num_classes))


@pytest.mark.parametrize("anchors", [1, 5, 299, 1000, 1001, 1002, 1003])
def test_any_number_of_anchors_gives_torchvisions(anchors: int) -> None:
    assert_equals_peer(make_head(), make_output(DENSE, HALF, SPARSE, anchors=anchors))


def test_few_classes_at_their_limit_give_torchvisions() -> None:
    """Three of 20 classes reach their limit, so the image has few candidates although many scores are high."""
    output = make_output(SPARSE, SPARSE)
    output.logits[..., 1:4] += 14
    assert_equals_peer(make_head(), output)


@pytest.mark.parametrize("kind", [DENSE, HALF], ids=str)
def test_one_place_gives_one_detection_per_class(kind: tuple[float, float]) -> None:
    """Everything overlaps, so that all candidates are needed."""
    output = make_output(kind)
    output.anchors[:] = torch.tensor([100.0, 100.0, 200.0, 180.0])
    output.offsets.mul_(1e-3)
    (found,) = assert_equals_peer(make_head(), output)
    assert len(found.labels.unique()) == len(found.labels) <= 20


@pytest.mark.parametrize("side", [-1000.0, 1000.0])
def test_boxes_outside_are_clipped_as_in_torchvision(side: float) -> None:
    output = make_output(DENSE, SPARSE)
    output.anchors[::2] += side
    assert_equals_peer(make_head(), output)


@pytest.mark.parametrize("step", [0.5, 2.0])
@pytest.mark.parametrize("kind", [DENSE, SPARSE], ids=str)
@pytest.mark.usefixtures("stable_peer")
def test_equal_scores_of_classes_are_ordered_by_class(kind: tuple[float, float], step: float) -> None:
    output = make_output(kind, kind)
    logits = (output.logits / step).round() * step
    (found, _) = assert_equals_peer(make_head(), output._replace(logits=logits))
    assert len(found.scores.unique()) < len(found.scores)


@pytest.mark.parametrize("kinds", [(DENSE, DENSE), (SPARSE, HALF)], ids=["dense", "mixed"])
def test_equal_scores_in_a_class_are_decided_as_in_torchvision(kinds: Any) -> None:
    """A constant area gives all its anchors the same scores."""
    output = make_output(*kinds)
    output.logits[:, 500:] = output.logits[:, :1000:2].repeat_interleave(2, dim=1)
    assert_equals_peer(make_head(), output)


def test_images_of_a_batch_do_not_affect_each_other() -> None:
    head, output = make_head(), make_output(SPARSE, DENSE, HALF, DENSE)
    together = head.decode(output, SIZE)
    for image, expected in enumerate(together):
        (alone,) = head.decode(
            SSDOutput(output.logits[image : image + 1], output.offsets[image : image + 1], output.anchors), SIZE
        )
        assert all(torch.equal(a, b) for a, b in zip(alone, expected, strict=True))


@pytest.mark.parametrize("loss", ["softmax", "focal"])
def test_no_score_above_the_threshold_gives_empty_detections(loss: Any) -> None:
    head = make_head(loss=loss)
    logits = torch.full((2, 50, head.outputs), -20.0)
    logits[..., 0] = 20.0 if loss == "softmax" else -20.0
    output = make_output(DENSE, DENSE, anchors=50)._replace(logits=logits)
    for boxes, scores, labels in head.decode(output, SIZE):
        assert (boxes.shape, scores.shape, labels.shape) == ((0, 4), (0,), (0,))


def test_batch_without_images_gives_no_detections() -> None:
    assert make_head().decode(make_output(), SIZE) == []


@pytest.mark.parametrize("loss", ["softmax", "focal"])
@pytest.mark.parametrize("value", [math.nan, math.inf], ids=str)
def test_nan_scores_are_refused(loss: Any, value: float, assert_one_sentence: Callable[..., None]) -> None:
    """One logit of the last image is enough."""
    head = make_head(loss=loss)
    output = make_output(SPARSE, SPARSE, num_classes=head.outputs - 1)
    output.logits[-1, 7, 3] = value
    with pytest.raises(PredictionError) as caught:
        head.decode(output, SIZE)
    assert_one_sentence(caught.value, "scores", "NaN", "learning rate")


def test_nan_offsets_are_refused(assert_one_sentence: Callable[..., None]) -> None:
    output = make_output(SPARSE, SPARSE)
    output.offsets[0, 3, 2] = math.nan
    with pytest.raises(PredictionError) as caught:
        make_head().decode(output, SIZE)
    assert_one_sentence(caught.value, "box offsets", "NaN")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("score_thresh", -0.1),
        ("score_thresh", 1.1),
        ("score_thresh", math.nan),
        ("topk_candidates", 0),
        ("nms_thresh", -0.1),
        ("nms_thresh", 1.1),
        ("detections_per_img", 0),
        ("detections_per_img", -1),
        ("iou_thresh", 1.5),
    ],
)
def test_options_out_of_range_are_refused(option: str, value: Any, assert_one_sentence: Callable[..., None]) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 — the message is checked below
        make_head(**{option: value})
    assert_one_sentence(caught.value, option, value)


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (16, 16), (32, 32), (48, 64), (64, 33)], ids=str)
def test_anchors_fit_inputs_smaller_than_six_levels_need(size: tuple[int, int]) -> None:
    """Maps are at least 1×1, and anchors no larger than the input."""
    head = make_head(2).eval()
    maps = {n: torch.rand(2, f.channels, *(-(-side // f.stride) for side in size)) for n, f in FEATURES.items()}
    output = head(maps, size)
    sides = output.anchors[:, 2:] - output.anchors[:, :2]
    assert output.logits.shape[1] == output.offsets.shape[1] == len(output.anchors)
    assert (sides > 0).all() and (sides <= torch.tensor([size[1], size[0]]) * (1 + 1e-5)).all()
    targets = BoxTargets(torch.tensor([[[0.0, 0.0, 1.0, 1.0]]] * 2), torch.zeros(2, 1, dtype=torch.long))
    assert all(term.isfinite() for term in head.loss(output, targets).values())
    for found in assert_equals_peer(head, output, size):
        assert len(found.scores) > 0


@pytest.mark.parametrize("method", ["decode", "loss"])
@pytest.mark.parametrize(
    ("field", "mentioned"),
    [
        ("anchors", "29 anchors for 30 scores and 30 boxes"),
        ("offsets", "30 scores and 29 boxes"),
        ("logits", "29 scores"),
    ],
)
def test_anchors_that_do_not_fit_the_predictions_are_refused(
    method: str, field: str, mentioned: str, assert_one_sentence: Callable[..., None]
) -> None:
    output = make_output(DENSE, anchors=30)
    values = getattr(output, field)
    output = output._replace(**{field: values[:-1] if field == "anchors" else values[:, :-1]})
    with pytest.raises(UserError) as caught:
        getattr(make_head(), method)(output, SIZE)
    assert_one_sentence(caught.value, mentioned, "aspect_ratios")


def test_logits_of_other_classes_are_refused(assert_one_sentence: Callable[..., None]) -> None:
    with pytest.raises(UserError) as caught:
        make_head(5).decode(make_output(DENSE), SIZE)
    assert_one_sentence(caught.value, "6 logits", "21")
