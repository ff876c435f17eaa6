"""Any timm network with feature maps, as a backbone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from typing import Any, cast

import timm
import torch
from timm.models import FeatureInfo
from torch import Tensor, nn

from ..errors import UserError, WeightsError, suggest
from .contract import Backbone, Feature, Normalisation, Triple
from .weights import State

NAMES_BY_STRIDE = {2: "c1", 4: "c2", 8: "c3", 16: "c4", 32: "c5"}


def feature_info(net: nn.Module) -> FeatureInfo:
    """Returns timm's description of a feature extractor's maps, with a type that PyTorch's stubs lack."""
    return cast(FeatureInfo, net.feature_info)


def remove_unused_stages(net: nn.Module, unused: Set[str]) -> None:
    """Removes the stages after the last map, which some of timm's feature extractors keep.

    The map's name in timm, e.g. "blocks.2", gives the list of stages and the stage that computes it. A later stage
    stays if the maps depend on it, as in HRNet.

    Args:
        net: timm's feature extractor.
        unused: names of the parameters that its maps do not depend on.
    """
    needed = {name for name, _ in net.named_parameters()} - unused
    container, _, stage = feature_info(net).module_name()[-1].partition(".")
    stages = getattr(net, container, None)
    if isinstance(stages, nn.Sequential) and stage.isdigit():
        later = range(int(stage) + 1, len(stages))
        if not contains_any(needed, [f"{container}.{k}" for k in later]):
            del stages[later.start :]
    children = [name for name, _ in net.named_children()]
    for name in children[children.index(container) + 1 :] if container in children else []:
        if isinstance(getattr(net, name), nn.Sequential) and not contains_any(needed, [name]):
            setattr(net, name, nn.Sequential())


def contains_any(parameters: Set[str], modules: Iterable[str]) -> bool:
    """Whether one of the ``parameters`` belongs to one of the ``modules``; both are names."""
    return any(parameter.startswith(f"{module}.") for parameter in parameters for module in modules)


def find_map_indices(info: FeatureInfo) -> dict[str, int]:
    """Returns timm's index of each of the contract's maps; of several with the same stride, the last.

    By default timm may leave out the deepest map (SEDarkNet), so indices after its defaults are included. Indices
    before its defaults are not, because timm cannot always compute those maps (TResNet).
    """
    default = list(info.out_indices)
    indices = default + list(range(max(default) + 1, len(info)))
    strides = zip(indices, info.reduction(indices), strict=True)
    return {NAMES_BY_STRIDE[stride]: index for index, stride in strides if stride in NAMES_BY_STRIDE}


def find_trained_parameters(outputs: Iterable[Tensor]) -> set[nn.Parameter]:
    """Returns the parameters that get gradients from ``outputs``, as DistributedDataParallel finds them.

    This only walks the graph of operations, so it works on the meta device, too.
    """
    stack: list[Any] = [x.grad_fn for x in outputs]
    visited = set()
    while stack:
        node = stack.pop()
        if node is not None and node not in visited:
            visited.add(node)
            stack.extend(previous for previous, _ in node.next_functions)
    return {node.variable for node in visited if hasattr(node, "variable")}


