"""Counts what a backbone costs, and lists its feature maps, its weights and its largest activations.

Facts are dictionaries: ``--json`` prints them unchanged, and tables are made from them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch

from ....backbones.contract import Backbone, Variant, public_path
from ....backbones.sequential import SequentialBackbone
from ....errors import UserError, first_line
from ....heads import Classifier
from ...export.module import reparameterize
from ...text_tables import format_cell
from ..counts import Complexity, Shape, count, find_largest, without_values
from .families import build_backbone

DEFAULT_SIZE = 224  # pixels, for families whose paper names no image size
BYTES = 2  # of a number in half precision

Facts = dict[str, Any]


class Published(NamedTuple):
    """The published network that is most like a backbone.

    Attributes:
        variant: the network; None if the family has none.
        shape_differences: number of arguments that differ and that shapes depend on.
        differences: number of all arguments that differ.
    """

    variant: Variant | None
    shape_differences: int
    differences: int

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the images in pixels."""
        side = self.variant.size if self.variant else DEFAULT_SIZE
        return side, side


def variant_facts(family: type[Backbone], arguments: Mapping[str, Any]) -> Facts:
    """Counts the costs of a published network at its published size, alone and with its classifier."""
    with without_values():
        backbone = build_backbone(family, arguments)
    published = find_published(backbone)
    counted = count_at(backbone, published.size)
    return {
        "arguments": dict(arguments),
        "size": published.size,  # height and width of the image in pixels
        "parameters": counted.parameters,  # of the backbone alone, like all figures outside "with_classifier"
        "multiply_adds": counted.multiply_adds,
        "with_classifier": published.variant and classifier_facts(backbone, published.variant, counted, published.size),
        "top1": published.variant and published.variant.top1,  # in %
        "feature_maps": feature_map_facts(backbone, counted),
        "weights": fitting_weights(backbone),
    }


def backbone_facts(family: type[Backbone], arguments: Mapping[str, Any], size: tuple[int, int]) -> Facts:
    """Describes one backbone with all its feature maps, in its form for deployment.

    Args:
        family: its class.
        arguments: of the constructor.
        size: height and width of the image in pixels.

    Raises:
        UserError: the backbone cannot be built, or does not accept images of this size.
    """
    backbone = reparameterize(build_backbone(family, arguments)).to("meta")
    counted = count_at(backbone, size)
    published = find_published(backbone)
    variant = None if published.differences else published.variant
    weights = fitting_weights(backbone)
    return {
        "name": family.__name__,
        "path": public_path(family),
        "arguments": dict(arguments),
        "parameters": counted.parameters,  # of the backbone alone
        "multiply_adds": counted.multiply_adds,
        "memory_access": counted.memory_access,  # elements that are read and written
        "top1": variant and variant.top1,  # in %, if exactly this network is published
        "published_size": variant and variant.size,  # pixels of a side of the images that top1 was measured on
        "feature_maps": feature_map_facts(backbone, counted),
        "weights": weights,
        "nearest_weights": "" if weights else backbone.nearest_weights().removesuffix("; "),
        "activations": activation_facts(backbone, counted),
    }


def count_at(backbone: Backbone, size: tuple[int, int]) -> Complexity:
    """Counts what ``backbone`` costs for one image of ``size``.

    Raises:
        UserError: it does not accept images of this size.
    """
    image = torch.empty(1, backbone.arguments.get("in_channels", 3), *size, device="meta")
    try:
        return count(backbone, image, blocks=backbone.layers if isinstance(backbone, SequentialBackbone) else ())
    except Exception as error:  # a network can fail in any way
        raise UserError(f"{backbone.describe()} {describe_refusal(size, error)}") from error


def describe_refusal(size: tuple[int, int], error: Exception) -> str:
    """Returns the end of a sentence about a network that does not take images of ``size``."""
    return f"does not take images of {format_cell(size)} pixels: {first_line(error)}."


