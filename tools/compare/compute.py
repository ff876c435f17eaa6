"""Compares configurations by their evidence: estimates on the same resamples, and all paired differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from ...errors import EvaluationError
from ...tasks.detection.evaluation.evidence import DetectionEvidence
from ...tasks.evidence import Evidence, FiguresByWeighting, Weights
from .bootstrap import Estimate, add_seeds, compare, draw_weights, estimate
from .checks import check_comparable
from .comparison import Comparison, Family, Pair, Settings, Side
from .sentences import describe, find_better
from .significance import correct_holm

#: names of figures of one class, where they differ from those of all
CLASS_FIGURES = {"miou": "iou"}

Estimates = dict[str, dict[str, Estimate]]  # by figure or part, and by name of the configuration


def compare_sides(sides: Sequence[Side], settings: Settings) -> Comparison:
    """Compares all pairs of configurations on the same resamples of the images.

    Raises:
        EvaluationError: there are fewer than two configurations or images, the evaluations are of other tasks, classes,
            images or annotations, or a comparison by size is not of detections.
    """
    check_comparable(sides)
    evidence = sides[0].seeds[0]
    images, by_class = len(evidence.names), "class" in settings.by
    images_per_size = count_images_per_size(evidence) if "size" in settings.by else {}
    weights = draw_weights(images, settings.resamples, settings.seed)
    names = list(dict.fromkeys((*settings.figures, *images_per_size)))
    found = {side.name: estimate_side(side, weights, names, by_class) for side in sides}
    figures, classes = (
        {
            part: add_seeds({name: estimates[number][part] for name, estimates in found.items()}, settings.seed)
            for part in parts
        }
        for number, parts in enumerate((names, evidence.classes if by_class else ()))
    )
    by: dict[str, Family] = {}
    if by_class:
        counts = dict(zip(evidence.classes, evidence.images_per_class().tolist(), strict=True))
        main = evidence.figure_names[0]
        by["class"] = make_family(CLASS_FIGURES.get(main, main), classes, counts, settings)
    if images_per_size:
        by["size"] = make_family("AP", {name: figures[name] for name in images_per_size}, images_per_size, settings)
    estimates = {name: figures[name] for name in settings.figures}
    pairs = {name: compare_pairs(name, {"": found}, {"": images}, settings)[""] for name, found in estimates.items()}
    return Comparison(images, {side.name: side.sources for side in sides}, estimates, pairs, by)


def count_images_per_size(evidence: Evidence) -> dict[str, int]:
    """Returns the number of images with objects of each size, by the name of its figure.

    Raises:
        EvaluationError: the evidence is not of detections.
    """
    if not isinstance(evidence, DetectionEvidence):
        raise EvaluationError(f"--by=[size] is for detection; the {evidence.role} figures have no sizes.")
    return evidence.images_per_size()


def estimate_side(
    side: Side, weights: Weights, names: Sequence[str], by_class: bool
) -> tuple[dict[str, Estimate], dict[str, Estimate]]:
    """Returns an estimate of each figure of a configuration, and of the main figure of each class if asked for.

    A class without images is NaN, also for a segmenter that predicts it.
    """
    ones = np.ones((1, weights.shape[1]))
    if not by_class:
        values, resampled = ([found.figures(w, names) for found in side.seeds] for w in (ones, weights))
        return combine_seeds(values, resampled, names), {}
    both = [[found.figures_and_classes(w, names) for found in side.seeds] for w in (ones, weights)]
    values, resampled = ([figures for figures, _ in found] for found in both)
    classes = [np.stack([per_class for _, per_class in found]) for found in both]
    is_absent = side.seeds[0].images_per_class() == 0
    for found in classes:
        found[:, :, is_absent] = np.nan
    per_class = {
        name: estimate(classes[0][:, 0, k], classes[1][:, :, k]) for k, name in enumerate(side.seeds[0].classes)
    }
    return combine_seeds(values, resampled, names), per_class


def combine_seeds(
    values: Sequence[FiguresByWeighting], resampled: Sequence[FiguresByWeighting], names: Sequence[str]
) -> dict[str, Estimate]:
    """Returns an estimate of each figure from those of each seed."""
    return {
        name: estimate(
            np.concatenate([found[name] for found in values]), np.stack([found[name] for found in resampled])
        )
        for name in names
    }


def make_family(figure: str, estimates: Estimates, images: dict[str, int], settings: Settings) -> Family:
    """Compares a figure of all parts of the data."""
    return Family(figure, images, estimates, compare_pairs(figure, estimates, images, settings))


def compare_pairs(
    figure: str, estimates: Estimates, images: Mapping[str, int], settings: Settings
) -> dict[str, list[Pair]]:
    """Compares all pairs of configurations in one figure of each part, and corrects for the number of differences.

    Args:
        figure: name of the figure.
        estimates: by name of the part and of the configuration.
        images: number of images of each part.
        settings: how to compare.
    """
    chosen = [(part, pair) for part, sides in estimates.items() for pair in combinations(sides, 2)]
    pairs: dict[str, list[Pair]] = {part: [] for part in estimates}
    for (part, _), pair in zip(chosen, compare_listed(figure, estimates, chosen, images, settings), strict=True):
        pairs[part].append(pair)
    return pairs


def compare_listed(
    figure: str,
    estimates: Estimates,
    chosen: Sequence[tuple[str, tuple[str, str]]],
    images: Mapping[str, int],
    settings: Settings,
) -> list[Pair]:
    """Compares chosen pairs, and corrects for their number; see :func:`compare_pairs`.

    Args:
        figure: name of the figure.
        estimates: by name of the part and of the configuration.
        chosen: a part, and the names of two configurations.
        images: number of images of each part.
        settings: how to compare.
    """
    found = [
        compare(estimates[part][first], estimates[part][second], settings.rope, images[part])
        for part, (first, second) in chosen
    ]
    corrected = iter(correct_holm([difference.p_value for difference in found if difference is not None]))
    pairs: list[Pair] = []
    for (part, (first, second)), difference in zip(chosen, found, strict=True):
        p_value = 1.0 if difference is None else next(corrected)
        pair = Pair(first, second, difference, p_value, better=None, sentence="")
        pair = pair._replace(better=find_better(pair, figure))
        seeds = min(len(estimates[part][name].values) for name in (first, second))
        sentence = describe(pair, f"{figure} of {part}" if part else figure, images[part], seeds, settings)
        pairs.append(pair._replace(sentence=sentence))
    return pairs
