"""Networks with random weights that behave like trained ones: their outputs depend on the image, their scores vary."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...tasks.network import Network

SHARPER = 5  # factor of the weights that give the scores


@torch.no_grad()
def imitate_training(network: Network, images: Tensor) -> Network:
    """Sets the statistics of all norms to those of ``images``, and makes scores differ by more than rounding.

    Without this, the signal of a random network fades from layer to layer, all images give the same output, and the
    order of detections is that of rounding errors.

    Args:
        network: is changed; in evaluation mode afterwards.
        images: ``[N, 3, H, W]`` uint8 of the input's size.
    """
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.reset_running_stats()
            layer.momentum = 1.0
    network.train()(images)
    for name, parameter in network.head.named_parameters():
        is_score = name.startswith("layers.") or (name.startswith("classifiers.") and "project" in name)
        if is_score and name.endswith("weight") and parameter.dim() > 1:
            parameter.mul_(SHARPER)
    return network.eval()
