"""`litmobile compare`: says which of several networks is better, and how certain that is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from ...errors import ArgumentError, check_range
from ...tasks.atomic import write_text
from ..options.parser import Parser
from .comparison import Settings
from .compute import compare_sides
from .output import as_json, format_comparison
from .page import build_page
from .sources import read_sides

DESCRIPTION = (
    "Compares evaluations of the same images. Each PATH is the folder of a run, or a file of detections in COCO's "
    "result format. Runs that differ in the seed only are one configuration. Intervals are 95 % intervals of a "
    "bootstrap over images, widened by the variation between seeds; p-values are corrected by Holm."
)
PARTS = ("class", "size")
#: figures that are compared by default, by task
DEFAULT_FIGURES = {
    "detection": ("AP", "AP50", "AP75"),
    "segmentation": ("miou", "pixel_accuracy", "mean_recall"),
    "classification": ("top1", "mean_recall", "calibration_error"),
    "probe": ("mean_recall", "accuracy"),
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
    help_by = "also compare the main figure of each class, and AP of each size of objects, e.g. [class, size]"
    parser.add_argument("--by", type=list[str] | str | None, help=help_by)
    parser.add_argument("--resamples", type=int, default=1000, help="number of resamples, 100 to 100000")
    parser.add_argument("--rope", type=float, default=0.005, help="differences up to this one do not matter")
    parser.add_argument("--resolution", type=float, default=0.01, help="difference that should be told apart")
    parser.add_argument("--seed", type=int, default=0, help="seed of the resamples")
    parser.add_argument("--page", type=Path | None, metavar="FILE", help="write charts and tables to this HTML file")
    parser.add_argument("--json", type=Path | None, metavar="FILE", help="write all values to this JSON file")
    options = parser.parse_words(list(words))
    check_range("--resamples", options.resamples, ge=100, le=100_000)
    check_range("--seed", options.seed, ge=0)
    check_range("--rope", options.rope, ge=0)
    check_range("--resolution", options.resolution, gt=0)
    paths = [path.expanduser() for path in options.paths]
    annotations = options.annotations and options.annotations.expanduser()
    sides = read_sides(paths, options.split, annotations, options.names)
    kind = type(sides[0].seeds[0])
    figures = list(dict.fromkeys(options.figures or DEFAULT_FIGURES[kind.role]))
    check_choices("--figures", figures, kind.figure_names)
    by = [options.by] if isinstance(options.by, str) else options.by or ()
    check_choices("--by", by, PARTS)
    settings = Settings(figures, options.resamples, options.rope, options.resolution, options.seed, by)
    comparison = compare_sides(sides, settings)
    print(format_comparison(comparison, settings))
    if options.page is not None:
        write_text(options.page.expanduser(), build_page(comparison, settings))
    if options.json is not None:
        write_text(options.json.expanduser(), json.dumps(as_json(comparison), indent=1, allow_nan=False) + "\n")


def check_choices(option: str, values: Sequence[str], choices: Sequence[str]) -> None:
    """Raises ArgumentError if one of the values of an option is not among ``choices``."""
    for value in values:
        if value not in choices:
            raise ArgumentError(f"{option}: {value} is unknown; choose among {', '.join(choices)}.")
