"""Base class of every architecture here: layers run one after the other, and some outputs are feature maps."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from torch import Tensor, nn

from ..errors import UserError, WeightsError, check_range
from .contract import Backbone, Feature, Normalisation, Weights, format_arguments

Aliases = Mapping[str, str]
STAGE_ENDS = ("c1", "c2", "c3", "c4", "c5", "final")


class SequentialBackbone(Backbone):
    """A backbone whose layers run one after the other; its maps are the outputs of some of them.

    A family appends layers and calls :meth:`add_feature` after those whose output is a map. ``features`` is therefore
    recorded while the network is built and always agrees with the layers.

    Attributes:
        inner_layers: names of the layers that a block was split after so that their output can be a map. If blocks are
            fused, memory holds this output only if a head uses the map.
        published: published weights by name.
        behaviour_arguments: constructor arguments that change what trained weights compute but not their shapes.
    """

    published: ClassVar[Mapping[str, Weights]] = {}
    behaviour_arguments: ClassVar[tuple[str, ...]] = ("activation", "padding", "norm_eps")

    def __init__(self, width: float, in_channels: int = 3) -> None:
        super().__init__()
        check_range("width", width, gt=0, lt=float("inf"))
        check_range("in_channels", in_channels, ge=1)
        self.width = width
        self.layers = nn.ModuleList()
        self.inner_layers: set[str] = set()
        self.features = {}
        self.default_features = {}
        self._in_channels = in_channels
        self._aliases: dict[str, str] = {}  # module name in another library → module name here
        self._tensor_names: set[str] = set()  # of every layer that was built, even if select removed it
        self._depths: dict[str, int] = {}  # map → number of layers up to it
        self._selected: tuple[str, ...] = ()

    def append(self, layer: nn.Module, *aliases: Aliases, inner: bool = False) -> None:
        """Adds ``layer`` at the end.

        Args:
            layer: takes the output of the layer before it.
            aliases: one mapping for each library whose weights should load: names of the modules in ``layer`` → their
                full names in that library.
            inner: whether the next layer continues the same block.
        """
        prefix = f"layers.{len(self.layers)}"
        if inner:
            self.inner_layers.add(prefix)
        for names in aliases:
            self._aliases |= {theirs: f"{prefix}.{ours}" for ours, theirs in names.items()}
        self._tensor_names |= {f"{prefix}.{name}" for name in layer.state_dict()}
        self.layers.append(layer)

    def add_feature(self, name: str, channels: int, stride: int) -> None:
        """Makes the output of the last layer the map ``name``; a second call with the same name moves the map."""
        self.features.pop(name, None)
        self.features[name] = Feature(channels, stride)
        self._depths[name] = len(self.layers)
        self._selected = tuple(self.features)

    def select(self, names: Sequence[str]) -> None:
        self.check_feature_names(names)
        depth = max(self._depths[name] for name in names)
        del self.layers[depth:]
        self.features = {name: feature for name, feature in self.features.items() if self._depths[name] <= depth}
        left = set(self.features)
        self.default_features = {role: maps for role, maps in self.default_features.items() if set(maps) <= left}
        self._selected = tuple(names)

    def stages(self) -> list[list[nn.Module]]:
        """Returns the layers up to c1, those from c1 to c2, and so on; other maps do not split a stage."""
        ends = sorted({0, len(self.layers), *(self._depths[name] for name in self.features if name in STAGE_ENDS)})
        return [list(self.layers)[start:end] for start, end in itertools.pairwise(ends)]

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        if images.ndim != 4:
            raise UserError(
                f"{type(self).__name__} takes a batch of images [N, {self._in_channels}, H, W], not a tensor "
                f"{list(images.shape)}."
            )
        if images.shape[1] != self._in_channels:
            raise UserError(
                f"{type(self).__name__} takes images of {self._in_channels} channels, not of {images.shape[1]}; set "
                "in_channels to the channels of the images."
            )
        maps: dict[str, Tensor] = {}
        x = images
        for depth, layer in enumerate(self.layers, start=1):
            x = layer(x)
            maps |= {name: x for name in self._selected if self._depths[name] == depth}
        return {name: maps[name] for name in self._selected}

    # weights

    def imagenet_weights_name(self) -> str:
        return next((name for name in self.published if not self.find_mismatches(name, self.arguments)), "")

    def nearest_weights(self) -> str:
        def count_mismatches(name: str) -> tuple[int, int]:
            mismatches = self.find_mismatches(name, self.arguments)
            return len(mismatches.keys() & set(self.shape_arguments)), len(mismatches)

        if not self.published:
            return ""
        name = min(self.published, key=count_mismatches)
        return f"{name} would fit with {format_arguments(self.find_mismatches(name, self.arguments))}; "

    def check_published_weights(self, name: str) -> None:
        family = type(self).__name__
        if name not in self.published:
            available = ", ".join(self.published) or "none"
            raise WeightsError(f"{name!r} is neither a file nor weights of {family}; published are {available}.")
        mismatches = self.find_mismatches(name, self.arguments)
        if mismatches:
            raise WeightsError(f"{name} does not fit; build {family} with {format_arguments(mismatches)} to use it.")

    def normalisation(self, name: str) -> Normalisation | None:
        return self.published[name].normalisation if name in self.published else None

    @classmethod
    def find_mismatches(cls, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the arguments that must change for the published weights ``name`` to fit, with the right values."""
        defaults, accepted = cls.defaults(), cls.published[name].accepted_values
        relevant = (*cls.shape_arguments, *cls.behaviour_arguments)
        required = {key: accepted.get(key, (defaults.get(key),)) for key in relevant}
        return {key: values[0] for key, values in required.items() if arguments.get(key) not in values}

    def translate(self, state: dict[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
        own = self.state_dict()
        renamed: dict[str, Tensor] = {}
        unexpected: list[str] = []
        for key, tensor in state.items():
            module, _, leaf = key.rpartition(".")
            name = f"{self._aliases.get(module, module)}.{leaf}"
            if name in own:
                renamed[name] = tensor
            elif name not in self._tensor_names:  # otherwise select removed it
                unexpected.append(key)
        return renamed, unexpected
