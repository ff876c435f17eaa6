"""Checks that evaluations are of the same data."""

from __future__ import annotations

from collections.abc import Sequence

from ...errors import EvaluationError
from ...tasks.data.files import format_list
from ...tasks.evidence import Evidence
from .comparison import Side


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
            pair = f"{reference[0]} and {name}" if name != reference[0] else f"The runs of {name}"
            raise EvaluationError(f"{pair} cannot be compared: {difference}.")


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
