"""Reads what a run's folder says about one evaluation."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ...errors import EvaluationError
from ...tasks.evidence import Evidence
from ...tasks.examples import listing_path
from ...tasks.history import FIGURES, METRICS, Row, read_entries, read_rows
from ...tasks.run import CONFIG
from ..evaluations import read_evaluation


class StoredExample(NamedTuple):
    """A drawing of an evaluated image, truth beside prediction.

    Attributes:
        kind: "worst", "best" or "label_error".
        name: file name of the image.
        caption: what is right and wrong.
        content: of the JPEG file.
    """

    kind: str
    name: str
    caption: str
    content: bytes


@dataclass(frozen=True)
class Contents:
    """What a page is made of.

    Attributes:
        folder: the run's folder.
        split: "val" or "test".
        evidence: what the evaluation kept of each image.
        identity: what was evaluated, with hashes and versions.
        configuration: the run's options as YAML; empty without a run.
        steps: rows of ``metrics.csv``.
        validations: entries of ``metrics.json``.
        examples: drawings of evaluated images.
    """

    folder: Path
    split: str
    evidence: Evidence
    identity: dict[str, Any]
    configuration: str
    steps: list[Row]
    validations: list[dict[str, Any]]
    examples: list[StoredExample]


def read_contents(folder: Path, split: str) -> Contents:
    """Reads a run's folder, or one that ``litmobile evaluate`` wrote. Only the evidence has to be there.

    Raises:
        EvaluationError: the folder has no evidence of this split, or it is damaged.
    """
    if not folder.is_dir():
        raise EvaluationError(f"{folder} does not exist; pass the folder of a run.")
    stored = read_evaluation(folder, split)
    config, metrics, figures = (folder / name for name in (CONFIG, METRICS, FIGURES))
    return Contents(
        folder=folder,
        split=split,
        evidence=stored.evidence,
        identity=stored.identity,
        configuration=config.read_text(encoding="utf-8", errors="replace") if config.is_file() else "",
        steps=read_rows(metrics)[0] if metrics.is_file() else [],
        validations=read_entries(figures)[0] if figures.is_file() else [],
        examples=read_examples(folder, split),
    )


def read_examples(folder: Path, split: str) -> list[StoredExample]:
    """Reads the drawings that an evaluation left, without those that are missing; none if their list is damaged.

    Files outside ``folder`` are left out: a page must not contain other files of whoever makes it.
    """
    file, root = listing_path(folder, split), folder.resolve()
    if not file.is_file():
        return []
    try:
        rows = json.loads(file.read_bytes())
        found = [(row["kind"], row["name"], row["caption"], (root / row["file"]).resolve()) for row in rows]
    except (ValueError, KeyError, TypeError):
        return []
    return [
        StoredExample(kind, name, caption, path.read_bytes())
        for kind, name, caption, path in found
        if path.is_relative_to(root) and path.is_file()
    ]
