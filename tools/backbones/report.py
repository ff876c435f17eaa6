"""Computes and formats what `litmobile backbones` reports, counted from networks that are built.

Facts are dictionaries: ``--json`` prints them unchanged, and the tables are made from them.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, TypeGuard

import torch

from ... import backbones
from ...backbones.contract import Backbone, Variant, format_arguments, public_path
from ...backbones.sequential import SequentialBackbone
from ...backbones.weights import first_line
from ...errors import UserError
from ...heads import Classifier
from ...tasks.drawing import format_figure
from ..complexity import Complexity, Shape, count, find_largest, without_values
from ..text_tables import NOTHING, table

DEFAULT_SIZE = 224  # pixels, for families whose paper names no image size
BYTES = 2  # of a number in half precision
MILLION = 1e6

OVERVIEW_LEGEND = """\
All figures are counted from the networks as they are built. params and MAdds are parameters and multiply-adds in
millions for an image of px × px pixels: "whole" with the published classifier, "alone" for the backbone alone. top-1 is
the published accuracy in %. The columns of feature maps show the stride below the name and then the channels."""

OVERVIEW_CLOSING = """\
Pass arguments as --width=0.5 here and as --model.backbone.width=0.5 to litmobile fit. Pass weights to litmobile fit as
--model.backbone_weights=NAME together with the arguments that they need.
Layer by layer:    litmobile backbones MobileNetV2 --width 0.5 --size 320
Any timm network:  litmobile backbones TimmBackbone --name resnet18
One of your own:   litmobile backbones mypackage.MyBackbone"""

LAYERS_LEGEND = """\
Layer by layer, for one image. Memory access is the number of elements read and written: inputs + outputs + weights,
for 1×1 convolutions ShuffleNetV2's hw(c₁ + c₂) + c₁c₂/g. Norms, activations, pools, sums and shuffles do not count."""

ACTIVATIONS_LEGEND = """\
The largest activation at each resolution, in half precision. "anywhere" looks at all inputs and outputs of the layers
above."""
BETWEEN_LEGEND = """
"between blocks" looks only at what one block hands to the next: what memory holds if each block is fused. A head on a
map inside a block, such as MobileNetV2's c4_expansion, needs memory for this map as well."""

# keys of the facts that a table shows, with the titles of their columns
COSTS = {"parameters": "parameters", "multiply_adds": "multiply-adds", "memory_access": "memory access"}
LAYER_COLUMNS = {"layer": "layer", "kind": "kind", "input": "input", "output": "output", **COSTS}
MAP_COLUMNS = {"name": "map", "channels": "channels", "stride": "stride", "size": "cells"}
MAP_COLUMNS |= {"layer": "output of", "roles": "default for"}
ACTIVATION_COLUMNS = {"between_blocks": "between blocks", "anywhere": "anywhere"}

Facts = dict[str, Any]


# --------------------------------------------------------------------------------------------------------------- facts


def shipped_families() -> dict[str, type[Backbone]]:
    """Returns every family that litmobile ships, by name."""
    return {name: found for name in dir(backbones) if is_backbone(found := getattr(backbones, name))}


def is_backbone(found: object) -> TypeGuard[type[Backbone]]:
    """Whether an object is a backbone class that can be built."""
    return isinstance(found, type) and issubclass(found, Backbone) and not inspect.isabstract(found)


def family_facts(family: type[Backbone]) -> Facts:
    """Counts all variants of ``family`` at their published sizes."""
    defaults = family.defaults()
    varied = {key for variant in family.variants for key in variant.arguments}
    return {
        "name": family.__name__,
        "path": public_path(family),
        "summary": (inspect.getdoc(family) or "").partition("\n")[0],
        "defaults": {key: value for key, value in defaults.items() if key in varied},
        "variants": [network_facts(family, variant.arguments, layerwise=False) for variant in family.variants],
        "weights": published_weights(family, defaults),
    }


