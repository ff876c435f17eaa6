"""Mixup and CutMix: each image of a batch is mixed with another, and the targets in the same proportion."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Beta

from ...errors import check_range


class Mixing:
    """Mixes every image of a batch with the one before it.

    Mixup blends whole images (Zhang et al. 2017, arXiv 1710.09412). CutMix pastes a rectangle of one onto the other
    (Yun et al. 2019, arXiv 1905.04899). With both, each batch gets one of them, with equal probability.

    Args:
        mixup: α of the Beta distribution of mixup's proportions, e.g. 0.2; 0 for no mixup.
        cutmix: α of the Beta distribution of CutMix's areas, e.g. 1.0; 0 for no CutMix.
    """

    def __init__(self, mixup: float = 0.0, cutmix: float = 0.0) -> None:
        for name, alpha in (("mixup", mixup), ("cutmix", cutmix)):
            check_range(name, alpha, ge=0, lt=float("inf"))
        self.kinds = [(mix, alpha) for mix, alpha in ((apply_mixup, mixup), (apply_cutmix, cutmix)) if alpha]

    def __call__(self, images: Tensor, labels: Tensor, num_classes: int) -> tuple[Tensor, Tensor]:
        """Mixes a batch. Random numbers come from PyTorch's global generator.

        Args:
            images: ``[N, 3, H, W]`` uint8.
            labels: ``[N]`` class indices.
            num_classes: number of classes.

        Returns:
            Images, uint8 or floats in 0 … 1, and targets ``[N, num_classes]`` that sum to 1. Without mixing, images and
            labels unchanged.
        """
        if not self.kinds:
            return images, labels
        kind = int(torch.randint(len(self.kinds), ())) if len(self.kinds) > 1 else 0
        mix, alpha = self.kinds[kind]
        images, own_share = mix(images, float(Beta(alpha, alpha).sample()))
        targets = F.one_hot(labels, num_classes).float()
        return images, torch.lerp(targets.roll(1, 0), targets, own_share)


def apply_mixup(images: Tensor, own_share: float) -> tuple[Tensor, float]:
    """Blends every image with the previous one; returns floats in 0 … 1, and ``own_share``, the image's weight."""
    images = images.float() / 255
    return torch.lerp(images.roll(1, 0), images, own_share), own_share


def apply_cutmix(images: Tensor, own_share: float) -> tuple[Tensor, float]:
    """Pastes a rectangle of the previous image, about 1 − ``own_share``; returns images and the exact own share."""
    height, width = images.shape[2:]
    center = torch.rand(2).tolist()
    (top, bottom), (left, right) = (
        clip_extent(middle, size, (1 - own_share) ** 0.5) for middle, size in zip(center, (height, width), strict=True)
    )
    mixed = images.clone()
    mixed[:, :, top:bottom, left:right] = images.roll(1, 0)[:, :, top:bottom, left:right]
    return mixed, 1 - (bottom - top) * (right - left) / (height * width)


def clip_extent(middle: float, size: int, share: float) -> tuple[int, int]:
    """Returns start and end pixel of ``share`` of ``size`` around ``middle`` in 0 … 1, clipped to 0 … ``size``."""
    half = share * size / 2
    return max(0, round(middle * size - half)), min(size, round(middle * size + half))
