"""The skeleton of every architecture here: layers that run one after the other, some of whose outputs are maps."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from torch import Tensor, nn

from ..errors import UserError, WeightsError
from .contract import Backbone, Feature
from .published import Normalisation, Weights

Aliases = Mapping[str, str]
POSITIONS = ("c1", "c2", "c3", "c4", "c5", "final")


class SequentialBackbone(Backbone):
    """A backbone whose layers run one after the other; its maps are the outputs of some of them.

    A family appends its layers and marks its maps as it goes, so that what ``features`` says is recorded while building
    and cannot drift from the layers.

    Attributes:
        published: name of published weights → what is known about them.
        bound_arguments: constructor arguments, beside those that shapes depend on, that weights are trained for.
    """

    published: ClassVar[Mapping[str, Weights]] = {}
    bound_arguments: ClassVar[tuple[str, ...]] = ("activation", "padding", "norm_eps")

    def __init__(self, width: float, in_channels: int = 3) -> None:
        super().__init__()
        if not 0 < width < float("inf"):
            raise UserError(f"width must be positive and finite, not {width}.")
        if in_channels < 1:
            raise UserError(f"in_channels must be at least 1, not {in_channels}.")
        self.width = width
        self.layers = nn.ModuleList()
        self.features = {}
        self.default_features = {}
        self._in_channels = in_channels
        self._aliases: dict[str, str] = {}  # a module's name in another library → its name here
        self._tensors: set[str] = set()  # names of all tensors that were built, also those that select dropped
        self._ends: dict[str, int] = {}
        self._selected: tuple[str, ...] = ()

    def append(self, layer: nn.Module, *aliases: Aliases) -> None:
        """Adds ``layer`` at the end.

        Args:
            layer: takes the output of the layer before it.
            aliases: for each library whose weights are to load, the names of the modules in ``layer`` that hold them →
                the full names there.
        """
        here = f"layers.{len(self.layers)}"
        for names in aliases:
            self._aliases |= {theirs: f"{here}.{inside}" for inside, theirs in names.items()}
        self._tensors |= {f"{here}.{name}" for name in layer.state_dict()}
        self.layers.append(layer)

    def add_feature(self, name: str, channels: int, stride: int) -> None:
        """Names the output of the last layer so far; a second mark of one name moves it."""
        self.features.pop(name, None)
        self.features[name] = Feature(channels, stride)
        self._ends[name] = len(self.layers)
        self._selected = tuple(self.features)

    def select(self, names: Sequence[str]) -> None:
        self.check_offered(names)
        end = max(self._ends[name] for name in names)
        del self.layers[end:]
        self.features = {name: feature for name, feature in self.features.items() if self._ends[name] <= end}
        self.default_features = {
            role: default_features
            for role, default_features in self.default_features.items()
            if set(default_features) <= set(self.features)
        }
        self._selected = tuple(names)

    def stages(self) -> list[list[nn.Module]]:
        """The layers up to c1, from there to c2, and so on; what a family marks within a stage does not part it."""
        ends = sorted({0, len(self.layers), *(self._ends[name] for name in self.features if name in POSITIONS)})
        return [list(self.layers)[start:end] for start, end in itertools.pairwise(ends)]

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        if images.ndim != 4:
            raise UserError(
                f"{type(self).__name__} takes a batch of images [N, {self._in_channels}, H, W], not a tensor "
                f"{list(images.shape)}."
            )
        if images.shape[1] != self._in_channels:
            raise UserError(
                f"{type(self).__name__} takes images of {self._in_channels} channels, not of {images.shape[1]}: give "
                "in_channels as the images have them."
            )
        maps: dict[str, Tensor] = {}
        x = images
        for done, layer in enumerate(self.layers, start=1):
            x = layer(x)
            for name in self._selected:
                if self._ends[name] == done:
                    maps[name] = x
        return {name: maps[name] for name in self._selected}

    # weights

    def imagenet_weights_name(self) -> str:
        return next((name for name in self.published if not self.misfits(name, self.arguments)), "")

    def nearest_weights(self) -> str:
        def distance(name: str) -> tuple[int, int]:
            misfits = self.misfits(name, self.arguments)
            return len(misfits.keys() & set(self.shape_arguments)), len(misfits)

        if not self.published:
            return ""
        name = min(self.published, key=distance)
        return f"{name} would fit with {listed(self.misfits(name, self.arguments))}; "

    def check_published(self, name: str) -> None:
        if name not in self.published:
            offer = ", ".join(self.published) or "none"
            raise WeightsError(
                f"{name!r} is neither a file nor weights of {type(self).__name__}: published are {offer}."
            )
        misfits = self.misfits(name, self.arguments)
        if misfits:
            raise WeightsError(f"{name} does not fit: build {type(self).__name__} with {listed(misfits)} for it.")

    def normalisation(self, name: str) -> Normalisation | None:
        return self.published[name].normalisation if name in self.published else None

    @classmethod
    def misfits(cls, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """What a network of ``arguments`` has to be built with instead for the published weights ``name`` to fit."""
        defaults, fits = cls.defaults(), cls.published[name].fits
        fitting = {key: fits.get(key, (defaults.get(key),)) for key in (*cls.shape_arguments, *cls.bound_arguments)}
        return {key: values[0] for key, values in fitting.items() if arguments.get(key) not in values}

    def translate(self, state: dict[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
        own = self.state_dict()
        renamed: dict[str, Tensor] = {}
        left_over: list[str] = []
        for key, tensor in state.items():
            module, _, leaf = key.rpartition(".")
            name = f"{self._aliases.get(module, module)}.{leaf}"
            if name in own:
                renamed[name] = tensor
            elif name not in self._tensors:  # else it was dropped by select
                left_over.append(key)
        return renamed, left_over


def listed(arguments: Mapping[str, Any]) -> str:
    """Arguments as they are written in a call."""
    return ", ".join(f"{key}={value!r}" for key, value in arguments.items())