def classifier_facts(backbone: Backbone, variant: Variant, counted: Complexity, size: tuple[int, int]) -> Facts | None:
    """Adds the published classifier of ``variant`` to the counts of the backbone; None if none is published."""
    if variant.parameters is None:
        return None
    features = backbone.head_features(backbone.feature_names("classification"))
    with without_values():
        head = Classifier(features, variant.classes, **variant.classifier).eval()
    head_cost = count(head, counted.output, size)
    return {
        "classes": variant.classes,
        "options": dict(variant.classifier),  # of litmobile.heads.Classifier
        "parameters": counted.parameters + head_cost.parameters,
        "multiply_adds": counted.multiply_adds + head_cost.multiply_adds,
    }


def feature_map_facts(backbone: Backbone, counted: Complexity) -> list[Facts]:
    """Lists the feature maps, finest first, at the sizes that were counted."""
    layer_of = {id(x): layer for layer, x in counted.block_outputs.items()}
    return [
        {
            "name": name,
            "channels": feature.channels,
            "stride": feature.stride,
            "size": tuple(counted.output[name].shape[2:]),
            "layer": layer_of.get(id(counted.output[name])),  # of a sequential backbone: the one that outputs it
            "roles": tuple(role for role, names in backbone.default_features.items() if name in names),
        }
        for name, feature in backbone.features.items()
    ]


def published_weights(family: type[Backbone], arguments: Mapping[str, Any]) -> list[Facts]:
    """Lists all published weights of ``family``, with the arguments that they need instead of ``arguments``."""
    if not issubclass(family, SequentialBackbone):
        return []
    return [
        {"name": name, "top1": weights.top1, "arguments": family.find_mismatches(name, arguments)}
        for name, weights in family.published.items()
    ]


def fitting_weights(backbone: Backbone) -> list[Facts]:
    """Lists published weights whose tensors have the network's shapes, those with the fewest other arguments first."""
    if not isinstance(backbone, SequentialBackbone):
        name = backbone.imagenet_weights_name()
        return [{"name": name, "top1": None, "arguments": {}}] if name else []
    shapes = set(backbone.shape_arguments)
    all_weights = published_weights(type(backbone), backbone.arguments)
    fitting = [weights for weights in all_weights if not shapes & weights["arguments"].keys()]
    return sorted(fitting, key=lambda weights: len(weights["arguments"]))


def find_published(backbone: Backbone) -> Published:
    """Finds the variant with the fewest differences in shapes, then in all arguments."""

    def count_differences(variant: Variant) -> tuple[int, int]:
        theirs = backbone.defaults() | dict(variant.arguments)
        different = {name for name, value in backbone.arguments.items() if value != theirs.get(name)}
        return len(different.intersection(backbone.shape_arguments)), len(different)

    variant = min(backbone.variants, key=count_differences, default=None)
    return Published(variant, *(count_differences(variant) if variant else (0, 0)))


def activation_facts(backbone: Backbone, counted: Complexity) -> list[Facts]:
    """Lists the largest activations at every resolution, as MobileNetV2's table 3 does (arXiv 1801.04381).

    "anywhere" looks at the inputs and outputs of all operations, "between_blocks" only at what the blocks of a
    sequential backbone hand on. A kilobyte is 1000 bytes, and a number takes two.
    """
    inner = backbone.inner_layers if isinstance(backbone, SequentialBackbone) else set()
    between = [activation for activation in counted.block_activations if activation.layer not in inner]
    found = {"between_blocks": between, "anywhere": counted.activations()}
    rows: dict[Shape, Facts] = {}
    for activation in find_largest(found["anywhere"]):
        resolution = activation.resolution  # height and width, or the number of tokens
        rows[resolution] = {"resolution": resolution, **dict.fromkeys(found)}
    for key, activations in found.items():
        for largest in find_largest(activations):
            held = {"layer": largest.layer, "channels": largest.channels, "kilobytes": largest.elements * BYTES / 1000}
            rows[largest.resolution][key] = held
    return list(rows.values())
