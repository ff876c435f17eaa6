"""Any network of the timm library that gives feature maps, as a backbone."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence, Set
from typing import Any, cast

import timm
import torch
from timm.models import FeatureInfo
from torch import Tensor, nn

from ..errors import UserError, WeightsError
from .contract import Backbone, Feature
from .published import Normalisation, Triple
from .weights import State

POSITIONS = {2: "c1", 4: "c2", 8: "c3", 16: "c4", 32: "c5"}


def feature_info(net: nn.Module) -> FeatureInfo:
    """What timm says about the maps of a feature extractor; PyTorch's types know attributes as tensors only."""
    return cast(FeatureInfo, net.feature_info)


def drop_behind_last_map(net: nn.Module, idle: Set[str]) -> None:
    """Drops the stages behind the last map where timm keeps them, which is where it does not wrap the network.

    The map's name, such as "blocks.2", says in which list of stages it ends. A stage stays where the maps depend on it
    all the same, as those of HRNet do on every stage.

    Args:
        net: timm's feature extractor.
        idle: names of the parameters that its maps do not depend on.
    """
    needed = {name for name, _ in net.named_parameters()} - idle
    container, _, stage = feature_info(net).module_name()[-1].partition(".")
    stages = getattr(net, container, None)
    if isinstance(stages, nn.Sequential) and stage.isdigit():
        deeper = range(int(stage) + 1, len(stages))
        if not needs(needed, [f"{container}.{k}" for k in deeper]):
            del stages[deeper.start :]
    children = [name for name, _ in net.named_children()]
    behind = children[children.index(container) + 1 :] if container in children else []
    for name in behind:
        if isinstance(getattr(net, name), nn.Sequential) and not needs(needed, [name]):
            setattr(net, name, nn.Sequential())


def needs(parameters: Set[str], modules: Iterable[str]) -> bool:
    """Whether any of the ``parameters`` belongs to one of the ``modules``, all by name."""
    return any(parameter.startswith(f"{module}.") for parameter in parameters for module in modules)


def index_by_position(info: FeatureInfo) -> dict[str, int]:
    """Timm's index of the map to use at each of the contract's strides: of several the last.

    Where timm does not give the deepest map unless it is asked to (SEDarkNet), it is asked to. Maps that come before
    those that it gives are left alone: it cannot always give them (TResNet).
    """
    given = list(info.out_indices)
    indices = given + list(range(max(given) + 1, len(info)))
    return {
        POSITIONS[stride]: i for i, stride in zip(indices, info.reduction(indices), strict=True) if stride in POSITIONS
    }


def trained_by(outputs: Iterable[Tensor]) -> set[nn.Parameter]:
    """Parameters that a loss of ``outputs`` has a gradient for, found as DistributedDataParallel finds them.

    Nothing is computed, so this works on the meta device, too.
    """
    todo: list[Any] = [x.grad_fn for x in outputs]
    seen = set()
    while todo:
        node = todo.pop()
        if node is not None and node not in seen:
            seen.add(node)
            todo.extend(before for before, _ in node.next_functions)
    return {node.variable for node in seen if hasattr(node, "variable")}


