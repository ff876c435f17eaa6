"""Mixup and CutMix: the mixed images and targets, computed by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from litmobile.tasks.classification.mixing import Mixing, apply_cutmix, apply_mixup

CLASSES = 5


def batch(count: int = 4, height: int = 12, width: int = 20) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (count, 3, height, width), dtype=torch.uint8, generator=generator)
    return images.to(memory_format=torch.channels_last), torch.randint(CLASSES, (count,), generator=generator)


def test_nothing_is_mixed_by_default() -> None:
    images, labels = batch()
    mixed, targets = Mixing()(images, labels, CLASSES)
    assert mixed is images and targets is labels


@pytest.mark.parametrize("share", [0.0, 0.25, 0.9, 1.0])
def test_mixup_blends_an_image_with_the_previous_one(share: float) -> None:
    images, _ = batch()
    mixed, seen = apply_mixup(images, share)
    for k in range(len(images)):
        expected = share * images[k].double() / 255 + (1 - share) * images[k - 1].double() / 255
        torch.testing.assert_close(mixed[k].double(), expected, rtol=0, atol=1e-6)
    assert seen == share and mixed.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.97, 1.0])
def test_cutmix_pastes_a_rectangle_and_returns_its_share(share: float) -> None:
    images, _ = batch()
    images[1:] = images[1:] // 2 * 2  # neighbours differ in every pixel
    images[0] = images[0] // 2 * 2 + 1
    for seed in range(20):
        torch.manual_seed(seed)
        before = images.clone()
        mixed, seen = apply_cutmix(images, share)
        hidden = (mixed[0] != images[0]).any(0)
        rows, columns = hidden.any(1), hidden.any(0)
        assert torch.equal(hidden, rows[:, None] & columns[None, :])
        assert torch.equal(mixed[0][:, hidden], images[-1][:, hidden])
        assert seen == pytest.approx(1 - hidden.float().mean().item(), abs=1e-6)
        assert seen >= share - 0.1  # a rectangle at the border is clipped, and rounded to whole pixels
        assert torch.equal(images, before) and mixed.dtype == torch.uint8


@pytest.mark.parametrize("options", [{"mixup": 0.2}, {"cutmix": 1.0}, {"mixup": 0.2, "cutmix": 1.0}], ids=str)
def test_targets_follow_the_images(options: dict[str, float]) -> None:
    torch.manual_seed(1)
    images, labels = batch(7)
    images[:] = torch.arange(7)[:, None, None, None] * 30  # the mean of a uniform image shows how it was mixed
    for _ in range(30):
        mixed, targets = Mixing(**options)(images, labels, CLASSES)
        values = mixed.float() if mixed.is_floating_point() else mixed.float() / 255
        torch.testing.assert_close(targets.sum(1), torch.ones(7))
        for k in range(1, 7):
            own, other = k * 30 / 255, (k - 1) * 30 / 255
            share = (values[k].mean().item() - other) / (own - other)
            expected = torch.zeros(CLASSES)
            expected[labels[k]] += share
            expected[labels[k - 1]] += 1 - share
            torch.testing.assert_close(targets[k], expected, rtol=0, atol=1e-4)


def test_with_both_options_both_occur() -> None:
    torch.manual_seed(0)
    images, labels = batch()
    kinds = {Mixing(0.2, 1.0)(images, labels, CLASSES)[0].dtype for _ in range(30)}
    assert kinds == {torch.float32, torch.uint8}


@pytest.mark.parametrize("alpha", [0.1, 1.0, 4.0])
def test_shares_follow_the_beta_distribution(alpha: float) -> None:
    torch.manual_seed(0)
    images = torch.tensor([0, 255], dtype=torch.uint8)[:, None, None, None].expand(2, 3, 1, 1)
    drawn = torch.stack([Mixing(mixup=alpha)(images, torch.tensor([0, 1]), 2)[0][1].mean() for _ in range(3000)])
    assert drawn.mean().item() == pytest.approx(0.5, abs=0.03)
    assert drawn.var().item() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.1)


def test_a_seed_repeats_a_batch() -> None:
    results = []
    for _ in range(2):
        torch.manual_seed(3)
        results.append(Mixing(0.2, 1.0)(*batch(), CLASSES))
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


@pytest.mark.parametrize("name", ["mixup", "cutmix"])
@pytest.mark.parametrize("alpha", [-0.1, float("inf"), float("nan")])
def test_an_invalid_alpha_is_refused(name: str, alpha: float, assert_one_sentence: Any) -> None:
    with pytest.raises(ValueError, match=name) as caught:
        Mixing(**{name: alpha})
    assert_one_sentence(caught.value, name, alpha)
