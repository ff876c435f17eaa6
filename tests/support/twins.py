"""Our networks with their twins in torchvision and timm, and files of their weights in every format."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import timm
import torch
import torchvision
from safetensors.torch import save_file
from timm.models.efficientnet import _gen_mobilenet_v1, _gen_mobilenet_v2
from timm.models.mobilenetv3 import _gen_mobilenet_v3
from torch import Tensor, nn

from litmobile.backbones import Backbone, MobileNetV1, MobileNetV2, MobileNetV3, MobileViT, ShuffleNetV2

Maps = dict[str, Tensor]
State = dict[str, Tensor]


class Twin(NamedTuple):
    """One of our networks, the same network in another library, and the path of the layer there for each map."""

    ours: Callable[..., Backbone]
    theirs: Callable[[], nn.Module]
    paths: dict[str, str]


def list_torchvision_paths(expansion: str, **paths: int) -> dict[str, str]:
    """Return paths in torchvision's MobileNets, which number the layers of the whole network."""
    return {name: f"features.{index}" for name, index in paths.items()} | {"c4_expansion": f"features.{expansion}"}


TORCHVISION_V2 = list_torchvision_paths("14.conv.0", c1=1, c2=3, c3_first=4, c3=6, c4=13, c5=17, final=18)
TORCHVISION_LARGE = list_torchvision_paths("13.block.0", c1=1, c2=3, c3_first=4, c3=6, c4=12, c5=15, final=16)
TORCHVISION_SMALL = list_torchvision_paths("9.block.0", c1=0, c2=1, c3_first=2, c3=3, c4=8, c5=11, final=12)
SHUFFLENET = {"c1": "conv1", "c2": "maxpool", "c3": "stage2", "c4": "stage3", "c5": "stage4", "final": "conv5"}


def list_timm_paths(*stages: int, **paths: str) -> dict[str, str]:
    """Return paths in timm's networks: the stages that end with c1 … c5, and the layers of other maps."""
    return {f"c{k}": f"blocks.{stage}" for k, stage in enumerate(stages, start=1)} | paths


TIMM_V1 = list_timm_paths(0, 1, 2, 3, 4)
TIMM_V2 = list_timm_paths(0, 1, 2, 4, 6, c3_first="blocks.2.0", c4_expansion="blocks.5.0.bn1", final="bn2")
TIMM_LARGE = list_timm_paths(0, 1, 2, 4, 5, c3_first="blocks.2.0", c4_expansion="blocks.5.0.bn1", final="blocks.6")
TIMM_SMALL = {
    "c1": "bn1",
    "c2": "blocks.0",
    "c3_first": "blocks.1.0",
    "c3": "blocks.1",
    "c4": "blocks.3",
    "c4_expansion": "blocks.4.0.bn1",
    "c5": "blocks.4",
    "final": "blocks.5",
}
MOBILEVIT = {f"c{k}": f"stages.{k - 1}" for k in range(1, 6)} | {"final": "final_conv"}


def pair_torchvision_v3(variant: str, ours: dict[str, Any], theirs: dict[str, Any]) -> Twin:
    """Pair MobileNetV3 with torchvision's."""
    make = getattr(torchvision.models, f"mobilenet_v3_{variant}")
    paths = TORCHVISION_LARGE if variant == "large" else TORCHVISION_SMALL
    return Twin(partial(MobileNetV3, variant, **ours), partial(make, **theirs), paths)


def pair_timm_v3(name: str, variant: str, **ours: Any) -> Twin:
    """Pair MobileNetV3 with timm's, whose norms have epsilon 1e-5 unless the weights are TensorFlow's."""
    eps = {} if name.startswith("tf_") else {"norm_eps": 1e-5}
    paths = TIMM_LARGE if variant == "large" else TIMM_SMALL
    return Twin(partial(MobileNetV3, variant, **ours, **eps), partial(timm.create_model, name), paths)


