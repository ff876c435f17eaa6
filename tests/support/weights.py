"""Twins of our networks in torchvision, and files of their weights in every format."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torchvision
from safetensors.torch import save_file
from torch import Tensor, nn

from litmobile.backbones import Backbone, MobileNetV2, MobileNetV3

State = dict[str, Tensor]


class Twin(NamedTuple):
    """One of our networks and torchvision's, small enough to write to disk many times."""

    ours: Callable[[], Backbone]
    theirs: Callable[[], nn.Module]


TWINS = {
    "MobileNetV2": Twin(lambda: MobileNetV2(width=0.35), lambda: torchvision.models.mobilenet_v2(width_mult=0.35)),
    "MobileNetV3": Twin(lambda: MobileNetV3("small"), torchvision.models.mobilenet_v3_small),
}


def write_zip(state: Mapping[str, Any], path: Path) -> Path:
    torch.save(dict(state), path)
    return path


def write_legacy(state: Mapping[str, Any], path: Path) -> Path:
    torch.save(dict(state), path, _use_new_zipfile_serialization=False)
    return path


def write_safetensors(state: Mapping[str, Any], path: Path) -> Path:
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, path)
    return path


FORMATS: dict[str, tuple[str, Callable[[Mapping[str, Any], Path], Path]]] = {
    "pth": (".pth", write_zip),
    "pt": (".pt", write_zip),
    "pth before PyTorch 1.6": (".pth", write_legacy),
    "a suffix of one's own": (".weights", write_zip),
    "safetensors": (".safetensors", write_safetensors),
    "lightning's ckpt": (
        ".ckpt",
        lambda state, path: write_zip({"state_dict": dict(state), "epoch": 3, "global_step": 7}, path),
    ),
    "torchvision's model entry": (
        ".pth",
        lambda state, path: write_zip({"model": dict(state), "optimizer": {"state": {}}, "epoch": 3}, path),
    ),
    "a network of ours": (
        ".pth",
        lambda state, path: write_zip(
            {f"backbone.{k}": v for k, v in state.items()} | {"head.weight": torch.zeros(3)}, path
        ),
    ),
    "what was trained in parallel": (
        ".pth",
        lambda state, path: write_zip({f"module.{k}": v for k, v in state.items()}, path),
    ),
    "a run of ours": (
        ".ckpt",
        lambda state, path: write_zip(
            {
                "state_dict": {f"network.backbone.{k}": v for k, v in state.items()}
                | {"network.head.weight": torch.zeros(3)},
                "epoch": 3,
            },
            path,
        ),
    ),
}


def maps_of(backbone: Backbone) -> dict[str, Tensor]:
    with torch.no_grad():
        return backbone.eval()(torch.linspace(-1, 1, 3 * 32 * 32).reshape(1, 3, 32, 32))


def assert_equal_maps(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    for name, x in found.items():
        assert torch.equal(x, expected[name]), name


def copy_of(network: nn.Module) -> State:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}
