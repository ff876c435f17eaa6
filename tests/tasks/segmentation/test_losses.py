"""Every loss term equals its definition, computed pixel by pixel; ignored pixels have no influence."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from litmobile.errors import DataError, TaskError
from litmobile.tasks.segmentation import PixelLoss
from litmobile.tasks.segmentation.losses import flatten_pixels, lovasz_loss

OneSentence = Callable[..., None]
Slow = Callable[[Tensor, Tensor], Tensor]  # logits [P, C] and labels [P] of labelled pixels → a scalar

CLASSES = ("a", "b", "c", "d")
WEIGHTS = [0.5, 2.0, 0.0, 1.25]
EVERY: dict[str, dict[str, Any]] = {
    "plain": {},
    "weights": {"class_weights": WEIGHTS},
    "smoothing": {"label_smoothing": 0.1},
    "smoothing, weights": {"label_smoothing": 0.1, "class_weights": WEIGHTS},
    "ohem": {"ohem_threshold": 0.3, "ohem_min_kept": 0.2},
    "ohem, minimum": {"ohem_threshold": 1e-6, "ohem_min_kept": 0.3},
    "ohem, weights, smoothing": {"ohem_threshold": 0.25, "class_weights": WEIGHTS, "label_smoothing": 0.2},
    "dice": {"dice": 0.7},
    "lovasz": {"lovasz": 1.5},
    "all": {"class_weights": WEIGHTS, "label_smoothing": 0.1, "ohem_threshold": 0.4, "dice": 0.5, "lovasz": 2.0},
}


def make_batch(seed: int = 0, classes: int = 4, unlabelled: float = 0.3) -> tuple[Tensor, Tensor]:
    """Returns logits ``[2, C, 5, 7]`` in double precision, and labels without class c."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, classes, 5, 7, dtype=torch.float64, generator=generator) * 2
    labels = torch.randint(classes, (2, 5, 7), generator=generator)
    labels[labels == 2] = 3 % classes
    labels[torch.rand(2, 5, 7, generator=generator) < unlabelled] = 255
    return logits, labels.to(torch.uint8)


def make_loss(classes: int = 4, **options: Any) -> PixelLoss:
    loss = PixelLoss(**options)
    loss.prepare([str(k) for k in range(classes)], torch.device("cpu"))
    return loss


