"""The classifier's losses and scores equal timm's."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from timm.loss import BinaryCrossEntropy, LabelSmoothingCrossEntropy, SoftTargetCrossEntropy
from torch import Tensor

from litmobile.backbones import Feature, Features
from litmobile.heads import Classifier
from support.families import format_id

FEATURES = Features({"final": Feature(8, 32)})
SMOOTHING = pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
KINDS = pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)


def logits(count: int = 6, classes: int = 5, dtype: torch.dtype = torch.float64) -> Tensor:
    return (3 * torch.randn(count, classes, generator=torch.Generator().manual_seed(0), dtype=torch.float64)).to(dtype)


def labels(count: int = 6, classes: int = 5) -> Tensor:
    return torch.randint(classes, (count,), generator=torch.Generator().manual_seed(1))


def shares(count: int = 6, classes: int = 5) -> Tensor:
    return torch.rand(count, classes, generator=torch.Generator().manual_seed(2), dtype=torch.float64).softmax(1)


def loss_of(head: Classifier, output: Tensor, targets: Tensor) -> Tensor:
    (term,) = head.loss(output, targets).values()
    return term


@SMOOTHING
def test_smoothed_cross_entropy_is_timms(smoothing: float) -> None:
    head = Classifier(FEATURES, 5, label_smoothing=smoothing)
    expected = LabelSmoothingCrossEntropy(smoothing)(logits(), labels())
    torch.testing.assert_close(loss_of(head, logits(), labels()), expected, rtol=1e-10, atol=0)


@SMOOTHING
def test_probabilities_can_be_targets(smoothing: float) -> None:
    head = Classifier(FEATURES, 5, label_smoothing=smoothing)
    smoothed = shares() * (1 - smoothing) + smoothing / 5
    expected = SoftTargetCrossEntropy()(logits(), smoothed)
    torch.testing.assert_close(loss_of(head, logits(), shares()), expected, rtol=1e-10, atol=0)


@SMOOTHING
def test_binary_cross_entropy_is_timms(smoothing: float) -> None:
    head = Classifier(FEATURES, 5, loss="binary", label_smoothing=smoothing)
    expected = BinaryCrossEntropy(smoothing)(logits(), labels())
    torch.testing.assert_close(loss_of(head, logits(), labels()), expected, rtol=1e-10, atol=0)
    of_shares = F.binary_cross_entropy_with_logits(logits(), shares() * (1 - smoothing) + smoothing / 5)
    torch.testing.assert_close(loss_of(head, logits(), shares()), of_shares, rtol=1e-10, atol=0)


@KINDS
@pytest.mark.parametrize("loss", ["cross_entropy", "binary"])
def test_losses_of_half_precision_are_computed_in_float32(loss: Any, dtype: torch.dtype) -> None:
    output, head = logits(dtype=dtype), Classifier(FEATURES, 5, loss=loss)
    whole = output.to(torch.promote_types(dtype, torch.float32))
    term = loss_of(head, output, labels())
    assert term.dtype == whole.dtype
    torch.testing.assert_close(term, loss_of(head, whole, labels()), rtol=0, atol=0)


@pytest.mark.parametrize("loss", ["cross_entropy", "binary"])
def test_scores_match_the_loss(loss: Any) -> None:
    head = Classifier(FEATURES, 5, loss=loss)
    found = torch.stack([prediction.scores for prediction in head.decode(logits(), (32, 32))])
    assert torch.equal(found.argmax(1), logits().argmax(1))
    assert ((found >= 0) & (found <= 1)).all()
    if loss == "cross_entropy":
        torch.testing.assert_close(found.sum(1), torch.ones(6, dtype=torch.float64))
    else:
        torch.testing.assert_close(found, logits().sigmoid())


INVALID: tuple[dict[str, Any], ...] = (
    {"loss": "hinge"},
    {"label_smoothing": 1.0},
    {"hidden_dim": -3},
    {"activation": "swish"},
    {"dropout": 3.0},
)


@pytest.mark.parametrize("options", INVALID, ids=format_id)
def test_impossible_options_are_refused(options: dict[str, Any], assert_one_sentence: Any) -> None:
    ((name, value),) = options.items()
    with pytest.raises(ValueError, match=name) as caught:
        Classifier(FEATURES, 5, **options)
    assert_one_sentence(caught.value, name, value)
