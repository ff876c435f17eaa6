"""Text of `litmobile profile`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...errors import format_count
from ..text_tables import NOTHING, facts_table, format_cell, table
from .backbone.tables import backbone_text

MILLION = 1e6
MAX_OPERATORS = 12  # the other types of operators take little time

COSTS_LEGEND = """\
Costs of the whole network for one image, in millions: parameters, multiply-adds, and elements that convolutions,
linear layers and attention read and write. Peak is the memory of the activations of one forward pass in PyTorch, as
predicted and as measured. A MB is 1,000,000 bytes. Figures of runs have 95 % intervals."""
LATENCY_LEGEND = """\
Latency of one image, decoding included: median in ms with its 95 % interval, and the time that 95 % of the calls do not
exceed. The ratio to the reference is the median of the ratios in each round, with its 95 % interval."""
LAYERS_LEGEND = """\
Layer by layer: parameters, multiply-adds, and shares in % of the multiply-adds, of the memory access, and of the time
on PyTorch eager. Below are the other modules by kind, and the time between modules, e.g. of sums and shuffles."""
OPERATORS_LEGEND = """\
Operators of ONNX Runtime by type, in ms per image; the greatest loss in int8 first."""

PEAKS = ("predicted_activation_bytes", "measured_activation_bytes")
SHOWN_VERSIONS = ("torch", "onnxruntime", "openvino", "executorch")
LAYER_COLUMNS = ["layer", "kind", "output", "params", "MAdds", "MAdds %", "access %"]

Facts = dict[str, Any]


def profile_text(facts: Facts) -> str:
    """Formats everything that was found."""
    parts = [machine_text(facts["machine"]), f"{COSTS_LEGEND}\n{costs_table(facts['targets'])}"]
    deployed = [x["name"] for x in facts["targets"] if x["is_reparameterized"]]
    if deployed:
        parts.append(f"Counted and measured in the form for deployment: {', '.join(deployed)}.")
    untrained = [x["name"] for x in facts["targets"] if x["role"] == "detection" and not x["is_trained"]]
    if facts["latency"]:
        if untrained:
            parts.append(f"Not trained, so that decoding is slow (objects everywhere): {', '.join(untrained)}.")
        parts.append(f"{LATENCY_LEGEND}\n{latency_text(facts)}")
    for name, operators in facts["operators"].items():
        parts.append(f"{name}\n{OPERATORS_LEGEND}\n{operators_text(operators)}")
    for target in facts["targets"]:
        if "layers" in target:
            parts.append(f"{target['name']}\n{LAYERS_LEGEND}\n{layers_text(target)}")
        if "backbone" in target:
            parts.append(backbone_text(target["backbone"]))
    return "\n\n".join(parts)


def machine_text(machine: Facts) -> str:
    """Formats one line about the machine."""
    versions = [f"{name} {machine['versions'][name]}" for name in SHOWN_VERSIONS if machine["versions"].get(name)]
    return ", ".join([machine["name"], format_count(machine["threads"], "threads"), *versions])


def costs_table(targets: Sequence[Facts]) -> str:
    """Formats a row of costs for each network."""
    header = ["network", "input", "classes", "params M", "MAdds M", "access M", "weights MB", "peak MB", "measured"]
    evaluations = [target.get("evaluation") for target in targets]
    names = list(dict.fromkeys(name_figure(x) for x in evaluations if x))
    header += names
    rows = [
        [
            target["name"],
            format_cell(target["size"]),
            format_cell(target["classes"]),
            *(format_millions(target[key]) for key in ("parameters", "multiply_adds", "memory_access")),
            *(format_millions(target[key]) for key in ("weight_bytes", *PEAKS)),
            *(format_figure(evaluation, name) for name in names),
        ]
        for target, evaluation in zip(targets, evaluations, strict=True)
    ]
    return table(header, rows)


def latency_text(facts: Facts) -> str:
    """Formats a row of times for each network and engine."""
    rows = facts["latency"]
    batch = rows[0]["batch"]
    header = ["network", "engine", "ms", "95 % interval", "p95", f"images/s at {batch}", "ratio", "95 % interval"]
    header += ["file MB"]
    cells = [
        [
            row["name"],
            row["engine"],
            format_milliseconds(row["milliseconds"]),
            " – ".join(map(format_milliseconds, row["milliseconds_interval"])),
            format_milliseconds(row["milliseconds_p95"]),
            f"{row['images_per_second']:.1f}",
            f"{row['ratio']:.3f}",
            "{:.3f} – {:.3f}".format(*row["ratio_interval"]),
            format_millions(row["file_bytes"]),
        ]
        for row in rows
    ]
    rounds = format_count(rows[0]["rounds"], "rounds")
    reference = facts["reference"]
    title = f"Reference: {reference['name']} on {reference['engine']}; {rounds} in turn."
    return f"{title}\n{table(header, cells, left=(0, 1))}"


def layers_text(target: Facts) -> str:
    """Formats a row for each layer, then for what is not one."""
    is_timed = any("share_of_time" in row for row in target["layers"])
    header = [*LAYER_COLUMNS, *(["time %"] if is_timed else [])]
    rows = [
        [
            row["layer"].removeprefix("backbone."),
            *(format_cell(row.get(key, "")) for key in ("kind", "output")),
            *(format_cell(row.get(key, "")) for key in ("parameters", "multiply_adds")),
            *(format_share(row, key) for key in ("share_of_multiply_adds", "share_of_memory_access")),
            *([format_share(row, "share_of_time")] if is_timed else []),
        ]
        for row in target["layers"]
    ]
    totals = (format_cell(target[key]) for key in ("parameters", "multiply_adds"))
    rows.append(["all", "", "", *totals, *[""] * (len(header) - 5)])
    return table(header, rows, left=(0, 1))


def operators_text(operators: Sequence[Facts]) -> str:
    """Formats the types of operators whose time differs most."""
    shown = sorted(operators, key=lambda row: -abs(row["loss_ms"]))[:MAX_OPERATORS]
    rows = [
        {"operator": row["operator"], **{key: f"{row[key]:.3f}" for key in ("float_ms", "int8_ms", "loss_ms")}}
        for row in operators
        if row in shown
    ]
    columns = {"operator": "operator", "float_ms": "float", "int8_ms": "int8", "loss_ms": "loss"}
    return facts_table(rows, columns)


def name_figure(evaluation: Facts) -> str:
    """Returns the name of a figure with its split, e.g. "AP on val"."""
    return f"{evaluation['figure']} on {evaluation['split']}"


def format_figure(evaluation: Facts | None, name: str) -> str:
    """Formats the figure ``name`` of a run with its 95 % interval; a dash where it has another one, or none."""
    if evaluation is None or name_figure(evaluation) != name:
        return NOTHING
    return "{:.3f} ({:.3f} – {:.3f})".format(evaluation["value"], *evaluation["interval"])


def format_milliseconds(value: float) -> str:
    """Formats milliseconds with three significant digits."""
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"


def format_millions(value: int | None) -> str:
    """Formats a number in millions; None as a dash."""
    return NOTHING if value is None else f"{value / MILLION:.2f}"


def format_share(row: Facts, key: str) -> str:
    """Formats a share in %; nothing where it has no meaning, and a dash where it is counted elsewhere."""
    if key not in row:
        return ""
    return NOTHING if row[key] is None else f"{100 * row[key]:.1f}"
