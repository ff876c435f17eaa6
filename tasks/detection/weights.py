"""torchvision's SSDLite detectors in our key names."""

from __future__ import annotations

import re

from torch import Tensor

from ...backbones.weights import WeightsError
from ...heads.ssdlite import SSDLite
from ..network import Network

# torchvision cuts the backbone into two lists, inside the block whose widened map is the first tap
BACKBONE = re.compile(r"backbone\.features\.([01])\.(\d+)\.(.+)")
HEAD = re.compile(r"head\.(classification|regression)_head\.module_list\.(\d+)\.(0\.0|0\.1|1)\.(.+)")
EXTRA = re.compile(r"backbone\.extra\.(\d+)\.([012])\.([01])\.(.+)")


def load_torchvision_ssdlite(network: Network, state: dict[str, Tensor]) -> None:
    """Loads the ``state_dict`` of a ``torchvision.models.detection.ssdlite320_mobilenet_v3_large`` into ``network``.

    Raises:
        WeightsError: the network is not that one.
    """
    if not isinstance(network.head, SSDLite):
        raise WeightsError(f"torchvision's SSDLite weights do not fit a {type(network.head).__name__} head.")
    backbone, left_over = network.backbone.translate(backbone_names(state))
    translated = {f"backbone.{name}": tensor for name, tensor in backbone.items()}
    translated |= {f"head.{name}": state[theirs] for theirs, name in head_names(state).items()}
    own = network.state_dict()
    unlike = [k for k, v in own.items() if k not in translated or translated[k].shape != v.shape] + left_over
    if unlike:
        raise WeightsError(
            f"These SSDLite weights are of another network: {len(unlike)} tensors are absent or differ in shape, "
            f"{', '.join(unlike[:3])} among them."
        )
    network.load_state_dict(translated)


def backbone_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The backbone's tensors under the names that torchvision's classification network has for them."""
    parts = {key: found.groups() for key in state if (found := BACKBONE.fullmatch(key))}
    cut = max(int(layer) for half, layer, _ in parts.values() if half == "0")
    renamed: dict[str, Tensor] = {}
    for key, (half, layer, rest) in parts.items():
        if half == "0" and int(layer) < cut:
            name = f"features.{layer}.{rest}"
        elif half == "0":
            name = f"features.{cut}.block.0.{rest}"
        elif layer == "0":
            name = f"features.{cut}.block.{rest}"
        else:
            name = f"features.{cut + int(layer)}.{rest}"
        renamed[name] = state[key]
    return renamed


def head_names(state: dict[str, Tensor]) -> dict[str, str]:
    """Torchvision's names of the head's and the extra maps' tensors → ours."""
    conv_norm = {"0": "conv", "1": "norm"}
    inside = {"0.0": "depthwise.conv", "0.1": "depthwise.norm", "1": "project"}
    lists = {"classification": "classifiers", "regression": "regressors"}
    names: dict[str, str] = {}
    for key in state:
        if found := EXTRA.fullmatch(key):
            block, layer, part, leaf = found.groups()
            names[key] = f"extras.{block}.{layer}.{conv_norm[part]}.{leaf}"
        elif found := HEAD.fullmatch(key):
            kind, level, part, leaf = found.groups()
            names[key] = f"{lists[kind]}.{level}.{inside[part]}.{leaf}"
    return names
