"""A comparison as text, and as plain values for a JSON file."""

from __future__ import annotations

import math
from typing import Any

from ...errors import format_count
from ..text_tables import NOTHING, table
from .bootstrap import MIN_IMAGES, Estimate
from .comparison import Comparison, Family, Pair, Settings
from .sentences import summarize_parts

MIN_P_VALUE = 0.001  # smaller ones are only said to be smaller; none is 0


def format_comparison(comparison: Comparison, settings: Settings) -> str:
    """Returns the sentences about the main figure, and tables of all figures and differences."""
    main = settings.figures[0]
    names = list(comparison.estimates[main])
    sentences = [pair.sentence for pair in comparison.pairs[main]]
    rows = [[name, *(format_estimate(found[name]) for found in comparison.estimates.values())] for name in names]
    parts = ["\n".join(sentences), table(["", *settings.figures], rows)]
    header = make_header(settings)
    for figure, pairs in comparison.pairs.items():
        lines = [[pair.title, *format_pair(pair)] for pair in pairs]
        parts.append(table([figure, *header], lines))
    for by, family in comparison.by.items():
        parts += format_family(family, by, settings)
    resamples = f"{settings.resamples:,} resamples of {comparison.images:,} images"
    return "\n\n".join([*parts, f"{resamples}, seed {settings.seed}"])


def format_family(family: Family, by: str, settings: Settings) -> list[str]:
    """Returns what to know about the classes or sizes (``by``), their figures, and a table of each pair.

    The tables begin with the largest difference in favour of the first of the pair.
    """
    names = list(next(iter(family.estimates.values())))
    rows = [
        [part, f"{family.images[part]:,}", *(format_estimate(found[name], family.images[part]) for name in names)]
        for part, found in family.estimates.items()
    ]
    by_pair = list(zip(*family.pairs.values(), strict=True))
    title = f"{family.figure} by {by}; p-values are corrected for {format_count(family.size, 'differences')}."
    sentences = [summarize_parts(family, by, pairs) for pairs in by_pair]
    blocks = ["\n".join([title, *sentences]), table([by, "images", *names], rows)]
    for pairs in by_pair:
        found = sorted(zip(family.pairs, pairs, strict=True), key=lambda item: sort_key(item[1]))
        lines = [[part, *format_pair(pair)] for part, pair in found]
        blocks.append(table([pairs[0].title, *make_header(settings)], lines))
    return blocks


def sort_key(pair: Pair) -> float:
    """Returns what sorts pairs from the largest difference to the smallest; undefined ones are last."""
    return math.inf if pair.difference is None else -pair.difference.value


def make_header(settings: Settings) -> list[str]:
    """Returns the titles of the columns of :func:`format_pair`."""
    return ["difference", "95 % interval", "P(first higher)", f"P(within {settings.rope:g})", "p (Holm)"]


def format_estimate(found: Estimate, images: int = MIN_IMAGES) -> str:
    """Returns a figure with its interval, unless it is about too few images, and the number of seeds if several."""
    if not math.isfinite(found.value):
        return NOTHING
    if images < MIN_IMAGES:
        return f"{found.value:z.3f}"
    low, high = found.interval
    seeds = f", {len(found.values)} seeds" if len(found.values) > 1 else ""
    return f"{found.value:z.3f} ({low:z.3f} to {high:z.3f}{seeds})"


def format_pair(pair: Pair) -> list[str]:
    """Returns the cells of a difference."""
    found = pair.difference
    if found is None:
        return [NOTHING] * 5
    low, high = found.interval
    p_value = f"{pair.corrected:.3f}" if pair.corrected >= MIN_P_VALUE else f"<{MIN_P_VALUE:g}"
    shares = [f"{value:.3f}" for value in (found.probability, found.equivalence)]
    interval = f"{low:+z.3f} to {high:+z.3f}" if math.isfinite(low) else NOTHING
    return [f"{found.value:+z.3f}", interval, *shares, p_value]


def as_json(comparison: Comparison) -> dict[str, Any]:
    """Returns plain values for a JSON file; None for what is undefined."""
    return {
        "images": comparison.images,
        "sources": {name: list(found) for name, found in comparison.sources.items()},
        "figures": estimates_as_json(comparison.estimates),
        "pairs": {figure: [pair_as_json(pair) for pair in pairs] for figure, pairs in comparison.pairs.items()},
        **{
            f"by_{name}": {
                "figure": family.figure,
                "images": family.images,
                "figures": estimates_as_json(family.estimates),
                "pairs": {part: [pair_as_json(pair) for pair in pairs] for part, pairs in family.pairs.items()},
            }
            for name, family in comparison.by.items()
        },
    }


def estimates_as_json(estimates: dict[str, dict[str, Estimate]]) -> dict[str, Any]:
    """Returns plain values of figures by name of the figure, class or size, and of the configuration."""
    return {
        figure: {
            name: {
                "value": none_if_nan(found.value),
                "interval": [none_if_nan(value) for value in found.interval],
                "seeds": [none_if_nan(value) for value in found.values.tolist()],
            }
            for name, found in by_name.items()
        }
        for figure, by_name in estimates.items()
    }


def pair_as_json(pair: Pair) -> dict[str, Any]:
    """Returns plain values of a pair."""
    values: dict[str, Any] = {"first": pair.first, "second": pair.second, "sentence": pair.sentence}
    if pair.difference is not None:
        values |= {
            "difference": pair.difference.value,
            "interval": [none_if_nan(value) for value in pair.difference.interval],
            "probability_first_higher": pair.difference.probability,
            "p_value": pair.difference.p_value,
            "p_value_holm": pair.corrected,
            "probability_within_rope": pair.difference.equivalence,
            "better": pair.better,
        }
    return values


def none_if_nan(value: float) -> float | None:
    """Returns a value that JSON can hold."""
    return value if math.isfinite(value) else None
