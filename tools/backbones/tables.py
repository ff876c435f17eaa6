"""What `litmobile backbones` found, as tables to read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..text_tables import NOTHING, figure, table
from .facts import ClassifiedFacts, FamilyFacts, Held, MapFacts, NetworkFacts, VariantFacts, WeightsFacts

MILLION = 1e6

LEGEND = """\
All is counted from the networks as they are built. params and MAdds are parameters and multiply-adds in millions:
"whole" with the published classifier, "alone" of the backbone, for an image of px × px pixels. top-1 is as published,
in %. Under the name of a map stands its stride, and then come its channels."""

CLOSING = """\
Arguments are given as --width=0.5 here and as --model.backbone.width=0.5 to litmobile fit, and weights as
--model.backbone_weights=NAME together with the arguments that they need.
Layer by layer:    litmobile backbones MobileNetV2 --width 0.5 --size 320
Any timm network:  litmobile backbones TimmBackbone --name resnet18
One of your own:   litmobile backbones mypackage.MyBackbone"""

OF_LAYERS = """\
Layer by layer, for one image. access: elements that are read and written, ShuffleNetV2's hw(c₁ + c₂) + c₁c₂/g and in
general inputs + outputs + weights. Norms, activations, pools, sums and shuffles are not counted."""

OF_ACTIVATIONS = """\
The largest activation at each resolution, in half precision. anywhere: of all inputs and outputs of the layers above"""
OF_HANDING_ON = """;
between layers: of what layers.0, layers.1 … hand on, all that an implementation holds that fuses each of them."""


def overview_text(families: Iterable[FamilyFacts]) -> str:
    """Every variant of every family."""
    return "\n\n".join([LEGEND, *map(family_text, families), CLOSING])


def family_text(family: FamilyFacts) -> str:
    """One family: its variants, then its weights."""
    summary = family.summary if family.summary.startswith(family.name) else f"{family.name}: {family.summary}"
    lines = [summary, "─" * len(summary)]
    if family.defaults:
        lines.append(f"defaults: {arguments_text(family.defaults)}")
    lines.append(variants_table(family.variants))
    if family.weights:
        lines += ["", weights_table(family.weights)]
    return "\n".join(lines)


def variants_table(variants: Sequence[VariantFacts]) -> str:
    """A row a variant; maps that some variants lack are dashes there."""
    strides = {found.name: found.stride for variant in variants for found in variant.maps}
    names = [name.partition("_") for name in strides]  # c4_expansion on two lines
    figures = ["px", "top-1", "whole", "alone", "whole", "alone"]
    header = ["", "", "", "params", "", "MAdds", "", *(f"{head}_" if bar else "" for head, bar, _ in names)]
    below = ["", *figures, *(tail or head for head, _, tail in names)]
    rows = [variant_row(variant, list(strides)) for variant in variants]
    return table(header, [below, ["", *[""] * len(figures), *(f"/{stride}" for stride in strides.values())], *rows])


def variant_row(variant: VariantFacts, maps: Iterable[str]) -> list[str]:
    """A row of the table of a family."""
    channels = {found.name: str(found.channels) for found in variant.maps}
    whole = variant.classified
    return [
        arguments_text(variant.arguments) or "defaults",
        str(variant.size[0]),
        figure(variant.top1, 1),
        figure(whole and whole.parameters / MILLION, 2),
        figure(variant.parameters / MILLION, 2),
        figure(whole and whole.multiply_adds / MILLION, 1),
        figure(variant.multiply_adds / MILLION, 1),
        *(channels.get(name, NOTHING) for name in maps),
    ]


def weights_table(weights: Iterable[WeightsFacts]) -> str:
    """A row a name, with the arguments that the weights need."""
    rows = [[found.name, figure(found.top1, 2), arguments_text(found.arguments) or "nothing"] for found in weights]
    return table(["weights", "top-1", "need"], rows, left=(0, 2))


def network_text(found: NetworkFacts) -> str:
    """One network: totals, maps, weights, layers, and the largest activations."""
    height, width = found.size
    called = f"{found.name}({', '.join(f'{name}={value!r}' for name, value in found.arguments.items())})"
    parts = [
        f"{called} for an image of {height}×{width} pixels, height by width\n{totals_table(found)}",
        maps_table(found.maps),
        weights_text(found),
        layers_text(found),
        activations_text(found),
    ]
    return "\n\n".join(parts)


def totals_table(found: NetworkFacts) -> str:
    """What the network costs, alone and under its published classifier."""
    rows = [["backbone alone", *costs(found), f"{found.memory_access:,}", NOTHING]]
    if found.classified is not None:
        options = arguments_text({"classes": found.classified.classes, **found.classified.options})
        top1 = NOTHING if found.top1 is None else f"{found.top1:.1f} % at {found.published_size}"
        rows.append([f"with its classifier ({options})", *costs(found.classified), NOTHING, top1])
    return table(["", "parameters", "multiply-adds", "memory access", "published top-1"], rows)


def costs(found: NetworkFacts | ClassifiedFacts) -> list[str]:
    """Parameters and multiply-adds."""
    return [f"{found.parameters:,}", f"{found.multiply_adds:,}"]


def maps_table(maps: Iterable[MapFacts]) -> str:
    """A row a map."""
    rows = [
        [x.name, str(x.channels), str(x.stride), shape_text(x.size), x.layer or NOTHING, ", ".join(x.roles) or NOTHING]
        for x in maps
    ]
    return table(["map", "channels", "stride", "cells", "put out by", "tapped for"], rows, left=(0, 4, 5))


def weights_text(found: NetworkFacts) -> str:
    """The weights that fit, or what would."""
    if found.weights:
        return weights_table(found.weights)
    nearest = f": {found.nearest_weights}" if found.nearest_weights else ""
    return f"weights: none are published for this network{nearest}"


def layers_text(found: NetworkFacts) -> str:
    """A row for each convolution, linear layer and attention, and their sum."""

    def row(name: str, what: Sequence[str], *figures: int) -> list[str]:
        return [name, *what, *(f"{value:,}" for value in figures), *[""] * (3 - len(figures))]

    rows = [
        row(x.layer, [x.kind, *map(shape_text, (x.input, x.output))], x.parameters, x.multiply_adds, x.memory_access)
        for x in found.layers
    ]
    rows.append(row("norms and the like", [""] * 3, found.other_parameters))
    rows.append(row("all", [""] * 3, found.parameters, found.multiply_adds, found.memory_access))
    header = ["layer", "kind", "input", "output", "parameters", "multiply-adds", "access"]
    return f"{OF_LAYERS}\n{table(header, rows, left=(0, 1))}"


def activations_text(found: NetworkFacts) -> str:
    """The largest activation at each resolution."""
    ends = {x.layer: x.name for x in found.maps if x.layer is not None}
    chain = any(row.between for row in found.activations)
    rows = [
        [
            resolution_text(row.resolution),
            *([*held_text(row.between, ends), ""] if chain else []),
            *held_text(row.anywhere, ends),
        ]
        for row in found.activations
    ]
    columns = ["channels", "kB", "layer"]
    if not chain:
        return f"{OF_ACTIVATIONS}.\n{table(['resolution', *columns], rows, left=(0, 3))}"
    header = ["", "between layers", "", "", "", "anywhere", "", ""]
    rows = [["resolution", *columns, "", *columns], *rows]
    return f"{OF_ACTIVATIONS}{OF_HANDING_ON}\n{table(header, rows, left=(0, 3, 7))}"


def held_text(held: Held | None, ends: Mapping[str, str]) -> list[str]:
    """Channels, kilobytes and the layer, with the map that it puts out."""
    if held is None:
        return [NOTHING] * 3
    name = f"{held.layer} ({ends[held.layer]})" if held.layer in ends else held.layer
    return [str(held.channels), f"{held.kilobytes:,.0f}" if held.kilobytes >= 10 else f"{held.kilobytes:.1f}", name]


def resolution_text(resolution: Sequence[int]) -> str:
    """Height and width, or the number of cells."""
    return shape_text(resolution) if len(resolution) > 1 else f"{resolution[0]} cells"


def shape_text(shape: Sequence[int]) -> str:
    """Sizes joined as 3×224×224."""
    return "×".join(map(str, shape))


def arguments_text(arguments: Mapping[str, Any]) -> str:
    """Arguments as they are given to the command, without their dashes."""
    return " ".join(f"{name}={value}" for name, value in arguments.items())
