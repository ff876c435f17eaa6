"""Charts and page of `litmobile profile`: the main figure of runs against their latency."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...errors import UserError, format_count
from ...tasks.evidence import evidence_path
from ..pages import Point, Section, preformatted, render_page, scatter_chart, scatter_svg
from .tables import costs_table, latency_text, layers_text, machine_text

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
    found: dict[str, list[Point]] = {}
    for row in facts["latency"]:
        if (evaluation := evaluations.get(row["name"])) is None:
            continue
        x = (row["milliseconds"], *row["milliseconds_interval"])
        y = (evaluation["value"], *evaluation["interval"])
        title = f"{evaluation['figure']} on {evaluation['split']}"
        found.setdefault(title, []).append(Point(Path(row["name"]).name, row["engine"], x, y))
    return found


def build_svg(facts: Facts) -> str:
    """Draws the scatter chart as the text of an SVG file.

    Raises:
        UserError: no target is an evaluated run, or their main figures differ.
    """
    points = list_points(facts)
    if not points:
        raise UserError("--svg needs runs that were evaluated and timed: pass their folders, without --counts.")
    if len(points) > 1:
        raise UserError(f"--svg shows one figure, but the runs have {' and '.join(points)}: use --page.")
    ((name, shown),) = points.items()
    return scatter_svg(f"{name} against latency", (name_axis(facts), name), shown)


def build_page(facts: Facts) -> str:
    """Renders charts and tables as the text of an HTML page."""
    charts = [
        scatter_chart(f"{name} against latency", (name_axis(facts), name), shown, "Lines are 95 % intervals.")
        for name, shown in list_points(facts).items()
    ]
    layers = [preformatted(layers_text(target), target["name"]) for target in facts["targets"] if "layers" in target]
    sections = [
        Section("Figures against latency", charts),
        Section("Latency", [preformatted(latency_text(facts), "latency")] if facts["latency"] else []),
        Section("Costs", [preformatted(costs_table(facts["targets"]), "costs")]),
        Section("Layers", layers),
    ]
    return render_page("Costs of networks", describe_answer(facts), sections, machine_text(facts["machine"]))


def describe_answer(facts: Facts) -> Sequence[str]:
    """Returns a sentence about the fastest network."""
    if len(facts["latency"]) < 2:
        return ()
    fastest = min(facts["latency"], key=lambda row: row["ratio"])
    low, high = fastest["ratio_interval"]
    reference = facts["reference"]
    return (
        f"{fastest['name']} on {fastest['engine']} is the fastest: it takes {fastest['ratio']:.3f} ({low:.3f} to "
        f"{high:.3f}) of the time of {reference['name']} on {reference['engine']}.",
    )


def name_axis(facts: Facts) -> str:
    """Returns the label of the axis of latency."""
    return f"ms per image, {format_count(facts['machine']['threads'], 'threads')}"
