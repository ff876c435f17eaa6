"""Costs of one network from its shapes, with its activation memory as measured; facts for ``--json`` and tables."""

from __future__ import annotations

import copy
from typing import Any

import torch

from ...errors import UserError
from ...tasks.network import name_parts
from .backbone.facts import backbone_facts, describe_refusal
from .counts import Complexity, count, without_values
from .engines.prepared import make_noise
from .layers import list_layers, time_modules
from .memory import measure_peak, predict_peak
from .targets import Target

Facts = dict[str, Any]


def describe_target(target: Target, device: torch.device, with_layers: bool, is_measured: bool) -> Facts:
    """Counts and measures the costs of one network, but no latency.

    Args:
        target: the network.
        device: of the network.
        with_layers: whether to list each layer.
        is_measured: whether to measure memory, and with layers also their time.

    Raises:
        UserError: the network does not take images of its size.
    """
    network = target.network
    counted = count_network(target)
    noise = torch.from_numpy(make_noise(1, network.preprocessing.size))
    images = noise.to(device, memory_format=torch.channels_last)
    facts: Facts = {
        "name": target.name,
        "network": name_parts(network.backbone, network.head),
        "role": network.head.role,
        "classes": len(network.classes),
        "size": network.preprocessing.size,  # height and width in pixels
        "is_trained": target.folder is not None,
        "is_reparameterized": target.is_reparameterized,
        "parameters": counted.parameters,
        "multiply_adds": counted.multiply_adds,
        "memory_access": counted.memory_access,  # elements
        "weight_bytes": sum(x.numel() * x.element_size() for x in network.state_dict().values()),
        "predicted_activation_bytes": predict_peak(network, images),
        "measured_activation_bytes": measure_peak(lambda: network(images), device) if is_measured else None,
    }
    if with_layers:
        times = time_modules(network, images) if is_measured else None
        facts["layers"] = list_layers(network, counted, times)
        if target.backbone is not None:
            facts["backbone"] = backbone_facts(*target.backbone, network.preprocessing.size)
    return facts


def count_network(target: Target) -> Complexity:
    """Counts what the whole network costs for one image.

    Raises:
        UserError: it does not take images of its size.
    """
    size = target.network.preprocessing.size
    try:
        with without_values():
            return count(copy.deepcopy(target.network).to("meta"), torch.empty(1, 3, *size))
    except Exception as error:  # a network can fail in any way
        raise UserError(f"{target.name} {describe_refusal(size, error)}") from error
