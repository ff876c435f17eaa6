"""Every term against its definition, spelled out pixel by pixel; what has no label has no influence."""

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
from litmobile.tasks.segmentation.losses import flattened, lovasz_loss

OneSentence = Callable[..., None]
Slow = Callable[[Tensor, Tensor], Tensor]  # logits [P, C] and labels [P] of labelled pixels → a scalar

CLASSES = ("a", "b", "c", "d")
WEIGHTS = [0.5, 2.0, 0.0, 1.25]
EVERY: dict[str, dict[str, Any]] = {
    "plain": {},
    "weights": {"class_weights": WEIGHTS},
    "smoothing": {"label_smoothing": 0.1},
    "smoothing, weights": {"label_smoothing": 0.1, "class_weights": WEIGHTS},
    "hardest": {"hardest": 0.3, "ohem_min_kept": 0.2},
    "hardest, at least": {"hardest": 1e-6, "ohem_min_kept": 0.3},
    "hardest, weights, smoothing": {"hardest": 0.25, "class_weights": WEIGHTS, "label_smoothing": 0.2},
    "dice": {"dice": 0.7},
    "lovasz": {"lovasz": 1.5},
    "all": {"class_weights": WEIGHTS, "label_smoothing": 0.1, "hardest": 0.4, "dice": 0.5, "lovasz": 2.0},
}


