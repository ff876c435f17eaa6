"""Any network of the timm library that gives feature maps, as a backbone."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any, cast

import timm
import torch
from timm.models import FeatureInfo
from torch import Tensor, nn

from .contract import Backbone, Feature
from .weights import State

POSITIONS = {2: "c1", 4: "c2", 8: "c3", 16: "c4", 32: "c5"}


def feature_info(net: nn.Module) -> FeatureInfo:
    """What timm says about the maps of a feature extractor; PyTorch's types know attributes as tensors only."""
    return cast(FeatureInfo, net.feature_info)


def drop_behind_last_map(net: nn.Module) -> None:
    """Drops the stages behind the last map where timm keeps them, which is where it does not wrap the network.

    The map's name, such as "blocks.2", says in which list of stages it ends.
    """
    container, _, stage = feature_info(net).module_name()[-1].partition(".")
    stages = getattr(net, container, None)
    if isinstance(stages, nn.Sequential) and stage.isdigit():
        del stages[int(stage) + 1 :]
    children = [name for name, _ in net.named_children()]
    behind = children[children.index(container) + 1 :] if container in children else []
    for name in behind:
        if isinstance(getattr(net, name), nn.Sequential):
            setattr(net, name, nn.Sequential())


class TimmBackbone(Backbone):
    """A timm network by its name there, with weights drawn at random (see ``load_weights`` for published ones).

    Its maps are named by stride, ``c1`` at 2 to ``c5`` at 32, as far as the network has them. Detection taps the maps
    at strides 16 and 32, segmentation that at 8 and the coarsest, classification the coarsest.

    Args:
        name: timm's model name, with or without a tag, e.g. "resnet18" or "mobilenetv4_conv_small.e1200_r224_in1k".
        output_stride: 32, or 16 or 8 where the timm network allows it; strides beyond it become dilation.
        in_channels: channels of the images.

    Raises:
        ValueError: timm knows no such network, it has no feature maps, or not at this ``output_stride``.
    """

    shape_arguments = ("in_channels", "name")

    def __init__(self, name: str, output_stride: int = 32, in_channels: int = 3) -> None:
        super().__init__()
        if not timm.is_model(name.partition(".")[0]):
            close = difflib.get_close_matches(name, timm.list_models(), n=3)
            raise ValueError(
                f"timm has no network {name!r}" + (f": did you mean {', '.join(close)}?" if close else ".")
            )
        self.name = name
        self._options: dict[str, Any] = {"features_only": True, "in_chans": in_channels}
        if output_stride != 32:
            self._options["output_stride"] = output_stride
        try:
            with torch.device("meta"):
                nominal = feature_info(timm.create_model(name, features_only=True)).reduction()
            self.net = timm.create_model(name, **self._options)
        except (RuntimeError, TypeError, AttributeError, AssertionError, NotImplementedError, KeyError) as error:
            reason = str(error) or f"output_stride {output_stride} is refused"
            raise ValueError(f"timm's {name} cannot be built as a feature extractor: {reason}") from error

        info = feature_info(self.net)
        self.features = {}
        self._indices: dict[str, int] = {}
        for index, stride, channels, actual in zip(
            info.out_indices, nominal, info.channels(), info.reduction(), strict=True
        ):
            if stride not in POSITIONS:
                continue
            position = POSITIONS[stride]
            self.features.pop(position, None)  # of several maps at one stride the last is the one to use
            self.features[position] = Feature(channels, int(actual))
            self._indices[position] = index
        if not self.features:
            raise ValueError(f"timm's {name} has no maps at strides {', '.join(map(str, POSITIONS))}.")
        self.taps = self._taps()
        self._known = frozenset(self.net.state_dict())
        self.select(tuple(self.features))

    def _taps(self) -> dict[str, tuple[str, ...]]:
        coarsest = list(self.features)[-1]
        wanted = {"classification": (coarsest,), "detection": ("c4", "c5"), "segmentation": ("c3", coarsest)}
        return {
            role: maps
            for role, maps in wanted.items()
            if set(maps) <= set(self.features) and len(set(maps)) == len(maps)
        }

    def select(self, names: Sequence[str]) -> None:
        self.check_offered(names)
        indices = sorted({self._indices[name] for name in names})
        if list(feature_info(self.net).out_indices) != indices:
            narrower = timm.create_model(self.name, out_indices=indices, **self._options)
            drop_behind_last_map(narrower)
            state = self.net.state_dict()
            narrower.load_state_dict({name: state[name] for name in narrower.state_dict()}, assign=True)
            self.net = narrower.train(self.net.training)
            deepest = max(indices)
            self.features = {name: f for name, f in self.features.items() if self._indices[name] <= deepest}
            self._indices = {name: self._indices[name] for name in self.features}
            self.taps = self._taps()
        self._selected = tuple(names)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        maps: dict[int, Tensor] = dict(zip(feature_info(self.net).out_indices, self.net(images), strict=True))
        if str(getattr(self.net, "output_fmt", "NCHW")).endswith("NHWC"):
            maps = {index: x.permute(0, 3, 1, 2) for index, x in maps.items()}
        return {name: maps[self._indices[name]] for name in self._selected}

    def imagenet_weights_name(self) -> str:
        """The network's own tag, or timm's default for it."""
        if "." in self.name:
            return self.name
        published = timm.get_pretrained_cfg(self.name)
        return f"{self.name}.{published.tag}" if published is not None and published.has_weights else ""

    def translate(self, state: State) -> tuple[State, list[str]]:
        """Timm's feature extractors join the first two parts of some names, or put ``model.`` before all of them."""
        own = set(self.net.state_dict())
        ours: State = {}
        left_over: list[str] = []
        for key, tensor in state.items():
            plain = key.removeprefix("net.")
            aliases = (plain, plain.replace(".", "_", 1), f"model.{plain}")
            alias = next((alias for alias in aliases if alias in own), None)
            if alias is not None:
                ours[f"net.{alias}"] = tensor
            elif not self._known & set(aliases):  # else it was dropped by select
                left_over.append(key)
        return ours, left_over