class TimmBackbone(Backbone):
    """A timm network with random weights; see ``load_weights`` for pretrained ones.

    Its maps are named by stride, from ``c1`` at 2 to ``c5`` at 32; some networks lack a few of them. By default,
    detection uses the maps at strides 16 and 32, segmentation the map at stride 8 and the coarsest, classification the
    coarsest. ``docs/timm_compatibility.md`` lists which networks work with which head.

    A few timm networks compute more than the selected maps need. The unused parameters are frozen, because
    DistributedDataParallel waits for a gradient of every other parameter.

    Args:
        name: timm's model name, with or without a tag, e.g. "resnet18" or "mobilenetv4_conv_small.e1200_r224_in1k".
        output_stride: stride of the coarsest map: 32, or 16 or 8 if the timm network supports it. Layers that lose
            their stride are dilated instead.
        in_channels: number of channels of the images, e.g. 1 for greyscale.
        image_size: (height, width) of the images in pixels, e.g. [256, 256], for networks with a fixed input size, such
            as many transformers. It must equal the preprocessing's size; None is the published size. Leave it out for
            networks that take any size.

    Attributes:
        image_size: (height, width) in pixels that the network is built for, or that it was published with.

    Raises:
        UserError: timm has no such network, or cannot build it with feature maps, this ``output_stride`` and this
            ``image_size``.
    """

    shape_arguments = ("in_channels", "name", "image_size")

    def __init__(
        self, name: str, output_stride: int = 32, in_channels: int = 3, image_size: Sequence[int] | None = None
    ) -> None:
        super().__init__()
        if not timm.is_model(name.partition(".")[0]):
            raise UserError(f"timm has no network {name!r}{suggest(name, timm.list_models())}")
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
            self._indices = find_map_indices(feature_info(whole))
            if not self._indices:
                raise UserError(f"timm's {name} has no maps at strides {', '.join(map(str, NAMES_BY_STRIDE))}.")
            self.net = self._build(self._indices.values())
            if max(feature_info(self.net).reduction()) > output_stride:  # before timm 1.0.31, some ignore the option
                raise NotImplementedError
        except (RuntimeError, TypeError, AttributeError, AssertionError, NotImplementedError, KeyError) as error:
            if isinstance(error, TypeError) and image_size is not None:  # it built without the option
                raise UserError(f"timm's {name} takes images of any size; leave image_size out.") from error
            reason = str(error) or f"it does not support output_stride {output_stride}"
            raise UserError(f"timm's {name} cannot be built as a feature extractor: {reason}") from error

        info = feature_info(self.net)
        maps = zip(self._indices, info.channels(), info.reduction(), strict=True)
        self.features = {position: Feature(channels, int(stride)) for position, channels, stride in maps}
        self.default_features = self._find_default_features()
        published = cast(dict[str, Any], self.net.pretrained_cfg)["input_size"][1:]
        self.image_size: tuple[int, int] = self._options.get("img_size", published)
        self._tensor_names = frozenset(whole.state_dict()) | frozenset(self.net.state_dict())
        self._selected = tuple(self.features)

    def _build(self, indices: Iterable[int]) -> nn.Module:
        return timm.create_model(self.name, out_indices=sorted(indices), **self._options)

    def _find_default_features(self) -> dict[str, tuple[str, ...]]:
        coarsest = list(self.features)[-1]
        desired = {"classification": (coarsest,), "detection": ("c4", "c5"), "segmentation": ("c3", coarsest)}
        available = set(self.features)
        return {role: maps for role, maps in desired.items() if set(maps) <= available and len(set(maps)) == len(maps)}

    def select(self, names: Sequence[str]) -> None:
        self.check_feature_names(names)
        indices = sorted({self._indices[name] for name in names})
        unused = self._find_unused_parameters(indices)
        if list(feature_info(self.net).out_indices) != indices:
            narrow = self._build(indices)
            remove_unused_stages(narrow, unused)
            state = self.net.state_dict()
            narrow.load_state_dict({name: state[name] for name in narrow.state_dict()}, assign=True)
            self.net = narrow.train(self.net.training)
            self._indices = {name: index for name, index in self._indices.items() if index <= indices[-1]}
            self.features = {name: self.features[name] for name in self._indices}
            self.default_features = self._find_default_features()
        for name, parameter in self.net.named_parameters():
            if name in unused:
                parameter.requires_grad_(False)
        self._selected = tuple(names)

    def _find_unused_parameters(self, indices: Sequence[int]) -> set[str]:
        """Returns the names of the parameters that timm builds but that the maps ``indices`` do not depend on."""
        with torch.device("meta"), torch.enable_grad():  # on the meta device the forward pass computes nothing
            net = self._build(indices).eval()
            trained = find_trained_parameters(net(torch.empty(1, self._options["in_chans"], *self.image_size)))
        return {name for name, parameter in net.named_parameters() if parameter not in trained}

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        try:
            outputs = self.net(images)
        except AssertionError as error:  # timm's networks of one size raise it for other sizes
            height, width = images.shape[2:]
            expected = "×".join(map(str, self.image_size))
            raise UserError(
                f"timm's {self.name} is built for images of {expected} pixels, not for {height}×{width}; set "
                f"image_size=[{height}, {width}]."
            ) from error
        maps: dict[int, Tensor] = dict(zip(feature_info(self.net).out_indices, outputs, strict=True))
        if str(getattr(self.net, "output_fmt", "NCHW")).endswith("NHWC"):
            maps = {index: x.permute(0, 3, 1, 2) for index, x in maps.items()}
        return {name: maps[self._indices[name]] for name in self._selected}

    def imagenet_weights_name(self) -> str:
        """Returns the network's own tag, or timm's default for it."""
        if "." in self.name:
            return self.name
        published = timm.get_pretrained_cfg(self.name)
        return f"{self.name}.{published.tag}" if published is not None and published.has_weights else ""

    def check_published_weights(self, name: str) -> None:
        network, own = name.partition(".")[0], self.name.partition(".")[0]
        if timm.is_model(network) and network != own:
            raise WeightsError(f"{name} are weights of timm's {network}, not of {own}; build {network} to use them.")

    def normalisation(self, name: str) -> Normalisation | None:
        config = timm.get_pretrained_cfg(name) if timm.is_model(name.partition(".")[0]) else None
        return None if config is None else Normalisation(cast(Triple, config.mean), cast(Triple, config.std))

    def translate(self, state: State) -> tuple[State, list[str]]:
        """Renames tensors as timm's extractors do: joins the first two parts of some names, or adds ``model.``."""
        own = set(self.net.state_dict())
        ours: State = {}
        unexpected: list[str] = []
        for key, tensor in state.items():
            name = key.removeprefix("net.")
            aliases = (name, name.replace(".", "_", 1), f"model.{name}")
            alias = next((alias for alias in aliases if alias in own), None)
            if alias is not None:
                ours[f"net.{alias}"] = tensor
            elif not self._tensor_names & set(aliases):  # otherwise select removed it
                unexpected.append(key)
        return ours, unexpected