def batch(seed: int = 0, classes: int = 4, unlabelled: float = 0.3) -> tuple[Tensor, Tensor]:
    """Logits ``[2, C, 5, 7]`` in double precision, and labels, which do not show class c."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, classes, 5, 7, dtype=torch.float64, generator=generator) * 2
    labels = torch.randint(classes, (2, 5, 7), generator=generator)
    labels[labels == 2] = 3 % classes
    labels[torch.rand(2, 5, 7, generator=generator) < unlabelled] = 255
    return logits, labels.to(torch.uint8)


def prepared(classes: int = 4, **options: Any) -> PixelLoss:
    loss = PixelLoss(**options)
    loss.prepare([str(k) for k in range(classes)], torch.device("cpu"))
    return loss


def labelled(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """``[P, C]`` and ``[P]`` of the pixels that have a class."""
    there = labels != 255
    return logits.permute(0, 2, 3, 1)[there], labels[there].long()


def slow_cross_entropy(
    logits: Tensor,
    labels: Tensor,
    class_weights: list[float] | None = None,
    label_smoothing: float = 0.0,
    ohem_threshold: float | None = None,
    ohem_min_kept: float = 1 / 16,
) -> Tensor:
    """Pixel by pixel: those whose truth is improbable, and of the others as many as it takes."""
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
    """1 − intersection over union of two sets of pixels, 0 of two empty ones."""
    union = sum(a or b for a, b in zip(truth, said, strict=True))
    return 1 - sum(a and b for a, b in zip(truth, said, strict=True)) / union if union else 0.0


def slow_lovasz(logits: Tensor, labels: Tensor) -> Tensor:
    """The Lovász extension of the Jaccard loss: what each wrong pixel more adds, the worst first, times its error."""
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
    of_entropy = {name: value for name, value in options.items() if name not in ("dice", "lovasz")}
    pixels = labelled(logits, labels)
    terms = {"cross_entropy": slow_cross_entropy(*pixels, **of_entropy)}
    for name, slow in (("dice", slow_dice), ("lovasz", slow_lovasz)):
        if name in options:
            terms[name] = options[name] * slow(*pixels)
    return terms


@pytest.mark.parametrize("options", EVERY.values(), ids=EVERY)
@pytest.mark.parametrize("seed", range(3))
def test_terms_and_gradients_are_those_of_the_definitions(options: dict[str, Any], seed: int) -> None:
    logits, labels = batch(seed)
    logits.requires_grad_()
    found, expected = prepared(**options)(logits, labels), slow_terms(logits, labels, options)
    assert found.keys() == expected.keys()
    for name, term in found.items():
        assert term.ndim == 0
        torch.testing.assert_close(term, expected[name], rtol=1e-10, atol=1e-12)
        ours, theirs = (torch.autograd.grad(t, logits, retain_graph=True)[0] for t in (term, expected[name]))
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("options", EVERY.values(), ids=EVERY)
def test_unlabelled_pixels_have_no_influence_and_no_gradient(options: dict[str, Any]) -> None:
    logits, labels = batch()
    there = (labels != 255)[:, None]
    other = torch.where(there, logits, 30 * torch.randn_like(logits))
    wider = torch.nn.functional.pad(other, (0, 9, 0, 4), value=3.0)
    more = torch.nn.functional.pad(labels, (0, 9, 0, 4), value=255)
    expected = prepared(**options)(logits, labels)
    wider.requires_grad_()
    found = prepared(**options)(wider, more)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)
    (gradient,) = torch.autograd.grad(torch.stack(list(found.values())).sum(), wider)
    assert gradient[(more == 255)[:, None].expand_as(gradient)].eq(0).all() and gradient.ne(0).any()


@pytest.mark.parametrize("options", EVERY.values(), ids=EVERY)
@pytest.mark.parametrize("kind", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_a_batch_without_a_labelled_pixel_costs_nothing(options: dict[str, Any], kind: torch.dtype) -> None:
    logits = batch()[0].to(kind).requires_grad_()
    terms = prepared(**options)(logits, torch.full((2, 5, 7), 255, dtype=torch.uint8))
    total = torch.stack(list(terms.values())).sum()
    (gradient,) = torch.autograd.grad(total, logits)
    assert total == 0 and all(term == 0 for term in terms.values())
    assert gradient.eq(0).all()


@pytest.mark.parametrize("options", EVERY.values(), ids=EVERY)
def test_an_image_without_a_labelled_pixel_changes_nothing(options: dict[str, Any]) -> None:
    logits, labels = batch()
    labels[1] = 255
    torch.testing.assert_close(prepared(**options)(logits, labels), prepared(**options)(logits[:1], labels[:1]))


@pytest.mark.parametrize("options", [options for options in EVERY.values() if "class_weights" in options], ids=str)
@pytest.mark.parametrize("kind", [torch.float64, torch.float32])
def test_pixels_of_classes_that_weigh_nothing_cost_nothing(options: dict[str, Any], kind: torch.dtype) -> None:
    logits = batch()[0].to(kind).requires_grad_()
    loss = prepared(**options)(logits, torch.full((2, 5, 7), 2))["cross_entropy"]
    (gradient,) = torch.autograd.grad(65536 * loss, logits)  # as mixed precision scales it
    assert loss == 0 and gradient.eq(0).all()


@pytest.mark.parametrize("options", EVERY.values(), ids=EVERY)
@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_half_precision_logits_cost_what_they_do_in_full(options: dict[str, Any], kind: torch.dtype) -> None:
    logits, labels = batch()
    half = (20 * logits).to(kind).requires_grad_()
    found = prepared(**options)(half, labels)
    expected = prepared(**options)(half.detach().float(), labels)
    assert {term.dtype for term in found.values()} == {torch.float32}
    torch.testing.assert_close({name: term.detach() for name, term in found.items()}, expected)
    assert torch.autograd.grad(torch.stack(list(found.values())).sum(), half)[0].isfinite().all()


def test_one_class_alone_can_be_told_from_nothing() -> None:
    logits, _ = batch(classes=1)
    labels = torch.zeros(2, 5, 7, dtype=torch.uint8)
    terms = prepared(1, dice=1.0, lovasz=1.0, ohem_threshold=0.7)(logits, labels)
    assert all(term.abs() < 1e-12 for term in terms.values())


# hard example mining


def test_hard_examples_are_those_whose_class_is_improbable_and_a_share_at_least() -> None:
    probable = torch.tensor([0.9, 0.8, 0.6, 0.5, 0.2])  # of the true class, which is the first of two
    logits = torch.stack((probable.log(), (1 - probable).log()))[None, :, None]
    labels = torch.zeros(1, 1, 5, dtype=torch.uint8)
    for ohem_threshold, least, counted in (
        (0.7, 0.01, 3),
        (0.7, 1.0, 5),
        (0.3, 0.01, 1),
        (0.01, 0.4, 2),
        (1.0, 0.01, 5),
    ):
        loss = prepared(2, ohem_threshold=ohem_threshold, ohem_min_kept=least)(logits, labels)["cross_entropy"]
        torch.testing.assert_close(loss, -probable[-counted:].log().mean())


# Lovász


def test_the_gradient_of_lovasz_keeps_single_precision_over_many_pixels() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(1, 5, 400, 500, generator=generator, dtype=torch.float64)
    labels = torch.randint(5, (1, 400, 500), generator=generator)
    loss, gradients = prepared(5, lovasz=1.0), []
    for values in (logits.clone(), logits.float()):
        values.requires_grad_()
        gradients.append(torch.autograd.grad(loss(values, labels)["lovasz"], values)[0].double())
    exact, found = gradients
    assert (found - exact).norm() / exact.norm() < 1e-4


def test_lovasz_of_certain_answers_is_the_mean_jaccard_loss_of_the_classes_there_are() -> None:
    for answer in itertools.product(range(3), repeat=4):
        labels = torch.tensor([[[0, 0, 1, 1]]])
        certain = torch.nn.functional.one_hot(torch.tensor(answer), 3).double()
        logits = (200 * certain).T[None, :, None]
        expected = np.mean([jaccard_loss([t == k for t in (0, 0, 1, 1)], [a == k for a in answer]) for k in (0, 1)])
        assert lovasz_loss(*flattened(logits, labels)).item() == pytest.approx(expected, abs=1e-12)


def test_lovasz_lies_below_the_jaccard_loss_of_no_answer_and_above_that_of_the_best() -> None:
    labels = torch.randint(3, (1, 8, 8), generator=torch.Generator().manual_seed(0))
    right = torch.nn.functional.one_hot(labels, 3).permute(0, 3, 1, 2).double()
    costs = [lovasz_loss(*flattened(k * right, labels)).item() for k in (-50, -1, 0, 1, 2, 50)]
    assert costs == sorted(costs, reverse=True)
    assert costs[0] == pytest.approx(1) and costs[-1] == pytest.approx(0, abs=1e-12)


# weights from frequencies


COUNTS = np.array([[60, 30, 10, 0], [0, 50, 0, 0], [40, 10, 0, 0]])  # pixels of four classes in three images


def test_median_frequencies_are_those_of_the_paper() -> None:
    loss = PixelLoss(class_weights="median_frequency")
    assert loss.needs_pixels
    loss.prepare(CLASSES, torch.device("cpu"), COUNTS)
    # of the pixels of the images that show a class: 100 of 150, 90 of 200, 10 of 100; the median is 0.45
    assert loss.weights is not None and loss.weights.dtype == torch.float32
    assert loss.weights.tolist() == pytest.approx([0.45 / (2 / 3), 1.0, 4.5, 0.0])


def test_log_frequencies_are_those_of_the_paper() -> None:
    loss = PixelLoss(class_weights="log_frequency")
    loss.prepare(CLASSES, torch.device("cpu"), COUNTS)
    expected = [1 / math.log(1.02 + n / 200) for n in (100, 90, 10)]
    assert loss.weights is not None
    assert loss.weights.tolist() == pytest.approx([*expected, 0.0])


@pytest.mark.parametrize("rule", ["median_frequency", "log_frequency"])
def test_nothing_can_be_weighed_by_pixels_that_there_are_not(rule: Any, assert_one_sentence: OneSentence) -> None:
    with pytest.raises(DataError) as caught:
        PixelLoss(class_weights=rule).prepare(CLASSES, torch.device("cpu"), 0 * COUNTS)
    assert_one_sentence(caught.value, "No pixel of training has a class", rule)


def test_weights_that_are_given_are_whole_numbers_as_well() -> None:
    logits, labels = batch()
    whole, on_invalid = prepared(class_weights=[1, 2, 0, 3]), prepared(class_weights=[1.0, 2.0, 0.0, 3.0])
    assert not whole.needs_pixels
    torch.testing.assert_close(whole(logits.float(), labels), on_invalid(logits.float(), labels), rtol=0, atol=0)


@pytest.mark.parametrize("count", [3, 5])
def test_another_number_of_weights_than_of_classes_is_refused(count: int, assert_one_sentence: OneSentence) -> None:
    with pytest.raises(TaskError) as caught:
        PixelLoss(class_weights=[1.0] * count).prepare(CLASSES, torch.device("cpu"))
    assert_one_sentence(caught.value, "class_weights", count, "4 classes: a, b, c, d")


NAN, INFINITY = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"class_weights": "frequency"}, ["median_frequency", "log_frequency", "'frequency'"]),
        ({"class_weights": []}, ["class_weights", "0 or more"]),
        ({"class_weights": [0.0, 0.0]}, ["class_weights", "one of them above it"]),
        ({"class_weights": [1.0, -1.0]}, ["class_weights", "-1.0"]),
        ({"class_weights": [1.0, NAN]}, ["class_weights", "nan"]),
        ({"class_weights": [1.0, INFINITY]}, ["class_weights", "inf"]),
        ({"label_smoothing": 1.0}, ["label_smoothing", "0 … 1"]),
        ({"label_smoothing": -0.1}, ["label_smoothing", "-0.1"]),
        ({"hardest": 0.0}, ["hardest", "probability"]),
        ({"hardest": 1.1}, ["hardest", "1.1"]),
        ({"ohem_min_kept": 0.0}, ["ohem_min_kept", "share"]),
        ({"ohem_min_kept": 1.5}, ["ohem_min_kept", "1.5"]),
        ({"dice": -1.0}, ["dice", "-1.0"]),
        ({"dice": NAN}, ["dice", "nan"]),
        ({"lovasz": -0.5}, ["lovasz", "-0.5"]),
        ({"lovasz": INFINITY}, ["lovasz", "inf"]),
    ],
    ids=str,
)
def test_impossible_values_are_refused(
    options: dict[str, Any], said: list[str], assert_one_sentence: OneSentence
) -> None:
    with pytest.raises(ValueError, match=said[0]) as caught:
        PixelLoss(**options)
    assert_one_sentence(caught.value, said)
