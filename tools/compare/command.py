"""`litmobile compare`: says which of several networks is better, and how certain that is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from ...errors import ArgumentError, check_range
from ...tasks.atomic import write_text
from ...tasks.drawing import format_figure
from ..options.parser import Parser
from ..text_tables import NOTHING, table
from .bootstrap import Estimate, find_interval
from .comparison import Comparison, Pair, Settings, as_json, compare_sides
from .sources import read_sides

DESCRIPTION = (
    "Compares evaluations of the same images. Each PATH is the folder of a run, or a file of detections in COCO's "
    "result format. Runs that differ in the seed only are one configuration. Intervals are 95 % intervals of a "
    "bootstrap over images and, where a configuration has several, seeds; p-values are corrected by Holm."
)
#: figures that are compared by default, by task
DEFAULT_FIGURES = {
    "detection": ("AP", "AP50", "AP75"),
    "segmentation": ("miou", "pixel_accuracy", "mean_recall"),
    "classification": ("top1", "mean_recall", "calibration_error"),
}


def run(words: Sequence[str]) -> None:
    """Runs ``litmobile compare WORDS``.

    Raises:
        UserError: an option is wrong, or the evaluations cannot be compared.
    """
    parser = Parser(prog="litmobile compare", description=DESCRIPTION)
    parser.add_argument("paths", type=Path, nargs="+", metavar="PATH", help="folder of a run, or a file of detections")
    parser.add_argument("--split", type=Literal["val", "test"], default="val", help="evaluated split of the runs")
    parser.add_argument("--annotations", type=Path | None, help="COCO file for files of detections")
    help_names = "what to call the configurations, in the order of their first paths, e.g. [wide, narrow]"
    parser.add_argument("--names", type=list[str] | None, help=help_names)
    parser.add_argument("--figures", type=list[str] | None, help="figures to compare, e.g. [AP, AP_small]")
    parser.add_argument("--resamples", type=int, default=1000, help="number of resamples, at least 100")
    parser.add_argument("--rope", type=float, default=0.005, help="differences up to this one do not matter")
    parser.add_argument("--resolution", type=float, default=0.01, help="difference that should be told apart")
    parser.add_argument("--seed", type=int, default=0, help="seed of the resamples")
    parser.add_argument("--json", type=Path | None, metavar="FILE", help="write all values to this JSON file")
    options = parser.parse_words(list(words))
    check_range("--resamples", options.resamples, ge=100)
    check_range("--rope", options.rope, ge=0)
    check_range("--resolution", options.resolution, gt=0)
    paths = [path.expanduser() for path in options.paths]
    sides = read_sides(paths, options.split, options.annotations, options.names)
    kind = type(sides[0].seeds[0])
    figures = options.figures or DEFAULT_FIGURES[kind.role]
    for name in figures:
        if name not in kind.figure_names:
            raise ArgumentError(f"--figures: {name} is unknown; choose among {', '.join(kind.figure_names)}.")
    settings = Settings(figures, options.resamples, options.rope, options.resolution, options.seed)
    comparison = compare_sides(sides, settings)
    print(format_comparison(comparison, settings))
    if options.json is not None:
        write_text(options.json, json.dumps(as_json(comparison), indent=1) + "\n")


def format_comparison(comparison: Comparison, settings: Settings) -> str:
    """Returns the sentences about the main figure, and tables of all figures and differences."""
    sentences = [pair.sentence for pair in comparison.pairs[settings.figures[0]]]
    names = list(comparison.estimates[settings.figures[0]])
    rows = [[name, *(format_estimate(found[name]) for found in comparison.estimates.values())] for name in names]
    parts = ["\n".join(sentences), table(["", *settings.figures], rows)]
    header = ["difference", "95 % interval", "P(first higher)", f"P(within {settings.rope:g})", "p (Holm)"]
    for figure, pairs in comparison.pairs.items():
        lines = [[f"{pair.first} − {pair.second}", *format_pair(pair)] for pair in pairs]
        parts.append(table([figure, *header], lines))
    resamples = f"{settings.resamples:,} resamples of {comparison.images:,} images"
    return "\n\n".join([*parts, f"{resamples}, seed {settings.seed}"])


def format_estimate(found: Estimate) -> str:
    """Returns a figure with its interval, and the number of seeds if there are several."""
    low, high = find_interval(found.varied)
    seeds = f", {len(found.values)} seeds" if len(found.values) > 1 else ""
    return f"{format_figure(found.value, 3)} ({format_figure(low, 3)} to {format_figure(high, 3)}{seeds})"


def format_pair(pair: Pair) -> list[str]:
    """Returns the cells of a difference."""
    found = pair.difference
    if found is None:
        return [NOTHING] * 5
    low, high = found.interval
    shares = [f"{value:.3f}" for value in (found.probability, found.equivalence, pair.corrected)]
    return [f"{found.value:+.3f}", f"{low:+.3f} to {high:+.3f}", *shares]
