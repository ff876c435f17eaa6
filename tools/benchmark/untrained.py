"""Networks with random weights that behave like trained ones: their outputs depend on the image, their scores vary."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...tasks.network import Network

SPREAD = 1.0  # standard deviation of the classes' logits, if their inputs have a mean square of 1


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
    for name, (groups, offset) in network.head.class_dimensions().items():
        if name.endswith("weight"):
            rows = network.head.get_parameter(name).unflatten(0, (groups, -1))[:, offset:]
            rows *= SPREAD / (rows.std() * rows[0, 0].numel() ** 0.5)
    return network.eval()
