"""Charts and page of `litmobile profile`: the main figure of runs against their latency."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...errors import UserError, format_count
from ...tasks.data.files import format_list
from ...tasks.evidence import evidence_path
from ..compare.names import shorten_paths
from ..pages import Html, Point, Section, element, preformatted, render_page, scatter_chart, scatter_svg
from .tables import (
    COSTS_LEGEND,
    LATENCY_LEGEND,
    LAYERS_LEGEND,
    OPERATORS_LEGEND,
    costs_table,
    latency_text,
    layers_text,
    machine_text,
    name_figure,
    operators_text,
)

Facts = dict[str, Any]


def read_figure(folder: Path, split: str | None) -> Facts | None:
    """Reads the main figure of a run's evaluation, with its 95 % interval over images; None without an evaluation.

    Args:
        folder: of the run.
        split: "val" or "test"; None is "val" if it was evaluated, or else "test".
    """
    from ..evaluations import read_evaluation
    from ..report.intervals import estimate_evaluation

    splits = [name for name in ([split] if split else ["val", "test"]) if evidence_path(folder, name).is_file()]
    if not splits:
        return None
    main = estimate_evaluation(read_evaluation(folder, splits[0]).evidence).figures[0]
    return {"figure": main.name, "split": splits[0], "value": main.value, "interval": (main.low, main.high)}


def list_points(facts: Facts) -> dict[str, list[Point]]:
    """Returns the points of the evaluated runs, by the name of their main figure."""
    evaluations = {target["name"]: target["evaluation"] for target in facts["targets"] if target.get("evaluation")}
    labels = dict(zip(evaluations, shorten_paths(list(map(Path, evaluations))), strict=True)) if evaluations else {}
    found: dict[str, list[Point]] = {}
    for row in facts["latency"]:
        if (evaluation := evaluations.get(row["name"])) is None:
            continue
        x = (row["milliseconds"], *row["milliseconds_interval"])
        y = (evaluation["value"], *evaluation["interval"])
        title = name_figure(evaluation)
        found.setdefault(title, []).append(Point(labels[row["name"]], row["engine"], x, y))
    return found


def check_figures(targets: Sequence[Facts]) -> None:
    """Raises UserError if no target is an evaluated run, or if their main figures differ."""
    names = list(dict.fromkeys(name_figure(x["evaluation"]) for x in targets if x.get("evaluation")))
    if not names:
        raise UserError("--svg needs runs that were evaluated: pass their folders, after litmobile validate --run.")
    if len(names) > 1:
        raise UserError(f"--svg shows one figure, but the runs have {' and '.join(names)}: use --page.")


def build_svg(facts: Facts) -> str:
    """Draws the scatter chart as the text of an SVG file.

    Raises:
        UserError: no target is an evaluated run, or their main figures differ.
    """
    check_figures(facts["targets"])
    ((name, shown),) = list_points(facts).items()
    return scatter_svg(f"{name} against latency", (name_axis(facts), name), shown)


def build_page(facts: Facts) -> str:
    """Renders charts and tables as the text of an HTML page."""
    charts = [
        scatter_chart(f"{name} against latency", (name_axis(facts), name), shown, "Lines are 95 % intervals.")
        for name, shown in list_points(facts).items()
    ]
    latency = [latency_text(facts)] if facts["latency"] else []
    operators = [f"{name}\n{operators_text(rows)}" for name, rows in facts["operators"].items()]
    layers = [f"{x['name']}\n{layers_text(x)}" for x in facts["targets"] if "layers" in x]
    sections = [
        Section("Figures against latency", [element("div", *charts, class_="charts")] if charts else []),
        Section("Latency", build_tables(LATENCY_LEGEND, latency)),
        Section("Operators", build_tables(OPERATORS_LEGEND, operators)),
        Section("Costs", build_tables(COSTS_LEGEND, [costs_table(facts["targets"])])),
        Section("Layers", build_tables(LAYERS_LEGEND, layers)),
    ]
    return render_page("Costs of networks", describe_answer(facts), sections, machine_text(facts["machine"]))


def build_tables(legend: str, tables: Sequence[str]) -> list[Html]:
    """Returns a paragraph that explains ``tables``, and the tables; nothing without any."""
    if not tables:
        return []
    return [element("p", legend.replace("\n", " ")), *(preformatted(text, text.partition("\n")[0]) for text in tables)]


def describe_answer(facts: Facts) -> Sequence[str]:
    """Returns a sentence about the fastest network, or about those whose intervals overlap."""
    reference = name_row(facts["reference"] or {})
    others = sorted((row for row in facts["latency"] if name_row(row) != reference), key=lambda row: row["ratio"])
    if not others:
        return ()
    first = others[0]
    low, high = first["ratio_interval"]
    ratio = f"{first['ratio']:.3f} ({low:.3f} to {high:.3f})"
    if low > 1:
        return (f"{reference} is the fastest: {name_row(first)}, the next, takes {ratio} of its time.",)
    tied = [name_row(row) for row in others if row["ratio_interval"][0] <= high] + [reference] * (high >= 1)
    if len(tied) > 1:
        return (f"The fastest cannot be told apart: {format_list(tied)}.",)
    return (f"{tied[0]} is the fastest: it takes {ratio} of the time of {reference}.",)


def name_row(row: Facts) -> str:
    """Returns a network and its engine, e.g. "runs/A on openvino"."""
    return f"{row.get('name')} on {row.get('engine')}"


def name_axis(facts: Facts) -> str:
    """Returns the label of the axis of latency."""
    return f"ms per image, {format_count(facts['machine']['threads'], 'threads')}"
