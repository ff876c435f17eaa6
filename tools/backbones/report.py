"""Computes and formats what `litmobile backbones` reports, counted from networks that are built.

Facts are dictionaries: ``--json`` prints them unchanged, and the tables are made from them.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence

from ...backbones.contract import Backbone, public_path
from ...tasks.drawing import format_figure
from ..profile.backbone.facts import Facts, published_weights, variant_facts
from ..profile.backbone.tables import weights_table
from ..text_tables import NOTHING, column_table, format_options

MILLION = 1e6

OVERVIEW_LEGEND = """\
All figures are counted from the networks as they are built. params and MAdds are parameters and multiply-adds in
millions for an image of px × px pixels: "whole" with the published classifier, "alone" for the backbone alone. top-1 is
the published accuracy in %. The columns of feature maps show the stride below the name and then the channels."""

OVERVIEW_CLOSING = """\
Pass arguments as --width=0.5 to litmobile profile and as --model.backbone.width=0.5 to litmobile fit. Pass weights to
litmobile fit as --model.backbone_weights=NAME together with the arguments that they need.
Cost, latency and layers:  litmobile profile MobileNetV2 --width 0.5 --size 320
Any timm network:          litmobile profile timm/resnet18
One of your own:           litmobile profile mypackage.MyBackbone"""


def family_facts(family: type[Backbone]) -> Facts:
    """Counts all variants of ``family`` at their published sizes."""
    defaults = family.defaults()
    varied = {key for variant in family.variants for key in variant.arguments}
    return {
        "name": family.__name__,
        "path": public_path(family),
        "summary": (inspect.getdoc(family) or "").partition("\n")[0],
        "defaults": {key: value for key, value in defaults.items() if key in varied},
        "variants": [variant_facts(family, variant.arguments) for variant in family.variants],
        "weights": published_weights(family, defaults),
    }


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