def network_facts(
    family: type[Backbone], arguments: Mapping[str, Any], size: tuple[int, int] | None = None, layerwise: bool = True
) -> Facts:
    """Counts one network.

    Args:
        family: its class.
        arguments: of the constructor.
        size: height and width of the image in pixels; default: the size that the nearest variant is published for.
        layerwise: whether to also report every layer.

    Raises:
        UserError: the network cannot be built, or does not accept images of this size.
    """
    backbone = build(family, arguments)
    variant, shape_differences, differences = nearest_variant(backbone)
    if size is None:
        side = variant.size if variant else DEFAULT_SIZE
        size = (side, side)
    counted = count_at(backbone, size)
    published = None if differences else variant
    weights = fitting_weights(backbone)
    facts: Facts = {
        "arguments": dict(arguments),
        "size": size,  # height and width of the image in pixels
        "parameters": counted.parameters,  # of the backbone alone, like all figures outside "with_classifier"
        "multiply_adds": counted.multiply_adds,
        "with_classifier": classifier_facts(backbone, variant, counted, size)
        if variant and not shape_differences
        else None,
        "top1": published and published.top1,  # in %, if exactly this network is published
        "feature_maps": feature_map_facts(backbone, counted),
        "weights": weights,
    }
    if not layerwise:
        return facts
    return {
        "name": family.__name__,
        "path": public_path(family),
        **facts,
        "published_size": published and published.size,  # pixels of a side of the images that top1 was measured on
        "nearest_weights": "" if weights else backbone.nearest_weights().removesuffix("; "),
        "memory_access": counted.memory_access,  # elements that are read and written
        "other_parameters": counted.other_parameters,  # outside "layers", i.e. those of norms
        "layers": [operation._asdict() for operation in counted.operations],
        "activations": activation_facts(backbone, counted),
    }


def build(family: type[Backbone], arguments: Mapping[str, Any]) -> Backbone:
    """Builds a network whose weights have shapes but no values.

    Raises:
        UserError: the family refuses an argument.
    """
    try:
        with without_values():
            return family(**arguments).eval()
    except ValueError as error:  # the message of a user's own family is for the user, too
        raise UserError(str(error)) from error
    except Exception as error:
        call = f"{family.__name__}({format_arguments(arguments)})"
        raise UserError(f"{call} cannot be built: {reason_of(error)}.") from error


def count_at(backbone: Backbone, size: tuple[int, int]) -> Complexity:
    """Counts what ``backbone`` costs for one image of ``size``.

    Raises:
        UserError: it does not accept images of this size.
    """
    image = torch.empty(1, backbone.arguments.get("in_channels", 3), *size, device="meta")
    try:
        return count(backbone, image, blocks=backbone.layers if isinstance(backbone, SequentialBackbone) else ())
    except Exception as error:  # a network can fail in any way
        text = f"{backbone.describe()} does not take images of {format_cell(size)} pixels: {reason_of(error)}."
        raise UserError(text) from error


def reason_of(error: Exception) -> str:
    """Returns an error's message as the end of a sentence."""
    return first_line(error) or type(error).__name__


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


def nearest_variant(backbone: Backbone) -> tuple[Variant | None, int, int]:
    """Finds the variant with the fewest differences in shapes, then in all arguments.

    Returns:
        the variant, or None; the number of different arguments that shapes depend on; the number of all different
        arguments.
    """

    def count_differences(variant: Variant) -> tuple[int, int]:
        theirs = backbone.defaults() | dict(variant.arguments)
        different = {name for name, value in backbone.arguments.items() if value != theirs.get(name)}
        return len(different.intersection(backbone.shape_arguments)), len(different)

    variant = min(backbone.variants, key=count_differences, default=None)
    in_shapes, in_all = count_differences(variant) if variant else (0, 0)
    return variant, in_shapes, in_all


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


# -------------------------------------------------------------------------------------------------------------- tables


def overview_text(families: Iterable[Facts]) -> str:
    """Formats every variant of every family."""
    return "\n\n".join([OVERVIEW_LEGEND, *map(family_text, families), OVERVIEW_CLOSING])


def family_text(family: Facts) -> str:
    """Formats one family: its variants, then its weights."""
    name, summary = family["name"], family["summary"]
    title = summary if summary.startswith(name) else f"{name}: {summary}"
    lines = [title, "─" * len(title)]
    if family["defaults"]:
        lines.append(f"defaults: {format_options(family['defaults'])}")
    lines.append(variants_table(family["variants"]))
    if family["weights"]:
        lines += ["", weights_table(family["weights"])]
    return "\n".join(lines)


def variants_table(variants: Sequence[Facts]) -> str:
    """Formats a row for each variant; a missing feature map is a dash."""
    columns = [
        ["", "", "", *(format_options(variant["arguments"]) or "defaults" for variant in variants)],
        ["", "px", "", *(str(variant["size"][0]) for variant in variants)],
        ["", "top-1", "", *(format_figure(variant["top1"], 1) for variant in variants)],
    ]
    for title, key, digits in (("params", "parameters", 2), ("MAdds", "multiply_adds", 1)):
        whole = [variant["with_classifier"] and variant["with_classifier"][key] / MILLION for variant in variants]
        columns.append([title, "whole", "", *(format_figure(value, digits) for value in whole)])
        columns.append(["", "alone", "", *(format_figure(variant[key] / MILLION, digits) for variant in variants)])
    channels = [{x["name"]: str(x["channels"]) for x in variant["feature_maps"]} for variant in variants]
    strides = {x["name"]: x["stride"] for variant in variants for x in variant["feature_maps"]}
    for name, stride in strides.items():
        head, bar, tail = name.partition("_")  # c4_expansion takes two lines
        cells = [of_variant.get(name, NOTHING) for of_variant in channels]
        columns.append([f"{head}_" if bar else "", tail or head, f"/{stride}", *cells])
    return column_table(columns)