TORCHVISION = {
    **{
        f"mobilenet_v2 at width {width}": Twin(
            partial(MobileNetV2, width=width),
            partial(torchvision.models.mobilenet_v2, width_mult=width),
            TORCHVISION_V2,
        )
        for width in (1.0, 0.3, 1.1)
    },
    **{
        f"mobilenet_v3_{variant}{label}": pair_torchvision_v3(variant, ours, theirs)
        for variant in ("large", "small")
        for label, ours, theirs in (
            ("", {}, {}),
            (" dilated", {"output_stride": 16}, {"dilated": True}),
            (" with reduced tail", {"tail": "detection"}, {"reduced_tail": True}),
            (
                " with reduced tail, dilated",
                {"tail": "detection", "output_stride": 16},
                {"reduced_tail": True, "dilated": True},
            ),
        )
    },
    **{
        name: Twin(partial(ShuffleNetV2, width), getattr(torchvision.models, name), SHUFFLENET)
        for width, name in (
            (0.5, "shufflenet_v2_x0_5"),
            (1.0, "shufflenet_v2_x1_0"),
            (1.5, "shufflenet_v2_x1_5"),
            (2.0, "shufflenet_v2_x2_0"),
        )
    },
}

TIMM = {
    "mobilenetv1_100": Twin(
        partial(MobileNetV1, activation="relu6"), partial(timm.create_model, "mobilenetv1_100"), TIMM_V1
    ),
    **{
        f"mobilenetv1 at width {width}": Twin(
            partial(MobileNetV1, width, activation="relu6"),
            partial(_gen_mobilenet_v1, "mobilenetv1_100", width),
            TIMM_V1,
        )
        for width in (0.75, 0.5, 0.25)
    },
    **{
        f"mobilenetv2 at width {width}": Twin(
            partial(MobileNetV2, width), partial(_gen_mobilenet_v2, "mobilenetv2_100", width), TIMM_V2
        )
        for width in (1.4, 1.0, 0.75, 0.5, 0.35)
    },
    "mobilenetv3_large_100": pair_timm_v3("mobilenetv3_large_100", "large"),
    "mobilenetv3_large_075": pair_timm_v3("mobilenetv3_large_075", "large", width=0.75),
    "mobilenetv3_small_100": pair_timm_v3("mobilenetv3_small_100", "small"),
    "mobilenetv3_small_075": pair_timm_v3("mobilenetv3_small_075", "small", width=0.75),
    **{
        f"mobilenetv3_{variant} at width 1.25": Twin(
            partial(MobileNetV3, variant, 1.25, norm_eps=1e-5),
            partial(_gen_mobilenet_v3, f"mobilenetv3_{variant}_100", 1.25),
            paths,
        )
        for variant, paths in (("large", TIMM_LARGE), ("small", TIMM_SMALL))
    },
    **{
        f"tf_mobilenetv3_{variant}_{label}": pair_timm_v3(
            f"tf_mobilenetv3_{variant}_{label}", variant, padding="same", **ours
        )
        for variant in ("large", "small")
        for label, ours in (("100", {}), ("075", {"width": 0.75}), ("minimal_100", {"minimalistic": True}))
    },
    **{
        f"mobilevit_{variant}": Twin(
            partial(MobileViT, variant, dropout=0.0), partial(timm.create_model, f"mobilevit_{variant}"), MOBILEVIT
        )
        for variant in ("xxs", "xs", "s")
    },
}

TWINS = TORCHVISION | TIMM


def compute_reference_maps(network: nn.Module, paths: dict[str, str], images: Tensor) -> Maps:
    """Return feature maps of another library's network under our names."""
    outputs: Maps = {}
    hooks = [
        network.get_submodule(path).register_forward_hook(lambda _m, _i, out, name=name: outputs.update({name: out}))
        for name, path in paths.items()
    ]
    network(images)
    for hook in hooks:
        hook.remove()
    return outputs


# small enough to be written to disk many times
SMALL_TWINS = {
    "MobileNetV2": Twin(lambda: MobileNetV2(width=0.35), lambda: torchvision.models.mobilenet_v2(width_mult=0.35), {}),
    "MobileNetV3": Twin(lambda: MobileNetV3("small"), torchvision.models.mobilenet_v3_small, {}),
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
    "an unknown suffix": (".weights", write_zip),
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
    "a network from DistributedDataParallel": (
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


def compute_maps(backbone: Backbone) -> dict[str, Tensor]:
    with torch.no_grad():
        return backbone.eval()(torch.linspace(-1, 1, 3 * 32 * 32).reshape(1, 3, 32, 32))


def assert_equal_maps(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    for name, x in found.items():
        assert torch.equal(x, expected[name]), name


def clone_state(network: nn.Module) -> State:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}
