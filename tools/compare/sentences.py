"""Says what a difference means."""

from __future__ import annotations

from collections.abc import Sequence

from ...errors import format_count
from ...tasks.data.files import format_list
from .bootstrap import MIN_IMAGES, Difference, count_images_needed, count_seeds_needed
from .comparison import Family, Pair, Settings, count_defined

LOWER_IS_BETTER = {"calibration_error"}
SIGNIFICANT = 0.05
PLURALS = {"class": "classes", "size": "sizes"}


def find_better(pair: Pair, figure: str) -> str | None:
    """Returns the name of the better one of a pair; None if none is certain to be."""
    difference = pair.difference
    if (
        difference is None
        or pair.corrected >= SIGNIFICANT
        or not (difference.interval[0] > 0 or difference.interval[1] < 0)
    ):
        return None
    return pair.first if (difference.value > 0) != (figure in LOWER_IS_BETTER) else pair.second


def describe(pair: Pair, what: str, images: int, seeds: int, settings: Settings) -> str:
    """Says in one sentence which of a pair is better, or what would be needed to know.

    Args:
        pair: the pair.
        what: the figure, and the class if it is of one.
        images: number of images that the figure is about.
        seeds: number of seeds of each, the lower one.
        settings: how to compare.
    """
    first, second, difference = pair.first, pair.second, pair.difference
    if difference is None:
        return f"{what} of {first} or {second} is undefined on these images."
    these = "this image" if images == 1 else f"these {images:,} images"
    if difference.is_zero:
        return f"{first} and {second} are equal on {these}: the difference is exactly 0."
    if pair.better is not None:
        low, high = sorted(map(abs, difference.interval))
        worse = second if pair.better == first else first
        return f"{pair.better} is better than {worse} by {abs(difference.value):.3f} ({low:.3f} to {high:.3f})."
    if difference.equivalence >= 1 - SIGNIFICANT and images >= MIN_IMAGES:
        return f"{first} and {second} differ by at most {settings.rope:g} (probability {difference.equivalence:.2f})."
    return f"{first} and {second} cannot be told apart with {these}" + describe_need(
        difference, images, seeds, settings.resolution
    )


def describe_need(difference: Difference, images: int, seeds: int, resolution: float) -> str:
    """Ends the sentence about a pair that cannot be told apart."""
    needed = count_images_needed(difference, images, resolution)
    if needed is not None and needed <= images:
        return f", which resolve {resolution:g}."
    options = [] if not needed else [f"{round_up(needed):,} images"]
    more_seeds = count_seeds_needed(difference, seeds, resolution)
    options += [] if more_seeds is None else [f"{more_seeds} seeds of each"]
    if options:
        return f"; about {' or '.join(options)} would resolve {resolution:g}."
    return "." if needed is not None else f"; it takes more seeds to resolve {resolution:g}."


def round_up(number: int) -> int:
    """Rounds to two digits, e.g. 873 to 880."""
    step = 10 ** max(0, len(str(number)) - 2)
    return -(-number // step) * step


def summarize_parts(family: Family, by: str, pairs: Sequence[Pair]) -> str:
    """Says in which classes or sizes (``by``) each of a pair is better.

    Args:
        family: classes or sizes.
        by: "class" or "size".
        pairs: the pair in each of them.
    """
    parts = list(family.pairs)
    first, second = pairs[0].first, pairs[0].second
    better = {
        name: [part for part, pair in zip(parts, pairs, strict=True) if pair.better == name] for name in (first, second)
    }
    undefined = len(pairs) - count_defined(pairs)
    clauses = [
        f"{name} is better in {format_count(len(found), PLURALS[by])} ({format_list(found)})"
        for name, found in better.items()
        if found
    ]
    if rest := len(parts) - undefined - sum(map(len, better.values())):
        clauses.append(f"no difference is certain in {format_count(rest, PLURALS[by])}")
    if undefined:
        clauses.append(f"{format_count(undefined, PLURALS[by])} cannot be compared")
    return f"{pairs[0].title}: {'; '.join(clauses)}."