def weights_table(weights: Iterable[Facts]) -> str:
    """Formats a row for each set of weights, with the arguments that it needs."""
    rows = [[x["name"], format_figure(x["top1"], 2), format_options(x["arguments"]) or "nothing"] for x in weights]
    return table(["weights", "top-1", "need"], rows, left=(0, 2))


def network_text(network: Facts) -> str:
    """Formats one network: totals, feature maps, weights, layers, and the largest activations."""
    call = f"{network['name']}({format_arguments(network['arguments'])})"
    if network["weights"]:
        weights = weights_table(network["weights"])
    else:
        nearest = f": {network['nearest_weights']}" if network["nearest_weights"] else ""
        weights = f"weights: none are published for this network{nearest}"
    totals: list[Facts] = [{"layer": "norms and others", "parameters": network["other_parameters"]}]
    totals.append({"layer": "all", **{key: network[key] for key in COSTS}})
    layers = facts_table([*network["layers"], *totals], LAYER_COLUMNS, left=(0, 1))
    parts = [
        f"{call} for an image of {format_cell(network['size'])} pixels, height by width\n{totals_table(network)}",
        facts_table(network["feature_maps"], MAP_COLUMNS, left=(0, 4, 5)),
        weights,
        f"{LAYERS_LEGEND}\n{layers}",
        activations_text(network),
    ]
    return "\n\n".join(parts)


def totals_table(network: Facts) -> str:
    """Formats what the network costs, alone and with its published classifier."""
    rows = [network | {"network": "backbone alone"}]
    whole = network["with_classifier"]
    if whole:
        options = format_options({"classes": whole["classes"], **whole["options"]})
        top1 = None if network["top1"] is None else f"{network['top1']:.1f} % at {network['published_size']}"
        rows.append(whole | {"network": f"with its classifier ({options})", "published": top1})
    return facts_table(rows, {"network": "", **COSTS, "published": "published top-1"})


def activations_text(network: Facts) -> str:
    """Formats the largest activation at each resolution."""
    names = {x["layer"]: f"{x['layer']} ({x['name']})" for x in network["feature_maps"] if x["layer"]}
    columns = [["", "resolution", *(format_resolution(x["resolution"]) for x in network["activations"])]]
    for key, title in ACTIVATION_COLUMNS.items():
        held = [x[key] or {} for x in network["activations"]]
        if any(held):
            columns += [
                [title, "channels", *(format_cell(x.get("channels")) for x in held)],
                ["", "kB", *(format_cell(x.get("kilobytes")) for x in held)],
                ["", "layer", *(format_cell(names.get(x.get("layer"), x.get("layer"))) for x in held)],
                [""] * len(columns[0]),
            ]
    legend = ACTIVATIONS_LEGEND + (BETWEEN_LEGEND if any(x["between_blocks"] for x in network["activations"]) else "")
    return f"{legend}\n{column_table(columns, left=(0, 3, 7))}"


def column_table(columns: Iterable[Sequence[str]], left: Collection[int] = (0,)) -> str:
    """Formats columns, each of which begins with its titles."""
    header, *rows = zip(*columns, strict=True)
    return table(header, rows, left)


def facts_table(rows: Iterable[Facts], columns: Mapping[str, str], left: Collection[int] = (0,)) -> str:
    """Formats a row for each dictionary; ``columns`` maps the keys that are shown to their titles."""
    return table(list(columns.values()), [[format_cell(row.get(key, "")) for key in columns] for row in rows], left)


def format_cell(value: object) -> str:
    """Formats a value: a shape as 3×224×224, names with commas, a large number as 1,000, None as a dash."""
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"
    if isinstance(value, tuple):
        return ("×" if all(isinstance(x, int) for x in value) else ", ").join(map(str, value)) or NOTHING
    return NOTHING if value is None else str(value)


def format_resolution(resolution: Shape) -> str:
    """Formats height and width, or the number of tokens."""
    return format_cell(resolution) if len(resolution) > 1 else f"{math.prod(resolution)} tokens"


def format_options(arguments: Mapping[str, Any]) -> str:
    """Formats arguments as the command takes them, without their dashes."""
    return " ".join(f"{name}={value}" for name, value in arguments.items())
