"""torchvision's ``ssdlite320_mobilenet_v3_large`` taken apart: what it calls tensors and classes, how it is built."""

from __future__ import annotations

import re

from torch import Tensor
from torchvision.models import get_weight

from ..contract import PretrainedState, default_class_names

PUBLISHED = "SSDLite320_MobileNet_V3_Large_Weights.COCO_V1"

# torchvision cuts the backbone into two lists, inside the block whose widened map is the first tap
BACKBONE = re.compile(r"backbone\.features\.([01])\.(\d+)\.(.+)")
HEAD = re.compile(r"head\.(classification|regression)_head\.module_list\.(\d+)\.(0\.0|0\.1|1)\.(.+)")
EXTRA = re.compile(r"backbone\.extra\.(\d+)\.([012])\.([01])\.(.+)")

OUTPUT = "head.{}_head.module_list.0.1.bias"
FULL_TAIL = 960  # channels of the backbone's last map; the detection tail has half as many


def take_apart(state: dict[str, Tensor]) -> PretrainedState | None:
    """See :meth:`Head.from_torchvision`; a network of 91 outputs has COCO's category ids, as the one published."""
    logits, offsets = (state.get(OUTPUT.format(kind)) for kind in ("classification", "regression"))
    first_extra = state.get("backbone.extra.0.0.0.weight")
    if logits is None or offsets is None or first_extra is None or offsets.numel() < 4:
        return None
    anchors = offsets.numel() // 4
    outputs = logits.numel() // anchors
    coco = get_weight(PUBLISHED).meta["categories"]
    tail = "full" if FULL_TAIL in first_extra.shape else "detection"
    backbone = {"tail": tail, "norm_momentum": 0.03}
    return PretrainedState(
        backbone_names(state),
        head_names(state),
        tuple(coco[1:]) if len(coco) == outputs else default_class_names(outputs - 1),
        {
            "backbone": {"class_path": "litmobile.backbones.MobileNetV3", "init_args": backbone},
            "head": {"class_path": "litmobile.heads.SSDLite", "init_args": {}},
            "feature_maps": ["c4_expansion", "final"],
            "preprocessing": {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]},
        },
    )


def backbone_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The backbone's tensors under the names that torchvision's classification network has for them."""
    parts = {key: found.groups() for key in state if (found := BACKBONE.fullmatch(key))}
    cut = max((int(layer) for half, layer, _ in parts.values() if half == "0"), default=0)
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


def head_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """All other tensors; those of the head and of the extra maps under our names."""
    conv_norm = {"0": "conv", "1": "norm"}
    inside = {"0.0": "depthwise.conv", "0.1": "depthwise.norm", "1": "project"}
    lists = {"classification": "classifiers", "regression": "regressors"}
    renamed: dict[str, Tensor] = {}
    for key, tensor in state.items():
        if found := EXTRA.fullmatch(key):
            block, layer, part, leaf = found.groups()
            renamed[f"extras.{block}.{layer}.{conv_norm[part]}.{leaf}"] = tensor
        elif found := HEAD.fullmatch(key):
            kind, level, part, leaf = found.groups()
            renamed[f"{lists[kind]}.{level}.{inside[part]}.{leaf}"] = tensor
        elif not BACKBONE.fullmatch(key):
            renamed[key] = tensor
    return renamed