def labelled_pixels(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Returns logits ``[P, C]`` and labels ``[P]`` of the labelled pixels."""
    is_labelled = labels != 255
    return logits.permute(0, 2, 3, 1)[is_labelled], labels[is_labelled].long()


def slow_cross_entropy(
    logits: Tensor,
    labels: Tensor,
    class_weights: list[float] | None = None,
    label_smoothing: float = 0.0,
    ohem_threshold: float | None = None,
    ohem_min_kept: float = 1 / 16,
) -> Tensor:
    """Cross-entropy pixel by pixel: of improbable pixels, and of others up to the minimum share."""
    classes = logits.shape[1]
    weights = class_weights or [1.0] * classes
    logs = logits.log_softmax(1)
    order = sorted(range(len(labels)), key=lambda p: logs[p, labels[p]].item())
    least = math.ceil(ohem_min_kept * len(labels))
    counted = [
        p for rank, p in enumerate(order)
        if ohem_threshold is None or rank < least or logs[p, labels[p]].exp().item() <= ohem_threshold
    ]  # fmt: skip
    total = torch.zeros((), dtype=logits.dtype)
    for p in counted:
        for k in range(classes):
            share = (1 - label_smoothing) * (k == int(labels[p])) + label_smoothing / classes
            total = total - weights[k] * share * logs[p, k]
    return total / sum(weights[int(labels[p])] for p in counted)


def slow_dice(logits: Tensor, labels: Tensor) -> Tensor:
    shown = sorted(set(labels.tolist()))
    found = logits.softmax(1)
    losses = []
    for k in shown:
        both = sum((found[p, k] for p in range(len(labels)) if labels[p] == k), start=torch.zeros(()))
        losses.append(1 - 2 * both / (found[:, k].sum() + (labels == k).sum()))
    return torch.stack(losses).mean()


def jaccard_loss(truth: list[bool], said: list[bool]) -> float:
    """Returns 1 − intersection over union of two sets of pixels; 0 if both are empty."""
    union = sum(a or b for a, b in zip(truth, said, strict=True))
    return 1 - sum(a and b for a, b in zip(truth, said, strict=True)) / union if union else 0.0


def slow_lovasz(logits: Tensor, labels: Tensor) -> Tensor:
    """Lovász extension of the Jaccard loss: sums error × increase of the loss over the pixels, largest errors first."""
    found = logits.softmax(1)
    losses = []
    for k in sorted(set(labels.tolist())):
        truth = [int(label) == k for label in labels]
        errors = [1 - found[p, k] if truth[p] else found[p, k] for p in range(len(labels))]
        said, before, loss = list(truth), 0.0, torch.zeros((), dtype=logits.dtype)
        for p in sorted(range(len(labels)), key=lambda p: -errors[p].item()):
            said[p] = not said[p]
            now = jaccard_loss(truth, said)
            loss, before = loss + errors[p] * (now - before), now
        losses.append(loss)
    return torch.stack(losses).mean()


def slow_terms(logits: Tensor, labels: Tensor, options: dict[str, Any]) -> dict[str, Tensor]:
    entropy_options = {name: value for name, value in options.items() if name not in ("dice", "lovasz")}
    pixels = labelled_pixels(logits, labels)
    terms = {"cross_entropy": slow_cross_entropy(*pixels, **entropy_options)}
    for name, slow in (("dice", slow_dice), ("lovasz", slow_lovasz)):
        if name in options:
            terms[name] = options[name] * slow(*pixels)
    return terms


@pytest.mark.parametrize("options", EVERY.values(), ids=EVERY)
@pytest.mark.parametrize("seed", range(3))
def test_terms_and_gradients_follow_their_definitions(options: dict[str, Any], seed: int) -> None:
    logits, labels = make_batch(seed)
    logits.requires_grad_()
    found, expected = make_loss(**options)(logits, labels), slow_terms(logits, labels, options)
    assert found.keys() == expected.keys()
    for name, term in found.items():
        assert term.ndim == 0
        torch.testing.assert_close(term, expected[name], rtol=1e-10, atol=1e-12)
        ours, theirs = (torch.autograd.grad(t, logits, retain_graph=True)[0] for t in (term, expected[name]))
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("options", EVERY.values(), ids=EVERY)
def test_ignored_pixels_have_no_influence_and_no_gradient(options: dict[str, Any]) -> None:
    logits, labels = make_batch()
    is_labelled = (labels != 255)[:, None]
    other = torch.where(is_labelled, logits, 30 * torch.randn_like(logits))
    wider = torch.nn.functional.pad(other, (0, 9, 0, 4), value=3.0)
    more = torch.nn.functional.pad(labels, (0, 9, 0, 4), value=255)
    expected = make_loss(**options)(logits, labels)
    wider.requires_grad_()
    found = make_loss(**options)(wider, more)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)
    (gradient,) = torch.autograd.grad(torch.stack(list(found.values())).sum(), wider)
    assert gradient[(more == 255)[:, None].expand_as(gradient)].eq(0).all() and gradient.ne(0).any()


@pytest.mark.parametrize("options", EVERY.values(), ids=EVERY)
@pytest.mark.parametrize("kind", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_a_batch_without_labelled_pixels_has_loss_0(options: dict[str, Any], kind: torch.dtype) -> None:
    logits = make_batch()[0].to(kind).requires_grad_()
    terms = make_loss(**options)(logits, torch.full((2, 5, 7), 255, dtype=torch.uint8))
    total = torch.stack(list(terms.values())).sum()
    (gradient,) = torch.autograd.grad(total, logits)
    assert total == 0 and all(term == 0 for term in terms.values())
    assert gradient.eq(0).all()


@pytest.mark.parametrize("options", EVERY.values(), ids=EVERY)
def test_an_image_without_labelled_pixels_changes_nothing(options: dict[str, Any]) -> None:
    logits, labels = make_batch()
    labels[1] = 255
    torch.testing.assert_close(make_loss(**options)(logits, labels), make_loss(**options)(logits[:1], labels[:1]))


@pytest.mark.parametrize("options", [options for options in EVERY.values() if "class_weights" in options], ids=str)
@pytest.mark.parametrize("kind", [torch.float64, torch.float32])
def test_classes_with_weight_0_have_loss_0(options: dict[str, Any], kind: torch.dtype) -> None:
    logits = make_batch()[0].to(kind).requires_grad_()
    loss = make_loss(**options)(logits, torch.full((2, 5, 7), 2))["cross_entropy"]
    (gradient,) = torch.autograd.grad(65536 * loss, logits)  # scaled as in mixed precision
    assert loss == 0 and gradient.eq(0).all()


@pytest.mark.parametrize("options", EVERY.values(), ids=EVERY)
@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_half_precision_logits_have_the_same_loss(options: dict[str, Any], kind: torch.dtype) -> None:
    logits, labels = make_batch()
    half = (20 * logits).to(kind).requires_grad_()
    found = make_loss(**options)(half, labels)
    expected = make_loss(**options)(half.detach().float(), labels)
    assert {term.dtype for term in found.values()} == {torch.float32}
    torch.testing.assert_close({name: term.detach() for name, term in found.items()}, expected)
    assert torch.autograd.grad(torch.stack(list(found.values())).sum(), half)[0].isfinite().all()


def test_a_single_class_has_loss_0() -> None:
    logits, _ = make_batch(classes=1)
    labels = torch.zeros(2, 5, 7, dtype=torch.uint8)
    terms = make_loss(1, dice=1.0, lovasz=1.0, ohem_threshold=0.7)(logits, labels)
    assert all(term.abs() < 1e-12 for term in terms.values())


# hard example mining


def test_hard_examples_are_improbable_or_a_minimum_share() -> None:
    probable = torch.tensor([0.9, 0.8, 0.6, 0.5, 0.2])  # of the true class, the first of two
    logits = torch.stack((probable.log(), (1 - probable).log()))[None, :, None]
    labels = torch.zeros(1, 1, 5, dtype=torch.uint8)
    for ohem_threshold, min_kept, counted in (
        (0.7, 0.01, 3),
        (0.7, 1.0, 5),
        (0.3, 0.01, 1),
        (0.01, 0.4, 2),
        (1.0, 0.01, 5),
    ):
        loss = make_loss(2, ohem_threshold=ohem_threshold, ohem_min_kept=min_kept)(logits, labels)["cross_entropy"]
        torch.testing.assert_close(loss, -probable[-counted:].log().mean())


# Lovász


def test_lovasz_gradients_are_precise_over_many_pixels() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(1, 5, 400, 500, generator=generator, dtype=torch.float64)
    labels = torch.randint(5, (1, 400, 500), generator=generator)
    loss, gradients = make_loss(5, lovasz=1.0), []
    for values in (logits.clone(), logits.float()):
        values.requires_grad_()
        gradients.append(torch.autograd.grad(loss(values, labels)["lovasz"], values)[0].double())
    exact, found = gradients
    assert (found - exact).norm() / exact.norm() < 1e-4


def test_lovasz_of_certain_predictions_is_the_jaccard_loss() -> None:
    for answer in itertools.product(range(3), repeat=4):
        labels = torch.tensor([[[0, 0, 1, 1]]])
        certain = torch.nn.functional.one_hot(torch.tensor(answer), 3).double()
        logits = (200 * certain).T[None, :, None]
        expected = np.mean([jaccard_loss([t == k for t in (0, 0, 1, 1)], [a == k for a in answer]) for k in (0, 1)])
        assert lovasz_loss(*flatten_pixels(logits, labels)).item() == pytest.approx(expected, abs=1e-12)


def test_lovasz_falls_as_predictions_improve() -> None:
    labels = torch.randint(3, (1, 8, 8), generator=torch.Generator().manual_seed(0))
    right = torch.nn.functional.one_hot(labels, 3).permute(0, 3, 1, 2).double()
    costs = [lovasz_loss(*flatten_pixels(k * right, labels)).item() for k in (-50, -1, 0, 1, 2, 50)]
    assert costs == sorted(costs, reverse=True)
    assert costs[0] == pytest.approx(1) and costs[-1] == pytest.approx(0, abs=1e-12)


# class weights by frequency


COUNTS = np.array([[60, 30, 10, 0], [0, 50, 0, 0], [40, 10, 0, 0]])  # pixels of four classes in three images


def test_median_frequencies_follow_the_paper() -> None:
    loss = PixelLoss(class_weights="median_frequency")
    assert loss.needs_pixels
    loss.prepare(CLASSES, torch.device("cpu"), COUNTS)
    # frequencies in the images that contain the class: 100 of 150, 90 of 200, 10 of 100; the median is 0.45
    assert loss.weights is not None and loss.weights.dtype == torch.float32
    assert loss.weights.tolist() == pytest.approx([0.45 / (2 / 3), 1.0, 4.5, 0.0])


def test_log_frequencies_follow_the_paper() -> None:
    loss = PixelLoss(class_weights="log_frequency")
    loss.prepare(CLASSES, torch.device("cpu"), COUNTS)
    expected = [1 / math.log(1.02 + n / 200) for n in (100, 90, 10)]
    assert loss.weights is not None
    assert loss.weights.tolist() == pytest.approx([*expected, 0.0])


@pytest.mark.parametrize("rule", ["median_frequency", "log_frequency"])
def test_frequency_weights_need_labelled_pixels(rule: Any, assert_one_sentence: OneSentence) -> None:
    with pytest.raises(DataError) as caught:
        PixelLoss(class_weights=rule).prepare(CLASSES, torch.device("cpu"), 0 * COUNTS)
    assert_one_sentence(caught.value, "No training pixel has a class", rule)


def test_weights_may_be_whole_numbers() -> None:
    logits, labels = make_batch()
    integers, floats = make_loss(class_weights=[1, 2, 0, 3]), make_loss(class_weights=[1.0, 2.0, 0.0, 3.0])
    assert not integers.needs_pixels
    torch.testing.assert_close(integers(logits.float(), labels), floats(logits.float(), labels), rtol=0, atol=0)


@pytest.mark.parametrize("count", [3, 5])
def test_a_wrong_number_of_weights_is_refused(count: int, assert_one_sentence: OneSentence) -> None:
    with pytest.raises(TaskError) as caught:
        PixelLoss(class_weights=[1.0] * count).prepare(CLASSES, torch.device("cpu"))
    assert_one_sentence(caught.value, "class_weights", count, "4 classes: a, b, c, d")


NAN, INFINITY = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"class_weights": "frequency"}, ["median_frequency", "log_frequency", "'frequency'"]),
        ({"class_weights": []}, ["class_weights", "at least 0"]),
        ({"class_weights": [0.0, 0.0]}, ["class_weights", "not all 0"]),
        ({"class_weights": [1.0, -1.0]}, ["class_weights", "-1.0"]),
        ({"class_weights": [1.0, NAN]}, ["class_weights", "nan"]),
        ({"class_weights": [1.0, INFINITY]}, ["class_weights", "inf"]),
        ({"label_smoothing": 1.0}, ["label_smoothing", "at least 0 and less than 1"]),
        ({"label_smoothing": -0.1}, ["label_smoothing", "-0.1"]),
        ({"ohem_threshold": 0.0}, ["ohem_threshold", "greater than 0 and at most 1"]),
        ({"ohem_threshold": 1.1}, ["ohem_threshold", "1.1"]),
        ({"ohem_min_kept": 0.0}, ["ohem_min_kept", "greater than 0 and at most 1"]),
        ({"ohem_min_kept": 1.5}, ["ohem_min_kept", "1.5"]),
        ({"dice": -1.0}, ["dice", "-1.0"]),
        ({"dice": NAN}, ["dice", "nan"]),
        ({"lovasz": -0.5}, ["lovasz", "-0.5"]),
        ({"lovasz": INFINITY}, ["lovasz", "inf"]),
    ],
    ids=str,
)
def test_invalid_values_are_refused(
    options: dict[str, Any], words: list[str], assert_one_sentence: OneSentence
) -> None:
    with pytest.raises(ValueError, match=words[0]) as caught:
        PixelLoss(**options)
    assert_one_sentence(caught.value, words)
