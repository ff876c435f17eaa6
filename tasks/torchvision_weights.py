"""torchvision's published whole networks: their names, their class names, and their tensors under our names."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from torch import Tensor
from torchvision.models import get_weight

from ..heads import LRASPP, Head, SSDLite
from ..heads.contract import default_class_names

State = dict[str, Tensor]


class PretrainedState(NamedTuple):
    """State of a trained network, divided into backbone and head.

    Attributes:
        backbone: tensors of the backbone, under any names that :meth:`Backbone.translate` knows.
        head: tensors of the head, under the head's names.
        classes: class names in the order of their rows; None if unknown.
        config: known part of ``Network.config``.
    """

    backbone: State
    head: State
    classes: tuple[str, ...] | None = None
    config: Mapping[str, Any] = {}


class PublishedNetwork(NamedTuple):
    """Published weights of a whole network.

    Attributes:
        name: their exact name.
        convert: converts the state of such a network; returns None for any other state.
    """

    name: str
    convert: Callable[[State], PretrainedState | None]


SSDLITE = "SSDLite320_MobileNet_V3_Large_Weights.COCO_V1"
LRASPP_NAME = "LRASPP_MobileNet_V3_Large_Weights.COCO_WITH_VOC_LABELS_V1"

# torchvision divides SSDLite's backbone inside the block whose expansion is the first feature map
SSDLITE_BACKBONE = re.compile(r"backbone\.features\.([01])\.(\d+)\.(.+)")
SSDLITE_HEAD = re.compile(r"head\.(classification|regression)_head\.module_list\.(\d+)\.(0\.0|0\.1|1)\.(.+)")
SSDLITE_EXTRA = re.compile(r"backbone\.extra\.(\d+)\.([012])\.([01])\.(.+)")
SSDLITE_OUTPUT = "head.{}_head.module_list.0.1.bias"
FULL_TAIL = 960  # channels of the backbone's last map; the detection tail has half as many

LRASPP_MODULES = {
    "cbr.0": "project.conv",
    "cbr.1": "project.norm",
    "scale.1": "gate",
    "low_classifier": "fine_classifier",
    "high_classifier": "coarse_classifier",
}


def convert_ssdlite(state: State) -> PretrainedState | None:
    """Converts ``ssdlite320_mobilenet_v3_large``; with 91 outputs, its classes are COCO's category ids."""
    logits, offsets = (state.get(SSDLITE_OUTPUT.format(kind)) for kind in ("classification", "regression"))
    first_extra = state.get("backbone.extra.0.0.0.weight")
    if logits is None or offsets is None or first_extra is None or offsets.numel() < 4:
        return None
    outputs = logits.numel() // (offsets.numel() // 4)
    coco = get_weight(SSDLITE).meta["categories"]
    tail = "full" if FULL_TAIL in first_extra.shape else "detection"
    return PretrainedState(
        ssdlite_backbone_names(state),
        ssdlite_head_names(state),
        tuple(coco[1:]) if len(coco) == outputs else default_class_names(outputs - 1),
        {
            "backbone": {
                "class_path": "litmobile.backbones.MobileNetV3",
                "init_args": {"tail": tail, "norm_momentum": 0.03},
            },
            "head": {"class_path": "litmobile.heads.SSDLite", "init_args": {}},
            "feature_maps": ["c4_expansion", "final"],
            "preprocessing": {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]},
        },
    )


def ssdlite_backbone_names(state: State) -> State:
    """Returns the backbone's tensors under the names of torchvision's classification network."""
    parts = {key: match.groups() for key in state if (match := SSDLITE_BACKBONE.fullmatch(key))}
    cut = max((int(layer) for half, layer, _ in parts.values() if half == "0"), default=0)
    renamed: State = {}
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


def ssdlite_head_names(state: State) -> State:
    """Returns all other tensors; those of the head and of the extra maps get our names."""
    conv_norm = {"0": "conv", "1": "norm"}
    inside = {"0.0": "depthwise.conv", "0.1": "depthwise.norm", "1": "project"}
    lists = {"classification": "classifiers", "regression": "regressors"}
    renamed: State = {}
    for key, tensor in state.items():
        if match := SSDLITE_EXTRA.fullmatch(key):
            block, layer, part, leaf = match.groups()
            renamed[f"extras.{block}.{layer}.{conv_norm[part]}.{leaf}"] = tensor
        elif match := SSDLITE_HEAD.fullmatch(key):
            kind, level, part, leaf = match.groups()
            renamed[f"{lists[kind]}.{level}.{inside[part]}.{leaf}"] = tensor
        elif not SSDLITE_BACKBONE.fullmatch(key):
            renamed[key] = tensor
    return renamed


def convert_lraspp(state: State) -> PretrainedState | None:
    """Converts ``lraspp_mobilenet_v3_large``; with 21 outputs, its classes are VOC's and background."""
    rows = state.get("classifier.low_classifier.bias")
    if rows is None:
        return None
    backbone, head = {}, {}
    for key, tensor in state.items():
        part, _, name = key.partition(".")
        module, _, leaf = name.rpartition(".")
        if part == "backbone":
            backbone[f"features.{name}"] = tensor
        else:
            head[f"{LRASPP_MODULES.get(module, module)}.{leaf}"] = tensor
    voc = ("background", *get_weight(LRASPP_NAME).meta["categories"][1:])
    return PretrainedState(
        backbone,
        head,
        voc if len(voc) == rows.numel() else default_class_names(rows.numel()),
        {
            "backbone": {"class_path": "litmobile.backbones.MobileNetV3", "init_args": {"output_stride": 16}},
            "head": {"class_path": "litmobile.heads.LRASPP", "init_args": {}},
            "feature_maps": ["c3_first", "final"],
            "preprocessing": {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]},
        },
    )


PUBLISHED: dict[type[Head], PublishedNetwork] = {
    SSDLite: PublishedNetwork(SSDLITE, convert_ssdlite),
    LRASPP: PublishedNetwork(LRASPP_NAME, convert_lraspp),
}


def published_network(head: Head) -> PublishedNetwork | None:
    """Returns torchvision's published network with this kind of ``head``, or None."""
    return next((network for kind, network in PUBLISHED.items() if isinstance(head, kind)), None)
