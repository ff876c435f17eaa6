"""The one place where backbones and heads meet: named feature maps, and how a part remembers how it was built."""

from __future__ import annotations

import importlib
import inspect
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Self, TypeVar

from torch import Tensor, nn

from ..errors import UserError
from .published import Normalisation, Variant


class Feature(NamedTuple):
    """One feature map on offer: how many channels it has and how many input pixels one of its cells spans."""

    channels: int
    stride: int


class Features(dict[str, Feature]):
    """Feature maps by name, finest first, as a head is built on them.

    Args:
        features: the maps.
        width: width multiplier of their backbone, with which a head may scale its own layers.
    """

    def __init__(self, features: Mapping[str, Feature], width: float = 1.0) -> None:
        super().__init__(features)
        self.width = width


class Configurable(nn.Module):
    """A module that remembers its constructor arguments, so that a checkpoint can say how to build it again.

    Arguments have to be plain values (numbers, strings, lists, dictionaries): they are stored in checkpoints that are
    read with ``weights_only=True``.

    Attributes:
        shape_arguments: names of the constructor arguments that the shapes of the weights depend on.
        init_args: the constructor arguments that were given.
    """

    shape_arguments: ClassVar[tuple[str, ...]] = ()
    init_args: dict[str, Any]

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        part = super().__new__(cls)
        # copy and pickle call __new__ without the arguments and restore the attributes afterwards
        signature = inspect.signature(cls.__init__)
        try:
            bound = signature.bind_partial(part, *args, **kwargs)
        except TypeError as error:  # which names neither the class nor what it takes
            offer = ", ".join(list(signature.parameters)[1:])
            raise TypeError(f"{cls.__name__} cannot be built: {error}; it takes {offer}.") from None
        arguments = dict(list(bound.arguments.items())[1:])
        for name, parameter in signature.parameters.items():
            if parameter.kind is parameter.VAR_KEYWORD:
                arguments |= arguments.pop(name, {})
        object.__setattr__(part, "init_args", arguments)
        return part

    @property
    def arguments(self) -> dict[str, Any]:
        """Every constructor argument by name, defaults included."""
        return self.defaults() | self.init_args

    @classmethod
    def defaults(cls) -> dict[str, Any]:
        """The constructor arguments that need not be given, with their values then."""
        parameters = inspect.signature(cls.__init__).parameters
        return {name: p.default for name, p in parameters.items() if p.default is not p.empty}

    def config(self, leave_out: Iterable[str] = ()) -> dict[str, Any]:
        """Import path and constructor arguments, as plain values; ``leave_out`` names arguments to omit."""
        omitted = set(leave_out)
        arguments = {name: value for name, value in self.init_args.items() if name not in omitted}
        return {"class_path": public_path(type(self)), "init_args": arguments}


def public_path(cls: type) -> str:
    """The shortest import path of ``cls``: files may move inside a package, its face stays."""
    packages = cls.__module__.split(".")
    for depth in range(1, len(packages)):
        package = ".".join(packages[:depth])
        if getattr(sys.modules.get(package), cls.__name__, None) is cls:
            return f"{package}.{cls.__name__}"
    return f"{cls.__module__}.{cls.__qualname__}"


AnyConfigurable = TypeVar("AnyConfigurable", bound=Configurable)


def from_config(config: dict[str, Any], kind: type[AnyConfigurable], **extra: Any) -> AnyConfigurable:
    """Builds the part that ``config`` (see :meth:`Configurable.config`) describes; ``extra`` adds arguments that it leaves out.

    Raises:
        TypeError: ``config`` names something else than a ``kind``. Nothing but such classes is ever called, because specs
            come out of checkpoint files.
    """
    module, _, name = config["class_path"].rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise TypeError(f"{config['class_path']} cannot be found, so it cannot be built from a checkpoint.") from error
    if not (isinstance(found, type) and issubclass(found, kind)):
        raise TypeError(f"{config['class_path']} is no {kind.__name__} and cannot be built from a checkpoint.")
    return found(**config["init_args"], **extra)


