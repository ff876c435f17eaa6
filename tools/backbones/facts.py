"""What `litmobile backbones` tells about networks, counted from those that are really built."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ... import backbones
from ...backbones.contract import Backbone, public_path
from ...backbones.contract import Variant
from ...backbones.sequential import SequentialBackbone
from ...backbones.weights import describe, first_line
from ...errors import UserError
from ...heads import Classifier
from ..complexity import Activation, Complexity, Operation, Shape, count, largest, without_values

SIZE = 224  # of the image, where no paper says another
HALF = 2  # bytes of a number in half precision


@dataclass(frozen=True)
class MapFacts:
    """A map on offer.

    Attributes:
        name: as heads ask for it.
        channels: numbers in each of its cells.
        stride: input pixels that a cell spans.
        size: height and width in cells.
        roles: "classification", "detection", "segmentation", as far as such heads tap it.
        layer: of a chain, the one that puts it out; None elsewhere.
    """

    name: str
    channels: int
    stride: int
    size: Shape
    roles: tuple[str, ...]
    layer: str | None


@dataclass(frozen=True)
class WeightsFacts:
    """Published weights, their top-1 in % where it is known, and the arguments that they need beside those given."""

    name: str
    top1: float | None
    arguments: dict[str, Any]


@dataclass(frozen=True)
class ClassifiedFacts:
    """A backbone together with its published classifier: ``options`` are those of ``litmobile.heads.Classifier``."""

    classes: int
    options: dict[str, Any]
    parameters: int
    multiply_adds: int


@dataclass(frozen=True)
class VariantFacts:
    """A network that a paper measures.

    Attributes:
        arguments: the family's constructor arguments, as far as they are no defaults.
        size: height and width in pixels of the image that everything is counted for.
        parameters: of the backbone alone.
        multiply_adds: of the backbone alone.
        classified: with its published classifier; None where none was published.
        top1: published accuracy in %.
        maps: finest first.
        weights: those whose tensors have this network's shapes.
    """

    arguments: dict[str, Any]
    size: tuple[int, int]
    parameters: int
    multiply_adds: int
    classified: ClassifiedFacts | None
    top1: float | None
    maps: list[MapFacts]
    weights: list[WeightsFacts]


@dataclass(frozen=True)
class FamilyFacts:
    """A family of networks: its import path, what it is, its variants, and all weights with what they need."""

    name: str
    path: str
    summary: str
    defaults: dict[str, Any]
    variants: list[VariantFacts]
    weights: list[WeightsFacts]


@dataclass(frozen=True)
class Held:
    """A tensor that a network holds: kilobytes (of 1000 bytes) are those in half precision."""

    layer: str
    channels: int
    kilobytes: float


@dataclass(frozen=True)
class ResolutionFacts:
    """The largest tensors at one resolution, as in MobileNetV2's table 3 (arXiv 1801.04381).

    Attributes:
        resolution: height and width; the number of cells alone where vectors lie in no map.
        between: of what one layer of a chain hands to the next; None where no layer ends at this resolution.
        anywhere: of these, and of what goes into and comes out of every convolution and linear layer.
    """

    resolution: Shape
    between: Held | None
    anywhere: Held


@dataclass(frozen=True)
class NetworkFacts:
    """A network layer by layer.

    Attributes:
        name: of the family.
        path: import path of the family.
        arguments: those that were given.
        size: height and width of the image in pixels.
        parameters: of the backbone alone, as are the next three.
        multiply_adds: the sum of the layers'.
        memory_access: elements read and written by all layers.
        other_parameters: those outside the layers, which are those of norms.
        classified: with the classifier that was published for this variant; None where there is none.
        top1: published accuracy in % where these are the arguments of a variant, at ``published_size``.
        published_size: height and width of the images of that accuracy.
        maps: finest first.
        weights: those whose tensors have this network's shapes.
        nearest_weights: where there are none, words about the nearest; empty where nobody published any.
        layers: all that multiply, in the order in which they run.
        activations: finest resolution first.
    """

    name: str
    path: str
    arguments: dict[str, Any]
    size: tuple[int, int]
    parameters: int
    multiply_adds: int
    memory_access: int
    other_parameters: int
    classified: ClassifiedFacts | None
    top1: float | None
    published_size: int | None
    maps: list[MapFacts]
    weights: list[WeightsFacts]
    nearest_weights: str
    layers: list[Operation]
    activations: list[ResolutionFacts]


def shipped() -> dict[str, type[Backbone]]:
    """Every family that ships, by name."""
    exported = {name: getattr(backbones, name) for name in backbones.__all__}
    return {
        name: found
        for name, found in exported.items()
        if isinstance(found, type) and issubclass(found, Backbone) and not inspect.isabstract(found)
    }


def family_facts(family: type[Backbone]) -> FamilyFacts:
    """All variants of ``family``."""
    defaults = family.defaults()
    varied = {key for variant in family.variants for key in variant.arguments}
    return FamilyFacts(
        name=family.__name__,
        path=public_path(family),
        summary=(inspect.getdoc(family) or "").partition("\n")[0],
        defaults={key: value for key, value in defaults.items() if key in varied},
        variants=[variant_facts(family, variant) for variant in family.variants],
        weights=published(family, defaults),
    )


def variant_facts(family: type[Backbone], variant: Variant) -> VariantFacts:
    """One variant at its published size."""
    backbone = built(family, variant.arguments)
    size = (variant.size, variant.size)
    counted = counted_at(backbone, size)
    return VariantFacts(
        arguments=dict(variant.arguments),
        size=size,
        parameters=counted.parameters,
        multiply_adds=counted.multiply_adds,
        classified=classified(backbone, variant, counted, size),
        top1=variant.top1,
        maps=map_facts(backbone, counted),
        weights=fitting_weights(backbone),
    )


def network_facts(
    family: type[Backbone], arguments: Mapping[str, Any], size: tuple[int, int] | None = None
) -> NetworkFacts:
    """One network, for an image of ``size`` (height, width), the published one if it is not given.

    Raises:
        ValueError: the network cannot be built, or does not take such an image.
    """
    backbone = built(family, arguments)
    near = nearest_variant(backbone)
    height, width = size or (near.size if near else SIZE,) * 2
    counted = counted_at(backbone, (height, width))
    same_shapes = near is not None and not differing(backbone, near, backbone.shape_arguments)
    as_published = near is not None and not differing(backbone, near, backbone.arguments)
    weights = fitting_weights(backbone)
    return NetworkFacts(
        name=family.__name__,
        path=public_path(family),
        arguments=dict(arguments),
        size=(height, width),
        parameters=counted.parameters,
        multiply_adds=counted.multiply_adds,
        memory_access=counted.memory_access,
        other_parameters=counted.other_parameters,
        classified=classified(backbone, near, counted, (height, width)) if near and same_shapes else None,
        top1=near.top1 if near and as_published else None,
        published_size=near.size if near and as_published else None,
        maps=map_facts(backbone, counted),
        weights=weights,
        nearest_weights="" if weights else backbone.nearest_weights().removesuffix("; "),
        layers=counted.operations,
        activations=resolutions(counted),
    )


def built(family: type[Backbone], arguments: Mapping[str, Any]) -> Backbone:
    """The network without values of its weights.

    Raises:
        ValueError: an argument has a value that the family refuses.
    """
    try:
        with without_values():
            return family(**arguments).eval()
    except ValueError as error:  # a user's own family speaks to the user, too
        raise UserError(str(error)) from error
    except Exception as error:
        given = ", ".join(f"{key}={value!r}" for key, value in arguments.items())
        raise UserError(f"{family.__name__}({given}) cannot be built: {told(error)}.") from error


def counted_at(backbone: Backbone, size: tuple[int, int]) -> Complexity:
    """What ``backbone`` costs for one image of ``size``.

    Raises:
        ValueError: it does not take such an image.
    """
    image = torch.empty(1, backbone.arguments.get("in_channels", 3), *size, device="meta")
    try:
        return count(backbone, image, blocks=backbone.layers if isinstance(backbone, SequentialBackbone) else ())
    except Exception as error:  # a network may fail in every way there is
        height, width = size
        raise UserError(f"{describe(backbone)} takes no image of {height}×{width} pixels: {told(error)}.") from error


def told(error: Exception) -> str:
    """An error as the end of a sentence."""
    return first_line(error) or type(error).__name__


def classified(
    backbone: Backbone, variant: Variant, counted: Complexity, size: tuple[int, int]
) -> ClassifiedFacts | None:
    """``backbone``, which is ``counted`` at ``size``, with the classifier of ``variant``."""
    if variant.parameters is None:
        return None
    options: Mapping[str, Any] = variant.classifier
    with without_values():
        head = Classifier(
            backbone.head_features(backbone.feature_names("classification")), variant.classes, **options
        ).eval()
    above = count(head, counted.output, size)
    return ClassifiedFacts(
        classes=variant.classes,
        options=dict(options),
        parameters=counted.parameters + above.parameters,
        multiply_adds=counted.multiply_adds + above.multiply_adds,
    )


def map_facts(backbone: Backbone, counted: Complexity) -> list[MapFacts]:
    """The maps on offer, in the sizes that were ``counted``."""
    maps: dict[str, Tensor] = counted.output
    return [
        MapFacts(
            name,
            channels,
            stride,
            tuple(maps[name].shape[2:]),
            tuple(role for role, default_features in backbone.default_features.items() if name in default_features),
            next((layer for layer, x in counted.blocks.items() if x is maps[name]), None),
        )
        for name, (channels, stride) in backbone.features.items()
    ]


def published(family: type[Backbone], arguments: Mapping[str, Any]) -> list[WeightsFacts]:
    """Every published set of weights, with what they need otherwise than ``arguments``."""
    if not issubclass(family, SequentialBackbone):
        return []
    return [
        WeightsFacts(name, weights.top1, family.find_mismatches(name, arguments)) for name, weights in family.published.items()
    ]


def fitting_weights(backbone: Backbone) -> list[WeightsFacts]:
    """Published weights whose tensors have the shapes of this network's, those first that need nothing else."""
    if not isinstance(backbone, SequentialBackbone):
        name = backbone.imagenet_weights_name()
        return [WeightsFacts(name, None, {})] if name else []
    everything = published(type(backbone), backbone.arguments)
    fitting = [weights for weights in everything if weights.arguments.keys().isdisjoint(backbone.shape_arguments)]
    return sorted(fitting, key=lambda weights: len(weights.arguments))


def nearest_variant(backbone: Backbone) -> Variant | None:
    """The variant with the fewest other shapes, or other arguments where shapes are alike; None if there are none."""

    def otherwise(variant: Variant) -> tuple[int, int]:
        return differing(backbone, variant, backbone.shape_arguments), differing(backbone, variant, backbone.arguments)

    return min(backbone.variants, key=otherwise, default=None)


def differing(backbone: Backbone, variant: Variant, names: Iterable[str]) -> int:
    """How many of the arguments ``names`` the network has otherwise than ``variant``."""
    theirs = backbone.defaults() | dict(variant.arguments)
    return sum(backbone.arguments.get(name) != theirs.get(name) for name in names)


def resolutions(counted: Complexity) -> list[ResolutionFacts]:
    """The largest activation at every resolution."""
    between = {found.resolution: held(found) for found in largest(counted.handed_on)}
    return [
        ResolutionFacts(found.resolution, between.get(found.resolution), held(found))
        for found in largest(counted.activations())
    ]


def held(found: Activation) -> Held:
    """An activation with its size in half precision."""
    return Held(found.layer, found.channels, found.elements * HALF / 1000)
