"""Tables of what is known about a backbone: feature maps, weights, largest activations."""

from __future__ import annotations

import math
from collections.abc import Iterable

from ....tasks.drawing import format_figure
from ...text_tables import column_table, facts_table, format_cell, format_options, table
from ..counts import Shape
from .facts import Facts

ACTIVATIONS_LEGEND = """\
The largest activation at each resolution, in half precision. "anywhere" looks at all inputs and outputs of the
backbone's layers."""
BETWEEN_LEGEND = """
"between blocks" looks only at what one block hands to the next: what memory holds if each block is fused. A head on a
map inside a block, such as MobileNetV2's c4_expansion, needs memory for this map as well."""

# keys of the facts that a table shows, with the titles of their columns
MAP_COLUMNS = {"name": "map", "channels": "channels", "stride": "stride", "size": "cells"}
MAP_COLUMNS |= {"layer": "output of", "roles": "default for"}
ACTIVATION_COLUMNS = {"between_blocks": "between blocks", "anywhere": "anywhere"}


def backbone_text(backbone: Facts) -> str:
    """Formats the feature maps, the weights and the largest activations of one backbone."""
    parts = [facts_table(backbone["feature_maps"], MAP_COLUMNS, left=(0, 4, 5))]
    if backbone["weights"]:
        parts.append(weights_table(backbone["weights"]))
    else:
        nearest = f": {backbone['nearest_weights']}" if backbone["nearest_weights"] else ""
        parts.append(f"weights: none are published for this backbone{nearest}")
    if backbone["top1"] is not None:
        parts[-1] += f"\npublished top-1: {backbone['top1']:.1f} % at {backbone['published_size']} pixels"
    return "\n\n".join([*parts, activations_text(backbone)])


def weights_table(weights: Iterable[Facts]) -> str:
    """Formats a row for each set of weights, with the arguments that it needs."""
    rows = [[x["name"], format_figure(x["top1"], 2), format_options(x["arguments"]) or "nothing"] for x in weights]
    return table(["weights", "top-1", "need"], rows, left=(0, 2))


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


def format_resolution(resolution: Shape) -> str:
    """Formats height and width, or the number of tokens."""
    return format_cell(resolution) if len(resolution) > 1 else f"{math.prod(resolution)} tokens"