class Backbone(Configurable, ABC):
    """A network that turns images into named feature maps.

    Maps are named by position. ``c1`` to ``c5`` are the last activations at nominal strides 2, 4, 8, 16 and 32, and
    ``final`` is the last convolution before the pooling; a family may add maps under names of its own. A name stands
    for the nominal stride also where ``output_stride`` replaces a stride by dilation: ``Feature.stride`` tells the
    true one.

    Attributes:
        features: every map on offer by name, finest first; what :meth:`select` dropped is no longer there.
        taps: for each role ("classification", "detection", "segmentation") the maps, finest first, that the papers
            put such a head on; a role that the family cannot serve is absent.
        width: the width multiplier, which a head may scale its own layers with.
        variants: the networks of this family that its paper measures.
    """

    variants: ClassVar[tuple[Variant, ...]] = ()
    features: dict[str, Feature]
    default_features: dict[str, tuple[str, ...]]
    width: float = 1.0

    def feature_names(self, role: str) -> tuple[str, ...]:
        """Names of the maps that ``role`` taps.

        Raises:
            ValueError: this backbone has no maps for ``role``.
        """
        if role not in self.default_features:
            offer = ", ".join(f"{name} (stride {f.stride})" for name, f in self.features.items())
            raise UserError(
                f"{type(self).__name__} has no maps for {role}: it offers {offer}; pass feature_maps=[…] to choose among them."
            )
        return self.default_features[role]

    def head_features(self, names: Sequence[str]) -> Features:
        """What a head on the maps ``names`` is built from.

        Raises:
            UserError: a name is not on offer.
        """
        self.check_offered(names)
        return Features({name: self.features[name] for name in names}, self.width)

    @abstractmethod
    def select(self, names: Sequence[str]) -> None:
        """Keeps what the maps ``names`` need and nothing more, so that no layer is idle; later calls can only narrow.

        Raises:
            ValueError: a name is not on offer.
        """

    def stages(self) -> list[list[nn.Module]]:
        """The layers in groups that can be frozen apart, from the image to the coarsest map; here one of them all."""
        return [[self]]

    @abstractmethod
    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Normalised images ``[N, in_channels, H, W]`` → selected maps ``[N, channels, ⌈H/stride⌉, ⌈W/stride⌉]``.

        Some timm networks round sizes down.
        """

    def imagenet_weights_name(self) -> str:
        """Published name of the weights that "imagenet" stands for; empty where nobody published any."""
        return ""

    def nearest_weights(self) -> str:
        """Published weights that other arguments would fit, as words that end in "; "; empty where there are none."""
        return ""

    def check_published(self, name: str) -> None:
        """Raises WeightsError if the weights ``name`` were trained with other arguments than this network's."""

    def normalisation(self, name: str) -> Normalisation | None:
        """What the images were normalised by that the published weights ``name`` were trained on; None if unknown."""

    def translate(self, state: dict[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
        """Renames the tensors of a checkpoint to this network's names.

        Returns:
            the renamed tensors, and the names of those that have no place in the network. What :meth:`select` dropped
            on purpose is in neither, if the family overrides this; the default knows only what is there.
        """
        own = self.state_dict()
        return {k: v for k, v in state.items() if k in own}, [k for k in state if k not in own]

    def check_offered(self, names: Sequence[str]) -> None:
        """Raises ValueError unless ``names`` are names, and every one of them is on offer."""
        if not names or isinstance(names, str):
            raise UserError(f"{type(self).__name__} needs a list of maps, some of {', '.join(self.features)}.")
        for name in names:
            if name not in self.features:
                raise UserError(
                    f"{type(self).__name__} has no map {name!r}: it offers {', '.join(self.features)}; choose among "
                    "them with feature_maps=[…]."
                )
