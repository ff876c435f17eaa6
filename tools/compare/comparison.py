"""Compares configurations by their evidence: estimates, paired differences, and a sentence for each pair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from ...errors import EvaluationError
from ...tasks.data.files import format_list
from ...tasks.evidence import Evidence
from .bootstrap import (
    Difference,
    Estimate,
    compare,
    correct_holm,
    count_images_needed,
    count_seeds_needed,
    draw_weights,
    estimate,
    find_interval,
)

LOWER_IS_BETTER = {"calibration_error"}
SIGNIFICANT = 0.05


class Side(NamedTuple):
    """A configuration to compare.

    Attributes:
        name: what the user calls it.
        seeds: evidence of each of its runs, which differ in the seed only.
    """

    name: str
    seeds: Sequence[Evidence]


class Pair(NamedTuple):
    """A difference between two configurations.

    Attributes:
        first: name of the first one.
        second: name of the second one.
        difference: the first minus the second; None if the figure of one is undefined.
        corrected: p-value, corrected by Holm for the number of pairs.
        sentence: what it means.
    """

    first: str
    second: str
    difference: Difference | None
    corrected: float
    sentence: str


@dataclass(frozen=True)
class Comparison:
    """Figures of all configurations and the differences of all pairs.

    Attributes:
        images: number of evaluated images.
        estimates: by figure and by name of the configuration.
        pairs: by figure; the main figure is the first.
    """

    images: int
    estimates: dict[str, dict[str, Estimate]]
    pairs: dict[str, list[Pair]]


class Settings(NamedTuple):
    """How to compare.

    Attributes:
        figures: names of the figures, the main one first.
        resamples: number of resamples.
        rope: differences up to this one do not matter.
        resolution: difference that should be told apart.
        seed: of the resamples.
    """

    figures: Sequence[str]
    resamples: int = 1000
    rope: float = 0.005
    resolution: float = 0.01
    seed: int = 0


def compare_sides(sides: Sequence[Side], settings: Settings) -> Comparison:
    """Compares all pairs of configurations on the same resamples of the images.

    Raises:
        EvaluationError: there are fewer than two configurations or images, or the evaluations are of other tasks,
            classes, images or annotations.
    """
    check_comparable(sides)
    images = len(sides[0].seeds[0].names)
    weights = draw_weights(images, settings.resamples, settings.seed)
    estimates: dict[str, dict[str, Estimate]] = {name: {} for name in settings.figures}
    for number, side in enumerate(sides, start=1):
        values = [evidence.figures(np.ones((1, images)), settings.figures) for evidence in side.seeds]
        resampled = [evidence.figures(weights, settings.figures) for evidence in side.seeds]
        for name in settings.figures:
            estimates[name][side.name] = estimate(
                np.concatenate([figures[name] for figures in values]),
                np.stack([figures[name] for figures in resampled]),
                settings.seed + number,
            )
    pairs = {name: compare_pairs(name, found, images, settings) for name, found in estimates.items()}
    return Comparison(images, estimates, pairs)


def compare_pairs(figure: str, estimates: dict[str, Estimate], images: int, settings: Settings) -> list[Pair]:
    """Compares one figure of all pairs of configurations."""
    names = list(combinations(estimates, 2))
    found = [compare(estimates[first], estimates[second], settings.rope) for first, second in names]
    corrected = correct_holm([1.0 if difference is None else difference.p_value for difference in found])
    pairs: list[Pair] = []
    for (first, second), difference, p_value in zip(names, found, corrected, strict=True):
        seeds = min(len(estimates[name].values) for name in (first, second))
        pair = Pair(first, second, difference, p_value, sentence="")
        pairs.append(pair._replace(sentence=describe(pair, figure, images, seeds, settings)))
    return pairs


def describe(pair: Pair, figure: str, images: int, seeds: int, settings: Settings) -> str:
    """Says in one sentence which of a pair is better, or what would be needed to know."""
    first, second, difference, corrected, _ = pair
    if difference is None:
        return f"{figure} of {first} or {second} is undefined on these images."
    if difference.is_zero:
        return f"{first} and {second} are equal on these {images} images: the difference is exactly 0."
    low, high = difference.interval
    if corrected < SIGNIFICANT and (low > 0 or high < 0):
        is_first = (difference.value > 0) != (figure in LOWER_IS_BETTER)
        better, worse = (first, second) if is_first else (second, first)
        low, high = sorted((abs(low), abs(high)))
        return f"{better} is better than {worse} by {abs(difference.value):.3f} ({low:.3f} to {high:.3f})."
    if difference.equivalence >= 1 - SIGNIFICANT:
        return f"{first} and {second} differ by at most {settings.rope:g} (probability {difference.equivalence:.2f})."
    return f"{first} and {second} cannot be told apart with these {images} images" + describe_need(
        difference, images, seeds, settings.resolution
    )


def describe_need(difference: Difference, images: int, seeds: int, resolution: float) -> str:
    """Ends the sentence about a pair that cannot be told apart."""
    needed = count_images_needed(difference, images, resolution)
    options = [] if needed is None else [f"{round_up(needed):,} images"]
    more_seeds = count_seeds_needed(difference, seeds, resolution)
    options += [] if more_seeds is None else [f"{more_seeds} seeds of each"]
    return f"; about {' or '.join(options)} would resolve {resolution:g}." if options else "."


def round_up(number: int) -> int:
    """Rounds to two digits, e.g. 873 to 880."""
    step = 10 ** max(0, len(str(number)) - 2)
    return -(-number // step) * step


def check_comparable(sides: Sequence[Side]) -> None:
    """Raises EvaluationError unless all evaluations are of one task and the same classes, images and annotations."""
    if len(sides) < 2:
        raise EvaluationError("A comparison needs two configurations; runs that differ in the seed only are one.")
    reference, *others = ((side.name, evidence) for side in sides for evidence in side.seeds)
    if len(reference[1].names) < 2:
        raise EvaluationError(f"{reference[0]} was evaluated on one image; a comparison needs at least two.")
    hashes = reference[1].hash_annotations()
    for name, evidence in others:
        if difference := describe_mismatch(reference[1], evidence, hashes):
            raise EvaluationError(f"{reference[0]} and {name} cannot be compared: {difference}.")


def describe_mismatch(first: Evidence, second: Evidence, hashes: Sequence[str]) -> str:
    """Says how the evaluated data of two differ; "" if they do not.

    Args:
        first: evidence of one.
        second: evidence of the other.
        hashes: hashes of the annotations of the first.
    """
    if first.role != second.role:
        return f"one is for {first.role}, the other for {second.role}"
    if first.classes != second.classes:
        return describe_lists("classes", first.classes, second.classes)
    if first.names != second.names:
        return describe_lists("images", first.names, second.names)
    changed = [name for name, a, b in zip(first.names, hashes, second.hash_annotations(), strict=True) if a != b]
    return f"the annotations differ in {len(changed)} images, {format_list(changed)}" if changed else ""


def describe_lists(what: str, first: Sequence[str], second: Sequence[str]) -> str:
    """Says how two different lists of names differ."""
    missing, surplus = sorted(set(first) - set(second)), sorted(set(second) - set(first))
    if missing or surplus:
        side, names = ("first", missing) if missing else ("second", surplus)
        return f"only the {side} has the {what} {format_list(names)}"
    return f"the {what} have another order"


def as_json(comparison: Comparison) -> dict[str, Any]:
    """Returns plain values for a JSON file."""
    return {
        "images": comparison.images,
        "figures": {
            figure: {
                name: {
                    "value": found.value,
                    "interval": find_interval(found.varied),
                    "seeds": found.values.tolist(),
                }
                for name, found in estimates.items()
            }
            for figure, estimates in comparison.estimates.items()
        },
        "pairs": {figure: [pair_as_json(pair) for pair in pairs] for figure, pairs in comparison.pairs.items()},
    }


def pair_as_json(pair: Pair) -> dict[str, Any]:
    """Returns plain values of a pair."""
    values: dict[str, Any] = {"first": pair.first, "second": pair.second, "sentence": pair.sentence}
    if pair.difference is not None:
        values |= {
            "difference": pair.difference.value,
            "interval": pair.difference.interval,
            "probability_first_higher": pair.difference.probability,
            "p_value": pair.difference.p_value,
            "p_value_holm": pair.corrected,
            "probability_within_rope": pair.difference.equivalence,
        }
    return values
