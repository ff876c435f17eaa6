"""Mixup and CutMix: images of a batch mixed in pairs, and their classes in the same shares."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Beta

from ...errors import UserError


class Mixing:
    """Mixes every image of a batch with its neighbour.

    Mixup blends whole images (Zhang et al. 2017, arXiv 1710.09412); CutMix lays a part of one over the other (Yun et
    al. 2019, arXiv 1905.04899). Where both are asked for, a batch gets either with equal chance.

    Args:
        mixup: α of the Beta distribution that mixup's shares are drawn from; 0 for no mixup.
        cutmix: α for the shares of CutMix's areas; 0 for no CutMix.
    """

    def __init__(self, mixup: float = 0.0, cutmix: float = 0.0) -> None:
        for name, alpha in (("mixup", mixup), ("cutmix", cutmix)):
            if not 0 <= alpha < float("inf"):
                raise UserError(f"{name} must be 0 or the α of a Beta distribution, not {alpha}.")
        self.kinds = [(mix, alpha) for mix, alpha in ((mixed_up, mixup), (cut_and_mixed, cutmix)) if alpha]

    def __call__(self, images: Tensor, labels: Tensor, classes: int) -> tuple[Tensor, Tensor]:
        """Mixes a batch; what is random is drawn from PyTorch's global generator.

        Args:
            images: ``[N, 3, H, W]`` uint8.
            labels: ``[N]`` classes from 0.
            classes: how many there are.

        Returns:
            Images, uint8 or floats in 0 … 1, and shares of classes ``[N, classes]`` that sum to 1; where no mixing was
            asked for, images and labels as they are.
        """
        if not self.kinds:
            return images, labels
        kind = int(torch.randint(len(self.kinds), ())) if len(self.kinds) > 1 else 0
        mix, alpha = self.kinds[kind]
        images, share = mix(images, float(Beta(alpha, alpha).sample()))
        own = F.one_hot(labels, classes).float()
        return images, torch.lerp(own.roll(1, 0), own, share)


def mixed_up(images: Tensor, share: float) -> tuple[Tensor, float]:
    """``share`` of every image, and the rest of its neighbour's; floats in 0 … 1, and the share."""
    images = images.float() / 255
    return torch.lerp(images.roll(1, 0), images, share), share


def cut_and_mixed(images: Tensor, share: float) -> tuple[Tensor, float]:
    """About ``share`` of every image, the rest hidden by its neighbour's pixels; and the share that is really seen."""
    height, width = images.shape[2:]
    middle = torch.rand(2).tolist()
    (top, bottom), (left, right) = (
        extent(where, size, (1 - share) ** 0.5) for where, size in zip(middle, (height, width), strict=True)
    )
    mixed = images.clone()
    mixed[:, :, top:bottom, left:right] = images.roll(1, 0)[:, :, top:bottom, left:right]
    return mixed, 1 - (bottom - top) * (right - left) / (height * width)


def extent(middle: float, size: int, share: float) -> tuple[int, int]:
    """Start and end in pixels of ``share`` of ``size`` around ``middle``, a share itself, cut at both ends."""
    half = share * size / 2
    return max(0, round(middle * size - half)), min(size, round(middle * size + half))
