"""The contract between backbones and heads: named feature maps, and modules that can be rebuilt from plain values."""

from __future__ import annotations

import inspect
import sys
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple, Self, TypeVar

from torch import Tensor, nn

from ..class_paths import import_class
from ..errors import ArgumentError, UserError

Triple = tuple[float, float, float]
EMPTY: Mapping[str, Any] = MappingProxyType({})


class Normalisation(NamedTuple):
    """Mean and standard deviation per colour channel, for pixel values in 0 … 1."""

    mean: Triple
    std: Triple


IMAGENET = Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
INCEPTION = Normalisation((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
UNIT = Normalisation((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


class Variant(NamedTuple):
    """A network that a paper measures.

    Attributes:
        arguments: constructor arguments of the family that differ from the defaults.
        parameters: number of parameters with the published classifier; None without one.
        multiply_adds: number of multiply-adds in millions with that classifier, for an image of ``size``.
        top1: published accuracy on ImageNet's validation images in %.
        size: height and width in pixels of the images it was measured on.
        classes: number of classes of the published classifier.
        classifier: options of :class:`litmobile.heads.Classifier` that give the published classifier.
    """

    arguments: Mapping[str, Any]
    parameters: int | None = None
    multiply_adds: float | None = None
    top1: float | None = None
    size: int = 224
    classes: int = 1000
    classifier: Mapping[str, Any] = EMPTY


class Weights(NamedTuple):
    """Published weights of a backbone.

    Attributes:
        top1: accuracy on ImageNet's validation images in %; None if unpublished.
        accepted_values: values that fit, for each constructor argument that must differ from its default.
        normalisation: normalisation of the training images.
    """

    top1: float | None
    accepted_values: Mapping[str, tuple[object, ...]] = EMPTY
    normalisation: Normalisation = IMAGENET


class Feature(NamedTuple):
    """A feature map: its number of channels, and its stride in input pixels per cell."""

    channels: int
    stride: int


class Features(dict[str, Feature]):
    """Feature maps by name, finest first, from which a head is built.

    Args:
        features: the maps.
        width: width multiplier of their backbone; a head may scale its own layers with it.
    """

    def __init__(self, features: Mapping[str, Feature], width: float = 1.0) -> None:
        super().__init__(features)
        self.width = width


class Configurable(nn.Module):
    """A module that stores its constructor arguments, so that it can be rebuilt from a checkpoint.

    Arguments must be plain values (numbers, strings, lists, dictionaries), because checkpoints are read with
    ``weights_only=True``.

    Attributes:
        shape_arguments: names of the constructor arguments that the shapes of the weights depend on.
        init_args: the constructor arguments that were passed.
    """

    shape_arguments: ClassVar[tuple[str, ...]] = ()
    init_args: dict[str, Any]

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        module = super().__new__(cls)
        # copy and pickle call __new__ without the arguments and restore the attributes afterwards
        signature = cls.signature()
        try:
            bound = signature.bind_partial(*args, **kwargs)
        except TypeError as error:  # Python's message names neither the class nor its arguments
            accepted = ", ".join(signature.parameters)
            raise ArgumentError(f"{cls.__name__} cannot be built: {error}; its arguments are {accepted}.") from None
        arguments = dict(bound.arguments)
        for name, parameter in signature.parameters.items():
            if parameter.kind is parameter.VAR_KEYWORD:
                arguments |= arguments.pop(name, {})
        object.__setattr__(module, "init_args", arguments)
        return module

    @property
    def arguments(self) -> dict[str, Any]:
        """Every constructor argument by name, defaults included."""
        return self.defaults() | self.init_args

    @classmethod
    def defaults(cls) -> dict[str, Any]:
        """Default values of the constructor arguments that have one."""
        return {name: p.default for name, p in cls.signature().parameters.items() if p.default is not p.empty}

    @classmethod
    def signature(cls) -> inspect.Signature:
        """Returns the constructor's signature, with the arguments that ``**options`` forwards to base classes."""
        found: dict[str, inspect.Parameter] = {}
        for base in cls.__mro__[: cls.__mro__.index(Configurable)]:
            if "__init__" not in vars(base):
                continue
            own = list(inspect.signature(vars(base)["__init__"]).parameters.values())[1:]
            if found:  # reached through **options, so by keyword
                own = [p.replace(kind=p.KEYWORD_ONLY) if p.kind is p.POSITIONAL_OR_KEYWORD else p for p in own]
            found = {name: p for name, p in found.items() if p.kind is not p.VAR_KEYWORD}
            found |= {p.name: p for p in own if p.name not in found}
            if not any(p.kind is p.VAR_KEYWORD for p in own):
                break
        return inspect.Signature(sorted(found.values(), key=lambda parameter: parameter.kind))

    def config(self, leave_out: Collection[str] = ()) -> dict[str, Any]:
        """Returns import path and constructor arguments as plain values, without the arguments in ``leave_out``."""
        arguments = {name: value for name, value in self.init_args.items() if name not in leave_out}
        return {"class_path": public_path(type(self)), "init_args": arguments}

    def describe(self) -> str:
        """Returns the class and the passed arguments as a call, e.g. ``MobileNetV2(width=0.5)``, for messages."""
        return f"{type(self).__name__}({format_arguments(self.init_args)})"


def check_choice(name: str, value: object, choices: Iterable[object]) -> None:
    """Raises UserError unless the argument ``name`` has one of the values ``choices``."""
    if value not in choices:
        *others, last = map(str, choices)
        raise UserError(f"{name} must be {', '.join(others)} or {last}, not {value!r}.")


def format_arguments(arguments: Mapping[str, Any]) -> str:
    """Formats arguments as they are written in a call, e.g. ``width=0.5, tail='full'``."""
    return ", ".join(f"{name}={value!r}" for name, value in arguments.items())


def public_path(cls: type) -> str:
    """Returns the shortest import path of ``cls``, which stays the same when files move inside a package."""
    packages = cls.__module__.split(".")
    for depth in range(1, len(packages)):
        package = ".".join(packages[:depth])
        if getattr(sys.modules.get(package), cls.__name__, None) is cls:
            return f"{package}.{cls.__name__}"
    return f"{cls.__module__}.{cls.__qualname__}"


AnyConfigurable = TypeVar("AnyConfigurable", bound=Configurable)


def from_config(config: dict[str, Any], kind: type[AnyConfigurable], **extra: Any) -> AnyConfigurable:
    """Builds the module that ``config`` describes (see :meth:`Configurable.config`).

    Args:
        config: import path and constructor arguments.
        kind: class that the module must be an instance of. Other classes are never called, because configs come from
            checkpoint files.
        extra: arguments that ``config`` leaves out.

    Raises:
        ClassPathError: the class cannot be imported, is not trusted, or is not a ``kind``.
    """
    return import_class(config["class_path"], kind)(**config["init_args"], **extra)


class Backbone(Configurable, ABC):
    """A network that turns images into named feature maps.

    The name of a map gives its position. ``c1`` to ``c5`` are the last activations at nominal strides 2, 4, 8, 16 and
    32; ``final`` is the last convolution before the pooling. A family may add maps with its own names. Names follow the
    nominal stride even if ``output_stride`` replaces a stride by dilation; ``Feature.stride`` is the actual stride.

    Attributes:
        features: every available map by name, finest first; maps that :meth:`select` removed are not included.
        default_features: maps that the papers use for each role ("classification", "detection", "segmentation"),
            finest first; a role that the family cannot serve is missing.
        width: the width multiplier; a head may scale its own layers with it.
        variants: the networks of this family that its paper measures.
    """

    variants: ClassVar[tuple[Variant, ...]] = ()
    features: dict[str, Feature]
    default_features: dict[str, tuple[str, ...]]
    width: float = 1.0

    def feature_names(self, role: str) -> tuple[str, ...]:
        """Returns the names of the default maps for ``role``.

        Raises:
            UserError: this backbone has no default maps for ``role``.
        """
        if role not in self.default_features:
            available = ", ".join(f"{name} (stride {f.stride})" for name, f in self.features.items())
            raise UserError(
                f"{type(self).__name__} has no maps for {role}: it offers {available}; choose with feature_maps=[…]."
            )
        return self.default_features[role]

    def head_features(self, names: Sequence[str]) -> Features:
        """Returns the features that a head on the maps ``names`` is built from.

        Raises:
            UserError: no feature map has that name.
        """
        self.check_feature_names(names)
        return Features({name: self.features[name] for name in names}, self.width)

    @abstractmethod
    def select(self, names: Sequence[str]) -> None:
        """Removes every layer that the maps ``names`` do not need; later calls can only remove more.

        Raises:
            UserError: no feature map has that name.
        """

    def stages(self) -> list[list[nn.Module]]:
        """Returns the layers in groups that can be frozen separately, from the image to the coarsest map.

        The default is one group with all layers.
        """
        return [[self]]

    @abstractmethod
    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Normalised images ``[N, in_channels, H, W]`` → selected maps ``[N, channels, ⌈H/stride⌉, ⌈W/stride⌉]``.

        Some timm networks round sizes down.
        """

    def imagenet_weights_name(self) -> str:
        """Returns the published name of the weights that "imagenet" selects; empty without ImageNet weights."""
        return ""

    def nearest_weights(self) -> str:
        """Returns a hint for error messages: published weights that other arguments would fit, ending in "; "."""
        return ""

    def check_published_weights(self, name: str) -> None:
        """Raises WeightsError if the published weights ``name`` were trained with other arguments."""

    def normalisation(self, name: str) -> Normalisation | None:
        """Returns the normalisation that the published weights ``name`` were trained with; None if unknown."""

    def translate(self, state: dict[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
        """Renames the tensors of a checkpoint to this network's names.

        Returns:
            the renamed tensors, and the names of the unexpected ones. If the family overrides this, neither contains
            tensors that :meth:`select` removed; the default counts those as unexpected.
        """
        own = self.state_dict()
        return {k: v for k, v in state.items() if k in own}, [k for k in state if k not in own]

    def check_feature_names(self, names: Sequence[str]) -> None:
        """Raises UserError unless ``names`` is a non-empty list of available maps."""
        available = ", ".join(self.features)
        if not names or isinstance(names, str):
            raise UserError(f"{type(self).__name__} needs a list of maps; choose among {available}.")
        for name in names:
            if name not in self.features:
                raise UserError(
                    f"{type(self).__name__} has no map {name!r}: it offers {available}; choose with feature_maps=[…]."
                )