class TimmBackbone(Backbone):
    """A timm network by its name there, with weights drawn at random (see ``load_weights`` for published ones).

    Its maps are named by stride, ``c1`` at 2 to ``c5`` at 32, as far as the network has them. Detection taps the maps
    at strides 16 and 32, segmentation that at 8 and the coarsest, classification the coarsest. ``docs/timm_compatibility.md``
    says which networks work under which head.

    Where timm computes more than the selected maps need, which few of its networks do, the parameters of the rest are
    frozen: they get no gradient, and DistributedDataParallel waits for the gradient of every parameter that is not.

    Args:
        name: timm's model name, with or without a tag, e.g. "resnet18" or "mobilenetv4_conv_small.e1200_r224_in1k".
        output_stride: 32, or 16 or 8 where the timm network allows it; strides beyond it become dilation.
        in_channels: channels of the images.
        image_size: (height, width) of the images in pixels, for networks that are built for one size, as many
            transformers are; None for the size that the network was published with. It has to be that of the
            preprocessing. Networks that take images of any size refuse it.

    Attributes:
        image_size: (height, width) in pixels that the network is built for, or was published with.

    Raises:
        ValueError: timm knows no such network, it has no feature maps, or not at this ``output_stride`` or
            ``image_size``.
    """

    shape_arguments = ("in_channels", "name", "image_size")

    def __init__(
        self, name: str, output_stride: int = 32, in_channels: int = 3, image_size: Sequence[int] | None = None
    ) -> None:
        super().__init__()
        if not timm.is_model(name.partition(".")[0]):
            close = difflib.get_close_matches(name, timm.list_models(), n=3)
            raise UserError(f"timm has no network {name!r}" + (f": did you mean {', '.join(close)}?" if close else "."))
        if image_size is not None and len(image_size) != 2:
            raise UserError(f"image_size must be (height, width) in pixels, not {image_size!r}.")
        self.name = name
        self._options: dict[str, Any] = {"features_only": True, "in_chans": in_channels}
        if output_stride != 32:
            self._options["output_stride"] = output_stride
        if image_size is not None:
            self._options["img_size"] = tuple(image_size)
        try:
            with torch.device("meta"):
                whole = timm.create_model(name, features_only=True)
            self._indices = index_by_position(feature_info(whole))
            if not self._indices:
                raise UserError(f"timm's {name} has no maps at strides {', '.join(map(str, POSITIONS))}.")
            self.net = self._build(self._indices.values())
        except (RuntimeError, TypeError, AttributeError, AssertionError, NotImplementedError, KeyError) as error:
            if "unexpected keyword" in str(error) and "img_size" in str(error):
                raise UserError(f"timm's {name} is not built for one image_size: leave it out.") from error
            reason = str(error) or f"output_stride {output_stride} is refused"
            raise UserError(f"timm's {name} cannot be built as a feature extractor: {reason}") from error

        info = feature_info(self.net)
        sizes = zip(info.channels(), info.reduction(), strict=True)
        self.features = {
            position: Feature(channels, int(stride))
            for position, (channels, stride) in zip(self._indices, sizes, strict=True)
        }
        self.default_features = self._taps()
        published = cast(dict[str, Any], self.net.pretrained_cfg)["input_size"][1:]
        self.image_size: tuple[int, int] = self._options.get("img_size", published)
        self._known = frozenset(whole.state_dict()) | frozenset(self.net.state_dict())
        self._selected = tuple(self.features)

    def _build(self, indices: Iterable[int]) -> nn.Module:
        return timm.create_model(self.name, out_indices=sorted(indices), **self._options)

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
        idle = self._idle(indices)
        if list(feature_info(self.net).out_indices) != indices:
            narrower = self._build(indices)
            drop_behind_last_map(narrower, idle)
            state = self.net.state_dict()
            narrower.load_state_dict({name: state[name] for name in narrower.state_dict()}, assign=True)
            self.net = narrower.train(self.net.training)
            self._indices = {name: index for name, index in self._indices.items() if index <= indices[-1]}
            self.features = {name: self.features[name] for name in self._indices}
            self.default_features = self._taps()
        for name, parameter in self.net.named_parameters():
            if name in idle:
                parameter.requires_grad_(False)
        self._selected = tuple(names)

    def _idle(self, indices: Sequence[int]) -> set[str]:
        """Names of the parameters that the maps ``indices`` do not depend on although timm builds them."""
        with torch.device("meta"), torch.enable_grad():  # the same network without values: trying it costs little
            twin = self._build(indices).eval()
            trained = trained_by(twin(torch.empty(1, self._options["in_chans"], *self.image_size)))
        return {name for name, parameter in twin.named_parameters() if parameter not in trained}

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        try:
            outputs = self.net(images)
        except AssertionError as error:  # how timm's networks of one size refuse another
            height, width = images.shape[2:]
            own = "×".join(map(str, self.image_size))
            raise UserError(
                f"timm's {self.name} is built for images of {own} pixels and takes none of {height}×{width}: give it "
                f"image_size=[{height}, {width}]."
            ) from error
        maps: dict[int, Tensor] = dict(zip(feature_info(self.net).out_indices, outputs, strict=True))
        if str(getattr(self.net, "output_fmt", "NCHW")).endswith("NHWC"):
            maps = {index: x.permute(0, 3, 1, 2) for index, x in maps.items()}
        return {name: maps[self._indices[name]] for name in self._selected}

    def imagenet_weights_name(self) -> str:
        """The network's own tag, or timm's default for it."""
        if "." in self.name:
            return self.name
        published = timm.get_pretrained_cfg(self.name)
        return f"{self.name}.{published.tag}" if published is not None and published.has_weights else ""

    def check_published(self, name: str) -> None:
        network, own = name.partition(".")[0], self.name.partition(".")[0]
        if timm.is_model(network) and network != own:
            raise WeightsError(f"{name} are weights of timm's {network}, not of {own}: build that for them.")

    def normalisation(self, name: str) -> Normalisation | None:
        config = timm.get_pretrained_cfg(name) if timm.is_model(name.partition(".")[0]) else None
        return None if config is None else Normalisation(cast(Triple, config.mean), cast(Triple, config.std))

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
